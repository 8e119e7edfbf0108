"""Which workers there are, and what to say of those that have gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from voipstudio_cmb.errors import ConnectionLost

MOST_ALONE = 900.0
"""Seconds without any worker after which what is left is given up."""

_FIRST, _NEXT = 15.0, 60.0
"""Seconds without any worker that are told, and from then on each so many: a worker that has died
is most often started again within the first."""


class Attendance:
    """Is shown which workers there are, again and again, and tells what is worth knowing."""

    def __init__(
        self, tell: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._clock = tell, clock
        self._workers: set[str] = set()
        self._seen = clock()
        self._told_at = self._seen + _FIRST
        self.deserted: bool = False
        """Whether there has been no worker for too long."""

    def look(self, workers: Collection[str]) -> None:
        """Notes which `workers` there are now, by their addresses."""
        now = self._clock()
        for gone in sorted(self._workers.difference(workers)):
            self._tell(f"the worker {gone} is gone: what it exported is resumed by another one")
        self._workers = set(workers)
        if workers:
            if self._told_at > self._seen + _FIRST:
                self._tell("there are workers again")
            self._seen, self._told_at = now, now + _FIRST
            return
        alone = now - self._seen
        self.deserted = alone >= MOST_ALONE
        if now >= self._told_at and not self.deserted:
            self._told_at += _NEXT
            self._tell(
                f"the cluster has had no workers for {alone:,.0f} s: start some; the export ends "
                f"after {MOST_ALONE:,.0f} s, and can be resumed"
            )


def deserted() -> ConnectionLost:
    """Why what is left was given up."""
    return ConnectionLost(
        f"the cluster had no workers for {MOST_ALONE:,.0f} s: start some, and run the same export "
        "again"
    )
