"""The gate: what every request passes on its way in, and every response on its way out."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import attrs
from aiohttp import web

from .api import Account, json_response
from .data import Data
from .faults import Fault, Scripted
from .journal import LOGINS, Received, masked_body, masked_headers, masked_path
from .rate import RateWindow
from .refusal import Refusal
from .temper import Temper

BASES: Final = ("/v1.2/voipstudio", "/v1.1/voipstudio")

MAX_JOURNAL: Final = 100_000
# As nginx says it when `limit_req` refuses a request.
_BUSY: Final = (
    b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
    b"<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n<hr><center>nginx</center>"
    b"\r\n</body>\r\n</html>\r\n"
)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.define(kw_only=True)
class Gate:
    """Records a request, applies a scripted fault to it, limits it, delays it and authenticates it.

    In this order: a fault stands for the network, which comes before the server, and a server
    counts a request against its limit before it looks at the token.
    """

    account: Account
    data: Data
    temper: Temper
    latency: tuple[float, float]
    rate: RateWindow | None
    random: random.Random
    scripted: list[Scripted] = attrs.field(factory=list)
    """The faults, in the order of scripting; the first that takes a request hits it."""
    journal: list[Received] = attrs.field(factory=list)
    requests: int = 0
    _running: set[asyncio.Task[object]] = attrs.field(factory=set)

    def guarded(self, routes: list[web.RouteDef]) -> list[web.RouteDef]:
        """Returns `routes` behind this gate, and for each path one for all other methods.

        As a middleware the gate would outlive its server with all rows: aiohttp keeps the handlers
        that it has wrapped in middlewares, the latest 1,024 of a process.
        """
        methods: dict[str, set[str]] = {}
        for route in routes:
            methods.setdefault(route.path, set()).add(route.method)
        others = [
            web.route("*", path, partial(_wrong_method, allowed))
            for path, allowed in methods.items()
            if "*" not in allowed
        ]
        return [
            web.route(route.method, route.path, partial(self.handle, handler=route.handler))
            for route in (*routes, *others)
        ]

    async def handle(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Responds to `request` without `handler`, or with its response."""
        task = asyncio.current_task()
        assert task is not None  # a handler always runs in one
        self._running.add(task)
        try:
            received = await self._record(request)
            for scripted in self.scripted:
                if scripted.takes(received):
                    return await self._apply(scripted.fault, request, received, handler)
            return await self._serve(request, received, handler)
        finally:
            self._running.discard(task)

    async def cancel_requests(self) -> None:
        """Cancels the requests that have no response yet, and waits until they have ended."""
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _record(self, request: web.Request) -> Received:
        path = request.path
        for base in BASES:
            path = path.removeprefix(base)
        received = Received(
            method=request.method,
            path=masked_path(path),
            query=dict(request.query.items()),
            headers=masked_headers(request.headers),
            body=masked_body(path, await request.read()),
            at=time.monotonic(),
        )
        if len(self.journal) >= MAX_JOURNAL:
            del self.journal[: MAX_JOURNAL // 2]
        self.journal.append(received)
        self.requests += 1
        return received

    async def _serve(
        self, request: web.Request, received: Received, handler: _Handler
    ) -> web.StreamResponse:
        wait = self.rate.admit(time.monotonic()) if self.rate else 0.0
        try:
            if wait > 0 and self.temper.throttle_status == 503:
                received.status = 503
                return web.Response(status=503, body=_BUSY, content_type="text/html")
            if wait > 0:
                raise Refusal(429, "Too many requests", retry_after=math.ceil(wait))
            await self._admit(request, received)
            response = await handler(request)
        except Refusal as refusal:
            response = json_response(refusal.body, refusal.status)
            response.headers.update(refusal.headers)
        except web.HTTPException as error:
            # aiohttp's own responses (no such path, wrong method) are text; the API sends JSON.
            response = json_response({"message": error.reason}, error.status)
            if "Allow" in error.headers:
                response.headers["Allow"] = error.headers["Allow"]
        received.status = response.status
        return response

    async def _admit(self, request: web.Request, received: Received) -> None:
        pause = self.random.uniform(*self.latency)
        if pause > 0:
            await asyncio.sleep(pause)
        if received.path not in LOGINS and not self.account.presented(request.headers):
            raise Refusal(401, "Unauthorized")

    async def _apply(
        self, fault: Fault, request: web.Request, received: Received, handler: _Handler
    ) -> web.StreamResponse:
        if fault.delay > 0:
            await asyncio.sleep(fault.delay)
        if fault.raw is not None or fault.drop == "before":
            return _disconnect(request, fault.raw)
        if fault.change is not None:
            fault.change(self.data)
        response: web.StreamResponse
        if scripted := fault.response():
            received.status, body, content_type = scripted
            response = web.Response(status=received.status, body=body, content_type=content_type)
        else:
            response = await self._serve(request, received, handler)
        if fault.response_delay > 0:
            await asyncio.sleep(fault.response_delay)
        response.headers.update(fault.headers)
        if fault.drop is None:
            return response
        received.status = None
        if fault.drop == "after":
            return _disconnect(request)
        return await _send_half(request, response)


async def _wrong_method(allowed: set[str], request: web.Request) -> web.StreamResponse:
    raise web.HTTPMethodNotAllowed(request.method, allowed)


def _disconnect(request: web.Request, last_bytes: bytes | None = None) -> web.StreamResponse:
    """Closes the connection, so that the returned response is not sent."""
    if request.transport is not None:
        if last_bytes:
            request.transport.write(last_bytes)
        request.transport.close()
    return web.Response()


async def _send_half(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Sends the head and the first half of `response`, and closes the connection."""
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(body, bytes) or not body:
        return _disconnect(request)
    half = web.StreamResponse(status=response.status, headers=response.headers)
    half.content_length = len(body)
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
