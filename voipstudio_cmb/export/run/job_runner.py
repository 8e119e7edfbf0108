"""One job of an export: fetches its rows into a spool, goes on after an interruption, ends with a
file that appears whole.

The rows are kept as the API sent them until all are there, and are then written in the format that
was asked for, in one go: a conversion that was interrupted begins again, so that its bytes depend
on nothing but the rows. Rows that are wanted as JSON Lines are in that format already.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ExportError, WalkError
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.sinks import JsonlSink, Sink, SqliteSink
from voipstudio_cmb.export.source.batch import Source
from voipstudio_cmb.export.source.buttons import ButtonSource
from voipstudio_cmb.export.store.checkpoint import Checkpoint, load
from voipstudio_cmb.export.store.disk import (
    Disk,
    as_export_error,
    fingerprint,
    in_thread,
    name,
    rejects_path,
    remove_sidecars,
    sidecar,
    write_atomic,
)
from voipstudio_cmb.export.store.high_water import CreatedHighWater
from voipstudio_cmb.export.store.lock import Lock
from voipstudio_cmb.export.store.manifest import Entry, note
from voipstudio_cmb.export.store.rejects import Rejects
from voipstudio_cmb.export.store.spool import Spool
from voipstudio_cmb.models import Record, Reject, Rows

from .job import Job

LEFT = "What was fetched is kept: mend this, and run the same export again to go on"


_CONVERTING = threading.Lock()
"""One conversion at a time: they would share one processor, and each holds some rows in memory."""


class _Stopped(Exception):
    """The export was cancelled while a format wrote its file."""


@attrs.define(kw_only=True, eq=False)
class JobRunner:
    """What is done for one *job*.

    *of* says of what the export is, and whose: *account* for the checkpoint (a hash with a salt of
    its own), *whose* for the manifest (one that is always the same). *on_rows* is given the rows
    when they are all there. A checkpoint is written every *every* seconds.
    """

    job: Job
    part: OutputFile
    source: Source
    record: type[Record]
    sink: Sink
    disk: Disk
    of: Mapping[str, Any]
    account: str
    whose: str
    begun: str
    overwrite: bool
    restart: bool
    every: float
    on_rows: Callable[[Iterator[bytes]], None] | None = None
    _at: Checkpoint = attrs.field(init=False)
    _spool: Spool = attrs.field(init=False)
    _rejects: Rejects = attrs.field(init=False)
    _anew: bool = attrs.field(init=False, default=False)
    _latest: CreatedHighWater = attrs.field(init=False, factory=CreatedHighWater)

    def __attrs_post_init__(self) -> None:
        path = self.job.path
        self._spool = Spool(sidecar(path, "part"), self.disk)
        self._rejects = Rejects(sidecar(path, "rejects"), self.disk)
        self._at = self._fresh()

    def _fresh(self) -> Checkpoint:
        return Checkpoint(of=self.of, account=self.account, begun=self.begun)

    @property
    def _checkpoint(self) -> Path:
        return sidecar(self.job.path, "checkpoint")

    async def run(self) -> None:
        """Does it.

        Raises:
            CallMeBackError: it failed; what was fetched is kept.
        """
        with Lock(self.job.path):
            try:
                with as_export_error(self.job.path, LEFT):
                    if await in_thread(self._opened):
                        return
                    if not self._at.whole:
                        await self._fetch_all()
                    self.job.state = "writing"
                    while not _CONVERTING.acquire(blocking=False):
                        await asyncio.sleep(
                            0.02
                        )  # not in a thread: there are few, and all need them
                    try:
                        stop = threading.Event()
                        await in_thread(lambda: self._finish(stop), stop.set)
                    finally:
                        _CONVERTING.release()
            finally:
                self._close()

    def _close(self) -> None:
        self._spool.close()
        self._rejects.close()
        if self._anew and self.job.state != "done" and not self._checkpoint.exists():
            try:  # nothing was made sure of, so there is nothing to go on from
                remove_sidecars(self.disk, self.job.path)
            except OSError:
                pass  # the failure that led here is the one to report

    def _opened(self) -> bool:
        """Takes up what an interrupted run has left; whether that is the finished file already."""
        job = self.job
        if self.restart:
            remove_sidecars(self.disk, job.path)
        kept = load(self._checkpoint)
        if kept is None:
            if os.path.lexists(self._checkpoint):
                job.note = "its checkpoint was damaged: begun anew"
            self._begin_anew()
            return False
        job.since = kept.begun
        if kept.file is not None and fingerprint(job.path) == kept.file:
            self._at = kept
            self.disk.unlink(self._spool.path)  # killed between two names of one file
            job.already, job.kept = True, kept.rows
            self._rejects.open(keep=True)
            self._show()
            self._done()
            return True
        if self._spool.path.is_file() and not self._spool.path.is_symlink():
            # It may have the mode of the file that it was to replace.
            os.chmod(self._spool.path, self._spool.path.stat().st_mode | 0o600)
        if self._spool.open(kept.size, kept.digest):
            self._at = attrs.evolve(kept, file=None)
            self._rejects.open(keep=True)
            if len(self._rejects) < kept.rejected:
                job.note = "the rejected rows in hand were damaged: begun anew"
                self._begin_anew()
                return False
            if isinstance(self.source, ButtonSource):
                self.source.missing.update(kept.missing)
            for lines in self._spool.blocks():
                self._latest.add_lines(lines)
            job.kept = kept.rows
            self._show()
        else:
            job.note = "the rows in hand were damaged: begun anew"
            self._begin_anew()
        return False

    def _begin_anew(self) -> None:
        self._at, self._anew, self._latest = self._fresh(), True, CreatedHighWater()
        # Not cut off: it may be a second name of a file that is whole.
        self._spool.close()
        self.disk.unlink(self._spool.path)
        self._spool.open(0, self._at.digest)
        self._rejects.open(keep=False)
        self.job.kept, self.job.since = 0, None
        self._show()

    def _show(self) -> None:
        job, at = self.job, self._at
        job.rows, job.pages, job.total = at.rows, at.pages, at.total
        job.missing, job.altered = list(at.missing), at.altered
        job.rejected = len(self._rejects) or at.rejected

    async def _fetch_all(self) -> None:
        if self._at.cursor is None:
            await self._fetch()
            return
        try:
            await self._fetch()
        except (WalkError, ClientMisuse) as error:
            # A walk that is gone on with knows less of the rows before than one that has seen them.
            await in_thread(self._begin_anew)
            self.job.note = f"begun anew: {error}"
            await self._fetch()

    async def _fetch(self) -> None:
        loop = asyncio.get_running_loop()
        self.job.state = "running"
        due, now = loop.time() + self.every, self._at
        failed_to_write = False
        try:
            async with aclosing(self.source.batches(self._at.cursor, self._reject)) as batches:
                async for batch in batches:
                    now = self._added(now, batch.rows)
                    total = now.total if batch.total is None else batch.total
                    now = attrs.evolve(now, total=total, cursor=batch.cursor)
                    self._progress(now)
                    if batch.cursor is not None:
                        # Rows that came behind a place to go on from are fetched again.
                        self._at = now
                        if loop.time() >= due:
                            failed_to_write = True
                            await in_thread(self._save)
                            failed_to_write = False
                            due = loop.time() + self.every
            self._at = attrs.evolve(now, whole=True)
            self._progress(self._at)
        except OSError as error:
            # The last checkpoint holds: a disk that has failed is not asked a second time.
            failed_to_write = not isinstance(error, CallMeBackError)
            raise
        finally:
            if not failed_to_write and (self._at.rows or len(self._rejects)):
                await in_thread(self._save)

    def _added(self, at: Checkpoint, rows: Rows) -> Checkpoint:
        ids, after = rows.ids, self.part.ids.after
        self._spool.append(rows.lines())
        self._latest.add(ids, rows.created)
        lowest, highest = min(ids, default=at.lowest), max(ids, default=at.highest)
        late = [id for id in ids if id <= after] if lowest is not None and lowest <= after else []
        missing = self.source.missing if isinstance(self.source, ButtonSource) else ()
        return attrs.evolve(
            at,
            size=self._spool.size,
            digest=self._spool.digest,
            rows=at.rows + len(rows),
            pages=at.pages + 1,
            lowest=min(filter(None, (at.lowest, lowest)), default=None),
            highest=max(filter(None, (at.highest, highest)), default=None),
            late=[*at.late, *late],
            missing=sorted(missing),
        )

    def _progress(self, at: Checkpoint) -> None:
        job = self.job
        job.rows, job.pages, job.total = at.rows, at.pages, at.total
        job.missing, job.rejected = list(at.missing), len(self._rejects)

    def _reject(self, rejects: Sequence[Reject]) -> None:
        self._rejects.add(rejects)

    def _save(self) -> None:
        """Makes sure of what is in hand, and of where to go on."""
        with as_export_error(self.job.path, LEFT):
            self._spool.sync()
            self._rejects.sync()
            self._at = attrs.evolve(self._at, rejected=len(self._rejects))
            write_atomic(self.disk, self._checkpoint, self._at.to_bytes())

    def _finish(self, stop: threading.Event) -> None:
        """Makes the file from the rows, and lets it appear."""
        path, made = self.job.path, self._spool.path
        if self.on_rows is not None:
            self.on_rows(_until(stop, self._spool.rows()))
        if self.part.more and not (self._at.rows or len(self._rejects)):
            remove_sidecars(self.disk, path)
            self.job.state, self.job.note = "done", "nothing new"
            return
        if isinstance(self.sink, JsonlSink) and self.sink.suffix == "jsonl":
            found = self._at.size, self._at.digest
        else:
            made = sidecar(path, "new")
            self.disk.unlink(made)
            self._convert(made, stop)
            whole = fingerprint(made)
            assert whole is not None
            found = whole
        time, last = self._latest.latest
        self._at = attrs.evolve(self._at, file=found, created_at=time, last=last)
        self._keep_mode(made)
        self._save()
        if isinstance(self.sink, SqliteSink):
            self.sink.free(path)
        try:
            name(self.disk, made, path, overwrite=self.overwrite or self.part.adds)
        except FileExistsError:
            raise ExportError(
                f"{str(path)!r} has appeared while it was exported, and stays: "
                "export to another directory, or with --overwrite (overwrite=True)"
            ) from None
        self._done()

    def _convert(self, made: Path, stop: threading.Event) -> None:
        def written() -> int:
            if isinstance(self.sink, SqliteSink):
                self.sink.free(self.job.path)
            if self.part.adds:
                shutil.copyfile(self.job.path, made)
            rows = self.disk.rows(_until(stop, self._spool.rows()))
            return self.sink.write(rows, self.job.resource, self.record, made)

        try:
            self._at = attrs.evolve(self._at, altered=self.disk.convert(written))
        except _Stopped:
            self.disk.unlink(made)
            raise ExportError("the export was cancelled") from None
        except OSError:
            self.disk.unlink(made)  # it may be what fills the disk
            raise
        self.job.altered = self._at.altered
        file = self.disk.open(made)
        try:
            self.disk.sync(file)
        finally:
            os.close(file)

    def _keep_mode(self, made: Path) -> None:
        """A file that takes the place of another takes its mode too."""
        if self.job.path.exists():
            os.chmod(made, self.job.path.stat().st_mode & 0o777)

    def _done(self) -> None:
        """The file is there; what is left is to say so."""
        if len(self._rejects):
            self._rejects.finish(rejects_path(self.job.path), add=self.part.adds)
            self._rejects.close()
        elif not self._at.rejected and not self.part.adds:
            self.disk.unlink(rejects_path(self.job.path))  # an earlier export's
        at = self._at
        assert at.file is not None
        entry = Entry(
            of={
                key: value
                for key, value in at.of.items()
                if key not in ("after", "upto", "page_size")
            },
            account=self.whose,
            rows=at.rows,
            bytes=at.file[0],
            sha256=at.file[1],
            after=at.of["after"],
            lowest=at.lowest,
            highest=at.highest,
            late=at.late,
            created_at=at.created_at,
            last=at.last,
            rejected=at.rejected,
        )
        before = note(self.disk, self.job.path, entry)
        if self.part.again and before is not None and before.sha256 != entry.sha256:
            self.job.note = "made again, with other bytes: rows were changed or deleted since"
        for kind in ("part", "new", "rejects"):
            self.disk.unlink(sidecar(self.job.path, kind))
        self.job.state, self.job.made = "done", True


def _until(stop: threading.Event, rows: Iterator[bytes]) -> Iterator[bytes]:
    for row in rows:
        if stop.is_set():
            raise _Stopped
        yield row
