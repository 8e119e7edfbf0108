"""The retry stage: decides on error types, within the client's budget."""

from __future__ import annotations

import asyncio

from voipstudio_cmb.boundary.value import Frozen, field
from voipstudio_cmb.errors import CallMeBackError, Forbidden, NotFound, RateLimited
from voipstudio_cmb.events import log
from voipstudio_cmb.http import Call, Handler, Request, Response
from voipstudio_cmb.retry import Backoff, RetryBudget, RetryPolicy, concluded, doubtful

from .observe import Observe


class Retry(Frozen, frozen=True):
    """Tries again as the policy says, while the budget and the call's deadline allow it."""

    policy: RetryPolicy = field(default_factory=Backoff)
    """Says whether to try again, and after how long."""
    budget: RetryBudget = field(default_factory=RetryBudget)
    """What the client may still spend on retries."""
    observe: Observe = field(default_factory=Observe)
    """Publishes the attempts of a call that somebody listens to."""

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        while True:
            call.attempts += 1
            call.shared = False
            try:
                # Where nobody listens, without a layer of its own.
                response = await (
                    handler(request)
                    if call.tries is None
                    else self.observe.attempt(request, handler)
                )
            except CallMeBackError as error:
                failure = _booked(error, request)
            else:
                if call.spent or self.budget.used:
                    self._earn(call)
                return response
            if await self._already_gone(failure, request, handler):
                self._earn(call)
                return Response(status=204, already_gone=True)
            delay = None if call.once else self.policy(failure, request, call.attempts)
            # A sleep that would end past the deadline is hopeless: the real error says more.
            now = asyncio.get_running_loop().time()
            hopeless = delay is None or now + delay >= call.deadline
            free = hopeless or call.shared
            cost = 0 if free else self.budget.spend(failure)
            if delay is None or hopeless or cost is None:
                raise concluded(failure, request)
            call.spent += cost
            log.info("trying again in %.3f s: %s", delay, failure)
            call.waited += delay
            await asyncio.sleep(delay)

    def _earn(self, call: Call) -> None:
        """Books the success of `call`, whose retries are not charged then."""
        self.budget.earn(call.spent)
        call.spent = 0

    async def _already_gone(
        self, failure: CallMeBackError, request: Request, handler: Handler
    ) -> bool:
        """Whether `failure` says that an earlier attempt of this deletion has done it.

        A 404 says so. The API's page lists 403 and not 404 for deletions, so a 403 is followed by
        a GET: if that finds nothing, there is nothing left.
        """
        if request.method != "DELETE" or not failure.repeated:
            return False
        if isinstance(failure, Forbidden):
            call = request.call
            # What the GET costs, and what is known of it, is not the deletion's.
            spent, call.spent, sent = call.spent, 0, call.sent
            try:
                await self(request.with_changes(method="GET", parse=None), handler)
            except CallMeBackError as error:
                return isinstance(error, NotFound)
            finally:
                call.spent += spent
                call.sent = sent
            return False
        return isinstance(failure, NotFound)


def _booked(error: CallMeBackError, request: Request) -> CallMeBackError:
    """`error` with what is known of the whole call, after its attempt is added to that.

    But for `sent`, until it is raised: whether to try again is judged by the attempt's own, or what
    a 429 refused could not be tried again after a connection that failed.
    """
    call = request.call
    request.book(error.sent)
    failure = error.with_context(
        repeated=call.repeated,
        attempts=call.attempts,
        waited=call.waited,
        # A policy of the user's that asks only for this must not create twice. PATCH is left to it.
        retryable=error.retryable and not (request.method == "POST" and doubtful(error)),
    )
    if isinstance(error, RateLimited):
        call.throttled += 1
    if doubtful(error):
        call.repeated = True
    return failure
