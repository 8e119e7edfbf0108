"""The chain between a service and the wire, and why it stands in this order.

Outermost first:

    observe    one event for a call, with its attempts, waits and outcome
    deadline   the time bound of the whole call; no wait inside may pass it
    retry      decides on error types; its budget is the client's
    raising    statuses and payload faults become errors, so that retry never looks at numbers
    (yours)    `middlewares=` of the client: once for each attempt, whole answers of any status,
               before a turn is taken and without the token in sight
    limit      every attempt takes its own turn, or retries would break the limit; a 429 holds all
    auth       every attempt carries the newest token; a 401 renews it once for everybody

and then the session, which is one attempt.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Iterable
from typing import Any

import attrs

from .auth import Auth
from .bounds import Bounds
from .errors import (
    CallMeBackError,
    ClientMisuse,
    Forbidden,
    NotFound,
    ProtocolFault,
    RateLimited,
    RequestTimeout,
    Unauthorized,
)
from .http import Call, Handler, Middleware, Request, Response, Sent
from .limits import Governor, Limiter
from .observe import Observe, OnEvent, Usage, attempt_event, log
from .raising import raising
from .retry import Backoff, Budget, RetryPolicy, retry_after


def _place(request: Request) -> dict[str, Any]:
    return {"method": request.method, "path": request.path, "page": request.page}


@attrs.frozen
class Deadline:
    """Ends a call after *seconds*, whatever it is doing then, and an attempt after *timeout*.

    Ends it at once when the *bounds* are closed, as they are with their client.
    """

    seconds: float
    timeout: float | None = None
    bounds: Bounds = attrs.field(factory=Bounds)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        if self.bounds.closed:
            raise ClientMisuse("the client is closed: make a new one (or keep the async with open)")
        call = request.call
        now = asyncio.get_running_loop().time()
        call.deadline = min(call.deadline, now + self.seconds)
        call.timeout = self.timeout
        bound = self.bounds.at(call.deadline)
        try:
            with bound:
                return await handler(request)
        except TimeoutError as error:
            if isinstance(error, CallMeBackError) or not bound.expired:
                raise
        details = {
            "sent": call.sent,
            "attempts": call.attempts,
            "waited": call.waited,
            **_place(request),
        }
        if self.bounds.closed:
            raise ClientMisuse("the client was closed while this call was running", **details)
        raise RequestTimeout(
            f"the call's deadline of {self.seconds:g} s passed"
            + (" while it waited for a free connection" if call.queued else ""),
            phase="pool" if call.queued else "deadline",
            **details,
        )


_CERTAINTY: dict[Sent, int] = {"no": 0, "maybe": 1, "yes": 2}


def _more_certain(one: Sent, other: Sent) -> Sent:
    return one if _CERTAINTY[one] >= _CERTAINTY[other] else other


@attrs.frozen
class Retry:
    """Tries again as *policy* says, while *budget* and the call's deadline allow it."""

    policy: RetryPolicy = attrs.field(factory=Backoff)
    budget: Budget = attrs.field(factory=Budget)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        spent = 0
        while True:
            call.attempts += 1
            try:
                # Where nobody listens, without a layer of its own.
                response = await (
                    handler(request) if call.on_attempt is None else _told(request, handler)
                )
            except CallMeBackError as error:
                failure = error
            else:
                self.budget.earn(spent)
                return response
            _book(failure, call)
            if await self._already_gone(failure, request, handler):
                return Response(status=204, already_gone=True)
            delay = self.policy(failure, request, call.attempts)
            # A sleep that would end past the deadline is hopeless: the real error says more.
            now = asyncio.get_running_loop().time()
            hopeless = delay is None or now + delay >= call.deadline
            cost = None if hopeless else self.budget.spend(failure)
            if delay is None or cost is None:
                failure.sent = call.sent
                try:
                    raise failure
                finally:
                    del failure  # or frame and error would keep each other alive
            spent += cost
            log.info("trying again in %.3f s: %s", delay, failure)
            call.waited += delay
            await asyncio.sleep(delay)

    async def _already_gone(
        self, failure: CallMeBackError, request: Request, handler: Handler
    ) -> bool:
        """Whether *failure* says that an earlier attempt of this deletion has done it.

        A 404 says so. The API's page lists 403 and not 404 for deletions, so a 403 is looked into
        with a GET: if that finds nothing, there is nothing left.
        """
        if request.method != "DELETE" or not failure.repeated:
            return False
        if isinstance(failure, Forbidden):
            try:
                await self(attrs.evolve(request, method="GET", parse=None), handler)
            except CallMeBackError as error:
                return isinstance(error, NotFound)
            return False
        return isinstance(failure, NotFound)


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


def _book(failure: CallMeBackError, call: Call) -> None:
    """What an error says is of the whole call, not of its last attempt.

    But for `sent`, until it is raised: whether to try again is judged by the attempt's own, or what
    a 429 refused could not be tried again after a connection that failed.
    """
    call.sent = _more_certain(failure.sent, call.sent)
    failure.repeated = call.repeated
    failure.attempts = call.attempts
    failure.waited = call.waited
    if isinstance(failure, RateLimited):
        call.throttled += 1
    elif failure.sent != "no" and not isinstance(failure, Unauthorized):
        call.repeated = True


@attrs.frozen
class Limit:
    """Makes every attempt wait for its turn, and everybody wait when the server says so.

    *governor* pauses and slows all callers on a 429, and on an answer that is not HTTP, for the
    seconds that a believable `Retry-After` of at most *cap* asks for, or for a while of its own. A
    503 with a `Retry-After` pauses them too. A pause that outlasts a call's deadline ends the call.
    """

    limiter: Limiter | None = None
    governor: Governor = attrs.field(factory=Governor)
    cap: float = 120.0

    async def __call__(self, request: Request, handler: Handler) -> Response:
        clock = asyncio.get_running_loop().time
        left_at = began = clock()
        if self.limiter is not None or not self.governor.idle:
            try:
                await self._turn(request)
            finally:
                left_at = clock()
                request.call.waited += left_at - began
        try:
            response = await handler(request)
        except ProtocolFault:
            self.governor.throttled(left_at, None)
            raise
        if response.status == 429 or response.status >= 500:
            asked = retry_after(response.headers)
            believed = asked is None or asked <= self.cap
            if response.status == 429 and believed:
                # "Wait 0 seconds" (or until a time that our clock has passed) says nothing.
                self.governor.throttled(left_at, asked or None)
            elif response.status == 503 and asked is not None and believed:
                self.governor.pause(asked)
        else:
            self.governor.passed()
        return response

    async def _turn(self, request: Request) -> None:
        """Returns when the request may leave.

        Raises:
            RequestTimeout: the API has asked for a pause that outlasts the call's deadline.
        """
        while True:
            pause = self.governor.paused()
            if asyncio.get_running_loop().time() + pause >= request.call.deadline:
                hopeless = RequestTimeout(
                    f"the API has asked for a pause of {pause:.3g} s more, which is longer than "
                    "this call may take",
                    phase="deadline",
                    **_place(request),
                )
                hopeless.retryable = False
                raise hopeless
            await self.governor.wait()
            if self.limiter is None:
                return
            turn = self.limiter.acquire()
            if not inspect.isawaitable(turn):
                raise ClientMisuse(
                    "the limiter's acquire() must be async: pass RateLimit(60, per=2)"
                )
            await turn
            if self.governor.paused() <= 0:
                return
            # It began while this turn was waited for, so this turn is spent for nothing.


def standard(
    *,
    auth: Auth,
    policy: RetryPolicy,
    budget: Budget,
    deadline: Deadline,
    limit: Limit,
    on_event: OnEvent | None = None,
    usage: Usage | None = None,
    middlewares: Iterable[Middleware] = (),
) -> tuple[Middleware, ...]:
    """The standard chain, outermost first; the module's docstring says why in this order."""
    return (
        Observe(on_event, usage or Usage()),
        deadline,
        Retry(policy, budget),
        raising,
        *middlewares,
        limit,
        auth,
    )
