"""How jobs are shown while they run: as bars, as lines now and then, or as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from voipstudio_cmb.export import Job, Summary

from .exit_codes import passing
from .progress import Standing, Watch
from .report import label
from .terminal import escaped, harmless, say

EVERY = 2.0
"""Seconds from one line, or event, about a job to the next."""

FEW = 8
"""So many jobs are shown one by one; of more, those that run, and a line about them all."""


class Display(Protocol):
    """Something that shows how far jobs are, each time that it is told to."""

    def show(self, standings: Sequence[Standing]) -> None:
        """Shows them, if it is time to."""
        ...


def duration(seconds: float) -> str:
    """*seconds* as people read them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def overall(standings: Sequence[Standing]) -> str:
    """All of them in one line."""
    jobs = [standing.job for standing in standings]
    done = sum(job.state == "done" for job in jobs)
    failed = sum(job.state == "failed" for job in jobs)
    running = sum(job.state in ("running", "writing") for job in jobs)
    rate = sum(standing.rate or 0 for standing in standings)
    return (
        f"{done} of {len(jobs)} jobs done, {running} running"
        + (f", {failed} failed" if failed else "")
        + f", {sum(job.rows for job in jobs):,} rows, {rate:,.0f} rows/s"
    )


class Nothing:
    """Shows nothing."""

    def show(self, standings: Sequence[Standing]) -> None:
        """Nothing."""


class Lines:
    """Says what changed: each job's state, and every two seconds how far it is."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[Job, str] = {}
        self._next = clock()

    def show(self, standings: Sequence[Standing]) -> None:
        now, few = self._clock(), len(standings) <= FEW
        due = now >= self._next
        if due:
            self._next = now + EVERY
        for standing in standings:
            job = standing.job
            before = self._shown.get(job)
            if job.state == "waiting" or before in ("done", "failed"):
                continue
            ended = job.state in ("done", "failed")
            if ended or (few and (due or before != job.state)):
                self._shown[job] = job.state
                say(f"{label(job)}: {job.state}, {_rows(standing)}")
        if due and not few and any(s.job.state in ("running", "writing") for s in standings):
            say(overall(standings))


def _rows(standing: Standing) -> str:
    job = standing.job
    if job.state != "running":
        return f"{job.rows:,} rows"
    of = f" of {job.total:,}" if job.total is not None and job.total >= job.rows else ""
    rate = f", {standing.rate:,.0f} rows/s" if standing.rate else ""
    left = f", {duration(standing.left)} left" if standing.left is not None else ""
    return f"{job.rows:,}{of} rows{rate}{left}"


class Events:
    """One JSON object a line: what begins, how far it is, and what became of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[Job, float] = {}
        self._ended: set[Job] = set()

    def show(self, standings: Sequence[Standing]) -> None:
        now = self._clock()
        for standing in standings:
            job = standing.job
            if job.state == "waiting" or job in self._ended:
                continue
            if job not in self._next:
                self._next[job] = now + EVERY
                event("start", **_names(job), path=str(job.path))
            if job.state in ("done", "failed"):
                self._ended.add(job)
                self._end(job)
            elif now >= self._next[job]:
                self._next[job] = now + EVERY
                event(
                    "progress",
                    **_names(job),
                    state=job.state,
                    rows=job.rows,
                    total=job.total,
                    kept=job.kept,
                    rate=_number(standing.rate),
                    left_seconds=_number(standing.left),
                )

    def _end(self, job: Job) -> None:
        told: dict[str, Any] = {
            "rows": job.rows,
            "kept": job.kept,
            "rejected": job.rejected,
            "altered": job.altered,
            "missing": len(job.missing),
            "note": job.note,
            "since": job.since,
        }
        if job.error is None:
            event(
                "done",
                **_names(job),
                **told,
                path=str(job.path) if job.made else None,
                already=job.already,
            )
        else:
            event(
                "failed",
                **_names(job),
                **told,
                error=str(job.error),
                kind=type(job.error).__name__,
                resumable=job.resumable,
                passing=passing(job),
            )


def summarized(summary: Summary, code: int) -> None:
    """Prints the event that ends them all."""
    states = [job.state for job in summary.jobs]
    event(
        "summary",
        jobs=len(states),
        done=states.count("done"),
        failed=states.count("failed"),
        resumable=sum(job.resumable for job in summary.jobs),
        rows=summary.rows,
        rejected=summary.rejected,
        requests=summary.requests,
        retries=summary.retries,
        seconds=_number(summary.seconds),
        exit_code=code,
    )


def event(what: str, **more: Any) -> None:
    """Prints one event on standard error."""
    print(escaped(json.dumps({"event": what, **more})), file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Prints an event that holds nothing but words."""
    event("note", message=text)


def _names(job: Job) -> dict[str, str]:
    return {"account": job.account, "resource": job.resource}


def _number(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class _Bars(Protocol):
    room: int

    def show(self, bars: Sequence[tuple[str, int, int | None, str]], line: str) -> None: ...


class Drawn:
    """Bars for a few jobs; of more, for those that run, with a line about them all."""

    def __init__(self, bars: _Bars) -> None:
        self._bars = bars

    def show(self, standings: Sequence[Standing]) -> None:
        few = len(standings) <= min(FEW, self._bars.room)
        shown = [s for s in standings if few or s.job.state in ("running", "writing")]
        self._bars.show(
            [self._bar(standing) for standing in shown[: self._bars.room]],
            "" if few else overall(standings),
        )

    @staticmethod
    def _bar(standing: Standing) -> tuple[str, int, int | None, str]:
        job = standing.job
        total = job.rows if job.state == "done" else job.total
        return harmless(label(job)), job.rows, total, f"{_rows(standing)}, {job.state}"


@contextlib.contextmanager
def display(mode: str, watch: Watch) -> Iterator[Display]:
    """What shows jobs by *mode*: "auto" is bars on a terminal, where rich is there, or lines."""
    if mode == "auto" and sys.stderr.isatty():
        try:
            from voipstudio_cmb.ext.rich import Bars
        except ImportError:
            pass  # lines, then
        else:
            with Bars(sys.stderr) as bars:
                yield Drawn(bars)
            return
    if mode == "json":
        yield Events(watch.now)
    else:
        yield Nothing() if mode == "none" else Lines(watch.now)
