"""Rows to a pipe instead of a file, as JSON Lines: one page is written at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.source.button_ids import NAMED_BY, ButtonIds
from voipstudio_cmb.export.source.sources import source_of
from voipstudio_cmb.export.store.rejects import keyed
from voipstudio_cmb.models import Reject

from .job import Job


class Stream:
    """The rows of the one resource of `plan`, given to `write` as the API sent them, page by page.

    `each` may alter a line on its way.
    """

    job: Job
    """How far it is; can be watched while it runs."""

    def __init__(
        self,
        client: CallMeBackClient,
        plan: Plan,
        write: Callable[[bytes], Awaitable[None]],
        each: Callable[[bytes], bytes] = bytes,
    ) -> None:
        if len(plan.resources) != 1:
            raise ClientMisuse("a stream is of exactly one resource: name it")
        self._client = client
        self._plan = plan
        self._write = write
        self._each = each
        self.job = Job(resource=plan.resources[0], path=plan.directory)
        self._rejects: dict[str, Reject] = {}

    @property
    def rejects(self) -> list[Reject]:
        """The rows that can't be used, so far."""
        return list(self._rejects.values())

    async def run(self) -> None:
        """Writes all rows.

        Raises:
            CallMeBackError: from the request that failed; `job.rows` are written by then.
            Exception: what `write` raised.
        """
        try:
            await self._run()
        except CallMeBackError as error:
            self.job.state, self.job.error = "failed", error
            raise
        self.job.state = "done"

    async def _run(self) -> None:
        job, client, plan = self.job, self._client, self._plan
        named = [ButtonIds(name) for name in NAMED_BY if job.resource == "buttons"]
        for ids in named:
            await ids.read(client, plan)
        source = source_of(client, plan, OutputFile(resource=job.resource, path=job.path), named)
        job.state = "running"
        async with aclosing(source.batches(None, self._reject)) as batches:
            async for batch in batches:
                lines = b"".join([self._each(row.json) + b"\n" for row in batch.rows])
                await self._write(lines)
                job.rows, job.pages = job.rows + len(batch.rows), job.pages + 1
                job.total = batch.total
        job.missing = sorted(source.missing)

    def _reject(self, rejects: Sequence[Reject]) -> None:
        for key, reject in keyed(rejects):
            self._rejects.setdefault(key, reject)
        self.job.rejected = len(self._rejects)
