"""What callers do while the keeper of an allowance is away."""

from __future__ import annotations

import asyncio
import contextlib
import math

from voipstudio_cmb.events import log
from voipstudio_cmb.limits import Limiter

_TRIES = 0.5
"""How often the keeper is tried: each such share of a period."""


class Outage:
    """Callers go by a `fallback` while the keeper is away, after a `period` without any request."""

    def __init__(self, fallback: Limiter, period: float, answer_within: float) -> None:
        self._fallback = fallback
        self._period = period
        self._back: asyncio.Event | None = None
        self._silent_until = self._last = -math.inf
        self.tried_at: float = -math.inf
        """When the keeper was tried last."""
        self.between: float = _TRIES * period
        """Seconds between two tries."""
        # Until the others know that the keeper is back, too, they go by their fallbacks.
        self._known = self.between + 2 * answer_within
        self.callers: int = 0
        """How many wait to go by the fallback."""

    @property
    def lasts(self) -> bool:
        """Whether the keeper is away."""
        return self._back is not None

    def begin(self, error: Exception) -> None:
        """The keeper has failed with `error`: others may have been granted something up to now."""
        self.tried_at = asyncio.get_running_loop().time()
        if self._back is None:
            log.warning("a fallback paces the requests from now on: %s", error)
            self._back = asyncio.Event()
            self._silent_until = self.tried_at + self._period

    def end(self) -> None:
        """The keeper is back."""
        if self._back is not None:
            log.warning("the shared allowance is back")
            self._back.set()
            self._back = None

    def hold(self) -> float:
        """Seconds for which it has to hold all when it is back, for what it was not asked for."""
        now = asyncio.get_running_loop().time()
        used = self.lasts and self._last > now - self._period
        return self._period + self._known if used else 0.0

    async def pass_by(self) -> bool:
        """Whether the fallback lets this caller pass before the keeper is back."""
        back = self._back
        assert back is not None
        self.callers += 1
        try:
            if (silent := self._silent_until - asyncio.get_running_loop().time()) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(back.wait(), silent)
            if not back.is_set():
                await self._fallback.acquire()
            if back.is_set():
                return False
            self._last = asyncio.get_running_loop().time()
            return True
        finally:
            self.callers -= 1
