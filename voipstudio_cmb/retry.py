"""When to try again and how long to wait first: pure arithmetic, no sleeping, no I/O."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import time
from typing import TypeAlias

from .boundary.value import Frozen, State
from .errors import (
    BadPayload,
    CallMeBackError,
    HTTPStatusError,
    NotJSON,
    RateLimited,
    Unauthorized,
)
from .http import Request, Response

RetryPolicy: TypeAlias = Callable[[CallMeBackError, Request, int], "float | None"]
"""`(error, request, attempts so far) -> seconds to wait before the next, or None to give up`."""

RETRYABLE_STATUSES = frozenset({101, 408, 425, 429, 500, 502, 503, 504, *range(520, 528), 529})
"""Statuses after which the same request may succeed: time-outs, throttling, failing back ends.

And a 101, which nobody requested: the line is confused, and a new connection is not."""

MAX_RETRY_AFTER = 120.0
"""The longest wait in seconds that a server may ask for, unless the client is told otherwise."""

_RESENT = ("GET", "HEAD", "DELETE")

_SECONDS = r"[0-9]{1,9}(\.[0-9]{1,9})?"

_ASCTIME = "[A-Za-z]{3} [A-Za-z]{3} [ 0-9][0-9] [0-9:]{8} [0-9]{4}"
"""`Sun Nov  6 08:49:37 1994`: the one form of an HTTP date that names no zone; it means GMT."""


def _http_date(text: str) -> float | None:
    """The Unix time that an HTTP date in any of its three forms says, or None."""
    if re.fullmatch(_ASCTIME, text):
        text += " GMT"
    try:
        when = parsedate_to_datetime(text)
        return None if when.tzinfo is None else when.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def asked_to_wait(response: Response, *, now: Callable[[], float] = time) -> float | None:
    """The seconds that a response asks to wait by its `Retry-After`, or None.

    Takes decimal seconds and HTTP dates (a past one is 0.0), which are judged by the response's own
    `Date` where it has one: our clock may be off. Anything else (signs, nan, lists, units, other
    digits) is None: `float()` would take several of these and sleep for ever.
    """
    text = response.headers.get("retry-after", "").strip()
    if re.fullmatch(_SECONDS, text):
        return float(text)
    when = _http_date(text)
    if when is None:
        return None
    made = _http_date(response.headers.get("date", "").strip())
    return max(0.0, when - (now() if made is None else made))


def repeatable(error: CallMeBackError, method: str) -> bool:
    """Whether sending `method` again after `error` can't do harm.

    What was certainly not sent, or was refused by a 429 or a 401, may be repeated whatever it is.
    GET and DELETE may always be. POST creates (the API documents no idempotency key) and PATCH may
    overwrite somebody else's edit, so after a doubtful outcome both are the caller's decision.
    """
    unsent = error.sent == "no" and not error.repeated
    if unsent or isinstance(error, RateLimited | Unauthorized):
        return True
    return method in _RESENT


_VERBS = {
    "POST": ("created", "look before creating again"),
    "PATCH": ("changed", "look before changing it again"),
    "DELETE": ("deleted", "deleting it again does no harm"),
}


def doubtful(error: CallMeBackError) -> bool:
    """Whether the request that `error` ended may have been carried out."""
    return error.sent == "maybe" or isinstance(error, BadPayload)


def concluded(error: CallMeBackError, request: Request) -> CallMeBackError:
    """`error` as the end of its call: what is known over all attempts, and what was done or not."""
    call = request.call
    doubt = call.repeated or call.sent == "maybe"
    again = error.retryable and (request.method in _RESENT or not doubt)
    ended = error.with_context(sent=call.sent, retryable=again)
    if request.method not in _VERBS:
        return ended
    done, look = _VERBS[request.method]
    if not doubt:
        return ended.with_detail(f"nothing was {done}")
    probably = "was probably" if isinstance(error, BadPayload) else "may have been"
    return ended.with_detail(f"the resource {probably} {done}: {look}")


class Backoff(Frozen, frozen=True, kw_only=True):
    """The standard policy: exponential back-off with full jitter that respects `Retry-After`."""

    _hidden = frozenset({"rng"})

    attempts: int = 4
    """The most attempts of one call; a 429 is not charged to them but to the deadline."""
    base: float = 0.25
    """The first delay in seconds after a fault; it doubles with each.

    After its first 429 a call waits no longer than the limit stage makes everybody wait: one that
    comes without a reason would else cost more than it is worth."""
    cap: float = 20.0
    """The longest delay in seconds, unless the server asks for a longer one."""
    max_retry_after: float = MAX_RETRY_AFTER
    """A `Retry-After` of more seconds ends the call at once; the error carries it."""
    garbled: int = 3
    """The most attempts where a response is not JSON."""
    repeat_patch: bool = False
    """Also send a PATCH again after a doubtful outcome: harmless unless somebody else edits too."""
    rng: Callable[[], float] = random.random

    def __call__(self, error: CallMeBackError, request: Request, attempts: int) -> float | None:
        patch = self.repeat_patch and request.method == "PATCH"
        if not error.retryable or not (patch or repeatable(error, request.method)):
            return None
        if isinstance(error, Unauthorized):
            return 0.0
        if isinstance(error, RateLimited):
            return self._delay(error, request.call.throttled - 1)
        charged = attempts - request.call.throttled
        if charged >= self.attempts or (isinstance(error, NotJSON) and charged >= self.garbled):
            return None
        return self._delay(error, charged)

    def _delay(self, error: CallMeBackError, failures: int) -> float | None:
        asked = error.retry_after if isinstance(error, HTTPStatusError) else None
        if asked is not None and asked > self.max_retry_after:
            return None
        # The exponent is bounded, or the power overflows in a call that is throttled for hours.
        doubled = self.base * 2.0 ** min(failures - 1, 32) if failures > 0 else 0.0
        jittered = self.rng() * min(self.cap, doubled)
        # "Wait 0 seconds" (or until a time that our clock has passed) says nothing: obeyed, a call
        # would be sent again as fast as it can.
        return asked + self.rng() * min(1.0, 0.1 * asked) if asked else jittered


class RetryBudget(State, kw_only=True):
    """What a client may spend on retries, so that an outage does not meet a flood.

    Each retry costs; a call that succeeds in the end gets its cost back, one that succeeds at once
    earns 1. Figures: botocore's standard mode.
    """

    capacity: int = 500
    """The most that can be spent before a call succeeds."""
    fault_cost: int = 14
    """The cost of a retry after a fault."""
    throttled_cost: int = 5
    """The cost of a retry after a 429."""
    used: int = 0
    """What has been spent, and was not earned since."""

    def spend(self, error: CallMeBackError) -> int | None:
        """Takes the cost of a retry after `error` and returns it; None if it can't be paid."""
        if isinstance(error, Unauthorized):
            return 0
        cost = self.throttled_cost if isinstance(error, RateLimited) else self.fault_cost
        if self.used + cost > self.capacity:
            return None
        self.used += cost
        return cost

    def earn(self, spent: int) -> None:
        """Books a success that has `spent` this much on its retries."""
        self.used = max(0, self.used - (spent or 1))
