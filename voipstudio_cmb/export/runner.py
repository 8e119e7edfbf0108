"""Runs an export: a job for each resource, all at once, each into a file that appears when whole.

A job that fails does not stop the others. Buttons have no collection in the API: they are fetched
one by one, by the `button_id`s found in settings and websites.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, Literal

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec import to_dict, to_json
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ExportError, NotFound
from voipstudio_cmb.models import Button, Record
from voipstudio_cmb.services import Collection

from .plan import Plan
from .sinks import CsvLines


@attrs.define(kw_only=True, eq=False)
class Job:
    """One resource of an export, while it runs and after.

    *rows* are written so far, of *total* as the API last claimed it or None. *missing* are buttons
    that settings or websites name and the API does not have. *error* is why it failed.
    """

    resource: str
    path: Path
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    rows: int = 0
    pages: int = 0
    total: int | None = None
    missing: list[int] = attrs.field(factory=list)
    error: CallMeBackError | None = None


@attrs.frozen(kw_only=True)
class Summary:
    """What became of an export in *seconds*.

    *requests* counts attempts and *retries* those beyond the first of their call: all that the
    client has made meanwhile.
    """

    jobs: Sequence[Job]
    requests: int
    retries: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every job is done."""
        return all(job.state == "done" for job in self.jobs)

    @property
    def rows(self) -> int:
        """The rows in complete files."""
        return sum(job.rows for job in self.jobs if job.state == "done")


def _no_link(path: str, flags: int) -> int:
    """Opens *path*, unless it is a link: what is behind one is not ours to write."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


class _File:
    """A file that is written under a temporary name beside its place, and renamed when whole."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path = path
        self._overwrite = overwrite
        self._part = path.with_name(f".{path.name}.part")
        self._out: BinaryIO | None = None
        self._committed = False

    def __enter__(self) -> _File:
        try:
            while not self._opened():
                pass
        except OSError as error:
            raise self._failed(error) from None
        return self

    def _opened(self) -> bool:
        """Opens the temporary file for this export alone; False if it has gone meanwhile.

        Raises:
            ExportError: another export holds it. Its lock ends with its process, however that ends.
        """
        out = open(self._part, "ab", opener=_no_link)  # noqa: SIM115 - open as long as the export
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held the lock before may have renamed the file between our two steps.
            if not os.path.samestat(os.fstat(out.fileno()), self._part.stat()):
                out.close()
                return False
            out.truncate(0)
        except BlockingIOError:
            out.close()
            raise ExportError(
                f"another export is writing {str(self._path)!r}: wait until it has ended"
            ) from None
        except FileNotFoundError:
            out.close()
            return False
        self._out = out
        return True

    def write(self, data: bytes) -> None:
        assert self._out is not None
        try:
            self._out.write(data)
        except OSError as error:
            raise self._failed(error) from None

    def commit(self) -> None:
        """Makes the file appear, complete and on the disk."""
        assert self._out is not None
        try:
            self._out.flush()
            os.fsync(self._out.fileno())
            if self._overwrite:
                self._part.replace(self._path)
            else:
                os.link(self._part, self._path)  # fails where replacing would destroy
                self._part.unlink()
            self._committed = True
            self._out.close()
        except FileExistsError:
            raise ExportError(
                f"{str(self._path)!r} has appeared while it was exported, and stays: "
                "export to another directory, or with --overwrite (overwrite=True)"
            ) from None
        except OSError as error:
            raise self._failed(error) from None

    def __exit__(self, *_: object) -> None:
        if self._out is None or self._committed:
            return
        # Removed before it is closed: closing ends the lock, and then it may be somebody else's.
        for clean_up in (self._part.unlink, self._out.close):
            try:
                clean_up()
            except OSError:
                pass  # the failure that led here is the one to report

    def _failed(self, error: OSError) -> ExportError:
        return ExportError(
            f"{str(self._path)!r} can't be written: {error.strerror or error}. "
            "Nothing is left of it; mend this and run the export again"
        )


class Export:
    """An export of what *plan* says through *client*, to be run once.

    `jobs` can be watched while it runs.
    """

    def __init__(self, client: CallMeBackClient, plan: Plan) -> None:
        self._client = client
        self._plan = plan
        self.jobs = [Job(resource=name, path=plan.path(name)) for name in plan.resources]
        self._naming: dict[str, asyncio.Future[set[int] | CallMeBackError]] = {}

    async def run(self) -> Summary:
        """Runs all jobs and says what became of them; only a failing plan raises.

        Raises:
            ClientMisuse: the files can't be written there.
        """
        if any(job.state != "waiting" for job in self.jobs):
            raise ClientMisuse("this export has been run: make another Export(client, plan)")
        self._plan.prepare()
        loop = asyncio.get_running_loop()
        began, usage = loop.time(), attrs.evolve(self._client.usage)
        await self._run_jobs()
        return Summary(
            jobs=self.jobs,
            requests=self._client.usage.requests - usage.requests,
            retries=self._client.usage.retries - usage.retries,
            seconds=loop.time() - began,
        )

    async def _run_jobs(self) -> None:
        loop = asyncio.get_running_loop()
        self._naming = {name: loop.create_future() for name in ("settings", "websites")}
        work = [self._run(job) for job in self.jobs]
        if "buttons" in self._plan.resources:
            unplanned = [name for name in self._naming if name not in self._plan.resources]
            work += [self._only_buttons(name) for name in unplanned]
        # A job reports its own failure, so an exception here is a bug or a cancellation: both
        # must end the others.
        async with asyncio.TaskGroup() as group:
            for job in work:
                group.create_task(job)

    async def _run(self, job: Job) -> None:
        job.state = "running"
        try:
            if job.resource == "buttons":
                await self._write(job, Button, self._button_batches(job))
            else:
                await self._export_collection(job)
            job.state = "done"
        except CallMeBackError as error:
            job.state, job.error = "failed", error
            self._name_buttons(job.resource, error)

    async def _export_collection(self, job: Job) -> None:
        service: Collection[Record] = getattr(self._client, job.resource)
        buttons: set[int] = set()
        walk = service.pages(limit=self._plan.limit, window=self._plan.window)

        async def batches() -> AsyncGenerator[Sequence[Record]]:
            async with walk:
                async for page in walk:
                    job.total = walk.progress.total
                    buttons.update(r.button_id for r in page.records if r.button_id)
                    yield page.records

        await self._write(job, service.record, batches())
        self._name_buttons(job.resource, buttons)

    async def _write(
        self,
        job: Job,
        record: type[Record],
        batches: AsyncGenerator[Sequence[Record]],
    ) -> None:
        csv = CsvLines(record) if self._plan.format == "csv" else None
        with _File(job.path, overwrite=self._plan.overwrite) as file:
            file.write(csv.header() if csv else b"")
            async with aclosing(batches):
                async for records in batches:
                    rows = (to_json(to_dict(one)) for one in records)
                    file.write(b"".join(csv.line(row) if csv else row + b"\n" for row in rows))
                    job.rows += len(records)
                    job.pages += 1
            file.commit()

    def _name_buttons(self, resource: str, found: set[int] | CallMeBackError) -> None:
        """Hands on the buttons that a resource names, or why they are not known."""
        naming = self._naming.get(resource)
        if naming is not None:
            naming.set_result(found)

    async def _only_buttons(self, resource: str) -> None:
        """Reads a resource that is not exported, for the buttons that it names."""
        service: Collection[Record] = getattr(self._client, resource)
        ids: set[int] = set()
        try:
            async for record in service.list(limit=self._plan.limit, window=self._plan.window):
                if record.button_id:
                    ids.add(record.button_id)
        except CallMeBackError as error:
            self._name_buttons(resource, error)
        else:
            self._name_buttons(resource, ids)

    async def _button_batches(self, job: Job) -> AsyncGenerator[Sequence[Record]]:
        ids: set[int] = set()
        for resource, naming in self._naming.items():
            found = await naming
            if isinstance(found, CallMeBackError):
                raise ExportError(
                    f"the buttons are known from {resource}, which could not be read ({found})"
                ) from found
            ids |= found
        job.total = len(ids)
        wanted = sorted(ids)
        for start in range(0, len(wanted), self._plan.window):
            chunk = wanted[start : start + self._plan.window]
            answers = await asyncio.gather(
                *(self._client.buttons.get(id) for id in chunk), return_exceptions=True
            )
            yield list(self._found(job, chunk, answers))

    @staticmethod
    def _found(
        job: Job, ids: Sequence[int], answers: Sequence[Button | BaseException]
    ) -> Iterator[Button]:
        """The buttons among *answers*; one that is not there is noted, any other error raised."""
        for id, answer in zip(ids, answers, strict=True):
            if isinstance(answer, NotFound):
                job.missing.append(id)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                yield answer
