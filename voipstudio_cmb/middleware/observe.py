"""The observe stage: one event for a call, and one for each attempt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeAlias

import attrs

from voipstudio_cmb.errors import CallMeBackError, HTTPStatusError
from voipstudio_cmb.events import (
    AttemptEvent,
    CallEvent,
    Event,
    OnEvent,
    Usage,
    harmless_headers,
    log,
)
from voipstudio_cmb.http import Handler, Request, Response, Sent, Stage

Outcome: TypeAlias = Response | BaseException


@attrs.frozen
class Observe(Stage):
    """Publishes each call and each attempt: to the `voipstudio_cmb` logger and to `on_event`."""

    on_event: OnEvent | None = None
    """The user's listener."""
    usage: Usage = attrs.field(factory=Usage)
    """The client's counts."""

    async def __call__(self, request: Request, handler: Handler) -> Response:
        if self.on_event is not None or log.isEnabledFor(logging.DEBUG):
            request.call.tries = []
            return await self._observed(self._call_event, request, handler)
        try:
            return await handler(request)
        finally:
            self.usage.add(request.call)

    async def attempt(self, request: Request, handler: Handler) -> Response:
        """Performs one attempt and publishes it."""
        return await self._observed(self._attempt_event, request, handler)

    async def _observed(
        self,
        event_of: Callable[[Request, Outcome, float, float], Event],
        request: Request,
        handler: Handler,
    ) -> Response:
        clock = asyncio.get_running_loop().time
        began, unix = clock(), time.time()
        outcome: Outcome | None = None
        try:
            outcome = await handler(request)
            return outcome
        except BaseException as error:  # a cancellation is an outcome too; all pass through
            outcome = error
            raise
        finally:
            assert outcome is not None
            self._publish(event_of(request, outcome, unix, clock() - began))
            del outcome  # or frame and error would keep each other alive

    def _publish(self, event: Event) -> None:
        log.debug("%s", event, extra={"event": event})
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:  # whatever a listener raises, the call continues
            log.exception("on_event failed")

    def _call_event(
        self, request: Request, outcome: Outcome, began: float, elapsed: float
    ) -> CallEvent:
        """Books the call before its event is published."""
        call = request.call
        self.usage.add(call)
        return CallEvent(
            operation=request.operation,
            where=request.describe(),
            method=request.method,
            path=request.path,
            status=outcome.status if isinstance(outcome, Response | HTTPStatusError) else None,
            error=None if isinstance(outcome, Response) else type(outcome).__name__,
            attempts=call.attempts,
            waited=call.waited,
            began=began,
            elapsed=elapsed,
            already_gone=isinstance(outcome, Response) and outcome.already_gone,
            tries=tuple(call.tries or ()),
        )

    def _attempt_event(
        self, request: Request, outcome: Outcome, began: float, elapsed: float
    ) -> AttemptEvent:
        """Adds the event to those of its call."""
        call = request.call
        response = outcome if isinstance(outcome, Response | HTTPStatusError) else None
        sent: Sent = "yes" if response is not None else call.sent
        event = AttemptEvent(
            operation=request.operation,
            where=request.describe(),
            method=request.method,
            path=request.path,
            number=call.attempts,
            status=None if response is None else response.status,
            error=None if isinstance(outcome, Response) else type(outcome).__name__,
            sent=outcome.sent if isinstance(outcome, CallMeBackError) else sent,
            headers={} if response is None else harmless_headers(response.headers, call.mask),
            began=began,
            elapsed=elapsed,
        )
        if call.tries is not None:
            call.tries.append(event)
        return event
