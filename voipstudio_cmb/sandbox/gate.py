"""The gate: what every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

import attrs
from aiohttp import web

from .api import Account, json_answer
from .data import Data
from .faults import Fault, Switchboard
from .journal import Received, masked_body, masked_headers
from .rate import RateWindow
from .refusal import Refusal

BASES: Final = ("/v1.2/voipstudio", "/v1.1/voipstudio")

_JOURNAL_KEPT: Final = 100_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define(kw_only=True)
class Gate:
    """Notes a request, hits it with a scripted fault or not, limits, delays and admits it.

    In this order: a fault stands for the network, which comes before the server; a server counts
    a request against its limit before it looks at the token.
    """

    account: Account
    data: Data
    switchboard: Switchboard
    latency: tuple[float, float]
    window: RateWindow | None
    draw: random.Random
    journal: list[Received] = attrs.field(factory=list)
    requests: int = 0
    _busy: set[asyncio.Task[object]] = attrs.field(factory=set)

    async def pass_through(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware: answers *request*, itself or by means of *handler*."""
        task = asyncio.current_task()
        assert task is not None  # a handler always runs in one
        self._busy.add(task)
        try:
            received = await self._note(request)
            fault = self.switchboard.pick(received)
            if fault is not None:
                return await self._hit(fault, request, received, handler)
            return await self._serve(request, received, handler)
        finally:
            self._busy.discard(task)

    async def clear(self) -> None:
        """Cancels the requests that are still being answered, and waits until they are gone."""
        busy = set(self._busy)
        for task in busy:
            task.cancel()
        if busy:
            await asyncio.wait(busy)

    async def _note(self, request: web.Request) -> Received:
        path = next(
            (request.path.removeprefix(base) for base in BASES if request.path.startswith(base)),
            request.path,
        )
        received = Received(
            method=request.method,
            path=path,
            query=dict(request.query.items()),
            headers=masked_headers(request.headers),
            body=masked_body(path, await request.read()),
            at=time.monotonic(),
        )
        if len(self.journal) >= _JOURNAL_KEPT:
            del self.journal[: _JOURNAL_KEPT // 2]
        self.journal.append(received)
        self.requests += 1
        return received

    async def _serve(
        self, request: web.Request, received: Received, handler: Handler
    ) -> web.StreamResponse:
        try:
            await self._let_in(request, received)
            answer = await handler(request)
        except Refusal as refusal:
            answer = json_answer(refusal.body, refusal.status)
            answer.headers.update(refusal.headers)
        except web.HTTPException as error:
            # aiohttp's own answers (no such path, wrong method) are text; the API speaks JSON.
            answer = json_answer({"message": error.reason}, error.status)
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
        received.status = answer.status
        return answer

    async def _let_in(self, request: web.Request, received: Received) -> None:
        wait = self.window.admit(time.monotonic()) if self.window else 0.0
        if wait > 0:
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Refusal(429, "Too many requests", headers=headers)
        pause = self.draw.uniform(*self.latency)
        if pause > 0:
            await asyncio.sleep(pause)
        if received.path != "/login" and not self.account.admits(request.headers):
            raise Refusal(401, "Unauthorized")

    async def _hit(
        self, fault: Fault, request: web.Request, received: Received, handler: Handler
    ) -> web.StreamResponse:
        if fault.delay > 0:
            await asyncio.sleep(fault.delay)
        if fault.raw is not None or fault.drop == "before":
            return _hang_up(request, fault.raw)
        if fault.change is not None:
            fault.change(self.data)
        if fault.replaces:
            status, body, content_type = fault.answer()
            answer: web.StreamResponse = web.Response(
                status=status, body=body, content_type=content_type
            )
            received.status = status
        else:
            answer = await self._serve(request, received, handler)
        answer.headers.update(fault.headers)
        if fault.drop is None:
            return answer
        received.status = None
        return _hang_up(request, None) if fault.drop == "after" else await _cut(request, answer)


def _hang_up(request: web.Request, last_words: bytes | None) -> web.StreamResponse:
    """Closes the connection; the answer it returns goes nowhere."""
    if request.transport is not None:
        if last_words:
            request.transport.write(last_words)
        request.transport.close()
    return web.Response()


async def _cut(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Sends the head and the first half of *answer*, and closes the connection."""
    body = answer.body if isinstance(answer, web.Response) else None
    if not isinstance(body, bytes) or not body:
        return _hang_up(request, None)
    half = web.StreamResponse(status=answer.status, headers=answer.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
