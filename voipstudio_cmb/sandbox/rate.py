"""The server's rate limit: a sliding window of the requests it let through. It does not sleep."""

from __future__ import annotations

from collections import deque


class RateWindow:
    """Lets *requests* through in any *seconds*."""

    def __init__(self, requests: int, seconds: float) -> None:
        if requests < 1 or seconds <= 0:
            raise ValueError("a rate needs at least one request and a time above zero")
        self._seconds = seconds
        self._passed: deque[float] = deque(maxlen=requests)

    def admit(self, now: float) -> float:
        """Lets a request through at *now* and returns 0, or returns how long it has to wait."""
        full = len(self._passed) == self._passed.maxlen
        wait = self._passed[0] + self._seconds - now if full else 0.0
        if wait > 0:
            return wait
        self._passed.append(now)
        return 0.0
