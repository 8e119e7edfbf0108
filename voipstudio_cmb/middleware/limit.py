"""The limit stage: every attempt takes its own turn, and what asks for a pause holds all."""

from __future__ import annotations

import asyncio
import inspect

from voipstudio_cmb.boundary.value import Frozen, field
from voipstudio_cmb.codec.envelopes import is_throttling
from voipstudio_cmb.errors import ClientMisuse, ProtocolFault, RequestTimeout
from voipstudio_cmb.events import log
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.limits import Limiter
from voipstudio_cmb.retry import MAX_RETRY_AFTER, asked_to_wait

from .throttle import AdaptiveThrottle

LONGEST_UNAVAILABLE = 1.0
"""The longest pause in seconds after a 503 that asks for none: it may be an outage as well."""

SMALL_PAGE = 4096
"""What a proxy says by itself is no longer, in bytes."""


class Limit(Frozen, frozen=True):
    """Makes every attempt wait for its turn, and all callers wait when the server says so.

    A 429 pauses and slows all callers, for as long as a `Retry-After` asks or for a while of the
    throttle's own. So does a 503 where it may be a rate limit, as it is by default in nginx: a
    proxy's small page, or the second without a success between. Any other 503 with a `Retry-After`
    pauses them, and so does a response that is not HTTP. A pause that outlasts a call's deadline
    ends the call.
    """

    limiter: Limiter | None = None
    """The user's, which paces all requests."""
    throttle: AdaptiveThrottle = field(default_factory=AdaptiveThrottle)
    """What the client has learnt of the API's own limit."""
    max_retry_after: float = MAX_RETRY_AFTER
    """A `Retry-After` of more seconds holds nobody."""

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        call.left_at = asyncio.get_running_loop().time()
        throttle = self.throttle
        if self.limiter is not None or throttle.refusals:
            await self._turn(request)
        call.refusals = throttle.refusals
        try:
            response = await handler(request)
        except ProtocolFault:
            throttle.refused(call.left_at, None, learn=False)
            raise
        if response.status < 400:
            throttle.passed()
        else:
            self._hold(response, call.left_at)
        return response

    async def again(self, request: Request) -> None:
        """Returns when a request may leave that has waited for a connection since its turn.

        Or all that wait there when a pause begins would be sent within it.
        """
        if request.call.refusals not in (None, self.throttle.refusals):
            await self._turn(request)

    def _hold(self, response: Response, left_at: float) -> None:
        """Holds all callers if `response`, to a request that left at `left_at`, asks for it."""
        throttling = is_throttling(response)
        if response.status < 500 and not throttling:
            self.throttle.passed()
            return
        asked = asked_to_wait(response)
        if response.status == 503:
            self.throttle.unavailable += 1
        if asked is not None and asked > self.max_retry_after:
            return
        # "Wait 0 seconds" (or until a time that our clock has passed) says nothing.
        if throttling:
            self.throttle.refused(left_at, asked or None)
        elif response.status == 503 and (self.throttle.unavailable > 1 or _by_proxy(response)):
            self.throttle.refused(left_at, asked or None, longest=LONGEST_UNAVAILABLE)
        elif response.status == 503 and asked is not None:
            self.throttle.pause(asked)
        if (pause := self.throttle.paused()) > 0:
            log.info("all requests wait %.3f s, after a status of %d", pause, response.status)
            if throttling and (hold := getattr(self.limiter, "hold", None)):
                hold(pause)  # all other processes that share the allowance, too

    async def _turn(self, request: Request) -> None:
        """Returns when the request may leave, and books how long that took.

        Raises:
            RequestTimeout: the API has asked for a pause that outlasts the call's deadline.
        """
        call, clock = request.call, asyncio.get_running_loop().time
        began = clock()
        try:
            await self._wait(request)
        except BaseException:
            call.unsent += 1
            raise
        finally:
            call.left_at = clock()
            call.waited += call.left_at - began

    async def _wait(self, request: Request) -> None:
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
            # A pause that began meanwhile is kept: this turn is then spent for nothing.
            if self.throttle.paused() <= 0:
                return


def _by_proxy(response: Response) -> bool:
    """Whether a proxy has answered by itself: the API sends JSON."""
    is_page = response.headers.get("content-type", "").lower().startswith("text/html")
    return is_page and len(response.body) <= SMALL_PAGE
