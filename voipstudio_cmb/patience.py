"""Patience: calls that wait while the API is away, of which one at a time tries if it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf

from .boundary.checks import checked_number
from .errors import (
    BadPayload,
    CallMeBackError,
    ConnectFailed,
    ConnectionLost,
    HTTPStatusError,
    RequestTimeout,
)
from .http import Call, Handler, Request, Response
from .timeouts import LoopGuard, Slots

_GATEWAY = frozenset({502, 503, 504, *range(520, 528)})
"""What a gateway answers when nothing is behind it."""

_FIRST, _LONGEST = 1.0, 30.0
"""Seconds before the first try, and the most before any; they double with each."""

_STRIKES = 3
"""How often a call may fail though others were answered meanwhile: then it is not the API."""


class Patience:
    """How many `seconds` reads wait for an API that is away, instead of failing.

    `ClientConfig(patience=Patience(900))`; clients of one API may share it. The API is away when
    no connection is made or holds, or a gateway has nothing behind it, after all attempts of a
    call. Then all calls wait, and one at a time tries again. `tell` is given a sentence when the
    API goes away, and when it is back. What writes never waits.

    Raises:
        ClientMisuse: `seconds` is no finite number above 0.
    """

    def __init__(self, seconds: float, tell: Callable[[str], None] = lambda _: None) -> None:
        self.seconds = checked_number("patience", seconds)
        self._tell = tell
        self._guard = LoopGuard("patience")
        self._turn = Slots(1)
        self._since: float | None = None  # when the API went away, on the loop's clock
        self._peer = ""  # what is away instead of the API
        self._wait = _FIRST
        self._answers = 0
        self._failure: CallMeBackError | None = None

    def elsewhere(self) -> Patience:
        """The same for another event loop, or another API."""
        return Patience(self.seconds, self._tell)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        """The response to `request`, however long the API is away up to then.

        Raises:
            CallMeBackError: the API was away for too long, or another failure.
        """
        if not request.reads:
            return await handler(request)
        self._enter()
        seconds = request.call.deadline - self._now()
        seen, strikes = None, 0
        while True:
            failure = await self._tried(request, handler, seconds)
            if isinstance(failure, Response):
                return failure
            # A call that has a deadline of its own can be done without, unless nothing is sent.
            if self._is_over() or (seconds < inf and failure.sent != "no"):
                raise self._concluded(failure)
            strikes += seen not in (None, self._answers)
            seen = self._answers
            if strikes == _STRIKES:
                raise failure

    async def _tried(
        self, request: Request, handler: Handler, seconds: float
    ) -> Response | CallMeBackError:
        """The response, or the failure that says that the API is away."""
        if self._since is None or self._is_over():
            first = not request.call.attempts
            return await self._attempt(request, handler, None if first else seconds)
        async with self._turn:
            if self._since is not None:  # else it has come back meanwhile
                if self._is_over() and self._failure is not None:
                    return self._failure.with_context()
                await asyncio.sleep(min(self._wait, self._since + self.seconds - self._now()))
                self._wait = min(2 * self._wait, _LONGEST)
                return await self._attempt(request, handler, seconds)
        return await self._attempt(request, handler, seconds)

    async def _attempt(
        self, request: Request, handler: Handler, seconds: float | None
    ) -> Response | CallMeBackError:
        """As `_tried`; with `seconds` as a call of its own, which may take so many."""
        call, sent = request.call, request
        if seconds is not None:
            own = Call(deadline=self._now() + seconds, spent=call.spent, once=call.once)
            sent = request.with_changes(call=own)
        try:
            response = await handler(sent)
        except CallMeBackError as error:
            if not _is_away(error):
                if isinstance(error, HTTPStatusError | BadPayload):
                    self._answered()
                raise
            self._failure = error.with_context()  # without what its traceback holds
            if self._since is None:
                self._since, self._wait = self._now(), _FIRST
                self._peer = getattr(error, "peer", "")
                what = error.message if self._peer else f"the API is away ({error})"
                self._tell(f"{what}: tries go on for {self.seconds:,g} s")
            return self._failure
        finally:
            # What its retries have cost of the client's budget comes back when it is answered.
            call.attempts, call.spent = sent.call.attempts, sent.call.spent
        self._answered()
        return response

    def _answered(self) -> None:
        self._answers += 1
        if self._since is not None:
            who = self._peer or "the API"
            self._tell(f"{who} is back after {self._now() - self._since:,.0f} s")
            self._since = self._failure = None

    def _is_over(self) -> bool:
        return self._since is not None and self._now() >= self._since + self.seconds

    def _concluded(self, failure: CallMeBackError) -> CallMeBackError:
        if self._is_over():
            who = self._peer or "the API"
            return failure.with_detail(f"{who} was away for {self.seconds:,g} s")
        return failure

    def _enter(self) -> None:
        earlier = self._guard.loop
        if self._guard.enter(busy=self._turn.taken) is not earlier:
            self._turn, self._since = Slots(1), None  # those of a loop that has ended

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _is_away(error: CallMeBackError) -> bool:
    lost = isinstance(error, ConnectFailed | ConnectionLost | RequestTimeout) and error.retryable
    return lost or (isinstance(error, HTTPStatusError) and error.status in _GATEWAY)
