"""Runs one job: fetches its rows into a workspace, and has the file written when all are saved."""

from __future__ import annotations

import asyncio
import threading
from array import array
from contextlib import aclosing

from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, WalkError
from voipstudio_cmb.export.store.checkpoint import saved_rows
from voipstudio_cmb.export.store.disk import in_thread, sidecar
from voipstudio_cmb.export.store.failures import as_export_error
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.export.store.marks import MOST_KNOWN
from voipstudio_cmb.export.store.published import published

from .file_writer import FileWriter

_WRITING = threading.Lock()
"""One file is written at a time: they would share one processor, and each holds rows in memory."""

_MOVED = (
    f"more than {MOST_KNOWN:,} rows came that the next export would have to read again: it begins "
    "behind them, and may miss what turned up while this one ran"
)


class JobRunner:
    """Runs one job: fetches from a source into a workspace, of which `writer` makes the file.

    With `restart` it takes up nothing that an interrupted run has left, but for what is published.
    """

    def __init__(self, writer: FileWriter, *, restart: bool) -> None:
        self.writer = writer
        self._restart = restart
        self.job, self.source, self.workspace = writer.job, writer.source, writer.workspace

    async def run(self) -> None:
        """Runs it.

        Raises:
            CallMeBackError: it failed; what was fetched is kept.
        """
        job, workspace, loop = self.job, self.workspace, asyncio.get_running_loop()
        began = loop.time()
        with locked(job.path) as job.note, as_export_error(job.path, self.kept):
            try:
                if await in_thread(self._open):
                    return
                if not workspace.checkpoint.complete:
                    await self._fetch_all()
                job.state = "writing"
                await self._write()
                self._tell_of_ended()
            finally:
                workspace.close(done=job.state == self.writer.ends_as)
                job.seconds = loop.time() - began

    def _tell_of_ended(self) -> None:
        """Where nothing is new, tells of the rows that an interrupted run had added."""
        job, untold = self.job, self.workspace.checkpoint.untold or self.source.file.untold
        if not job.made and untold is not None:
            job.already = job.made = True
            job.rows, job.kept, job.rejected = untold.rows, untold.rows, untold.rejected

    def kept(self) -> str:
        """What can be resumed, in words."""
        rows = saved_rows(sidecar(self.job.path, "checkpoint"))
        return f"{rows:,} rows are kept" if rows else "Nothing of it is kept"

    def _open(self) -> bool:
        """Takes up what an interrupted run has left; returns whether that is the finished file."""
        job, workspace = self.job, self.workspace
        plan, file = self.source.plan, self.source.file
        plan.check_planned(file, published(plan.directory) if plan.since else {})
        if damage := workspace.open(file.before, restart=self._restart):
            job.note = f"{damage}: begun again"
        self.source.missing.update(workspace.checkpoint.missing)
        if workspace.resumed:
            job.since, job.kept = workspace.checkpoint.begun, workspace.checkpoint.rows
        self._show()
        if not workspace.published:
            return False
        job.already = True
        self.writer.close()
        if file.before is None:
            return True
        # That run had ended with this file: what has come since is added to it as well.
        job.already = job.made = False
        job.kept = 0
        workspace.add_more()
        self._show()
        return False

    def _show(self) -> None:
        job, workspace = self.job, self.workspace
        at = workspace.progress
        job.rows, job.pages, job.total = at.rows, at.pages, at.total
        job.missing, job.altered = list(at.missing), at.altered
        job.rejected = len(workspace.rejects) or at.rejected

    async def _fetch_all(self) -> None:
        resumed = self.workspace.checkpoint.cursor is not None
        try:
            await self._fetch()
        except (WalkError, ClientMisuse) as error:
            if not resumed:
                raise
            # A walk that is resumed may know less of the rows before than one that has read them.
            await in_thread(self.workspace.reset)
            job = self.job
            job.kept, job.since, job.note = 0, None, f"begun again: {error}"
            self._show()
            await self._fetch()

    async def _fetch(self) -> None:
        loop, workspace = asyncio.get_running_loop(), self.workspace
        self.job.state = "running"
        due = loop.time() + self.source.plan.checkpoint
        savable = True
        self.source.mark = workspace.checkpoint.mark
        try:
            cursor, add = workspace.checkpoint.cursor, workspace.rejects.add
            async with aclosing(self.source.batches(cursor, add, self._kept_ids)) as batches:
                async for batch in batches:
                    self._begin()
                    workspace.add(batch.rows, batch.cursor, batch.total, self.source.missing)
                    self._show()
                    if batch.cursor is not None and loop.time() >= due:
                        savable = False  # if this fails, or is cancelled while it does
                        await in_thread(workspace.save)
                        savable, due = True, loop.time() + self.source.plan.checkpoint
            self._begin()
            workspace.complete()
            self._show()
            notes = self.job.note, self.source.note, _MOVED if workspace.mark_moved else ""
            self.job.note = "; ".join(filter(None, notes))
        except OSError as error:
            # The last checkpoint holds: a disk that has failed is not asked a second time.
            savable = isinstance(error, CallMeBackError)
            raise
        finally:
            if savable and (workspace.checkpoint.rows or len(workspace.rejects)):
                await in_thread(workspace.save)

    async def _kept_ids(self, through: int) -> array[int]:
        return await in_thread(lambda: self.workspace.ids(through))

    def _begin(self) -> None:
        assert self.source.mark is not None
        self.workspace.begin(self.source.mark)

    async def _write(self) -> None:
        while not _WRITING.acquire(blocking=False):
            await asyncio.sleep(0.02)  # not in a thread: there are few, and all need them
        try:
            stop = threading.Event()
            await in_thread(lambda: self.writer.write(stop), stop.set)
        finally:
            _WRITING.release()
