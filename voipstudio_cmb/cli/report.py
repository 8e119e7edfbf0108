"""What became of an export: its files, notes, a table, and what to do next."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from voipstudio_cmb.exit_codes import DONE, NOT_AUTHORISED, RESUMABLE

from .arguments import Arguments
from .stdio import OutputError, print_data
from .table import table_text
from .terminal import print_event, print_message

if TYPE_CHECKING:
    from voipstudio_cmb.export import Job, Summary

_ADVICE = {
    NOT_AUTHORISED: "run the same command again with a valid token",
    RESUMABLE: "run the same command again",
}

NAMED = 8
"""The most jobs that one message names."""


async def print_files(jobs: Sequence[Job]) -> bool:
    """Prints each complete file on stdout, and its rows; returns whether who reads them has them.

    A reader that has gone, or never was, wants none.
    """
    lines = [b"%s\t%d\n" % (os.fsencode(job.url or job.path), job.rows) for job in jobs if job.made]
    try:
        await print_data(b"".join(lines))
    except OutputError as error:
        if error.errno in (errno.EPIPE, errno.EBADF):
            return True
        print_message(f"error: the list of files can't be written: {error}")
        return False
    return True


def report(summary: Summary, code: int, *, quiet: bool = False) -> None:
    """Prints all about the jobs but their files on stderr.

    With `quiet` only what is wrong, and nothing if nothing is.
    """
    if quiet and code == DONE:
        return
    reasons = failures(summary.jobs)
    if len(reasons) == 1 and all(job.state == "failed" and not job.rows for job in summary.jobs):
        advice = _advice(summary, code)
        print_message(reasons[0] + (f"; {advice}" if advice else ""))  # nothing else to tell
        return
    for job in summary.jobs:
        for text in (*(() if quiet else _remarks(job)), *_faults(job)):
            print_message(f"{label(job)}: {text}")
    for reason in reasons:
        print_message(reason)
    undone = sum(job.state != "done" for job in summary.jobs)
    if not quiet:
        rows = [_cells(job) for job in summary.jobs]
        sys.stderr.write(table_text(rows, sys.stderr))
        print_message(_totals(summary, undone))
    if undone:
        again = "fix what the errors above say, and run the same command again"
        advice = _advice(summary, code) or again
        print_message(f"{undone} of {len(summary.jobs)} not done: {advice}")


def print_end(arguments: Arguments, code: int) -> int:
    """Prints the last line of an export, whose words a monitor may look for; returns the `code`."""
    if arguments.progress == "json":
        print_event("end", exit_code=code)
    elif not arguments.quiet and not sys.stderr.isatty():
        print_message(f"voipstudio-cmb: export ended with exit code {code}")
    return code


def _totals(summary: Summary, undone: int) -> str:
    done = [job for job in summary.jobs if job.state == "done"]
    made = sum(job.made for job in done)
    return (
        f"{summary.rows:,} rows, {sum(job.pages for job in done):,} pages, "
        f"{summary.requests:,} requests, {summary.retries:,} retries, {summary.seconds:.1f} s, "
        f"{made} of {undone + made} files"
    )


def _advice(summary: Summary, code: int) -> str | None:
    """What to do, if it is known; nothing can be resumed where nothing is kept."""
    advice = _ADVICE.get(code)
    return f"{advice} to resume" if advice and summary.resumable else advice


def _remarks(job: Job) -> Iterator[str]:
    """What is worth knowing about `job` besides its numbers, where nothing is wrong with it."""
    if job.already:
        run = f"the export started at {job.since}" if job.since else "an earlier export"
        yield f"already complete: made by {run}"
    elif job.since is not None:
        yield f"resumes the export started at {job.since}"
    if job.note:
        yield job.note


def _faults(job: Job) -> Iterator[str]:
    """What is wrong with the rows of `job`."""
    if job.missing:
        ids = ", ".join(map(str, job.missing[:10]))
        yield f"{len(job.missing)} are named and do not exist (ids {ids})"
    if job.rejected:
        yield f"{job.rejected:,} rows could not be used"
    fewer = job.total is not None and job.rows + job.rejected < job.total
    if fewer and job.error is None and not job.already:
        yield (
            f"the API's total is {job.total:,}, but after {job.rows:,} rows "
            "its pages are empty: its totals can be too high"
        )


def failures(jobs: Sequence[Job]) -> list[str]:
    """What failed and why, a line for each reason, however many of `jobs` it stopped."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        if (error := job.error) is not None:
            reason = error.message
            # What each job has of its own: where its file is, which request it was.
            paths = (repr(str(path)) for path in (job.path, job.path.parent))
            for own in (*paths, getattr(error, "request_id", None)):
                reason = reason.replace(own or "\0", "")
            groups.setdefault(reason, []).append(job)
    sizes = Counter(job.account for job in jobs)
    lines = []
    for group in groups.values():
        error, texts = group[0].error, {str(job.error) for job in group}
        assert error is not None
        text = error.message if len(texts) > 1 else str(error)
        lines.append(f"{_labels(group, sizes)}: failed: {text}")
    return lines


def _labels(group: Sequence[Job], sizes: Counter[str]) -> str:
    """The names of the jobs in `group`, or of an account that has all of its `sizes` in it."""
    own = Counter(job.account for job in group)
    complete = {account for account in own if account and own[account] == sizes[account]}
    of_each = (job.account if job.account in complete else label(job) for job in group)
    names = list(dict.fromkeys(of_each))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def label(job: Job) -> str:
    """The name of `job` in messages."""
    return f"{job.account}/{job.resource}" if job.account else job.resource


def _cells(job: Job) -> dict[str, str]:
    state = job.state.replace("failed", "can be resumed") if job.resumable else job.state
    fetched, seconds = job.rows - job.kept, job.seconds
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
        # In less time, most of it is what each job begins and ends with.
        "rows/s": f"{fetched / seconds:,.0f}" if seconds and seconds > 0.5 and fetched > 0 else "",
    }
