"""The checks before an export: whether its files can be written, and what can be resumed.

They read the directory, and at most make it. A database that another program has left unfinished is
completed.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.boundary.checks import quoted_path
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.store.checkpoint import Checkpoint, load
from voipstudio_cmb.export.store.contents import Identity, owner_hash
from voipstudio_cmb.export.store.disk import (
    Disk,
    fingerprint,
    make_directory,
    rejects_path,
    sidecar,
    status,
)
from voipstudio_cmb.export.store.ended import untold
from voipstudio_cmb.export.store.failures import before_sending, passing
from voipstudio_cmb.export.store.manifest import MANIFEST
from voipstudio_cmb.export.store.published import published
from voipstudio_cmb.export.store.seen import kept
from voipstudio_cmb.export.store.state import Finished, Fresh, Interrupted, State
from voipstudio_cmb.models import RECORDS

from .files import OutputFile
from .plan import Plan
from .unchanged import check_unchanged


class Preflight:
    """The checks before `plan` writes `files` with what the API at `base_url` has.

    The directory is made on the `disk` if it does not exist; without a disk it is only looked at.
    `mark` is the file that says that a run has completed them, and was interrupted before it could
    tell.

    Raises:
        ClientMisuse: the directory can't be written, its manifest is none, a file can't be written
            or exists, or another export was interrupted.
        ExportError: what is in the directory can't be read now, or the disk is full.
    """

    states: Sequence[State]
    """What earlier runs have left of each file."""

    def __init__(
        self,
        plan: Plan,
        files: Sequence[OutputFile],
        base_url: str,
        *,
        mark: Path,
        disk: Disk | None = None,
    ) -> None:
        self._plan = plan
        self._mark = mark
        self._files = files
        self._base_url = base_url
        self._dry_run = disk is None
        with before_sending(plan.directory):
            _check_directory(plan.directory, disk)
            self._entries = published(plan.directory)
            self.states = self._checked_states()

    def _checked_states(self) -> Sequence[State]:
        if not self._dry_run:  # it may complete what another program has left
            for file in self._files:
                self._plan.sink.check(file.path)
        if not self._plan.since:
            self._check_not_incremental()
        else:
            self._check_unchanged()
        checkpoints, obstacles, identities = [], [], []
        for file in self._files:
            self._plan.check_planned(file, self._entries)
            fresh = self._plan.begin(file, self._base_url)
            checkpoints.append(self._checkpoint(file, fresh))
            identities.append(fresh.identity)
            if self._plan.since:
                self._check_series(fresh.identity)
            self._check_highest(file)
            obstacles.append(self._obstacle(file, checkpoints[-1]))
        blocked = [path for path in obstacles if path is not None]
        if not blocked:
            pairs = zip(self._files, checkpoints, strict=True)
            return [_state(file, checkpoint) for file, checkpoint in pairs]
        # All may be done: a run can be interrupted while it removes its checkpoints.
        each = zip(self._files, checkpoints, obstacles, identities, strict=True)
        ended = [self._ended(*one) for one in each]
        plan = self._plan
        marked = untold(self._mark, plan.directory, restart=plan.restart) is not None
        interrupted = any(checkpoints) or marked
        if interrupted and not any(isinstance(state, Fresh) for state in ended):
            return ended
        if plan.since:
            raise ClientMisuse(
                f"{plan.shown(blocked[0])!r} exists, and {MANIFEST} does not list it: move it "
                "away, or export to another directory"
            )
        entry, found = self._entries.get(blocked[0].name), status(blocked[0])
        exported = entry is not None and (found is None or found.st_size == entry.bytes)
        more = 'add what is new with --since last (since="last"), ' if exported else ""
        raise ClientMisuse(
            f"{plan.shown(blocked[0])!r} exists: {more}choose another directory, or allow it to be "
            "replaced with --overwrite (overwrite=True)"
        )

    def check_owner(self, *identities: str) -> None:
        """Raises ClientMisuse if a file that is continued has none of these `identities`."""
        owners = {owner_hash(identity, self._base_url) for identity in identities}
        appended = {file.path.name for file in self._files if file.append}
        appended |= {
            file.path.name
            for file, state in zip(self._files, self.states, strict=True)
            if isinstance(state, Finished)
        }
        for name, entry in self._entries.items():
            series = self._plan.since and entry.identity["resource"] in self._plan.resources
            if (series or name in appended) and entry.owner_hash not in owners:
                raise ClientMisuse(
                    f"{name!r} in {self._plan.shown()!r} is another account's: use its token, or "
                    "export to another directory"
                )
        for file, state in zip(self._files, self.states, strict=True):
            if isinstance(state, Interrupted) and state.checkpoint.owner_hash not in owners:
                raise ClientMisuse(
                    f"the interrupted export to {str(file.path)!r} is another account's: use its "
                    "token, or begin again with --restart (restart=True)"
                )

    def _checkpoint(self, file: OutputFile, fresh: Checkpoint) -> Checkpoint | None:
        checkpoint, plan = load(sidecar(file.path, "checkpoint")), self._plan
        if checkpoint is None:
            return None
        made = checkpoint.file
        finished = made is not None and made == fingerprint(file.path)
        if plan.restart and (plan.overwrite or not finished):
            return None
        entry = self._entries.get(file.path.name)
        published = checkpoint.entry is not None and checkpoint.entry == entry
        gone = checkpoint.adds and not file.append
        ended = plan.since is not None and (published or gone)
        if ended:
            # The interrupted run has ended with this file, so that other ids are new now; or the
            # rows that it was to add them to have gone, and all are fetched.
            fresh = attrs.evolve(
                fresh,
                after=checkpoint.after,
                since=checkpoint.since,
                page_size=checkpoint.page_size,
            )
        if differences := checkpoint.differences(fresh):
            if plan.restart:
                return None
            raise ClientMisuse(
                f"an export to {str(file.path)!r} was interrupted, and this is another one: "
                f"{'; '.join(differences)}. Run that one again to end it, or begin again with "
                "--restart (restart=True)"
            )
        return None if ended and plan.sink.appends else checkpoint

    def _ended(
        self,
        file: OutputFile,
        checkpoint: Checkpoint | None,
        obstacle: Path | None,
        identity: Identity,
    ) -> State:
        """What is left of a file that is complete; `Fresh` if it is not."""
        if obstacle is None:
            complete = checkpoint and checkpoint.file and status(file.path)
            return Interrupted(checkpoint) if checkpoint and complete else Fresh()
        entry = self._entries.get(obstacle.name)
        if checkpoint or entry is None or entry.identity != identity:
            return Fresh()
        made = (entry.bytes, entry.sha256)
        there = self._in_store(obstacle) or fingerprint(obstacle) == made
        return Finished(entry) if there else Fresh()

    def _in_store(self, path: Path) -> bool:
        """Whether an object store has the file, and the directory does not."""
        return status(path) is None and any(
            path.name in kept(self._plan.path(name)) for name in self._plan.resources
        )

    def _check_highest(self, file: OutputFile) -> None:
        if not file.append:
            return
        highest = self._plan.sink.highest_id(file.path, file.resource, RECORDS[file.resource])
        entry = self._entries.get(file.path.name)
        recorded = 0 if entry is None else entry.highest or 0
        if file.incremental and highest is not None and highest < recorded:
            raise ClientMisuse(
                f"{str(file.path)!r} has ids up to {highest}, and {MANIFEST} says "
                f"{recorded}: it is another file, or rows were deleted from it. Export once "
                "without --since"
            )

    def _check_not_incremental(self) -> None:
        plan = self._plan
        for name, entry in self._entries.items():
            resource = entry.identity["resource"]
            numbered = name.endswith(f".{plan.sink.suffix}") and name != plan.path(resource).name
            if resource in plan.resources and numbered:
                raise ClientMisuse(
                    f"{plan.shown()!r} holds an incremental export ({name}): continue it with "
                    '--since last (since="last"), or export to another directory'
                )

    def _check_unchanged(self) -> None:
        """Checks that the files before those of this export are as they were written."""
        for name, entry in self._entries.items():
            resource, format = entry.identity["resource"], entry.identity["format"]
            if resource in self._plan.resources and format == self._plan.sink.suffix:
                check_unchanged(self._plan, self._plan.directory / name, entry)

    def _check_series(self, identity: Identity) -> None:
        """Checks that a file of this `identity` continues those before it."""
        now = dict(identity)
        for name, entry in self._entries.items():
            before = dict(entry.identity)
            if any(before[what] != now[what] for what in ("resource", "format")):
                continue
            for what in ("API", "filters", "csv_null", "columns"):
                if before[what] != now[what]:
                    raise ClientMisuse(
                        f"{name!r} in {self._plan.shown()!r} is another export ({what} was "
                        f"{before[what]!r} and is {now[what]!r}): ask for the same again, or "
                        "export to another directory"
                    )

    def _obstacle(self, file: OutputFile, checkpoint: Checkpoint | None) -> Path | None:
        """What is in the way of the file and may not be replaced, if anything is.

        Raises:
            ClientMisuse: it can never be replaced.
        """
        path, overwrite = file.path, self._plan.overwrite
        found = status(path)
        if found is None:
            rejects = rejects_path(path)
            ours = overwrite or file.recreate or checkpoint is not None
            if self._in_store(path):
                return None if overwrite or file.finished else path
            return None if ours or status(rejects) is None else rejects
        mode = found.st_mode
        if stat.S_ISDIR(mode):
            raise ClientMisuse(f"{str(path)!r} is a directory where a file should go")
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise ClientMisuse(f"{str(path)!r} exists and is {kind}: remove it first")
        if overwrite or file.append or file.finished:
            return None
        made = checkpoint.file if checkpoint else None
        return None if made is not None and fingerprint(path) == made else path


def _state(file: OutputFile, checkpoint: Checkpoint | None) -> State:
    if checkpoint is not None:
        return Interrupted(checkpoint)
    return Fresh() if file.finished is None else Finished(file.finished)


def _check_directory(to: Path, disk: Disk | None) -> None:
    try:
        if disk is not None:
            make_directory(disk, to)
        if disk is not None or status(to) is not None:
            with tempfile.TemporaryFile(dir=to, prefix="."):  # hidden, if it has to stay
                return
        above = next(parent for parent in to.absolute().parents if os.path.lexists(parent))
        if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
            return
        reason = f"{str(above)!r} is no directory to write to"
    except ValueError as error:
        reason = str(error)
    except OSError as error:
        if passing(error) and not isinstance(error, PermissionError | FileNotFoundError):
            raise
        number = errno.ENOTDIR if isinstance(error, FileExistsError) else error.errno
        reason = os.strerror(number) if number else str(error)
    raise ClientMisuse(
        f"the export directory {quoted_path(to, '(--to)')} can't be written ({reason}): choose "
        "another with --to, or fix its permissions"
    )
