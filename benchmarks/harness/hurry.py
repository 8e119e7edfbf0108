"""An event loop that sits out its waits in next to no time, for campaigns with both ends in it.

Both ends of every connection must live in this loop. Whenever neither has anything to do, the clock
jumps to the next timer: what is slept for takes microseconds, and everything else its real time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

_LOOKS = 6
_LONG = 5.0
_LONG_TAKES = 0.02


class _HurriedSelector(selectors.DefaultSelector):
    """Looks a few times whether a packet is under way before it lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        for _ in range(_LOOKS):
            events = super().select(0)
            if events or timeout <= 0:
                return events
            time.sleep(0)
        # A long wait is a time-out most likely, which would be wrong if a packet came late.
        if timeout >= _LONG and (events := super().select(_LONG_TAKES)):
            return events
        self.skipped += timeout
        return []


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose idle time is skipped."""

    def __init__(self) -> None:
        self._hurried = _HurriedSelector()
        super().__init__(self._hurried)

    def time(self) -> float:
        return time.monotonic() + self._hurried.skipped
