"""Has the workspace of an export to an object store go on from what the store has.

A workspace is a directory as any other export has it, and may be lost at any time between two runs:
then the next one, on whatever machine, goes on from the store's manifest. Files that are in the
store are not kept in it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import attrs

from voipstudio_cmb.errors import ClientMisuse, ExportError
from voipstudio_cmb.export.plan.place import StoreUrl, open_store
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.plan.series import series_form
from voipstudio_cmb.export.store.disk import (
    Disk,
    make_directory,
    read,
    rejects_path,
    remove_sidecars,
    sidecar,
    status,
    write_atomic,
)
from voipstudio_cmb.export.store.failures import before_sending
from voipstudio_cmb.export.store.lock import directory_locked, locked
from voipstudio_cmb.export.store.manifest import (
    MANIFEST,
    Entry,
    manifest_of,
    parse_manifest,
    read_manifest,
    replacing_in,
)
from voipstudio_cmb.export.store.objects import Found, Version
from voipstudio_cmb.export.store.published import published
from voipstudio_cmb.export.store.seen import Seen, load_seen, write_seen

from .job import Job


@attrs.frozen(kw_only=True)
class Listed:
    """What the store's manifest says."""

    entries: Mapping[str, Entry]
    """The files that are there."""
    replacing: Mapping[str, str]
    """The objects that exports are replacing, and the token of the workspace that does it."""
    version: Version | None
    """Which version of the manifest it is; None: there is none."""


class StoreWorkspace:
    """The workspace of `plan`, whose address is that of an object store.

    It is a context: what `fetch` has locked is free at its end.

    Raises:
        ClientMisuse: the store can't be used.
    """

    before: Mapping[str, Entry]
    """What the store's manifest said of the series of the plan when it was fetched."""
    found: Mapping[str, Found]
    """The objects that were there then."""
    token: str
    """What stands for this workspace and no other one, for as long as it exists."""

    def __init__(self, plan: Plan, disk: Disk | None = None) -> None:
        assert isinstance(plan.to, StoreUrl)
        self.plan, self.url = plan, plan.to
        self.store = open_store(self.url)
        self.before, self.found, self.token = {}, {}, ""
        self._disk = disk or Disk()
        self._locks = contextlib.ExitStack()
        self._forms = [(plan.path(name), series_form(name, plan.sink)) for name in plan.resources]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._locks.close()

    def fetch(self) -> None:
        """Has it go on from what the store has, and locks it.

        Raises:
            ClientMisuse: the store can't be used, or what it holds is no such export.
            ExportError: the store can't be reached now, or another run has the workspace.
        """
        directory = self.plan.directory
        try:
            make_directory(self._disk, directory)
        except OSError as error:
            raise ClientMisuse(
                f"the workspace {str(directory)!r} can't be written ({error.strerror}): choose "
                "another with --workspace (workspace=)"
            ) from None
        for first, _ in self._forms:
            self._lock(first)
        try:
            self.found, _ = self.store.list()
            listed = self.read()
        except ExportError as error:
            if error.retryable:
                raise
            raise ClientMisuse(error.message) from None  # as nothing was sent to the API
        self.before = self.own(listed.entries)
        if self.plan.since:
            self._check_unchanged()
        with before_sending(directory):
            self.token = self._own_token(directory / ".token")
            for first, _ in self._forms:
                self._take_up(first)

    def _own_token(self, path: Path) -> str:
        try:
            return read(path).decode("ascii")
        except FileNotFoundError:
            write_atomic(self._disk, path, secrets.token_hex(8).encode())
            return read(path).decode("ascii")

    def _lock(self, first: Path) -> None:
        path = first.with_name(f"{first.name}.store")
        try:
            self._locks.enter_context(locked(path))
        except ExportError as error:
            shown = error.message.replace(repr(str(path)), repr(self.plan.shown(first)))
            raise error.with_context(message=shown) from None

    def read(self) -> Listed:
        """What the store's manifest says now."""
        found = self.store.read(MANIFEST)
        if found is None:
            return Listed(entries={}, replacing={}, version=None)
        data, version = found
        entries = parse_manifest(data, f"{self.plan.shown()}/{MANIFEST}")
        return Listed(entries=entries, replacing=replacing_in(data), version=version)

    def own(self, entries: Mapping[str, Entry], first: Path | None = None) -> dict[str, Entry]:
        """Those of `entries` that belong to the series of this plan, or to the `first` one."""
        forms = [form for path, form in self._forms if first in (None, path)]
        return {
            name: each for name, each in entries.items() if any(f.fullmatch(name) for f in forms)
        }

    def _check_unchanged(self) -> None:
        """Checks that what an export continues is as it was published, as far as it exists."""
        for name, entry in self.before.items():
            found = self.found.get(name)
            if found is None:
                continue
            how = None
            if found.size != entry.bytes:
                how = f"it has {found.size:,} bytes, not {entry.bytes:,}"
            elif self.plan.verify and self.store.sha256(name) != entry.sha256:
                how = "its SHA-256 is another one"
            if how:
                raise ClientMisuse(
                    f"'{self.plan.shown()}/{name}' is not as {MANIFEST} says ({how}): it was "
                    "changed or damaged since it was published. Delete it, so that the same "
                    "command makes it again, or export to another prefix"
                )

    def _take_up(self, first: Path) -> None:
        """Has the workspace say of one series what the store says, and what it has made since."""
        directory, now = self.plan.directory, self.own(self.before, first)
        try:
            made = self.own(published(directory), first)
        except ClientMisuse:  # damaged, and it says nothing that the store does not
            self._disk.unlink(directory / MANIFEST)
            made = {}
        made = {name: entry for name, entry in made.items() if status(directory / name)}
        seen = load_seen(first)
        if seen is None or _without(seen.entries, made, now) != _without(now, made, now):
            # The store has moved on without this workspace, which begins from there.
            self._forget(first)
            made = {}
        with directory_locked(directory):
            others = read_manifest(directory)
            for name in self.own(others, first):
                del others[name]
            write_atomic(self._disk, directory / MANIFEST, manifest_of({**others, **now, **made}))
        present = sorted(name for name in now if name in self.found)
        write_seen(self._disk, first, Seen(entries=now, present=present))

    def _forget(self, first: Path) -> None:
        form = dict(self._forms)[first]
        names = {first.name}
        for name in os.listdir(first.parent):
            if begins := form.match(name.removeprefix(".")):
                names.add(begins[0])
        for path in map(first.with_name, sorted(names)):
            remove_sidecars(self._disk, path)
            self._remove(path)

    def _remove(self, path: Path) -> None:
        for each in (path, rejects_path(path)):
            found = status(each)
            if found is not None and stat.S_ISREG(found.st_mode):
                self._disk.unlink(each)

    def clean_up(self, jobs: Sequence[Job]) -> None:
        """Removes the files of `jobs` that are published, unless a run could resume them."""
        for job in jobs:
            if job.state == "done":
                with contextlib.suppress(OSError, ExportError), locked(job.path):
                    if status(sidecar(job.path, "checkpoint")) is None:
                        self._remove(job.path)


def _without(
    entries: Mapping[str, Entry], made: Mapping[str, Entry], now: Mapping[str, Entry]
) -> dict[str, Entry]:
    """The `entries` but for those that the store has `now` because they were made here."""
    committed = {name for name, entry in made.items() if now.get(name) == entry}
    return {name: each for name, each in entries.items() if name not in committed}
