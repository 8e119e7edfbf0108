"""The rate limit of the server: a sliding window over the requests it accepted. It never sleeps."""

from __future__ import annotations

from collections import deque


class RateWindow:
    """Accepts `requests` requests in any `seconds` seconds."""

    def __init__(self, requests: int, seconds: float) -> None:
        if requests < 1 or seconds <= 0:
            raise ValueError("a rate needs at least one request and a time above zero")
        self._seconds = seconds
        self._accepted: deque[float] = deque(maxlen=requests)

    def admit(self, now: float) -> float:
        """Accepts a request at `now` and returns 0, or returns the seconds it has to wait."""
        full = len(self._accepted) == self._accepted.maxlen
        wait = self._accepted[0] + self._seconds - now if full else 0.0
        if wait > 0:
            return wait
        self._accepted.append(now)
        return 0.0
