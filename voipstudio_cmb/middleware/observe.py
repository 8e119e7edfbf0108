"""The observe stage: one event for a call, and one for each attempt."""

from __future__ import annotations

import asyncio
import logging
import time

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
from voipstudio_cmb.http import Handler, Request, Response, Sent


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


async def _told(request: Request, handler: Handler) -> Response:
    """One attempt, which whoever listens is told of."""
    call = request.call
    assert call.on_attempt is not None
    clock = asyncio.get_running_loop().time
    began, unix = clock(), time.time()
    outcome: Response | BaseException | None = None
    try:
        outcome = await handler(request)
        return outcome
    except BaseException as error:  # a cancellation is an outcome too; all pass through
        outcome = error
        raise
    finally:
        assert outcome is not None
        elapsed = clock() - began
        call.on_attempt(attempt_event(request, outcome, began=unix, elapsed=elapsed))
        del outcome  # or frame and error would keep each other alive
