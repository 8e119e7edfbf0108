"""The hidden files of one job, and the checkpoint that counts what is in them."""

from __future__ import annotations

import stat
from array import array
from collections.abc import Callable
from pathlib import Path

import attrs

from voipstudio_cmb.codec.rows import dated_lines
from voipstudio_cmb.models import Rows

from .checkpoint import Checkpoint, load
from .disk import (
    Disk,
    fingerprint,
    remove_sidecars,
    sidecar,
    status,
    sync_directory,
    write_atomic,
)
from .ended import Made
from .failures import left_out
from .manifest import Entry
from .marks import KnownRows, Mark
from .rejects import Rejects
from .spool import Spool


class Workspace:
    """What is kept beside the file `path` until it is published; a new export begins as `fresh`.

    `keep_reject` says by the digest of a rejected row whether it is kept too.
    """

    checkpoint: Checkpoint
    """Where the export can be resumed, once that is saved."""
    progress: Checkpoint
    """How far it has come: perhaps a few rows further."""
    resumed: bool
    """Whether it continues what an interrupted run has left."""
    published: bool
    """Whether that run had published the file."""

    def __init__(
        self, path: Path, disk: Disk, fresh: Checkpoint, keep_reject: Callable[[str], bool]
    ) -> None:
        self.path = path
        self.disk = disk
        self.spool = Spool(sidecar(path, "part"), disk)
        self.rejects = Rejects(sidecar(path, "rejects"), disk, keep_reject)
        self.checkpoint = self.progress = self._fresh = fresh
        self.resumed = self.published = self._reset = False
        self._file = sidecar(path, "checkpoint")
        self._known = _known_of(fresh)

    def open(self, recorded: Entry | None = None, *, restart: bool = False) -> str:
        """Takes up what an interrupted run has left; returns why that is damaged, if it is.

        The run had published the file if that is as it left it, or has been `recorded` as such.
        With `restart` nothing but that is taken up.
        """
        saved, damage = load(self._file), ""
        if saved is not None:
            self._fresh = attrs.evolve(self._fresh, untold=saved.untold)
            if not restart or (recorded is not None and saved.entry == recorded):
                damage = self._restore(saved, recorded)
        elif status(self._file) is not None:
            damage = "its checkpoint was damaged"
        if damage or not self.resumed:
            self.reset()
        return damage

    def _restore(self, saved: Checkpoint, recorded: Entry | None) -> str:
        self.resumed = True
        self.published = saved.entry is not None and (
            saved.entry == recorded or fingerprint(self.path) == saved.file
        )
        spool = self.spool.path
        if self.published:
            self.checkpoint = self.progress = saved
            self.disk.unlink(spool)  # killed between two names of one file
            self.rejects.open(keep=True)
            return ""
        if saved.adds != self._fresh.adds:
            return "the file that its rows continue has gone"
        found = status(spool)
        if found is not None and stat.S_ISREG(found.st_mode):
            # It may have the mode of the file that it was to replace.
            with left_out("chmod"):
                self.disk.chmod(spool, found.st_mode | 0o600)
        if not self.spool.open(saved.size, saved.digest):
            return "the saved rows were damaged"
        self.rejects.open(keep=True)
        if len(self.rejects) < saved.rejected:
            return "the saved rejected rows were damaged"
        self.checkpoint = self.progress = attrs.evolve(saved, entry=None)
        self._known = _known_of(saved)
        for lines in self.spool.blocks():
            self._known.add(*dated_lines(lines))
        return ""

    def add_more(self) -> None:
        """Begins with what has come since the file was published, to which that is added."""
        ended = self.checkpoint
        made = Made(rows=ended.rows, rejected=ended.rejected)
        self._fresh = attrs.evolve(self._fresh, begun=ended.begun, untold=made)
        self.reset()

    def reset(self) -> None:
        """Begins again, with nothing."""
        self.checkpoint = self.progress = self._fresh
        self.resumed = self.published = False
        self._reset, self._known = True, _known_of(self._fresh)
        self.spool.close()
        self.rejects.close()
        if self._fresh.untold is None:
            self.disk.unlink(self._file)  # what it counts goes now
        # Not cut off: it may be a second name of a complete file.
        self.disk.unlink(self.spool.path)
        self.disk.unlink(self.rejects.path)
        if self._fresh.untold is not None:
            sync_directory(self.disk, self.path.parent)  # or those rejects would be resumed
            write_atomic(self.disk, self._file, self._fresh.to_bytes())
        self.spool.open(0, self._fresh.digest)
        self.rejects.open(keep=False)

    def begin(self, mark: Mark) -> None:
        """Notes where the next export begins, unless that is known."""
        if self.progress.mark is None:
            self.checkpoint = self.checkpoint.with_mark(mark)
            self.progress = self.progress.with_mark(mark)
            self._known = _known_of(self.progress)

    def add(self, rows: Rows, cursor: str | None, total: int | None, missing: set[int]) -> None:
        """Adds the `rows` of one page. Without a `cursor` they are fetched again on resumption."""
        self.spool.append(rows.lines())
        self._known.add(rows.ids, rows.created)
        before = self.progress
        self.progress = attrs.evolve(
            before.with_ids(rows.ids),
            size=self.spool.size,
            digest=self.spool.digest,
            pages=before.pages + 1,
            total=before.total if total is None else total,
            cursor=cursor,
            missing=sorted(missing),
        )
        if cursor is not None:
            self.checkpoint = self.progress

    def ids(self, through: int) -> array[int]:
        """The ids of the rows so far, up to one of them, in the order that they came in."""
        ids = array("q")
        for lines in self.spool.blocks():
            ids.extend(id for id in dated_lines(lines)[0] if id <= through)
        return ids

    @property
    def mark_moved(self) -> bool:
        """Whether so many rows came behind the mark that the next export begins behind them."""
        return self._known.moved

    def complete(self) -> None:
        """Notes that these are all rows."""
        self.checkpoint = self.progress = attrs.evolve(self.progress, complete=True)

    def finish(self, made: tuple[int, str], altered: int, join: Callable[[Entry], Entry]) -> None:
        """Saves what the finished file is, before it is published: `join` makes its entry.

        `made` are its size and its SHA-256.
        """
        # What was deleted before it was read is no reason to begin behind it.
        highest = max(self.checkpoint.after, self.checkpoint.highest or 0)
        mark = attrs.evolve(self._known.mark, id=min(self._known.mark.id, highest))
        finished = attrs.evolve(
            self.checkpoint.with_mark(mark),
            altered=altered,
            known=self._known.packed(),
            recent=self._known.recent,
            rejected=len(self.rejects),
        )
        entry = join(finished.entry_of(made, self.rejects.digests))
        self.checkpoint = attrs.evolve(finished, entry=entry)
        self.save()

    def save(self) -> None:
        """Returns when the rows, and the checkpoint that counts them, are on the disk."""
        self.spool.sync()
        self.rejects.sync()
        self.checkpoint = attrs.evolve(self.checkpoint, rejected=len(self.rejects))
        write_atomic(self.disk, self._file, self.checkpoint.to_bytes())

    def close(self, *, done: bool) -> None:
        """Closes the files. They stay unless there is nothing to resume from."""
        self.spool.close()
        self.rejects.close()
        if self._reset and not done:
            try:
                if status(self._file) is None:
                    remove_sidecars(self.disk, self.path)
            except OSError:
                pass  # the failure that led here is the one to report


def _known_of(checkpoint: Checkpoint) -> KnownRows:
    return KnownRows(checkpoint.mark or Mark(), checkpoint.after)
