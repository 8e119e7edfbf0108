"""Publishes the files of an export in an object store: a stage behind the one to a directory.

Each new file goes by one put that replaces nothing, then the manifest. What the manifest does not
list is not there. It is changed by compare-and-swap, and last: of two exports that publish the same
file one does; the other finds an equal one there, or fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from voipstudio_cmb.errors import CallMeBackError, ExportError
from voipstudio_cmb.export.store.disk import fingerprint, in_thread, rejects_path, status
from voipstudio_cmb.export.store.failures import as_export_error
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry, manifest_of, read_manifest
from voipstudio_cmb.export.store.objects import Version

from .job import Job
from .store_workspace import StoreWorkspace

_TRIES = 100
"""How often others may change the manifest before a change of ours."""

_NEVER: Version = {"e_tag": '"of-no-manifest"', "version": "1"}
"""A version that no manifest has."""


class Publisher:
    """Publishes what has been made in a `workspace` that was fetched."""

    def __init__(self, workspace: StoreWorkspace) -> None:
        self._workspace = workspace
        self._plan, self._store = workspace.plan, workspace.store

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Publishes the files of `jobs` that are done; a job whose file can't be has failed."""
        made: dict[str, Entry] = {}
        ready = [job for job in jobs if job.state == "publishing"]
        done = [job for job in ready if status(job.path)]
        try:
            with as_export_error(self._plan.directory, _kept):
                listed = read_manifest(self._plan.directory)
            if done:
                await self._prepare()
            for job in done:
                await self._publish(job.path, listed[job.path.name])
                made[job.path.name] = listed[job.path.name]
            if made:
                await self._commit(made)
        except CallMeBackError as error:
            for job in done:
                # A copy, without the traceback: its frames hold the jobs.
                job.state, job.error = "failed", error.with_context()
                job.made, job.resumable = False, getattr(error, "resumable", True)
        for job in ready:
            if job.state == "publishing":
                job.state = "done"
        for job in jobs:
            if job.made:
                job.url = self._plan.shown(job.path)

    async def _prepare(self) -> None:
        """Makes a manifest that lists nothing, if there is none, and tries if the store is safe."""
        entries, version = await in_thread(self._workspace.read)
        if entries:
            return
        nothing = manifest_of({})
        if version is None:
            await self._store.create(MANIFEST, nothing, {})
        if await self._store.create(MANIFEST, nothing, {}) or await self._store.replace(
            MANIFEST, nothing, {}, _NEVER
        ):
            raise ExportError(
                f"the store of {self._plan.shown()!r} ignores the conditions of a put (If-Match "
                "and If-None-Match), so that two exports could damage each other: export to a "
                "directory, and copy what is complete",
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
        if found is None:
            if await self._store.create(name, path, notes):
                return
        elif self._plan.overwrite and await self._store.replace(name, path, notes, found.version):
            return
        if await self._store.noted_sha256(name) != sha256:  # of an interrupted run or another one
            raise self._taken(path)

    def _taken(self, path: Path) -> ExportError:
        return ExportError(
            f"{self._plan.shown(path)!r} is there with another content, which {MANIFEST} does not "
            "list: another export is publishing it, or was killed while it did. Run the same "
            "export again when that has ended; if none runs, delete the object first",
            retryable=True,
        )

    async def _commit(self, made: Mapping[str, Entry]) -> None:
        """Has the manifest list what was `made`, unless another export has changed the series."""
        for _ in range(_TRIES):
            entries, version = await in_thread(self._workspace.read)
            same = {name for name, each in made.items() if _same(each, entries.get(name))}
            theirs, before = dict(self._workspace.own(entries)), dict(self._workspace.before)
            for name in made:
                old, new = before.pop(name, None), theirs.pop(name, None)
                if name not in same and new != old:
                    raise self._changed(name)
            if theirs != before:
                raise self._changed(MANIFEST)
            if len(same) == len(made):
                return
            merged = {**entries, **{n: each for n, each in made.items() if n not in same}}
            data = manifest_of(merged)
            if version is None:
                if await self._store.create(MANIFEST, data, {}):
                    return
            elif await self._store.replace(MANIFEST, data, {}, version):
                return
        raise self._changed(MANIFEST)

    def _changed(self, name: str) -> ExportError:
        return ExportError(
            f"another export has published '{self._plan.shown()}/{name}' meanwhile, with another "
            "content: run the same export again, which goes on from there",
            retryable=True,
        )


def _kept() -> str:
    return "What was fetched is kept"


def _same(made: Entry, listed: Entry | None) -> bool:
    return listed is not None and (listed.sha256, listed.rows) == (made.sha256, made.rows)
