"""How far jobs are: rows a second, and the seconds that are left. Arithmetic only."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

import attrs

from voipstudio_cmb.export import Job

RATE_SECONDS = 10.0
"""Seconds that a rate is taken over."""


@attrs.frozen(kw_only=True)
class JobProgress:
    """How far a job is."""

    job: Job
    rate: float | None = None
    """Rows a second, if known."""
    seconds_left: float | None = None
    """Seconds until the job is done, if known."""
    paused: float = 0.0
    """Seconds for which the API has asked to send nothing."""


class RateMeter:
    """Rows a second over the last `RATE_SECONDS`, from a few samples."""

    def __init__(self) -> None:
        self.samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, rows: int) -> None:
        """Notes that there were `rows` in all at the time `now`."""
        samples = self.samples
        if samples and rows < samples[-1][1]:
            samples.clear()  # the job has started again
        if len(samples) > 1 and now - samples[-2][0] < RATE_SECONDS / 20:
            samples.pop()  # more samples than are worth keeping
        samples.append((now, rows))
        while now - samples[0][0] > RATE_SECONDS and len(samples) > 2:
            samples.popleft()

    def rate(self) -> float | None:
        """Rows a second, if there are two samples at different times."""
        (first, rows_before), (last, rows) = self.samples[0], self.samples[-1]
        return (rows - rows_before) / (last - first) if last > first else None


class ProgressTracker:
    """Remembers how far jobs were.

    `clock` gives the time in seconds, and `pause` those for which the API has asked a job to wait.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[Job], float] = lambda _: 0.0,
    ) -> None:
        self.clock = clock
        self._pause = pause
        self._meters: dict[Job, RateMeter] = {}

    def measure(self, jobs: Sequence[Job]) -> list[JobProgress]:
        """How far `jobs` are now. Rows that an earlier run has left count for no rate."""
        now = self.clock()
        return [self._measure(job, now) for job in jobs]

    def _measure(self, job: Job, now: float) -> JobProgress:
        if job.state != "running":
            return JobProgress(job=job)
        meter = self._meters.setdefault(job, RateMeter())
        meter.add(now, job.rows)
        rate, seconds_left = meter.rate(), None
        if rate and job.total is not None and job.total >= job.rows:
            seconds_left = (job.total - job.rows) / rate
        paused = self._pause(job)
        return JobProgress(job=job, rate=rate, seconds_left=seconds_left, paused=paused)
