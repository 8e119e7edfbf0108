"""Events of calls and attempts, for logs, metrics and traces, and a client's counts of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeAlias

from .boundary.value import Frozen, State
from .http import Call, Sent

log: logging.Logger = logging.getLogger("voipstudio_cmb")

LOGGED_HEADERS = frozenset(
    {"content-length", "content-type", "date", "retry-after", "server", "x-request-id"}
)
"""The response's headers that events carry.

A list of what is allowed: a header that nobody has thought of may hold a secret."""


def harmless_headers(headers: Mapping[str, str], quote: Callable[[str], str]) -> dict[str, str]:
    """Those of `headers` that may be logged, made harmless by `quote`, with lower-case names."""
    low = ((name.lower(), value) for name, value in headers.items())
    return {name: quote(value) for name, value in low if name in LOGGED_HEADERS}


class Event(Frozen, frozen=True, kw_only=True):
    """The outcome of a call or of one of its attempts."""

    operation: str
    """What was called: `cdrs.list`."""
    where: str
    """Method, path and page in one."""
    method: str
    path: str
    status: int | None
    """The (last) response's status, or None if no response came back."""
    error: str | None
    """The name of the error's class, or None."""
    began: float
    """Unix time."""
    elapsed: float
    """Seconds, with all waits."""


class AttemptEvent(Event, frozen=True, kw_only=True):
    """The outcome of one attempt."""

    number: int
    """Which attempt of its call, from 1."""
    sent: Sent
    """Whether the request reached the server."""
    headers: Mapping[str, str]
    """Those of the response that are in `LOGGED_HEADERS`."""

    def __str__(self) -> str:
        return f"{self.where}: attempt {self.number}: {self.error or self.status}"


class CallEvent(Event, frozen=True, kw_only=True):
    """The outcome of one call, however many attempts it took."""

    attempts: int
    waited: float
    """Seconds spent in back-off and pacing."""
    already_gone: bool
    """A deletion whose second attempt found that the first had done it."""
    once: bool
    """It was a guess of a walk's: not tried again, and if it failed, asked for again when due."""
    tries: tuple[AttemptEvent, ...]
    """The attempts one by one."""

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.error or self.status} after {self.attempts} attempts, "
            f"{self.elapsed:.3f} s ({self.waited:.3f} s waiting)"
        )


OnEvent: TypeAlias = Callable[[Event], None]
"""A function that is called with every event; `ClientConfig(on_event=)` takes one."""


class Usage(State, kw_only=True):
    """What a client has done so far."""

    calls: int = 0
    """Calls that have ended."""
    requests: int = 0
    """Requests that they took."""
    retries: int = 0
    """Those beyond the first of their call."""
    waited: float = 0.0
    """Seconds that they spent in back-off and pacing."""

    def add(self, call: Call) -> None:
        """Books a call that has ended."""
        self.calls += 1
        requests = call.attempts - call.unsent
        self.requests += requests
        if requests > 1:
            self.retries += requests - 1
        self.waited += call.waited
