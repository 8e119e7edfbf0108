"""What became of each call: one event for logs, metrics and progress. It changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import attrs

from .errors import HTTPStatusError
from .http import Call, Handler, Request, Response

log = logging.getLogger("voipstudio_cmb")


@attrs.frozen(kw_only=True)
class CallEvent:
    """What became of one call: for logs, metrics and progress.

    *error* is the name of the error's class or None; *status* that of the last answer or None.
    *waited* and *elapsed* are in seconds.
    """

    operation: str
    method: str
    path: str
    status: int | None
    error: str | None
    attempts: int
    waited: float
    elapsed: float


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
    """Emits a `CallEvent` for each call: to the `voipstudio_cmb` logger, *on_event* and *usage*."""

    on_event: Callable[[CallEvent], None] | None = None
    usage: Usage = attrs.field(factory=Usage)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        clock = asyncio.get_running_loop().time
        began = clock()
        status: int | None = None
        outcome: str | None = None
        try:
            response = await handler(request)
            status = response.status
            return response
        except BaseException as error:  # a cancellation is an outcome too; all pass through
            status = error.status if isinstance(error, HTTPStatusError) else None
            outcome = type(error).__name__
            raise
        finally:
            self.usage.add(request.call)
            if self.on_event is not None or log.isEnabledFor(logging.DEBUG):
                self._emit(request, status, outcome, clock() - began)

    def _emit(
        self, request: Request, status: int | None, outcome: str | None, elapsed: float
    ) -> None:
        event = CallEvent(
            operation=request.operation,
            method=request.method,
            path=request.path,
            status=status,
            error=outcome,
            attempts=request.call.attempts,
            waited=request.call.waited,
            elapsed=elapsed,
        )
        log.debug(
            "%s: %s after %d attempts, %.3f s (%.3f s waiting)",
            request.describe(),
            outcome or status,
            event.attempts,
            elapsed,
            event.waited,
        )
        if self.on_event is not None:
            self.on_event(event)
