"""The switchboard of scripted faults: which answer goes wrong, how, and how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import msgspec

from .data import Data
from .journal import Received


@attrs.frozen(kw_only=True)
class Fault:
    """Something that goes wrong with the requests it matches.

    It matches by *method*, by the beginning of the *path* below the base URL, by *page* (1 when a
    request names none) and by *when*, a test of the whole request; what is not given matches all.
    The first *after* matching requests are spared, then *times* of them are hit (`None`: all).

    The answer is replaced when *status* or *body* is given: bytes go out as they are, anything
    else as JSON. *headers* are added to whichever answer goes out. *raw* bytes are written to the
    socket in place of an answer, which is then closed.

    *drop* closes the connection: ``"before"`` the request had any effect, ``"after"`` its effect
    but without an answer, ``"mid-body"`` in the middle of the answer. *delay* seconds pass before
    anything else happens, and *change* alters the data right before the answer is made.
    """

    method: str | None = None
    path: str = ""
    page: int | None = None
    when: Callable[[Received], bool] | None = None
    times: int | None = 1
    after: int = 0
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict)
    body: Any = None
    raw: bytes | None = None
    drop: Literal["before", "after", "mid-body"] | None = None
    delay: float = 0.0
    change: Callable[[Data], object] | None = None

    @property
    def replaces(self) -> bool:
        """Whether the answer is scripted, so that the request has no effect."""
        return self.status is not None or self.body is not None

    def matches(self, received: Received) -> bool:
        """Tells whether *received* is one of the requests this fault is about."""
        return (
            (self.method is None or self.method.upper() == received.method)
            and received.path.startswith(self.path)
            and (self.page is None or self.page == received.page)
            and (self.when is None or self.when(received))
        )

    def answer(self) -> tuple[int, bytes, str]:
        """Returns status, body and content type of the scripted answer."""
        status = 200 if self.status is None else self.status
        if isinstance(self.body, bytes):
            page = self.body.lstrip().startswith(b"<")
            return status, self.body, "text/html" if page else "application/json"
        content = {"message": f"Scripted {status}"} if self.body is None else self.body
        return status, msgspec.json.encode(content), "application/json"


@attrs.define
class Scripted:
    """A fault on the switchboard: how many requests it has *seen*, and how many it has hit."""

    fault: Fault
    seen: int = 0
    applied: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has hit as often as it should."""
        return self.fault.times is not None and self.applied >= self.fault.times

    def takes(self, received: Received) -> bool:
        """Counts *received* if it matches, and tells whether it is to be hit."""
        if self.spent or not self.fault.matches(received):
            return False
        self.seen += 1
        if self.seen <= self.fault.after:
            return False
        self.applied += 1
        return True


class Switchboard:
    """Holds faults in the order they were scripted; the first that takes a request has it."""

    def __init__(self) -> None:
        self._scripted: list[Scripted] = []

    def script(self, fault: Fault) -> Scripted:
        scripted = Scripted(fault)
        self._scripted.append(scripted)
        return scripted

    def clear(self) -> None:
        self._scripted.clear()

    def pick(self, received: Received) -> Fault | None:
        for scripted in self._scripted:
            if scripted.takes(received):
                return scripted.fault
        return None
