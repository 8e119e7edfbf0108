"""Runs an export: a job for each resource, all at once, each into a file that appears when whole.

A job that fails does not stop the others. Buttons have no collection in the API: they are fetched
one by one, by the `button_id`s found in settings and websites.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ExportError, Forbidden, NotFound
from voipstudio_cmb.export.plan.files import IdRange, OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.source.batch import Source
from voipstudio_cmb.export.source.buttons import NAMING, ButtonSource, Naming, _tell
from voipstudio_cmb.export.source.collection import CollectionSource
from voipstudio_cmb.export.store.checkpoint import Checkpoint
from voipstudio_cmb.export.store.disk import Disk, in_thread, remove_sidecars, sidecar
from voipstudio_cmb.export.store.lock import Lock
from voipstudio_cmb.export.store.manifest import read
from voipstudio_cmb.models import Button, Record

from .job import Job, Summary
from .job_runner import JobRunner


class Export:
    """An export of what *plan* says through *client*, to be run once.

    `jobs` can be watched while it runs. *slots*, if there are any, are shared with other exports:
    a job takes one while it runs. One of *many* leaves its `clean_up` to who runs them. *disk* is
    for tests.
    """

    def __init__(
        self,
        client: CallMeBackClient,
        plan: Plan,
        *,
        account: str = "",
        slots: contextlib.AbstractAsyncContextManager[None] | None = None,
        many: bool = False,
        disk: Disk | None = None,
    ) -> None:
        self._client = client
        self._plan = plan
        self._slots = slots
        self._many = many
        self._disk = disk or Disk()
        self._begun = datetime.now(UTC).isoformat(timespec="seconds")
        self._refusal: ClientMisuse | None = None
        try:
            self._parts = plan.parts()
        except ClientMisuse as error:  # of `run`, so that one of many leaves the others alone
            self._refusal = error
            self._parts = [
                OutputFile(resource=name, path=plan.path(name)) for name in plan.resources
            ]
        self._whose = ""
        self.jobs: list[Job] = [
            Job(resource=part.resource, path=part.path, account=account) for part in self._parts
        ]

    async def run(self) -> Summary:
        """Runs all jobs and says what became of them; only a failing plan raises.

        Raises:
            ClientMisuse: the files can't be written there, or an interrupted export was another.
        """
        if any(job.state != "waiting" for job in self.jobs):
            raise ClientMisuse("this export has been run: make another Export(client, plan)")
        if self._refusal is not None:
            raise self._refusal
        kept = await in_thread(lambda: self._plan.prepare(self._client.base_url, self._parts))
        loop = asyncio.get_running_loop()
        began, usage = loop.time(), attrs.evolve(self._client.usage)
        try:
            account = await self.account(kept)
        except ClientMisuse:
            raise
        except CallMeBackError as error:
            for job in self.jobs:
                job.state, job.error = "failed", error
                job.resumable = kept.get(job.path) is not None
        else:
            await self._run_jobs(account, kept)
            if not self._many:
                self.clean_up(self.jobs)
        return Summary(
            jobs=self.jobs,
            requests=self._client.usage.requests - usage.requests,
            retries=self._client.usage.retries - usage.retries,
            seconds=loop.time() - began,
        )

    async def account(self, kept: dict[Path, Checkpoint | None]) -> str:
        """Whose this export is, as a salted hash.

        Raises:
            ClientMisuse: one that was interrupted is another account's.
        """
        identity = await self._client.identity()
        self._whose = _hashed(self._client.base_url, identity)
        added_to = {part.path.name for part in self._parts if part.adds}
        for name, entry in read(self._plan.to).items():
            goes_on = self._plan.since and entry.of["resource"] in self._plan.resources
            if (goes_on or name in added_to) and entry.account != self._whose:
                raise ClientMisuse(
                    f"{name!r} in {str(self._plan.to)!r} is another account's: use its token, or "
                    "export to another directory"
                )
        for path, checkpoint in kept.items():
            if checkpoint is None:
                continue
            salt, _, _ = checkpoint.account.partition(":")
            if checkpoint.account != _hashed(salt, identity):
                raise ClientMisuse(
                    f"the interrupted export to {str(path)!r} is another account's: use its token, "
                    "or begin anew with --restart (restart=True)"
                )
        return _hashed(secrets.token_hex(8), identity)

    async def _run_jobs(self, account: str, kept: dict[Path, Checkpoint | None]) -> None:
        namings = [Naming(name) for name in NAMING if "buttons" in self._plan.resources]
        work: list[tuple[JobRunner, Naming | None]] = []
        for job, part in zip(self.jobs, self._parts, strict=True):
            if job.path in kept and kept[job.path] is None:
                entry = read(self._plan.to)[job.path.name]
                job.state, job.already, job.made = "done", True, True
                job.rows, job.kept, job.rejected = entry.rows, entry.rows, entry.rejected
                continue
            # Only a file with all rows of a resource tells of all buttons that it names.
            whole = next((n for n in namings if n.resource == job.resource), None)
            named = whole if part.ids == IdRange() and not self._plan.filters else None
            work.append((self._work(job, part, account, namings, named), named))
        telling = {named.resource for _, named in work if named is not None}
        # A job reports its own failure, so an exception here is a bug or a cancellation: both
        # must end the others.
        async with asyncio.TaskGroup() as group:
            if any(one.job.resource == "buttons" for one, _ in work):
                for naming in namings:
                    if naming.resource not in telling:
                        group.create_task(self._read_naming(naming))
            for one, named in work:
                group.create_task(self._run(one, named))

    def _work(
        self,
        job: Job,
        part: OutputFile,
        account: str,
        namings: Sequence[Naming],
        naming: Naming | None,
    ) -> JobRunner:
        plan, client = self._plan, self._client
        source: Source
        if job.resource == "buttons":
            record: type[Record] = Button
            source = ButtonSource(
                client=client, namings=namings, ids=part.ids, concurrency=plan.concurrency
            )
        else:
            service = getattr(client, job.resource)
            record = service.record
            source = CollectionSource(
                service=service,
                filters=plan.filters,
                ids=part.ids,
                late=part.late,
                page_size=plan.page_size,
                concurrency=plan.concurrency,
            )
        return JobRunner(
            job=job,
            part=part,
            source=source,
            record=record,
            sink=plan.sink,
            disk=self._disk,
            of=plan.of(part, client.base_url),
            account=account,
            whose=self._whose,
            begun=self._begun,
            overwrite=plan.overwrite,
            restart=plan.restart,
            every=plan.checkpoint,
            on_rows=None if naming is None else _tell(naming),
        )

    async def _run(self, work: JobRunner, naming: Naming | None) -> None:
        job = work.job
        try:
            await work.source.ready()
            async with self._slots or contextlib.nullcontext():
                await work.run()
        except CallMeBackError as error:
            job.state, job.error = "failed", error
            job.resumable = sidecar(job.path, "checkpoint").exists()
            if naming is not None:
                naming.told(error)
        else:
            if naming is not None and job.already:
                await self._read_naming(naming)

    async def _read_naming(self, naming: Naming) -> None:
        async with self._slots or contextlib.nullcontext():
            await naming.read(self._client, self._plan.page_size, self._plan.concurrency)

    def clean_up(self, jobs: Sequence[Job]) -> None:
        """Removes what would let this export go on, unless one of *jobs* has to.

        Files that are whole are then left by the run that goes on. With `overwrite` they are not: a
        later run could not be told from one that is to make them anew.
        """
        failures = [job.error for job in jobs if job.state != "done"]
        passing = any(not isinstance(error, Forbidden | NotFound) for error in failures)
        if passing and not self._plan.overwrite:
            return
        done = {job.path for job in self.jobs if job.state == "done"}
        if self._plan.since:
            # A run of before that was interrupted has ended with this one.
            done |= {
                self._plan.to / name
                for name, entry in read(self._plan.to).items()
                if entry.of["resource"] in self._plan.resources
                and name.endswith(f".{self._plan.sink.suffix}")
            }
        for path in done:
            with contextlib.suppress(OSError, ExportError), Lock(path):
                remove_sidecars(self._disk, path)


def _hashed(salt: str, identity: str) -> str:
    return f"{salt}:{hashlib.sha256(f'{salt}:{identity}'.encode()).hexdigest()}"
