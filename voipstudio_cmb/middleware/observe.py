"""The observe stage: one event for a call, and one for each attempt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from voipstudio_cmb.boundary.value import Frozen, field
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
from voipstudio_cmb.http import Call, Handler, Request, Response, Sent

Outcome: TypeAlias = Response | BaseException
Responded: TypeAlias = Response | HTTPStatusError
EventOf: TypeAlias = Callable[[Call, Outcome, dict[str, Any]], Event]


class Observe(Frozen, frozen=True):
    """Publishes each call and each attempt: to the `voipstudio_cmb` logger and to `on_event`."""

    on_event: OnEvent | None = None
    """The user's listener."""
    usage: Usage = field(default_factory=Usage)
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
        return await self._observed(_attempt_event, request, handler)

    async def _observed(self, event_of: EventOf, request: Request, handler: Handler) -> Response:
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
            known: dict[str, Any] = {
                "operation": request.operation,
                "where": request.describe(),
                "method": request.method,
                "path": request.path,
                "status": outcome.status if isinstance(outcome, Responded) else None,
                "error": None if isinstance(outcome, Response) else type(outcome).__name__,
                "began": unix,
                "elapsed": clock() - began,
            }
            self._publish(event_of(request.call, outcome, known))
            del outcome  # or frame and error would keep each other alive

    def _publish(self, event: Event) -> None:
        log.debug("%s", event, extra={"event": event})
        if self.on_event is None:
            return
        try:
            self.on_event(event)
        except Exception:  # whatever a listener raises, the call continues
            log.exception("on_event failed")

    def _call_event(self, call: Call, outcome: Outcome, known: dict[str, Any]) -> CallEvent:
        self.usage.add(call)  # before its event, so that a listener finds it there
        return CallEvent(
            attempts=call.attempts,
            waited=call.waited,
            already_gone=isinstance(outcome, Response) and outcome.already_gone,
            once=call.once,
            tries=tuple(call.tries or ()),
            **known,
        )


def _attempt_event(call: Call, outcome: Outcome, known: dict[str, Any]) -> AttemptEvent:
    """The event of an attempt, after it was added to those of its call."""
    sent: Sent = "yes" if isinstance(outcome, Response) else call.sent
    headers = outcome.headers if isinstance(outcome, Responded) else {}
    event = AttemptEvent(
        number=call.attempts,
        sent=outcome.sent if isinstance(outcome, CallMeBackError) else sent,
        headers=harmless_headers(headers, call.quote),
        **known,
    )
    if call.tries is not None:
        call.tries.append(event)
    return event
