"""What can be seen of one job of an export: how far it is, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import attrs

from voipstudio_cmb.boundary.text import html_table
from voipstudio_cmb.errors import CallMeBackError, Forbidden, NotFound


@attrs.define(kw_only=True, eq=False)
class Job:
    """One resource of an export, while it runs and after."""

    resource: str
    """What is exported."""
    path: Path
    """The file that it goes to. It exists if it was `made`: where nothing is new, none is."""
    account: str = ""
    """The name of the account, where many are exported."""
    state: Literal["waiting", "running", "writing", "publishing", "done", "failed"] = "waiting"
    """What is happening."""
    rows: int = 0
    """The rows so far."""
    kept: int = 0
    """How many of them an interrupted run has left."""
    pages: int = 0
    """The pages so far."""
    total: int | None = None
    """How many rows there are, as the API last claimed."""
    rejected: int = 0
    """The rows that can't be used; they are in `<name>.rejects.jsonl`."""
    altered: int = 0
    """The values that could not be written as they are."""
    missing: list[int] = attrs.field(factory=list)
    """The ids of buttons that settings or websites name, and the API does not have."""
    error: CallMeBackError | None = None
    """Why it failed."""
    resumable: bool = False
    """Whether the same export, run again, resumes where it failed."""
    since: str | None = None
    """When the interrupted run began that this one has resumed."""
    already: bool = False
    """Whether that run had finished the file."""
    made: bool = False
    """Whether the file is complete."""
    url: str = ""
    """Where it was published, if that is an object store."""
    note: str = ""
    """What else is worth knowing."""
    seconds: float | None = None
    """How long it ran; None if it has not, or not ended."""

    @property
    def may_pass(self) -> bool:
        """Whether it is not done, and may be when it is resumed."""
        return self.state != "done" and not isinstance(self.error, Forbidden | NotFound)


@attrs.frozen(kw_only=True)
class Summary:
    """What became of an export."""

    jobs: Sequence[Job]
    """Its jobs."""
    requests: int
    """The attempts that its clients have made meanwhile."""
    retries: int
    """Those beyond the first of their call."""
    seconds: float
    """How long it took."""

    def _repr_html_(self) -> str:
        names = ("account", "resource", "path", "state", "rows", "rejected", "error", "note")
        shown = [name for name in names if any(getattr(job, name) for job in self.jobs)]
        return html_table(shown, ([getattr(job, name) for name in shown] for job in self.jobs))

    @property
    def complete(self) -> bool:
        """Whether every job is done."""
        return all(job.state == "done" for job in self.jobs)

    @property
    def resumable(self) -> bool:
        """Whether the same export, run again, resumes something."""
        return any(job.resumable for job in self.jobs)

    @property
    def rows(self) -> int:
        """The rows in complete files."""
        return sum(job.rows for job in self.jobs if job.state == "done")

    @property
    def rejected(self) -> int:
        """The rows that could not be exported."""
        return sum(job.rejected for job in self.jobs)
