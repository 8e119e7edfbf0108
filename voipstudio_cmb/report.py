"""Shows an export while it runs, and says what became of it: bars or lines, summary, exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .export import Job, Summary

DONE, FAILED, USAGE, INCOMPLETE, NOT_AUTHORISED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143


def say(text: str) -> None:
    """Prints *text* on standard error, without what could steer a terminal."""
    from .output import harmless

    print(harmless(text), file=sys.stderr)


def drop_stdout() -> None:
    """Python's own flush at exit must not complain again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def display() -> Iterator[Callable[[Sequence[Job]], None]]:
    """A function that shows how far jobs are: bars on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        try:
            from .ext.rich import Bars
        except ImportError:
            pass  # lines, then
        else:
            with Bars(sys.stderr) as bars:
                yield bars.show
            return
    yield Lines().show


class Lines:
    """Says what changed: each job's state, and every two seconds how far it is."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}
        self._next = 0.0

    def show(self, jobs: Sequence[Job]) -> None:
        due = time.monotonic() >= self._next
        if due:
            self._next = time.monotonic() + 2.0
        for job in jobs:
            if job.state == "waiting" or (self._shown.get(job.resource) == job.state and not due):
                continue
            if self._shown.get(job.resource) in ("done", "failed"):
                continue
            self._shown[job.resource] = job.state
            of = f" of {job.total:,}" if job.total is not None and job.state == "running" else ""
            say(f"{job.resource}: {job.state}, {job.rows:,}{of} rows")


def report(summary: Summary) -> int:
    """Prints the files on stdout and the rest of the summary on stderr; returns the exit code."""
    from .errors import Unauthorized

    for job in summary.jobs:
        if job.state == "done":
            try:
                print(f"{job.path}\t{job.rows}")
            except BrokenPipeError:
                drop_stdout()  # the exit code is still to be told
        if job.missing:
            ids = ", ".join(map(str, job.missing[:10]))
            say(f"{job.resource}: {len(job.missing)} are named and do not exist (ids {ids})")
        if job.error is not None:
            say(f"{job.resource}: failed: {job.error}")
        elif job.total is not None and job.rows < job.total:
            say(
                f"{job.resource}: the API's total is {job.total:,}, but after {job.rows:,} rows "
                "its pages are empty: its totals can be too high"
            )
    done = [job for job in summary.jobs if job.state == "done"]
    say(
        f"{summary.rows:,} rows, {sum(job.pages for job in done):,} pages, "
        f"{summary.requests:,} requests, {summary.retries:,} retries, {summary.seconds:.1f} s, "
        f"{len(done)} of {len(summary.jobs)} files"
    )
    if summary.complete:
        return DONE
    rest = " ".join(job.resource for job in summary.jobs if job.state != "done")
    refused = any(isinstance(job.error, Unauthorized) for job in summary.jobs)
    say(f"no file was written for: {rest}. Export these again{' with a valid token' * refused}")
    return NOT_AUTHORISED if refused else INCOMPLETE if done else FAILED
