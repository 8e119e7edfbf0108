"""Runs an export: a job for each file, all at once, each into a file that appears complete.

A job that fails does not stop the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ExportError,
    Unauthorized,
    WalkError,
)
from voipstudio_cmb.export.plan.files import OutputFile, Share
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.plan.preflight import Preflight
from voipstudio_cmb.export.source.button_ids import NAMED_BY, ButtonIds
from voipstudio_cmb.export.source.sources import source_of
from voipstudio_cmb.export.store.checkpoint import saved_rows
from voipstudio_cmb.export.store.contents import owner_hash
from voipstudio_cmb.export.store.disk import (
    Disk,
    in_thread,
    remove_sidecars,
    sidecar,
    sync_directory,
)
from voipstudio_cmb.export.store.ended import Made, end_mark, left_untold, write_mark
from voipstudio_cmb.export.store.failures import as_export_error, no_memory
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.export.store.manifest import read_manifest
from voipstudio_cmb.export.store.state import Finished, Fresh, Interrupted, State
from voipstudio_cmb.export.store.workspace import Workspace

from .file_writer import FileWriter
from .job import Job, Summary
from .job_runner import JobRunner
from .owner import checked_owner
from .publisher import Publisher
from .store_workspace import StoreWorkspace


class Export:
    """An export of what `plan` says through `client`, to be run once.

    `slots`, if there are any, are shared with other exports: a job takes one while it runs, and
    `mark` is the file that says that they are all complete. Errors about the token name its
    environment variable, `token_env`. `disk` is for tests.
    """

    jobs: Sequence[Job]
    """One for each file; they can be watched while it runs."""

    def __init__(
        self,
        client: CallMeBackClient,
        plan: Plan,
        *,
        account: str = "",
        token_env: str = "",
        slots: contextlib.AbstractAsyncContextManager[None] | None = None,
        disk: Disk | None = None,
        mark: Path | None = None,
    ) -> None:
        self.client = client
        self.plan = plan
        self.account = account
        self._token_env = token_env
        self._slots = slots or contextlib.nullcontext()
        self._disk = disk or Disk()
        self.mark = mark or end_mark(plan.directory)
        self._marked = False
        self._workspace: StoreWorkspace | None = None
        self._untold: dict[Path, Made] = {}  # by another run, and not by this one
        self._refusal: ClientMisuse | ExportError | None = None
        self._in_store = isinstance(plan.to, StoreUrl)
        self._plan_files(known=not self._in_store)

    def _plan_files(self, *, known: bool) -> None:
        """Plans the files, or where it is not `known` yet what there is, one for each resource."""
        plan = self.plan
        self._files = [OutputFile(resource=name, path=plan.path(name)) for name in plan.resources]
        try:
            if known:
                self._files = plan.files(self.mark)
        except (ClientMisuse, ExportError) as error:
            self._refusal = error  # raised by `run`, so that other accounts are exported
        self.jobs = [
            Job(resource=file.resource, path=file.path, account=self.account)
            for file in self._files
        ]

    async def run(self) -> Summary:
        """Runs all jobs and says what became of them; only a failing plan raises.

        Raises:
            ClientMisuse: the files can't be written there, or an interrupted export was another.
        """
        summary = await self.run_marked()
        self.end()
        return summary

    async def run_marked(self) -> Summary:
        """As `run`, but leaves the mark that says that all is complete, which `end` removes.

        Until then the same export, run again after a kill, answers that it is complete.
        """
        loop, usage = asyncio.get_running_loop(), self.client.usage
        began, requests, retries = loop.time(), usage.requests, usage.retries
        await self.run_jobs()
        self.set_mark(self.jobs)
        self.clean_up(resumed=any(job.may_pass for job in self.jobs))
        return Summary(
            jobs=self.jobs,
            requests=usage.requests - requests,
            retries=usage.retries - retries,
            seconds=loop.time() - began,
        )

    async def run_jobs(self) -> None:
        """Runs all jobs, and leaves the `clean_up` to whoever runs several exports.

        Raises:
            ClientMisuse: as `run`.
        """
        if any(job.state != "waiting" for job in self.jobs):
            raise ClientMisuse("this export has been run: make another Export(client, plan)")
        if not self._in_store:
            await self._run_planned(None)
            return
        with StoreWorkspace(self.plan, self._disk) as workspace:
            await self._run_planned(workspace)
            self._workspace = workspace
            await Publisher(workspace).publish(self.jobs)

    async def _run_planned(self, workspace: StoreWorkspace | None) -> None:
        states: Sequence[State] = [Fresh() for _ in self.jobs]
        base_url, mark = self.client.base_url, self.mark
        try:
            if workspace is not None:
                await in_thread(workspace.fetch)
                self._plan_files(known=True)
                states = [Fresh() for _ in self.jobs]
            if self._refusal is not None:
                raise self._refusal
            with as_export_error(self.plan.directory, lambda: "Nothing was exported"):
                preflight = await in_thread(
                    lambda: Preflight(self.plan, self._files, base_url, mark=mark, disk=self._disk)
                )
            states = preflight.states
            identity = await checked_owner(self.client, preflight)
        except ClientMisuse:
            raise
        except (CallMeBackError, MemoryError) as error:
            failure = self._failure(error, "Nothing was exported")
            for job, state in zip(self.jobs, states, strict=True):
                job.state, job.error = "failed", failure
                job.resumable = isinstance(state, Interrupted)
            return
        await self._run_jobs(identity, preflight.states)

    async def _run_jobs(self, identity: str, states: Sequence[State]) -> None:
        named = [ButtonIds(name) for name in NAMED_BY if "buttons" in self.plan.resources]
        runners: list[JobRunner] = []
        owner = owner_hash(identity, self.client.base_url)
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        for job, file, state in zip(self.jobs, self._files, states, strict=True):
            if isinstance(state, Finished):
                entry = state.entry
                job.state, job.already, job.made = "done", True, True
                job.rows, job.kept, job.rejected = entry.rows, entry.rows, entry.rejected
                continue
            fresh = self.plan.begin(file, self.client.base_url)
            fresh = attrs.evolve(fresh, owner_hash=owner, begun=begun)
            source = source_of(self.client, self.plan, file, named)
            workspace = Workspace(job.path, self._disk, fresh, file.keep_reject)
            # Only a file with all rows of a resource tells of all buttons that it names.
            all_rows = file.share == Share() and not self.plan.filters
            names = next((n for n in named if all_rows and n.resource == job.resource), None)
            writer = FileWriter(
                job=job, source=source, workspace=workspace, names=names,
                ends_as="publishing" if self._in_store else "done",
            )  # fmt: skip
            # What an interrupted run has published is complete, and stays.
            restart = self.plan.restart and isinstance(state, Fresh)
            runners.append(JobRunner(writer, restart=restart))
        # A job reports its own failure, so an exception here is a bug or a cancellation: both
        # must end the others.
        async with asyncio.TaskGroup() as group:
            if any(runner.job.resource == "buttons" for runner in runners):
                for names in named:
                    if not any(runner.writer.names is names for runner in runners):
                        group.create_task(self._read(names))
            for runner in runners:
                group.create_task(self._run(runner))

    async def _run(self, runner: JobRunner) -> None:
        job, names = runner.job, runner.writer.names
        try:
            await runner.source.ready()
            async with self._slots:
                await runner.run()
        except (CallMeBackError, MemoryError) as error:
            forget_locals(error)
            # A copy, without the traceback: its last frame, this one, holds the job.
            job.state, job.error = "failed", self._failure(error, runner.kept()).with_context()
            begins_again = isinstance(error, WalkError) and not error.retryable
            kept = saved_rows(sidecar(job.path, "checkpoint")) is not None and not begins_again
            job.resumable = kept and getattr(error, "resumable", True)
            if names is not None:
                names.give(job.error)
        else:
            if names is not None and job.already:
                await self._read(names)

    def _failure(self, error: CallMeBackError | MemoryError, kept: str) -> CallMeBackError:
        return no_memory(kept) if isinstance(error, MemoryError) else self.explained(error)

    async def _read(self, names: ButtonIds) -> None:
        async with self._slots:
            try:
                await names.read(self.client, self.plan)
            except MemoryError:
                names.give(no_memory("Nothing of it is kept"))

    def pause(self, job: Job) -> float:
        """Seconds for which the API has asked `job` to wait; 0.0: it has not."""
        return self.client.pause

    def set_mark(self, jobs: Sequence[Job]) -> None:
        """Notes which files of `jobs` are complete, until `end`, unless this export is resumed.

        One of what is new is not: what is done and told is not told again, whatever failed. What
        another one has left untold stays so where the jobs are not done that would tell it.
        """
        done = {job.path for job in jobs if job.state == "done"}
        if len(done) < len(jobs) and not self.plan.since:
            return
        self._marked = True
        with contextlib.suppress(OSError):
            self._untold = left_untold(self.mark, done) if self.plan.since else {}
            made = {job.path: Made(rows=job.rows, rejected=job.rejected)
                    for job in jobs if job.made}  # fmt: skip
            write_mark(self._disk, self.mark, self._untold | made, restart=self.plan.restart)

    def end(self) -> None:
        """Removes the mark, or what it says of these jobs: what is complete has been told.

        Nothing follows, not even a sync: a run that is killed in it could not be told from one that
        has returned. A power cut may leave the mark, and then all is told once more.
        """
        with contextlib.suppress(OSError):
            if self._untold:
                write_mark(self._disk, self.mark, self._untold, restart=self.plan.restart)
            elif self._marked:
                self._disk.unlink(self.mark)

    def explained(self, error: CallMeBackError) -> CallMeBackError:
        """`error`, which names the account's variable if it is about the token."""
        if not self._token_env or not isinstance(error, Unauthorized):
            return error
        return error.with_detail(f"the token of {self.account!r} comes from {self._token_env}")

    def clean_up(self, *, resumed: bool) -> None:
        """Removes what would let this export be resumed, unless some of it has to be `resumed`.

        A resumed run keeps the files that are complete. With `overwrite` it does not: it could not
        be told from a run that is to make them again. One of what is new begins behind them.
        """
        plan = self.plan
        done = {job.path for job in self.jobs if job.state == "done"}
        if not done or (resumed and not plan.overwrite and not plan.since):
            return
        if plan.since:
            # An interrupted run of before has ended with this one.
            with contextlib.suppress(OSError, ClientMisuse):
                done |= {
                    plan.directory / name
                    for name, entry in read_manifest(plan.directory).items()
                    if entry.identity["resource"] in plan.resources
                    and name.endswith(f".{plan.sink.suffix}")
                } - {job.path for job in self.jobs if job.state != "done"}
        for path in done:
            with contextlib.suppress(OSError, ExportError), locked(path):
                remove_sidecars(self._disk, path)
        with contextlib.suppress(OSError):  # or the next run would take this one for interrupted
            sync_directory(self._disk, plan.directory)
        if self._workspace is not None:
            self._workspace.clean_up(self.jobs)
