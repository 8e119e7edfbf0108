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
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import attrs

from .auth import Auth
from .codec import excerpt, read_messages
from .errors import (
    BadPayload,
    BadRequest,
    CallMeBackError,
    Forbidden,
    HTTPStatusError,
    NotFound,
    ProtocolFault,
    RateLimited,
    RequestTimeout,
    ServerFault,
    Unauthorized,
    UnexpectedRedirect,
    UnexpectedStatus,
)
from .http import Call, Handler, Middleware, Request, Response, Sent
from .limits import Limiter, Pause
from .observe import CallEvent, Observe, Usage, log
from .retry import RETRYABLE_STATUSES, Backoff, Budget, RetryPolicy, retry_after


@attrs.frozen
class Deadline:
    """Ends a call after *seconds*, whatever it is doing then, and an attempt after *timeout*."""

    seconds: float
    timeout: float | None = None

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        now = asyncio.get_running_loop().time()
        call.deadline = min(call.deadline, now + self.seconds)
        call.timeout = self.timeout
        bound = asyncio.timeout_at(call.deadline)
        try:
            async with bound:
                return await handler(request)
        except TimeoutError as error:
            if isinstance(error, CallMeBackError) or not bound.expired():
                raise
        raise RequestTimeout(
            f"the call's deadline of {self.seconds:g} s passed",
            phase="deadline",
            sent=call.sent,
            attempts=call.attempts,
            waited=call.waited,
            request=request.describe(),
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
                response = await handler(request)
            except CallMeBackError as error:
                failure = error
            else:
                self.budget.earn(spent)
                return response
            self._book(failure, call)
            delay = self.policy(failure, request, call.attempts)
            clock = asyncio.get_running_loop().time
            # A sleep that would end past the deadline is hopeless: the real error says more.
            if delay is None or clock() + delay >= call.deadline:
                raise failure
            cost = self.budget.spend(failure)
            if cost is None:
                raise failure
            spent += cost
            log.debug("%s: trying again in %.3f s (%s)", request.describe(), delay, failure.message)
            call.waited += delay
            await asyncio.sleep(delay)

    @staticmethod
    def _book(failure: CallMeBackError, call: Call) -> None:
        """What an error says is of the whole call, not of its last attempt."""
        call.sent = failure.sent = _more_certain(failure.sent, call.sent)
        failure.repeated = call.repeated
        if isinstance(failure, RateLimited):
            call.throttled += 1
        elif failure.sent != "no" and not isinstance(failure, Unauthorized):
            call.repeated = True
        failure.attempts = call.attempts
        failure.waited = call.waited


_BY_STATUS: dict[int, type[HTTPStatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    429: RateLimited,
}


def _kind_of(status: int) -> type[HTTPStatusError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return UnexpectedRedirect
    return ServerFault if 500 <= status < 600 else UnexpectedStatus


_HINTS: dict[type[HTTPStatusError], str] = {
    Unauthorized: "the token is missing, wrong or has expired; make an API key in the dashboard",
    Forbidden: "the token is valid and may not do this",
}


def status_error(request: Request, response: Response) -> HTTPStatusError:
    """The error that *response*, which is no success, stands for. Performs no I/O."""
    kind = _kind_of(response.status)
    mask = request.call.mask
    text = mask(excerpt(response.body))
    messages = {
        field: [mask(words) for words in said]
        for field, said in read_messages(response.body).items()
    }
    said = "; ".join(
        f"{field}: {words}" if field else words
        for field, all_words in messages.items()
        for words in all_words
    )
    if kind is UnexpectedRedirect:
        parts = urlsplit(response.headers.get("location", ""))
        origin = mask(f"{parts.scheme}://{parts.hostname}") if parts.hostname else "another path"
        said = f"to {origin}, not followed: check the base URL"
    error = kind(
        f"{response.status} {said or _HINTS.get(kind) or text or 'without a body'}",
        status=response.status,
        messages=messages,
        retry_after=retry_after(response.headers),
        request_id=response.headers.get("x-request-id"),
        body=text,
        sent="yes",
    )
    error.retryable = response.status in RETRYABLE_STATUSES or response.renew
    return error


async def raising(request: Request, handler: Handler) -> Response:
    """Raises for every answer that is no success, and for a success that is not what it promised.

    The body is parsed here (`Request.parse`), inside the retry, so that a page cut short on the way
    is asked for again.
    """
    try:
        response = await handler(request)
        if not 200 <= response.status < 300:
            raise status_error(request, response)
        if request.parse is None:
            return response
        return attrs.evolve(response, value=request.parse(response))
    except CallMeBackError as error:
        if isinstance(error, BadPayload):
            error.message = request.call.mask(error.message)
            error.args = (error.message,)
        error.request = error.request or request.describe()
        raise


@attrs.frozen
class Limit:
    """Makes every attempt wait for its turn, and everybody wait when the server says so.

    *pause* closes for all callers on a 429 or a 503 with a believable `Retry-After` of at most
    *cap* seconds, and for *unasked* seconds on a 429 without one and on an answer that is not
    HTTP: the vendor's own client has met a rate-limit page that no parser takes.
    """

    limiter: Limiter | None = None
    pause: Pause = attrs.field(factory=Pause)
    cap: float = 120.0
    unasked: float = 0.5

    async def __call__(self, request: Request, handler: Handler) -> Response:
        clock = asyncio.get_running_loop().time
        began = clock()
        await self.pause.wait()
        if self.limiter is not None:
            await self.limiter.acquire()
            await self.pause.wait()  # it may have closed while this turn was waited for
        request.call.waited += clock() - began
        try:
            response = await handler(request)
        except ProtocolFault:
            self.pause.hold(self.unasked)
            raise
        asked = retry_after(response.headers)
        if response.status == 429 or (response.status == 503 and asked is not None):
            seconds = self.unasked if asked is None else asked
            if seconds <= self.cap:
                self.pause.hold(seconds)
        return response


def standard(
    *,
    auth: Auth,
    policy: RetryPolicy,
    budget: Budget,
    deadline: float,
    timeout: float | None,
    limit: Limit,
    on_event: Callable[[CallEvent], None] | None = None,
    usage: Usage | None = None,
    middlewares: Iterable[Middleware] = (),
) -> tuple[Middleware, ...]:
    """The standard chain, outermost first; the module's docstring says why in this order."""
    return (
        Observe(on_event, usage or Usage()),
        Deadline(deadline, timeout),
        Retry(policy, budget),
        raising,
        *middlewares,
        limit,
        auth,
    )
