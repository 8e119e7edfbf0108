"""Where the rows of a file come from: a collection, or the ids of buttons."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec.rows import as_rows, is_time
from voipstudio_cmb.errors import BadRequest, ClientMisuse, FilterIgnored, NotFound
from voipstudio_cmb.export.plan.files import LateRows, OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.filters import Filter, matching, where
from voipstudio_cmb.models import Reject, Rows
from voipstudio_cmb.services import Collection

from .button_ids import ButtonIds

OnRejects: TypeAlias = Callable[[Sequence[Reject]], None]
"""Is given the rows of a page that can't be used."""


@attrs.frozen(kw_only=True)
class Batch:
    """Some rows of one resource."""

    rows: Rows
    """The rows, side by side."""
    cursor: str | None = None
    """Where to resume after them; None: nowhere."""
    total: int | None = None
    """How many rows there are in all; None where only those that are left are known."""


@attrs.define(kw_only=True, eq=False)
class Source(ABC):
    """The rows that go into one file."""

    plan: Plan
    file: OutputFile
    missing: set[int] = attrs.field(factory=set)
    """The ids that were asked for and do not exist."""
    note: str = ""
    """What is worth knowing of how the rows were found."""

    async def ready(self) -> None:
        """Returns when the rows can be asked for."""
        return

    @abstractmethod
    def batches(self, cursor: str | None, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        """The rows after the `cursor`, in the order of their ids where the API has one."""


@attrs.define(kw_only=True, eq=False)
class CollectionSource(Source):
    """The rows of a collection that meet the filters and have one of the ids, or are late."""

    service: Collection[Any]

    async def batches(self, cursor: str | None, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        """A page at a time; late rows come last."""
        ids = self.file.ids
        all_ids = not ids.conditions()
        for conditions in (ids.conditions(), []):
            begun = False
            try:
                async with aclosing(self._pages(conditions, cursor, on_rejects)) as pages:
                    async for batch in pages:
                        begun = True
                        # Chosen here too: the API may ignore what it is asked for.
                        if not ids.has_all(batch.rows.ids):
                            rows = as_rows(row for row in batch.rows if row.id in ids)
                            batch = attrs.evolve(batch, rows=rows, total=None)
                        # A total of all rows is not that of the ones that are chosen.
                        yield batch if conditions or all_ids else attrs.evolve(batch, total=None)
                break
            except (BadRequest, ClientMisuse, FilterIgnored) as error:
                # The API may not know conditions on ids; then an export that was interrupted went
                # without them too, and so does its cursor. All rows come, and are chosen here.
                if begun or not conditions:
                    raise
                if not isinstance(error, ClientMisuse):
                    does = "ignores" if isinstance(error, FilterIgnored) else "refuses"
                    named = " and ".join(map(str, conditions))
                    self.note = f"the API {does} {named}: all rows were read, and these were chosen"
        if self.file.late is not None:
            async with aclosing(self._late(self.file.late, on_rejects)) as late:
                async for batch in late:
                    yield batch

    async def _late(self, late: LateRows, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        after = self.file.ids.after
        conditions = [where("created_at") >= late.since, where("id") <= after]
        rejects: list[Reject] = []
        try:
            async with aclosing(self._pages(conditions, None, rejects.extend)) as pages:
                async for batch in pages:
                    times = [time if is_time(time) else "" for time in batch.rows.created]
                    if min(times, default=late.since) < late.since:
                        return  # the API ignores the condition: this would be all rows
                    rows = (r for r in batch.rows if r.id <= after and r.id not in late.known)
                    yield Batch(rows=as_rows(rows))
        except (BadRequest, FilterIgnored) as error:
            if getattr(error, "condition", "") in map(str, self.plan.sent_filters):
                raise
            return  # it knows no such condition
        if rejects:
            on_rejects(rejects)

    async def _pages(
        self, conditions: Sequence[Filter], cursor: str | None, on_rejects: OnRejects
    ) -> AsyncGenerator[Batch]:
        walk = self.service.raw_pages(
            reject=on_rejects,
            filters=[*self.plan.sent_filters, *conditions],
            page_size=self.plan.page_size,
            concurrency=self.plan.concurrency,
            cursor=cursor,
        )
        async with walk:
            async for page in walk:
                rows = as_rows(page.records)
                # A walk by page also brings some of the rows that have come meanwhile: all of them
                # are left to the next export, which takes the highest id here for its beginning.
                through = walk.progress.through
                if through is not None and max(rows.ids, default=0) > through:
                    rows = as_rows(row for row in rows if row.id <= through)
                # A resumed walk by keyset is only told of the rows that are left.
                unknown = cursor is not None and walk.progress.strategy == "keyset"
                if self.plan.filters_here:
                    rows, unknown = as_rows(matching(self.plan.filters_here, rows)), True
                yield Batch(
                    rows=rows,
                    cursor=walk.cursor if walk.resumable else None,
                    total=None if unknown else walk.progress.total,
                )


@attrs.define(kw_only=True, eq=False)
class ButtonSource(Source):
    """The buttons that other resources name."""

    client: CallMeBackClient
    named: Sequence[ButtonIds]

    async def ready(self) -> None:
        """When the resources that name buttons have been read."""
        for ids in self.named:
            await ids.get()

    async def batches(self, cursor: str | None, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        """As many at a time as may be asked for at once."""
        named = {id for ids in self.named for id in await ids.get() if id in self.file.ids}
        after = 0 if cursor is None else int(cursor)
        wanted = sorted(id for id in named if id > after)
        for start in range(0, len(wanted), self.plan.concurrency):
            chunk = wanted[start : start + self.plan.concurrency]
            results = await asyncio.gather(
                *(self.client.buttons.raw(id) for id in chunk), return_exceptions=True
            )
            rows = []
            for id, result in zip(chunk, results, strict=True):
                if isinstance(result, NotFound):
                    self.missing.add(id)
                elif isinstance(result, BaseException):
                    raise result
                else:
                    rows.append(result)
            yield Batch(rows=as_rows(rows), cursor=str(chunk[-1]), total=len(named))


def source_of(
    client: CallMeBackClient, plan: Plan, file: OutputFile, named: Sequence[ButtonIds]
) -> Source:
    """The rows that go into `file`; of buttons, those that are `named`."""
    if file.resource == "buttons":
        return ButtonSource(plan=plan, file=file, client=client, named=named)
    return CollectionSource(plan=plan, file=file, service=getattr(client, file.resource))
