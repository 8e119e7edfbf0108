"""How jobs are shown on standard error while they run: as bars, as lines, or as JSON events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.export import Job, Summary
from voipstudio_cmb.export.run.exit_codes import retryable

from .progress import JobProgress, ProgressTracker
from .report import label
from .stdio import log_is_behind
from .terminal import print_event, print_message, printing_above, rich_for, terminal_size

INTERVAL = 2.0
"""Seconds from one event about a job to the next: programs that read them do not mind."""

LINES = ((60.0, 10.0), (600.0, 30.0), (3600.0, 60.0), (float("inf"), 300.0))
"""Up to how many seconds after the start a line about a job follows the last after how many: who
looks on wants the first ones, and a log of hours only some."""

FEW_JOBS = 8
"""Up to this many jobs are shown one by one; of more, those that run, and one line about all."""

BARS_WIDTH = 40
"""Columns below which too little of a bar's text can be seen, so that lines are printed."""

ENDED, RUNNING = ("done", "failed"), ("running", "writing", "publishing")

Show = Callable[[Sequence[JobProgress]], None]
T = TypeVar("T")


@contextlib.contextmanager
def open_display(mode: str, tracker: ProgressTracker) -> Iterator[Show]:
    """The function that shows jobs in `mode`: "auto" draws bars if it can, else prints lines."""
    width, height = terminal_size(sys.stderr)
    rich = rich_for(sys.stderr) if mode == "auto" and width >= BARS_WIDTH else None
    if rich is not None:
        with rich.Bars(sys.stderr, width, height) as bars, printing_above(bars.print_above):
            yield partial(_draw, bars)
    elif mode == "json":
        yield EventDisplay(tracker.clock).show
    elif mode == "none":
        yield lambda _: None
    else:
        yield LineDisplay(tracker.clock).show


async def run_with_display(work: Coroutine[Any, Any, T], show: Callable[[], None]) -> T:
    """Returns what `work` returns; calls `show` ten times a second meanwhile, and at the end."""
    running = asyncio.ensure_future(work)
    try:
        while not running.done():
            show()
            await asyncio.wait((running,), timeout=0.1)
        show()
    finally:
        running.cancel()
        await asyncio.wait((running,))
    return running.result()


def duration(seconds: float) -> str:
    """`seconds` in words."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def totals(jobs: Sequence[JobProgress]) -> str:
    """How far all jobs are together, in one line."""
    states = [each.job.state for each in jobs]
    failed = states.count("failed")
    return (
        f"{states.count('done')} of {len(jobs)} jobs done, "
        f"{sum(state in RUNNING for state in states)} running"
        + (f", {failed} failed" if failed else "")
        + f", {sum(each.job.rows for each in jobs):,} rows, "
        f"{sum(each.rate or 0 for each in jobs):,.0f} rows/s"
    )


def _rows(each: JobProgress) -> str:
    job = each.job
    if job.state != "running":
        return f"{job.rows:,} rows"
    total = f" of {job.total:,}" if job.total is not None and job.total >= job.rows else ""
    rate = f", {each.rate:,.0f} rows/s" if each.rate else ""
    left = f", {duration(each.seconds_left)} left" if each.seconds_left is not None else ""
    if each.paused >= 1:  # what is left is not known while nothing comes
        left = f", the API asks to wait {duration(each.paused)}"
    return f"{job.rows:,}{total} rows{rate}{left}"


def _refused(job: Job) -> bool:
    """Whether `job` failed before it had anything to show: the report says why, once for all."""
    return job.state == "failed" and not job.pages


class LineDisplay:
    """Prints a line when a job's state changes, and ever more rarely how far it is."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._printed: dict[Job, str] = {}
        self._began = self._next = clock()

    def show(self, jobs: Sequence[JobProgress]) -> None:
        """Prints what is due."""
        now, few = self._clock(), len(jobs) <= FEW_JOBS
        due = now >= self._next
        if due:
            passed = now - self._began
            self._next = now + next(each for until, each in LINES if passed < until)
        for each in jobs:
            job, printed = each.job, self._printed.get(each.job)
            if job.state == "waiting" or printed in ENDED or (_refused(job) and printed is None):
                continue
            if job.state in ENDED or (few and (due or printed != job.state)):
                self._printed[job] = job.state
                print_message(f"{label(job)}: {job.state}, {_rows(each)}")
        if due and not few and any(each.job.state in RUNNING for each in jobs):
            print_message(totals(jobs))


class EventDisplay:
    """Prints JSON events: that a job starts, every two seconds how far it is, and how it ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next: dict[Job, float] = {}
        self._ended: set[Job] = set()

    def show(self, jobs: Sequence[JobProgress]) -> None:
        """Prints what is due."""
        now = self._clock()
        for each in jobs:
            job = each.job
            if job.state == "waiting" or job in self._ended:
                continue
            if job not in self._next:
                self._next[job] = now + INTERVAL
                self._print("start", job, path=_valid(job.path))
            if job.state in ENDED:
                self._ended.add(job)
                self._end(job)
            elif now >= self._next[job]:
                self._next[job] = now + INTERVAL
                rate, left = _rounded(each.rate), _rounded(each.seconds_left)
                self._print(
                    "progress", job, state=job.state, rows=job.rows, total=job.total,
                    kept=job.kept, rate=rate, left_seconds=left,
                    paused_seconds=_rounded(each.paused),
                )  # fmt: skip

    @staticmethod
    def _print(name: str, job: Job, **members: Any) -> None:
        print_event(name, account=job.account, resource=job.resource, **members)

    def _end(self, job: Job) -> None:
        members: dict[str, Any] = {
            "rows": job.rows, "kept": job.kept, "rejected": job.rejected, "altered": job.altered,
            "missing": len(job.missing), "note": job.note, "since": job.since,
        }  # fmt: skip
        if job.error is None:
            path = _valid(job.url or job.path) if job.made else None
            self._print("done", job, **members, path=path, already=job.already)
        else:
            self._print(
                "failed", job, **members, error=str(job.error), kind=type(job.error).__name__,
                resumable=job.resumable, retryable=retryable(job),
            )  # fmt: skip


def summary_event(summary: Summary) -> None:
    """Prints the event of the end: the numbers of all jobs together."""
    states = [job.state for job in summary.jobs]
    print_event(
        "summary", jobs=len(states), done=states.count("done"), failed=states.count("failed"),
        can_be_resumed=sum(job.resumable for job in summary.jobs), rows=summary.rows,
        rejected=summary.rejected, requests=summary.requests, retries=summary.retries,
        seconds=_rounded(summary.seconds),
    )  # fmt: skip


def _valid(path: Path | str) -> str:
    """The `path` as any parser of JSON takes it: bytes that are no UTF-8 as backslash escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _draw(bars: Any, jobs: Sequence[JobProgress]) -> None:
    if not log_is_behind():  # frames that nobody reads would pile up
        bars.resize(*terminal_size(sys.stderr))
        draw_bars(bars, jobs)


def draw_bars(bars: Any, jobs: Sequence[JobProgress]) -> None:
    """Draws a bar for each of a few jobs that run or are done; of many, for those that run, and a
    line about all.

    `bars` is a `voipstudio_cmb.ext.rich.Bars`.
    """
    few = len(jobs) <= min(FEW_JOBS, bars.room)
    # A bar without a total pulses, as if something happened: those that wait or failed have none.
    states = (*RUNNING, "done") if few else RUNNING
    shown = [each for each in jobs if each.job.state in states][: bars.room]
    bars.show([_bar(each) for each in shown], "" if few else totals(jobs))


def _bar(each: JobProgress) -> tuple[str, int, int | None, str]:
    job = each.job
    total = job.rows if job.state == "done" else job.total
    return on_one_line(label(job)), job.rows, total, f"{_rows(each)}, {job.state}"
