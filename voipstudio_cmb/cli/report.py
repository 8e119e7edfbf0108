"""What became of an export: its files, notes, a table, and what to do next."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from .exit_codes import NOT_AUTHORISED, RESUMABLE, exit_code
from .terminal import discard_stdout, print_message, print_table

if TYPE_CHECKING:
    from voipstudio_cmb.export import Job, Summary

_ADVICE = {
    NOT_AUTHORISED: "run the same command again with a valid token to resume",
    RESUMABLE: "run the same command again to resume",
}


def report(summary: Summary, seconds: Callable[[Job], float | None]) -> int:
    """Prints the files on stdout, all else about them on stderr; returns the exit code.

    `seconds` returns how long a job took.
    """
    print_files(summary.jobs)
    for job in summary.jobs:
        for text in _notes(job):
            print_message(f"{label(job)}: {' '.join(text.split())}")
    print_table([_cells(job, seconds(job)) for job in summary.jobs], sys.stderr)
    done = [job for job in summary.jobs if job.state == "done"]
    undone, made = len(summary.jobs) - len(done), sum(job.made for job in done)
    print_message(
        f"{summary.rows:,} rows, {sum(job.pages for job in done):,} pages, "
        f"{summary.requests:,} requests, {summary.retries:,} retries, {summary.seconds:.1f} s, "
        f"{made} of {undone + made} files"
    )
    code = exit_code(summary.jobs)
    if undone:
        advice = _ADVICE.get(code, "fix what the errors above say, and run the same command again")
        if code == RESUMABLE and not summary.resumable:
            advice = "run the same command again"
        print_message(f"{undone} of {len(summary.jobs)} not done: {advice}")
    return code


def print_files(jobs: Sequence[Job]) -> None:
    """Prints each complete file on stdout, and its rows."""
    for job in jobs:
        if job.made:
            try:
                print(f"{job.path}\t{job.rows}")
            except BrokenPipeError:
                discard_stdout()  # the report and the exit code still matter


def _notes(job: Job) -> Iterator[str]:
    """What is worth knowing about `job` besides its numbers."""
    if job.already:
        run = f"the export started at {job.since}" if job.since else "an earlier export"
        yield f"already complete: made by {run}"
    elif job.since is not None:
        yield f"resumes the export started at {job.since}"
    if job.note:
        yield job.note
    if job.missing:
        ids = ", ".join(map(str, job.missing[:10]))
        yield f"{len(job.missing)} are named and do not exist (ids {ids})"
    if job.rejected:
        yield f"{job.rejected:,} rows could not be used"
    if job.error is not None:
        yield f"failed: {job.error}"
    elif job.total is not None and job.rows + job.rejected < job.total and not job.already:
        yield (
            f"the API's total is {job.total:,}, but after {job.rows:,} rows "
            "its pages are empty: its totals can be too high"
        )


def label(job: Job) -> str:
    """The name of `job` in messages."""
    return f"{job.account}/{job.resource}" if job.account else job.resource


def _cells(job: Job, seconds: float | None) -> dict[str, str]:
    state = job.state.replace("failed", "can be resumed") if job.resumable else job.state
    fetched = job.rows - job.kept
    return {
        "account": job.account,
        "resource": job.resource,
        "state": "already complete" if job.already and job.state == "done" else state,
        "rows": f"{job.rows:,}",
        "kept": f"{job.kept:,}" if job.kept else "",
        "rejected": f"{job.rejected:,}" if job.rejected else "",
        "altered": f"{job.altered:,}" if job.altered else "",
        "missing": f"{len(job.missing):,}" if job.missing else "",
        "seconds": "" if seconds is None else f"{seconds:.1f}",
        # In less time, a job may have run before it was seen for the first time.
        "rows/s": f"{fetched / seconds:,.0f}" if seconds and seconds > 0.5 and fetched > 0 else "",
    }
