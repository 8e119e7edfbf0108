"""What became of each call and attempt: events for logs, metrics, traces. It changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from .http import Call, Sent

log: logging.Logger = logging.getLogger("voipstudio_cmb")

LOGGED_HEADERS = frozenset(
    {"content-length", "content-type", "date", "retry-after", "server", "x-request-id"}
)
"""The answer's headers that events carry. A list of what is allowed: a header that nobody has
thought of may hold a secret."""


def harmless_headers(headers: Mapping[str, str], mask: Callable[[str], str]) -> dict[str, str]:
    """Those of *headers* (lower-case names) that may be logged, without what *mask* removes."""
    return {name: mask(value) for name, value in headers.items() if name in LOGGED_HEADERS}


@attrs.frozen(kw_only=True)
class AttemptEvent:
    """What became of one attempt, the *number*th of its call, from 1.

    *where* is method, path and page in one; *status* and *headers* are those of the answer, None
    and empty if there was none; *error* is the name of the error's class or None. *began* is Unix
    time, *elapsed* seconds; waits in the limiter are part of it.
    """

    operation: str
    where: str
    method: str
    path: str
    number: int
    status: int | None
    error: str | None
    sent: Sent
    headers: Mapping[str, str]
    began: float
    elapsed: float

    def __str__(self) -> str:
        return f"{self.where}: attempt {self.number}: {self.error or self.status}"


@attrs.frozen(kw_only=True)
class CallEvent:
    """What became of one call, however many attempts it took.

    *where* is method, path and page in one. *error* is the name of the error's class or None;
    *status* that of the last answer or None. *waited* (back-off and pacing) and *elapsed* are
    seconds, *began* is Unix time. *tries* are the attempts one by one. *already_gone* is a deletion
    that found on its second try that its first had done it.
    """

    operation: str
    where: str
    method: str
    path: str
    status: int | None
    error: str | None
    attempts: int
    waited: float
    began: float
    elapsed: float
    already_gone: bool
    tries: tuple[AttemptEvent, ...]

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.error or self.status} after {self.attempts} attempts, "
            f"{self.elapsed:.3f} s ({self.waited:.3f} s waiting)"
        )


Event: TypeAlias = AttemptEvent | CallEvent
"""What became of an attempt or of a call."""

OnEvent: TypeAlias = Callable[[Event], None]
"""A function that is called with every event; `ClientConfig(on_event=)` takes one."""


@attrs.define(kw_only=True)
class Usage:
    """What a client has done so far: *calls*, the *requests* that they took, seconds *waited*."""

    calls: int = 0
    requests: int = 0
    waited: float = 0.0

    @property
    def retries(self) -> int:
        """Requests beyond the first of their call."""
        return max(0, self.requests - self.calls)

    def add(self, call: Call) -> None:
        """Books a call that has ended."""
        self.calls += 1
        self.requests += call.attempts
        self.waited += call.waited
