"""Shows jobs while they run, on standard error: as bars, as lines now and then, or as JSON."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from voipstudio_cmb.export import Job

SPAN = 10.0
"""Seconds that a rate is taken over."""


@attrs.frozen(kw_only=True)
class Standing:
    """How far *job* is: *rate* in rows a second over the last seconds, and the seconds *left*."""

    job: Job
    rate: float | None
    left: float | None


@attrs.define(kw_only=True)
class _Track:
    began: float
    ended: float | None = None
    samples: deque[tuple[float, int]] = attrs.field(factory=deque)

    def add(self, now: float, rows: int) -> None:
        if self.samples and rows < self.samples[-1][1]:
            self.samples.clear()  # begun anew
        if len(self.samples) > 1 and now - self.samples[-2][0] < SPAN / 20:
            self.samples.pop()  # looked at more often than is worth keeping
        self.samples.append((now, rows))
        while now - self.samples[0][0] > SPAN and len(self.samples) > 2:
            self.samples.popleft()

    def rate(self) -> float | None:
        (then, before), (now, rows) = self.samples[0], self.samples[-1]
        return (rows - before) / (now - then) if now > then else None


class Watch:
    """Remembers when jobs began and how they came on. *clock* gives the time in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tracks: dict[Job, _Track] = {}

    def now(self) -> float:
        """The time."""
        return self._clock()

    def look(self, jobs: Sequence[Job]) -> list[Standing]:
        """How far *jobs* are; rows that an earlier run has left count for no rate."""
        now = self._clock()
        return [self._standing(job, now) for job in jobs]

    def _standing(self, job: Job, now: float) -> Standing:
        track = self._tracks.get(job)
        if track is None:
            if job.state == "waiting":
                return Standing(job=job, rate=None, left=None)
            track = self._tracks[job] = _Track(began=now)
        if job.state in ("done", "failed") and track.ended is None:
            track.ended = now
        if job.state != "running":
            return Standing(job=job, rate=None, left=None)
        track.add(now, job.rows)
        rate, left = track.rate(), None
        if rate and job.total is not None and job.total >= job.rows:
            left = (job.total - job.rows) / rate
        return Standing(job=job, rate=rate, left=left)

    def seconds(self, job: Job) -> float | None:
        """How long *job* took, or None if it was never seen to run."""
        track = self._tracks.get(job)
        return None if track is None or track.ended is None else track.ended - track.began
