"""Says what became of an export: files, notes, a table, what to do next, and the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from .exit_codes import CAN_GO_ON, NOT_AUTHORISED, exit_code
from .terminal import drop_stdout, say, table

if TYPE_CHECKING:
    from voipstudio_cmb.export import Job, Summary


def report(summary: Summary, seconds: Callable[[Job], float | None]) -> int:
    """Prints the files on stdout, all else about them on stderr; returns the exit code.

    *seconds* tells how long a job took.
    """
    files(summary.jobs)
    for job in summary.jobs:
        for text in notes(job):
            say(f"{label(job)}: {' '.join(text.split())}")
    jobs = [_cells(job, seconds(job)) for job in summary.jobs]
    table([name for name in COLUMNS if any(cells[name] for cells in jobs)], jobs, sys.stderr)
    done = [job for job in summary.jobs if job.state == "done"]
    made = sum(job.made for job in done)
    say(
        f"{summary.rows:,} rows, {sum(job.pages for job in done):,} pages, "
        f"{summary.requests:,} requests, {summary.retries:,} retries, {summary.seconds:.1f} s, "
        f"{made} of {len(summary.jobs) - len(done) + made} files"
    )
    code = exit_code(summary.jobs)
    advice = {
        NOT_AUTHORISED: "run the same command again, with a valid token, to go on",
        CAN_GO_ON: "run the same command again to go on",
    }
    if not summary.complete:
        mend = "mend what the errors above say, and run the same command again"
        undone = len(summary.jobs) - len(done)
        say(f"{undone} of {len(summary.jobs)} not done: {advice.get(code, mend)}")
    return code


def files(jobs: Sequence[Job]) -> None:
    """Prints each file that is whole on stdout, and its rows."""
    for job in jobs:
        if job.made:
            try:
                print(f"{job.path}\t{job.rows}")
            except BrokenPipeError:
                drop_stdout()  # the exit code is still to be told


def notes(job: Job) -> Iterator[str]:
    """What there is to say about *job* that no number says."""
    if job.since is not None and not job.already:
        yield f"goes on with the export begun at {job.since}"
    if job.already:
        yield "already complete, by the export" + (
            f" begun at {job.since}" if job.since else " before"
        )
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
    """What to call *job*."""
    return f"{job.account}/{job.resource}" if job.account else job.resource


COLUMNS = (
    "account", "resource", "state", "rows", "kept", "rejected", "altered", "missing", "seconds",
    "rows/s",
)  # fmt: skip


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
        # In less, a job may have been under way before it was seen for the first time.
        "rows/s": f"{fetched / seconds:,.0f}" if seconds and seconds > 0.5 and fetched > 0 else "",
    }
