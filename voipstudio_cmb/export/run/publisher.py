"""Publishes the files of an export in an object store: a stage behind the one to a directory.

Each new file goes by one put that replaces nothing, then the manifest. What the manifest does not
list is not there. It is changed by compare-and-swap, and last: of two exports that publish the same
file one does; the other finds an equal one there, or fails.

An object that is in the way is replaced: with `overwrite`, or where the manifest does not list it,
as one that a killed run has left. Before that, the manifest says who replaces it. From then on
nobody else can list that name, who may have put the object that is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.errors import CallMeBackError, ExportError
from voipstudio_cmb.export.store.disk import fingerprint, in_thread, rejects_path, status
from voipstudio_cmb.export.store.failures import as_export_error
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry, manifest_of, read_manifest
from voipstudio_cmb.export.store.objects import Version

from .job import Job
from .store_workspace import Listed, StoreWorkspace

_TRIES = 100
"""How often others may change the manifest before a change of ours."""

_PUTS = 3
"""How often a put may find another object than there was before."""

_NEVER: Version = {"e_tag": '"of-no-manifest"', "version": "1"}
"""A version that no manifest has."""


class Publisher:
    """Publishes what has been made in a `workspace` that was fetched."""

    def __init__(self, workspace: StoreWorkspace) -> None:
        self._workspace = workspace
        self._plan, self._store = workspace.plan, workspace.store
        self._own = workspace.token, f"{workspace.token}, over another one"
        """What the manifest says where this workspace replaces an object."""
        self._claims: Mapping[str, str] = {}
        self._put_names: list[str] = []

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Publishes the files of `jobs` that are made, all at once; where it fails, they have."""
        ready = [job for job in jobs if job.state == "publishing"]
        # In an order that all exports have: of those that meet, one is the last to claim the first.
        made = sorted((job for job in ready if status(job.path)), key=lambda job: job.path.name)
        try:
            with as_export_error(self._plan.directory, _kept):
                listed = read_manifest(self._plan.directory)
            if made:
                await self._prepare()
            for job in made:
                await self._publish(job.path, listed[job.path.name])
            if made:
                await self._commit({job.path.name: listed[job.path.name] for job in made})
        except CallMeBackError as error:
            for job in made:
                # A copy, without the traceback: its frames hold the jobs.
                job.state, job.error, job.made = "failed", error.with_context(), False
                job.resumable = getattr(error, "resumable", True)
        for job in ready:
            if job.state == "publishing":
                job.state = "done"
        for job in jobs:
            if job.made:
                job.url = self._plan.shown(job.path)

    async def _prepare(self) -> None:
        """Makes a manifest that lists nothing, if there is none, and tries if the store is safe."""
        listed = await in_thread(self._workspace.read)
        self._claims = listed.replacing
        if listed.entries:
            return
        nothing = manifest_of({})
        if listed.version is None:
            await self._store.create(MANIFEST, nothing, {})
        if await self._store.create(MANIFEST, nothing, {}) or await self._store.replace(
            MANIFEST, nothing, {}, _NEVER
        ):
            raise ExportError(
                f"the store of '{self._workspace.url.store}' ignores the conditions of a put "
                "(If-Match and If-None-Match), so that two exports could damage each other: export "
                "to a directory, and copy what is complete",
                resumable=False,
            )

    async def _publish(self, path: Path, entry: Entry) -> None:
        await self._put(path, entry.sha256, entry.rows)
        if entry.rejects:
            rejects = rejects_path(path)
            with as_export_error(rejects, _kept):
                made = await in_thread(lambda: fingerprint(rejects))
            if made is not None:
                await self._put(rejects, made[1], entry.rejected)

    async def _put(self, path: Path, sha256: str, rows: int) -> None:
        name, notes = path.name, {"sha256": sha256, "rows": str(rows)}
        found = self._workspace.found.get(name)
        contested, claimed = self._claims.get(name, self._workspace.token) not in self._own, False
        self._put_names.append(name)
        for _ in range(_PUTS):
            if found is not None and await self._store.noted_sha256(name) == sha256:
                if contested:
                    # Who has claimed it too could still replace it: equal objects have one version.
                    raise self._changed(name)
                return  # by an interrupted run or another one
            if found is not None or contested:
                contested = await self._claim(name, again=claimed) or contested
                claimed = True
            if found is None:
                if await self._store.create(name, path, notes):
                    return
            elif await self._store.replace(name, path, notes, found.version):
                return
            found = (await in_thread(self._store.list))[0].get(name)
        raise self._changed(name)

    async def _claim(self, name: str, *, again: bool) -> bool:
        """Has the manifest say that this workspace replaces an object, or checks that it does.

        Returns whether another one had claimed it before.
        """
        plain, over = self._own
        value = plain

        def claim(listed: Listed) -> Listed | None:
            nonlocal value
            self._check_series(listed, {})
            self._check_claims(listed, but=name)
            held = listed.replacing.get(name)
            if held in self._own:
                value = held
                return None
            if again:  # another one has taken it over, and has seen what exists
                raise self._changed(name)
            value = plain if held is None else over
            return attrs.evolve(listed, replacing={**listed.replacing, name: value})

        await self._swap(claim)
        return value == over

    async def _commit(self, made: Mapping[str, Entry]) -> None:
        """Has the manifest list what was `made`, unless another export has changed the series."""

        def commit(listed: Listed) -> Listed | None:
            self._check_series(listed, made)
            self._check_claims(listed)
            new = {n: each for n, each in made.items() if not _same(each, listed.entries.get(n))}
            left = {n: each for n, each in listed.replacing.items() if n not in self._put_names}
            if not new and left == listed.replacing:
                return None
            return attrs.evolve(listed, entries={**listed.entries, **new}, replacing=left)

        await self._swap(commit)

    def _check_series(self, listed: Listed, made: Mapping[str, Entry]) -> None:
        """Checks that the store has of the series what it had, or perhaps what was `made` here."""
        now, before = self._workspace.own(listed.entries), self._workspace.before
        for name in sorted({*now, *before}):
            mine, entry = made.get(name), now.get(name)
            if entry != before.get(name) and (mine is None or not _same(mine, entry)):
                raise self._changed(name)

    def _check_claims(self, listed: Listed, but: str = "") -> None:
        """Checks that nobody else replaces what this export has put, `but` perhaps that object."""
        for name in self._put_names:
            if name != but and listed.replacing.get(name, self._workspace.token) not in self._own:
                raise self._changed(name)

    async def _swap(self, change: Callable[[Listed], Listed | None]) -> None:
        """Changes the manifest to what `change` makes of it; None: it stays."""
        for _ in range(_TRIES):
            listed = await in_thread(self._workspace.read)
            new = change(listed)
            if new is None:
                return
            data = manifest_of(new.entries, new.replacing)
            if listed.version is None:
                if await self._store.create(MANIFEST, data, {}):
                    return
            elif await self._store.replace(MANIFEST, data, {}, listed.version):
                return
        raise self._changed(MANIFEST)

    def _changed(self, name: str) -> ExportError:
        return ExportError(
            f"another export publishes '{self._plan.shown()}/{name}', with another content: run "
            "the same export again when that has ended. If it stays so and none runs, it was "
            "killed, and its disk was lost: delete that object first",
            retryable=True,
        )


def _kept() -> str:
    return "What was fetched is kept"


def _same(made: Entry, listed: Entry | None) -> bool:
    return listed is not None and (listed.sha256, listed.rows) == (made.sha256, made.rows)
