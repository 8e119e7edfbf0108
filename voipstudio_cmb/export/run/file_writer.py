"""Makes the file of one job from the rows in its workspace, and publishes it when it is complete.

It is written in one go when all rows are saved, and again if that is interrupted: so its bytes
depend on nothing but the rows.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import attrs

from voipstudio_cmb.columns import GUESS_STEP, Sampled
from voipstudio_cmb.errors import ExportError
from voipstudio_cmb.export.source.button_ids import ButtonIds
from voipstudio_cmb.export.source.sources import Source
from voipstudio_cmb.export.store.disk import (
    AppendedFile,
    fingerprint,
    publish,
    rejects_path,
    remove_sidecars,
    sidecar,
    status,
    sync,
)
from voipstudio_cmb.export.store.failures import left_out
from voipstudio_cmb.export.store.manifest import Entry, record
from voipstudio_cmb.export.store.spool import Spool
from voipstudio_cmb.export.store.workspace import Workspace
from voipstudio_cmb.models import RECORDS

from .job import Job


@attrs.define(kw_only=True, eq=False)
class FileWriter:
    """Makes one file."""

    job: Job
    source: Source
    workspace: Workspace
    names: ButtonIds | None
    """The buttons that the rows name, if the file has all rows of the resource."""
    ends_as: Literal["publishing", "done"]
    """The state of a job whose file is made."""
    _copied: tuple[int, ...] = attrs.field(init=False, default=())

    def write(self, stop: threading.Event) -> None:
        """Makes the file and publishes it, unless `stop` is set meanwhile."""
        path, workspace = self.job.path, self.workspace
        plan, file = self.source.plan, self.source.file
        if self.names is not None:
            self.names.take(iter(_Rows(workspace.spool, stop)))
        if file.incremental and not (workspace.checkpoint.rows or len(workspace.rejects)):
            if workspace.checkpoint.untold is None:  # or that goes when it has been told
                remove_sidecars(workspace.disk, path)
            self.job.state = self.ends_as
            self.job.note = "; ".join(filter(None, ("nothing new", self.job.note)))
            return
        if plan.sink.spool_is_output:
            new, made = workspace.spool.path, (workspace.spool.size, workspace.spool.digest)
            self._take_mode(new)  # `finish` syncs it
        else:
            new = sidecar(path, "new")
            made = self._convert(new, stop)
        workspace.finish(made, self.job.altered, lambda entry: self._entry_of(entry, new))
        plan.sink.check(path)
        if file.append and self._version() != self._copied:
            workspace.disk.unlink(new)
            raise ExportError(
                f"{str(path)!r} was changed while rows were added to a copy of it: run the same "
                "export again",
                retryable=True,
            )
        try:
            publish(workspace.disk, new, path, overwrite=plan.overwrite or file.append)
        except FileExistsError as error:
            raise ExportError(
                f"{str(path)!r} has appeared while it was exported, and stays: "
                "export to another directory, or with --overwrite (overwrite=True)",
                resumable=False,
            ) from error
        self.close()

    def _convert(self, new: Path, stop: threading.Event) -> tuple[int, str]:
        disk, sink = self.workspace.disk, self.source.plan.sink
        disk.unlink(new)
        try:
            sink.check(self.job.path)
            if self.source.file.append:
                self._copied = self._version()
                shutil.copyfile(self.job.path, new)
            rows = _Rows(self.workspace.spool, stop)
            name = self.job.resource
            self.job.altered = sink.write(rows, name, RECORDS[name], new, self._about())
            notes = self.job.note, self.source.plan.note(name, rows)
            self.job.note = "; ".join(filter(None, notes))
        except (OSError, ExportError, MemoryError):
            disk.unlink(new)  # it may be what fills the disk
            raise
        made = fingerprint(new)
        assert made is not None
        with closing(AppendedFile(new, disk)) as out:
            file = out.file  # opened before its mode may forbid it
            self._take_mode(new)
            sync(disk, file)
        return made

    def _about(self) -> dict[str, str]:
        """What a file says of its rows."""
        at = self.workspace.checkpoint
        return {
            "API": at.identity["API"],
            "resource": self.job.resource,
            "account": at.owner_hash,
            "filters": json.dumps(at.identity["filters"]),
            "after": str(at.after),
            "through": str(at.highest or at.after),
        }

    def _entry_of(self, made: Entry, new: Path) -> Entry:
        """What the manifest is to say of the file `new`, with the rows that are `made`."""
        file, name = self.source.file, self.job.resource
        entry, before = file.entry_of(made), file.before
        if before is None or (made.lowest or 0) > (before.highest or 0):
            return entry
        # Ids may have been given again: such rows have replaced others.
        count = self.source.plan.sink.count(new, name, RECORDS[name])
        return entry if count is None else attrs.evolve(entry, rows=min(entry.rows, count))

    def _take_mode(self, new: Path) -> None:
        """Gives `new` the mode of the file that it replaces."""
        old = status(self.job.path)
        if old is not None and stat.S_ISREG(old.st_mode):
            with left_out("chmod"):
                self.workspace.disk.chmod(new, old.st_mode & 0o777)

    def _version(self) -> tuple[int, ...]:
        """What changes when another program writes to the file that rows are added to."""
        found = os.stat(self.job.path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def close(self) -> None:
        """Records the published file in the manifest, and removes what is not needed any more."""
        job, workspace, append = self.job, self.workspace, self.source.file.append
        at, disk = workspace.checkpoint, workspace.disk
        if len(workspace.rejects):
            workspace.rejects.finish(rejects_path(job.path), add=append)
            workspace.rejects.close()
        elif not at.rejected and not append:
            disk.unlink(rejects_path(job.path))  # an earlier export's
        assert at.entry is not None
        before = record(disk, job.path, at.entry)
        file, made = self.source.file, at.entry.sha256
        alike = file.recreate and file.share.end is not None  # a database has what is new too
        if alike and before is not None and before.sha256 != made:
            job.note = "made again, with other bytes: rows were changed or deleted since"
        for kind in ("part", "new", "rejects"):
            disk.unlink(sidecar(job.path, kind))
        job.state, job.made = self.ends_as, True


@attrs.frozen
class _Rows(Sampled):
    """The rows in a spool, until `stop` is set."""

    _spool: Spool
    _stop: threading.Event

    def __iter__(self) -> Iterator[bytes]:
        return self._lines(1)

    def some(self) -> Iterator[bytes]:
        return self._lines(GUESS_STEP)

    def _lines(self, step: int) -> Iterator[bytes]:
        for lines in self._spool.blocks(step):
            if self._stop.is_set():
                raise ExportError("the export was cancelled")
            # `split` looks for line ends byte by byte, which takes five times as long.
            yield from [line[:-1] for line in io.BytesIO(lines)]
