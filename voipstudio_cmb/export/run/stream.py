"""Rows to a pipe instead of a file, as JSON Lines: a page at a time, and never two in memory."""

from __future__ import annotations

import asyncio
import os
import select
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export.plan.files import IdRange
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.source.batch import Source
from voipstudio_cmb.export.source.buttons import NAMING, ButtonSource, Naming
from voipstudio_cmb.export.source.collection import CollectionSource
from voipstudio_cmb.models import Reject

from .job import Job


class Stream:
    """The rows of the one resource of *plan*, written to the open *file* as the API sent them.

    *each* may alter a line on its way. `job` can be watched while it runs; `rejects` are the rows
    that can't be used.
    """

    def __init__(
        self,
        client: CallMeBackClient,
        plan: Plan,
        file: int,
        each: Callable[[bytes], bytes] = bytes,
    ) -> None:
        if len(plan.resources) != 1:
            raise ClientMisuse("a stream is of exactly one resource: name it")
        self._client = client
        self._plan = plan
        self._file = file
        self._each = each
        self.job: Job = Job(resource=plan.resources[0], path=plan.to)
        self.rejects: list[Reject] = []
        self._known: set[tuple[int, int, bytes]] = set()

    async def run(self) -> None:
        """Writes them all.

        Raises:
            CallMeBackError: from the request that failed; `job.rows` are written by then.
            OSError: they can't be written.
        """
        try:
            await self._run()
        except CallMeBackError as error:
            self.job.state, self.job.error = "failed", error
            raise
        self.job.state = "done"

    async def _run(self) -> None:
        job, source = self.job, await self._source()
        job.state = "running"
        async with aclosing(source.batches(None, self._reject)) as batches:
            async for batch in batches:
                lines = b"".join([self._each(row.json) + b"\n" for row in batch.rows])
                await self._write(lines)
                job.rows, job.pages = job.rows + len(batch.rows), job.pages + 1
                job.total = batch.total
        if isinstance(source, ButtonSource):
            job.missing = sorted(source.missing)

    async def _source(self) -> Source:
        plan, client = self._plan, self._client
        if plan.resources[0] != "buttons":
            service = getattr(client, plan.resources[0])
            return CollectionSource(
                service=service,
                filters=plan.filters,
                ids=IdRange(),
                late=None,
                page_size=plan.page_size,
                concurrency=plan.concurrency,
            )
        namings = [Naming(name) for name in NAMING]
        for naming in namings:
            await naming.read(client, plan.page_size, plan.concurrency)
        return ButtonSource(
            client=client, namings=namings, ids=IdRange(), concurrency=plan.concurrency
        )

    def _reject(self, rejects: Sequence[Reject]) -> None:
        count: Counter[bytes] = Counter()
        for reject in rejects:  # met again, perhaps elsewhere, each time that its page is read
            count[reject.json] += 1
            key = reject.page, count[reject.json], reject.json
            if key not in self._known:
                self._known.add(key)
                self.rejects.append(reject)
        self.job.rejected = len(self.rejects)

    async def _write(self, data: bytes) -> None:
        """Writes all of *data*. A reader that takes its time stops neither the loop nor Ctrl-C."""
        poll = select.poll()
        poll.register(self._file, select.POLLOUT)
        left = memoryview(data)
        while left:
            while not poll.poll(0):
                await asyncio.sleep(0.005)
            # So many bytes fit into a pipe that can be written to at all.
            left = left[os.write(self._file, left[: select.PIPE_BUF]) :]
