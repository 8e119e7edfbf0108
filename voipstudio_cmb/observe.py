"""What became of each call and attempt: events for logs, metrics, traces. It changes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from .errors import CallMeBackError, HTTPStatusError
from .http import Call, Handler, Request, Response, Sent

log = logging.getLogger("voipstudio_cmb")

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
OnEvent: TypeAlias = Callable[[Event], None]


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


@attrs.frozen
class Observe:
    """Tells of each attempt and each call: the `voipstudio_cmb` logger, *on_event*, and *usage*."""

    on_event: OnEvent | None = None
    usage: Usage = attrs.field(factory=Usage)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        if self.on_event is None and not log.isEnabledFor(logging.DEBUG):
            try:
                return await handler(request)
            finally:
                self.usage.add(request.call)
        return await self._told(request, handler)

    async def _told(self, request: Request, handler: Handler) -> Response:
        """The call, with its events."""
        tries: list[AttemptEvent] = []

        def on_attempt(event: AttemptEvent) -> None:
            tries.append(event)
            self._tell(event)

        request.call.on_attempt = on_attempt
        clock = asyncio.get_running_loop().time
        began, unix = clock(), time.time()
        answer: Response | None = None
        failure: BaseException | None = None
        try:
            answer = await handler(request)
            return answer
        except BaseException as error:  # a cancellation is an outcome too; all pass through
            failure = error
            raise
        finally:
            self.usage.add(request.call)
            self._tell(
                CallEvent(
                    operation=request.operation,
                    where=request.describe(),
                    method=request.method,
                    path=request.path,
                    status=_status(answer, failure),
                    error=None if failure is None else type(failure).__name__,
                    attempts=request.call.attempts,
                    waited=request.call.waited,
                    began=unix,
                    elapsed=clock() - began,
                    already_gone=answer is not None and answer.already_gone,
                    tries=tuple(tries),
                )
            )
            del failure  # or frame and error would keep each other alive

    def _tell(self, event: Event) -> None:
        log.debug("%s", event, extra={"event": event})
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:  # whatever a listener raises, the call goes on
            log.exception("on_event failed")


def _status(answer: Response | None, failure: BaseException | None) -> int | None:
    if isinstance(failure, HTTPStatusError):
        return failure.status
    return None if answer is None else answer.status


def attempt_event(
    request: Request,
    outcome: Response | BaseException,
    *,
    began: float,
    elapsed: float,
) -> AttemptEvent:
    """The event for an attempt of *request* that ended in *outcome*."""
    told = outcome if isinstance(outcome, Response | HTTPStatusError) else None
    sent: Sent = request.call.sent
    if isinstance(outcome, CallMeBackError):
        sent = outcome.sent
    elif told is not None:
        sent = "yes"
    return AttemptEvent(
        operation=request.operation,
        where=request.describe(),
        method=request.method,
        path=request.path,
        number=request.call.attempts,
        status=told.status if told else None,
        error=None if isinstance(outcome, Response) else type(outcome).__name__,
        sent=sent,
        headers=harmless_headers(told.headers, request.call.mask) if told else {},
        began=began,
        elapsed=elapsed,
    )
