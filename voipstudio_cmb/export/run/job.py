"""What can be seen of one job of an export: how far it is, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from voipstudio_cmb.errors import CallMeBackError


@attrs.define(kw_only=True, eq=False)
class Job:
    """One resource of an export, while it runs and after.

    *rows* are there so far, of *total* as the API last claimed it or None; *kept* of them were left
    by an interrupted run. *rejected* rows are in the file `<name>.rejects.jsonl`; *altered* values
    could not be written as they are. *missing* are buttons that settings or websites name and the
    API does not have. *error* is why it failed; if it is *resumable*, the same export goes on from
    where it stopped. *since* is when an interrupted run that this one ends began; *already* says
    that it had made this file, and *note* what else is worth knowing. There is a file only if it is
    *made*: where nothing is new, none is.
    """

    resource: str
    path: Path
    account: str = ""
    state: Literal["waiting", "running", "writing", "done", "failed"] = "waiting"
    rows: int = 0
    kept: int = 0
    pages: int = 0
    total: int | None = None
    rejected: int = 0
    altered: int = 0
    missing: list[int] = attrs.field(factory=list)
    error: CallMeBackError | None = None
    resumable: bool = False
    since: str | None = None
    already: bool = False
    made: bool = False
    note: str = ""


@attrs.frozen(kw_only=True)
class Summary:
    """What became of an export in *seconds*.

    *requests* counts attempts and *retries* those beyond the first of their call: all that the
    client has made meanwhile.
    """

    jobs: Sequence[Job]
    requests: int
    retries: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every job is done."""
        return all(job.state == "done" for job in self.jobs)

    @property
    def resumable(self) -> bool:
        """Whether the same export, run again, goes on with something that this one has left."""
        return any(job.resumable for job in self.jobs)

    @property
    def rows(self) -> int:
        """The rows in complete files."""
        return sum(job.rows for job in self.jobs if job.state == "done")

    @property
    def rejected(self) -> int:
        """The rows that could not be exported, and are in `<name>.rejects.jsonl`."""
        return sum(job.rejected for job in self.jobs)
