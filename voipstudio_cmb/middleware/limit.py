"""The limit stage: every attempt takes its own turn, and a 429 holds all."""

from __future__ import annotations

import asyncio
import inspect

import attrs

from voipstudio_cmb.errors import ClientMisuse, ProtocolFault, RequestTimeout
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.limits import Limiter
from voipstudio_cmb.retry import retry_after

from .throttle import AdaptiveThrottle


@attrs.frozen
class Limit:
    """Makes every attempt wait for its turn, and everybody wait when the server says so.

    *governor* pauses and slows all callers on a 429, and on an answer that is not HTTP, for the
    seconds that a believable `Retry-After` of at most *cap* asks for, or for a while of its own. A
    503 with a `Retry-After` pauses them too. A pause that outlasts a call's deadline ends the call.
    """

    limiter: Limiter | None = None
    throttle: AdaptiveThrottle = attrs.field(factory=AdaptiveThrottle)
    cap: float = 120.0

    async def __call__(self, request: Request, handler: Handler) -> Response:
        clock = asyncio.get_running_loop().time
        left_at = began = clock()
        if self.limiter is not None or not self.throttle.idle:
            try:
                await self._turn(request)
            finally:
                left_at = clock()
                request.call.waited += left_at - began
        try:
            response = await handler(request)
        except ProtocolFault:
            self.throttle.throttled(left_at, None)
            raise
        if response.status == 429 or response.status >= 500:
            asked = retry_after(response.headers)
            believed = asked is None or asked <= self.cap
            if response.status == 429 and believed:
                # "Wait 0 seconds" (or until a time that our clock has passed) says nothing.
                self.throttle.throttled(left_at, asked or None)
            elif response.status == 503 and asked is not None and believed:
                self.throttle.pause(asked)
        else:
            self.throttle.passed()
        return response

    async def _turn(self, request: Request) -> None:
        """Returns when the request may leave.

        Raises:
            RequestTimeout: the API has asked for a pause that outlasts the call's deadline.
        """
        while True:
            pause = self.throttle.paused()
            if asyncio.get_running_loop().time() + pause >= request.call.deadline:
                raise RequestTimeout(
                    f"the API has asked for a pause of {pause:.3g} s more, which is longer than "
                    "this call may take",
                    phase="deadline",
                    retryable=False,
                    **request.place(),
                )
            await self.throttle.wait()
            if self.limiter is None:
                return
            turn = self.limiter.acquire()
            if not inspect.isawaitable(turn):
                raise ClientMisuse(
                    "the limiter's acquire() must be async: pass RateLimit(60, per=2)"
                )
            await turn
            if self.throttle.paused() <= 0:
                return
