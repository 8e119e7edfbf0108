"""Pacing: how many requests may leave in a period.

The arithmetic (`EvenSpacing`) knows no clock and does not sleep; the rest sleeps by it.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Protocol

from .boundary.checks import checked_number
from .errors import ClientMisuse
from .http import LEAVES
from .timeouts import LoopGuard, Slots

_MOST = 1_000_000
"""The most grants that are counted one by one: more in a period are as many in a shorter one."""

_LONGEST = 1e9
"""The longest period in seconds."""

_LATE = 0.005
"""The part of a period by which a request may leave late without counting from then on."""


class Limiter(Protocol):
    """Anything with `await limiter.acquire()`, which returns when one more request may leave.

    aiolimiter's `AsyncLimiter` is one as it is. One that also has `hold(seconds)`, which returns at
    once, is told how long nobody may send after the API has refused a request.
    """

    async def acquire(self) -> None:
        """Returns when the next request may be sent."""


class Schedule(Protocol):
    """Arithmetic that a `Queue` follows: times are seconds on the loop's clock."""

    def wait(self, now: float) -> float:
        """Seconds from `now` until one more may pass; 0 or less: now."""
        ...

    def take(self, now: float) -> None:
        """Books one that passes at `now`."""


class Queue:
    """Lets callers through one by one, first come first served, as a schedule says.

    A caller that is cancelled while it waits has taken nothing, so the next one takes its place.
    """

    def __init__(self) -> None:
        self._turn = Slots(1)
        self._guard = LoopGuard("limiter")

    async def pass_through(self, schedule: Schedule) -> float:
        """Returns when this caller may pass: what the loop's clock says then."""
        earlier, loop = self._guard.loop, self._guard.enter(busy=self._turn.taken)
        if loop is not earlier:  # what others waited for belongs to their loop
            self._turn = Slots(1)
        turn = self._turn
        if not turn.take():  # no `async with`: its coroutines are more for Python's collector
            place = turn.queue()
            try:
                await place
            except asyncio.CancelledError:
                turn.leave(place)
                raise
        try:
            while (wait := schedule.wait(loop.time())) > 0:
                await asyncio.sleep(wait)
            schedule.take(now := loop.time())
            return now
        finally:
            turn.give_up()


class EvenSpacing:
    """At most `n` grants in any `period` seconds, evenly spread.

    Two conditions hold together. Grants are due `period` / `n` apart, and one that comes late may
    be followed sooner, or every late wake-up of a busy loop would be lost for good. And the `n`th
    last grant must be a whole period ago, by the time at which it was really made.
    """

    def __init__(self, n: int, period: float) -> None:
        self._interval = period / n
        # What may be made up for at once: a tenth of the grants. More would be a burst, less would
        # lose the moments in which all callers happen to wait for their responses.
        self._credit = max(2.0, n / 10) * self._interval
        self._period = period
        self._last: deque[float] = deque(maxlen=n)
        self._due = -math.inf

    def wait(self, now: float) -> float:
        """Seconds from `now` until a grant may be made; 0 or less: now."""
        full = self._last[0] + self._period if len(self._last) == self._last.maxlen else -math.inf
        return max(self._due, full) - now

    def take(self, now: float) -> None:
        """Books one grant at `now`."""
        self._due = max(self._due, now - self._credit) + self._interval
        self._last.append(now)

    def leave(self, granted: float, now: float) -> None:
        """Counts what was `granted` at that time from `now` on: it leaves only now."""
        with suppress(ValueError):  # so many came after it that it does not count any more
            self._last.remove(granted)
        self._last.append(now)


def checked_rate(name: str, rate: object, *, error: type[ClientMisuse] = ClientMisuse) -> float:
    """The requests a second that the argument called `name` stands for, as `RateLimit` takes them.

    Raises:
        ClientMisuse: `rate` is no such number; another class of `error` if it is given.
    """
    number = checked_number(name, rate, error=error)
    try:
        RateLimit(number)
    except ClientMisuse:
        raise error(
            f"{name} is no rate that can be kept: {number} requests a second; choose another number"
        ) from None
    return number


def whole_requests(name: str, n: object, per: object, most: int) -> tuple[float, float, int, float]:
    """`n` and `per`, and the same rate as whole requests, `most` at the most, in some seconds.

    Only whole requests can be counted: 2.5 in a second are 2 in 0.8 seconds.

    Raises:
        ClientMisuse: they are no numbers that the limiter called `name` can keep.
    """
    rate, seconds = checked_number(f"{name}: n", n), checked_number(f"{name}: per", per)
    count = max(1, min(int(rate), most))
    period = seconds * count / rate
    if not 0 < period < _LONGEST:
        raise ClientMisuse(
            f"{name}: {rate} requests in {seconds} s are no rate that can be kept: choose other "
            "numbers"
        )
    return rate, seconds, count, period


class RateLimit:
    """At most `n` requests in any `per` seconds, first come first served.

    It sends `n` requests in 1.02 x `per` seconds: the server counts when requests arrive, and so
    no window of `per` seconds sees more than `n` as long as the time on the way varies by less
    than 2 % of `per`; what a new connection holds up counts from when it leaves. Share one among
    all clients of an account; processes do not know of each other, so each needs a share of its
    own. A cancelled waiter costs nobody a turn.

    Raises:
        ClientMisuse: `n` or `per` is not a finite number above 0.
    """

    def __init__(self, n: float, per: float = 1.0) -> None:
        self.n, self.per, count, seconds = whole_requests("RateLimit", n, per, _MOST)
        self._spacing = EvenSpacing(count, 1.02 * seconds)
        self._queue = Queue()

    def __repr__(self) -> str:
        return f"RateLimit({self.n}, per={self.per})"

    async def acquire(self) -> None:
        """Waits for this caller's turn.

        Raises:
            ClientMisuse: the limiter is in use on another event loop.
        """
        granted = await self._queue.pass_through(self._spacing)
        LEAVES.set(partial(self._leave, granted))

    def _leave(self, granted: float) -> None:
        """Counts a request from when it leaves, which may be late, as with a new connection."""
        now = asyncio.get_running_loop().time()
        if now - granted > _LATE * self.per:
            self._spacing.leave(granted, now)
