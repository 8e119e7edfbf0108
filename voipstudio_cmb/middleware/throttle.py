"""The rate that the API allows, found from its refusals, and the pauses that it asks for.

Traffic            how fast requests get through while callers are busy
RateEstimate       the pace: arithmetic on times that it is given
AdaptiveThrottle   the same on the loop's clock, shared by all callers of a client
"""

from __future__ import annotations

import asyncio
import math
from collections import deque

from voipstudio_cmb.boundary.value import State, field
from voipstudio_cmb.limits import Queue


class Traffic(State, kw_only=True):
    """How fast requests get through while callers are busy. Quiet times do not count.

    Nobody asks for it before a refusal, so that a success costs no more than to note its time.
    """

    passed: deque[float] = field(default_factory=lambda: deque(maxlen=4000))
    """When requests got through that are not counted yet; the last ones, if that is too many."""
    quiet: float = 2.0
    """A gap of more seconds between two requests is no busy traffic: the count begins again."""
    known: int = 10
    """Requests that tell a rate; fewer tell nothing."""
    count: int = 0
    """Requests of the present busy time."""
    _last: float = -math.inf
    _paused: float = 0.0
    _gap: float = 0.0
    _whole_gap: float = 0.0

    def _count(self) -> None:
        if len(self.passed) == self.passed.maxlen:
            self._last = -math.inf  # what came before them is forgotten
        while self.passed:
            now = self.passed.popleft()
            whole = now - self._last
            gap = max(whole - self._paused, 0.0)
            self._last, self._paused = now, 0.0
            if gap > self.quiet:
                self.count = 0
                continue
            self.count += 1
            self._gap += (gap - self._gap) / min(self.count, 100)
            self._whole_gap += (whole - self._whole_gap) / self._memory()

    def paused(self, seconds: float) -> None:
        """Books seconds from now in which nobody may send."""
        self._count()
        self._paused += seconds

    def rate(self) -> float | None:
        """Requests a second outside of pauses; None if too few are known."""
        self._count()
        return None if self.count < self.known else 1 / max(self._gap, 1e-6)

    def throughput(self, now: float) -> float:
        """Requests a second with all pauses, over three seconds or 150 requests at least."""
        self._count()
        return 1 / max(self._whole_gap + (now - self._last) / self._memory(), 1e-6)

    def _memory(self) -> float:
        """Requests over which `throughput` is an average."""
        if self.count <= 150:
            return self.count or 1
        return min(self.count, max(150, 3.0 / max(self._gap, 1e-6)))


class RateEstimate(State, kw_only=True):
    """The pace that keeps below a rate limit that is not documented.

    A refusal is no proof of a limit: an account's allowance may be shared, a gateway flaky. So each
    one only pauses all callers, for about ten requests' time, and lowers the pace a little below
    what was busily passing. From there it climbs by successes: slowly up to the ceiling, then ever
    faster, until the next refusal or until nobody is held any more. Two findings change this.

    Refusals that come densely prove a limit: the ceiling falls to what really got through, and the
    pace stays below it for longer. Refusals below the ceiling, where requests had passed, show that
    they do not depend on the pace: until some come densely, they only pause, and the pace climbs.
    """

    back: float = 0.93
    """The share of the ceiling at which the pace starts again."""
    hold: float = 9.0
    """The most seconds in which it climbs to the ceiling."""
    held: int = 120
    """Successes in which it does so earlier, if the ceiling is not proved."""
    lowest: float = 0.1
    """The lowest ceiling, in requests a second."""
    requests: float = 10.0
    """A pause after a refusal that asks for none, as the time of so many requests."""
    unasked: float = 0.5
    """The longest first such pause in seconds; it doubles with each in a row."""
    longest: float = 20.0
    """The longest such pause."""
    late: float = 0.005
    """Seconds of a late wake-up that may be made up for."""
    ceiling: float = math.inf
    """The rate that met refusals; infinite while none is known."""
    pace: float = math.inf
    """Requests a second that may leave now."""
    until: float = -math.inf
    """When the present pause ends."""
    _traffic: Traffic = field(default_factory=Traffic)
    _passed: int = 0
    _refusals: deque[int] = field(default_factory=lambda: deque(maxlen=3))  # when, by `_passed`
    _began: float = -math.inf  # when the present episode of refusals did
    _in_a_row: int = 0  # episodes without a success between them
    _pause: float = 0.0
    _proved: bool = False
    _strays: bool = False  # refusals do not depend on the pace
    _stray: tuple[int, float] = (-1000, -math.inf)  # the last refusal below the ceiling
    _lowered: tuple[int, float] = (0, -math.inf)  # when the pace was, and when that begins to count
    _beyond: int = 0
    _due: float = -math.inf

    @property
    def free(self) -> bool:
        """Whether nothing but a pause holds anybody."""
        return math.isinf(self.pace) and self._in_a_row < 2

    def passed(self, now: float) -> None:
        """Books a request that the server let through."""
        self._traffic.passed.append(now)
        self._passed += 1
        self._in_a_row = 0
        if self.ceiling == math.inf:
            return
        if self._strays and self._passed - self._refusals[-1] > 400:
            self._strays = False
        requests, since = self._lowered
        done = (now - since) / self.hold
        if not self._proved:
            done = max(done, (self._passed - requests) / self.held)
        if done < 1 and not self._strays:
            climbed = self.ceiling * (self.back + (1 - self.back) * done)
            self.pace = max(self.pace, climbed)
        else:
            self._climb_beyond()

    def _climb_beyond(self) -> None:
        """Raises the pace above the ceiling, doubling it in about three seconds, then faster."""
        self._beyond += 1
        doubling, power = (30, 2) if self._strays else (90, 3)
        doubling = max(8, min(doubling, int(doubling / 30 * self.ceiling)))
        self.pace = max(self.pace, self.ceiling * 2 ** ((self._beyond / doubling) ** power))
        if self.pace > 4 * (self._traffic.rate() or self.ceiling):  # it holds nobody any more
            self.pace = self.ceiling = math.inf
            self._proved = False

    def refused(
        self,
        sent: float,
        now: float,
        asked: float | None,
        *,
        learn: bool = True,
        longest: float | None = None,
    ) -> None:
        """Books a refusal of what was sent at `sent`; all wait for the seconds `asked` for, if any.

        What was sent before an episode of refusals began belongs to it, however late it is refused.
        With `learn` false it pauses and tells nothing about a rate. `longest` is for a shorter
        longest pause.
        """
        busy = self._traffic.rate()
        self._pause = self.unasked if busy is None else min(self.unasked, self.requests / busy)
        self._pause *= 2.0 ** min(self._in_a_row, 16)
        self._pause = min(self._pause, longest or self.longest) if asked is None else asked
        self.pause(now, self._pause)
        if learn:
            self._refusals.append(self._passed)
        if sent <= self._began:
            return
        if learn and busy is not None:
            self._learn(now, busy)
        self._began = now
        self._in_a_row += 1

    def pause(self, now: float, seconds: float) -> None:
        """Makes all wait for `seconds`."""
        until = max(self.until, now + seconds)
        self._traffic.paused(until - max(self.until, now))
        self.until = until

    def _learn(self, now: float, busy: float) -> None:
        full = len(self._refusals) == self._refusals.maxlen
        if full and self._passed - self._refusals[0] <= 20:
            highest = min(self.ceiling, busy)
            self._lower(now, max(highest / 2, min(highest, self._traffic.throughput(now))))
            self._proved, self._strays = True, False
            for _ in range(2):
                self._refusals.popleft()
        elif self._in_a_row or self._strays:
            return  # that says how long, and not how fast
        elif self.pace >= self.ceiling:
            self._lower(now, min(self.pace, busy, 1.08 * self._traffic.throughput(now)))
        else:
            self.ceiling *= 0.97
            self.pace *= 0.97
            requests, at = self._stray
            if self._passed - requests < 60 and now - at < 5.0:
                self._strays, self._proved = True, False
            self._stray = self._passed, now

    def _lower(self, now: float, ceiling: float) -> None:
        self.ceiling = max(self.lowest, ceiling)
        self.pace = self.ceiling * self.back
        self._lowered = self._passed, self.until
        self._stray = -1000, -math.inf
        self._beyond = 0

    def wait(self, now: float) -> float:
        """Seconds from `now` until a request may leave; 0 or less: now."""
        return max(self._due, self.until) - now

    def take(self, now: float) -> None:
        """Books one request that leaves at `now`."""
        spacing = 1.0 / self.pace
        if self._in_a_row > 1:  # a few try whether the server takes requests again
            spacing = max(spacing, self._pause / 8)
        self._due = max(self._due, now - self.late) + spacing


class AdaptiveThrottle:
    """What all callers of a client share about the API's limit: a pause, and a rate to stay under.

    Nothing until the first refusal (or a response that is not HTTP: the vendor's own client has met
    a rate-limit page that no parser takes).
    """

    def __init__(self) -> None:
        self._estimate = RateEstimate()
        self._queue = Queue()
        self.refusals: int = 0
        """How often all callers were made to wait."""
        self.unavailable: int = 0
        """The 503s since a request was let through."""

    @property
    def rate(self) -> float:
        """Requests a second that are let through now; infinite while no limit is known."""
        return self._estimate.pace

    def paused(self) -> float:
        """Seconds that the present pause still lasts; 0 or less if none does."""
        return self._estimate.until - asyncio.get_running_loop().time()

    def refused(
        self,
        sent: float,
        asked: float | None,
        *,
        learn: bool = True,
        longest: float | None = None,
    ) -> None:
        """Makes all callers wait, after a request that left at `sent` was refused.

        For the seconds `asked` for; if none were, for a while, at most `longest`. With `learn`
        false the refusal tells nothing about a rate.
        """
        self.refusals += 1
        now = asyncio.get_running_loop().time()
        self._estimate.refused(sent, now, asked, learn=learn, longest=longest)

    def pause(self, seconds: float) -> None:
        """Makes all callers wait for `seconds` without lowering the rate."""
        self.refusals += 1
        self._estimate.pause(asyncio.get_running_loop().time(), seconds)

    def passed(self) -> None:
        """Books a request that the server let through."""
        self.unavailable = 0
        self._estimate.passed(asyncio.get_running_loop().time())

    async def wait(self) -> None:
        """Returns when this caller's request may leave."""
        if self._estimate.free and self.paused() <= 0:
            return
        await self._queue.pass_through(self._estimate)
