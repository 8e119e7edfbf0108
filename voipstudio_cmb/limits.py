"""Pacing: how many requests may leave in a period, and a pause that holds everybody.

The arithmetic (`Pace`) knows no clock and no sleep; the rest sleeps by it.
"""

from __future__ import annotations

import asyncio
import math
from typing import Protocol

import attrs

from .errors import ClientMisuse


class Limiter(Protocol):
    """Anything with `await limiter.acquire()`, which returns when one more request may leave.

    aiolimiter's `AsyncLimiter` is one as it is.
    """

    async def acquire(self) -> None:
        """Returns when the next request may be sent."""
        ...


@attrs.define(kw_only=True)
class Pace:
    """The generic cell rate algorithm: *interval* seconds apart, *burst* of them at once at most.

    Any window of length T sees at most `burst + T / interval` grants.
    """

    interval: float
    burst: int = 1
    _next: float = -math.inf

    def wait(self, now: float) -> float:
        """Seconds from *now* until a grant is due; 0 or less: now."""
        return self._next - (self.burst - 1) * self.interval - now

    def take(self, now: float) -> None:
        """Books one grant at *now*."""
        self._next = max(self._next, now) + self.interval


class RateLimit:
    """At most *n* requests in any *per* seconds, first come first served.

    It aims at 97 % of the allowance, evenly spread, so that jitter on the way to the server does
    not push a window over it. Share one among all clients of an account; each process needs its
    own share. A cancelled waiter costs nobody a turn.
    """

    def __init__(self, n: float, per: float = 1.0) -> None:
        for name, value in (("n", n), ("per", per)):
            usable = isinstance(value, int | float) and not isinstance(value, bool)
            if not usable or not math.isfinite(value) or value <= 0:
                raise ClientMisuse(
                    f"RateLimit: {name} must be a finite number above 0, not {value!r}"
                )
        self.n = n
        self.per = per
        self._pace = Pace(interval=per / (0.97 * n), burst=max(1, int(0.03 * n)))
        self._turn = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"RateLimit({self.n}, per={self.per})"

    async def acquire(self) -> None:
        """Waits for this caller's turn.

        Raises:
            ClientMisuse: the limiter is in use on another event loop.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._turn.locked():
                raise ClientMisuse(
                    "this RateLimit is in use on another event loop: make one for each loop"
                )
            self._turn, self._loop = asyncio.Lock(), loop
        async with self._turn:
            while (wait := self._pace.wait(loop.time())) > 0:
                await asyncio.sleep(wait)
            self._pace.take(loop.time())


class Pause:
    """A gate that a "slow down" closes for all callers at once, until the latest time asked for."""

    def __init__(self) -> None:
        self._until = -math.inf

    def hold(self, seconds: float) -> None:
        """Closes the gate for *seconds* from now, unless it is already closed for longer."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)

    async def wait(self) -> None:
        """Returns once the gate is open."""
        loop = asyncio.get_running_loop()
        while (left := self._until - loop.time()) > 0:
            await asyncio.sleep(left)
