"""The rate that the API allows, found from its 429s, and the pauses that it asks for."""

from __future__ import annotations

import asyncio
import math

import attrs

from voipstudio_cmb.limits import Queue


@attrs.define(kw_only=True)
class RateEstimate:
    """An estimate of a rate limit that is not documented: down at once, up slowly.

    Unbounded until the first 429. An episode of them sets `ceiling` to the rate that was allowed
    when it began, or to what has really got through if that is far less. The rate starts again
    below it and climbs to it, which keeps episodes rare, and beyond it ever faster, which finds a
    limit that was raised. What was sent before an episode began belongs to it, however late its 429
    comes in.
    """

    back: float = 0.92
    """The share of the ceiling at which the rate starts again."""
    climb: float = 60.0
    """Seconds in which it reaches the ceiling."""
    lowest: float = 0.1
    """The lowest ceiling, in requests a second."""
    unasked: float = 0.5
    """The first pause in seconds after a 429 that asks for none; it doubles with each in a row."""
    longest: float = 20.0
    """The longest such pause."""
    ceiling: float = math.inf
    """The rate that met the last episode."""
    until: float = -math.inf
    """When the present pause ends."""
    _began: float = -math.inf
    _start: float = 1.0
    _since: float = math.inf
    _passed: int = 0
    _in_a_row: int = 0
    _counted_once: bool = False
    _due: float = -math.inf

    def rate(self, now: float) -> float:
        """Requests a second that are allowed at `now`."""
        if math.isinf(self.ceiling):
            return math.inf
        at = max(0.0, now - self.until) / self.climb
        return self.ceiling * (
            self._start + (1 - self._start) * min(at, 1.0) + max(0.0, at - 1) ** 2
        )

    def passed(self, now: float) -> None:
        """Books a request that the server let through."""
        self._since = min(self._since, now)
        self._passed += 1
        self._in_a_row = 0

    def throttled(self, sent: float, now: float, asked: float | None) -> bool:
        """Books a 429 for what was sent at `sent`; all wait for the seconds `asked` for, if any.

        Returns whether this began an episode.
        """
        pause = asked
        if pause is None:
            pause = min(self.unasked * 2.0 ** min(self._in_a_row, 16), self.longest)
        if sent <= self._began:
            self.until = max(self.until, now + pause)
            return False
        horizon = now - self._since
        base = self.ceiling if self._in_a_row else self.rate(now)
        # Short after a new beginning the count says nothing, but for the very first one, which
        # holds the burst that met the limit.
        if horizon > 0 and (horizon >= 30 or not self._counted_once):
            through = self._passed / horizon
            base = through if base > 2 * through else base
        # No request passed since the last episode: that says how long, and not how fast.
        if not self._in_a_row:
            self._start = 0.7 if now - self.until < 5.0 else self.back
        self.ceiling = max(self.lowest, min(base, 1e6))
        self._began = now
        self.until = max(self.until, now + pause)
        self._in_a_row += 1
        if horizon >= 60:
            self._since, self._passed, self._counted_once = now, 0, True
        return True

    def wait(self, now: float) -> float:
        """Seconds from `now` until a request may leave; 0 or less: now."""
        return max(self._due, self.until) - now

    def take(self, now: float) -> None:
        """Books one request that leaves at `now`."""
        self._due = max(self._due, now) + 1.0 / self.rate(now)


class AdaptiveThrottle:
    """What all callers of a client share about the API's limit: a pause, and a rate to stay under.

    Nothing until the first 429 (or a response that is not HTTP: the vendor's own client has met a
    rate-limit page that no parser takes).
    """

    def __init__(self) -> None:
        self._estimate = RateEstimate()
        self._queue = Queue()
        self.idle: bool = True
        """Whether nobody was ever asked to slow down or to wait."""

    @property
    def rate(self) -> float:
        """Requests a second that are let through now; infinite while nothing has been throttled."""
        return self._estimate.rate(asyncio.get_running_loop().time())

    def paused(self) -> float:
        """Seconds that the present pause still lasts; 0 or less if none does."""
        return self._estimate.until - asyncio.get_running_loop().time()

    def throttled(self, sent: float, asked: float | None) -> bool:
        """Makes all callers wait, after a request that left at `sent` met a 429.

        For the seconds `asked` for; if none were, for a while. Returns whether this began an
        episode, which lowers the rate.
        """
        self.idle = False
        return self._estimate.throttled(sent, asyncio.get_running_loop().time(), asked)

    def pause(self, seconds: float) -> None:
        """Makes all callers wait for `seconds` without lowering the rate."""
        self.idle = False
        until = asyncio.get_running_loop().time() + seconds
        self._estimate.until = max(self._estimate.until, until)

    def passed(self) -> None:
        """Books a request that the server let through."""
        self._estimate.passed(asyncio.get_running_loop().time())

    async def wait(self) -> None:
        """Returns when this caller's request may leave."""
        if math.isinf(self._estimate.ceiling) and self.paused() <= 0:
            return
        await self._queue.pass_through(self._estimate)
