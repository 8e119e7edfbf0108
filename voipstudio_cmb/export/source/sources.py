"""Where the rows of a file come from: a collection, or the ids of buttons."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec.rows import as_rows
from voipstudio_cmb.errors import BadRequest, ClientMisuse, FilterIgnored, NotFound
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.store.marks import Mark, time_of
from voipstudio_cmb.filters import Filter, matching, where
from voipstudio_cmb.models import Reject, Rows
from voipstudio_cmb.services import Collection
from voipstudio_cmb.walk import Kept

from .button_ids import ButtonIds
from .opening import first_mark, mark_of

_LATE = (
    "rows came whose ids or times are not above those of earlier ones: if a row can take a while "
    "to show after it was created, export with --overlap 1h (overlap=)"
)

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
    mark: Mark | None = None
    """Where the next export begins, as soon as that is known: from the first batch on."""
    note: str = ""
    """What is worth knowing of how the rows were found."""

    async def ready(self) -> None:
        """Returns when the rows can be asked for."""
        return

    @abstractmethod
    def batches(
        self, cursor: str | None, on_rejects: OnRejects, kept: Kept | None = None
    ) -> AsyncGenerator[Batch]:
        """The rows after the `cursor`, in the order of their ids where the API has one.

        Those that turn out to have been missed before it, by what was `kept`, come at the end.
        """


@attrs.define(kw_only=True, eq=False)
class CollectionSource(Source):
    """The rows of a collection that meet the filters and belong to the file."""

    service: Collection[Any]
    _asked: Sequence[Filter] = attrs.field(init=False, default=())
    """The conditions that the rows by their ids were asked for with."""
    _low: set[int] = attrs.field(init=False, factory=set)
    """The ids of rows that came though they are not above those of earlier files."""
    _belated: bool = attrs.field(init=False, default=False)
    """Whether a row came that was created before the latest one that an earlier export met."""

    async def batches(
        self, cursor: str | None, on_rejects: OnRejects, kept: Kept | None = None
    ) -> AsyncGenerator[Batch]:
        """A page at a time; rows whose ids are not new come last."""
        self._low.clear()  # it may be begun again
        if self.mark is None and self.plan.since:
            self.mark = await first_mark(self.service, self.plan, self.file.share)
        async with aclosing(self._above(cursor, on_rejects, kept)) as batches:
            async for batch in batches:
                yield batch
        if self.file.share.reaches_back and self._asked:
            async with aclosing(self._below(on_rejects)) as batches:
                async for batch in batches:
                    yield batch
        if self.mark is None:
            self.mark = Mark(self.file.share.after, self.file.share.since)
        if not self.plan.overlap and self.file.share.end is None and (self._low or self._belated):
            self._remark(_LATE)

    async def _above(
        self, cursor: str | None, on_rejects: OnRejects, kept: Kept | None
    ) -> AsyncGenerator[Batch]:
        """Rows by their ids; all that belong to the file if the API takes no such conditions."""
        share = self.file.share
        all_ids = not share.conditions()
        for self._asked in (share.conditions(), []):
            begun = False
            try:
                async with aclosing(self._pages(self._asked, on_rejects, cursor, kept)) as pages:
                    async for batch in pages:
                        begun = True
                        batch = self._chosen(batch)
                        # A total of all rows is not that of the ones that are chosen.
                        told = self._asked or all_ids
                        yield batch if told else attrs.evolve(batch, total=None)
                break
            except (BadRequest, ClientMisuse, FilterIgnored) as error:
                # The API may not know conditions on ids; then an export that was interrupted went
                # without them too, and so does its cursor. All rows come, and are chosen here.
                if begun or not self._asked:
                    raise
                if not isinstance(error, ClientMisuse):
                    does = "ignores" if isinstance(error, FilterIgnored) else "refuses"
                    named = " and ".join(map(str, self._asked))
                    self._remark(
                        f"the API {does} {named}: all rows were read, and these were chosen"
                    )

    async def _below(self, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        """Rows that turned up since, and have lower ids than others that did not."""
        share = self.file.share
        assert share.since is not None
        below = where("id") <= share.after
        ways = [where("created_at") >= share.since], [where("id") > share.recent]
        chosen = ways if self.plan.overlap else ways[:1]
        for conditions in chosen:
            rejects: list[Reject] = []
            begun = False
            asked = [*conditions, below]
            try:
                async with aclosing(self._pages(asked, rejects.extend)) as pages:
                    async for batch in pages:
                        begun = True
                        yield attrs.evolve(self._chosen(batch), cursor=None, total=None)
            except (BadRequest, FilterIgnored) as error:
                if getattr(error, "condition", "") in map(str, self.plan.sent_filters):
                    raise
                if begun and conditions is chosen[-1]:
                    raise  # some have come, and nothing else brings the others
                continue  # it knows no such condition
            if rejects:
                on_rejects(rejects)
            return

    def _chosen(self, batch: Batch) -> Batch:
        """The rows of `batch` that belong to the file: the API may ignore what it is asked for."""
        share, rows = self.file.share, batch.rows
        if not share.has_all(rows.ids, rows.created):
            low, found = self._low, []
            for row, created in zip(rows, rows.created, strict=True):
                if row.id in low or not share.has(row.id, created):
                    continue
                found.append(row)
                if row.id <= share.after:
                    low.add(row.id)
            batch = attrs.evolve(batch, rows=as_rows(found), total=None)
        if share.since:
            with suppress(TypeError):  # some give no time
                first = min(batch.rows.created, default=share.since)
                self._belated = self._belated or "" < time_of(first) < share.since
        return batch

    def _remark(self, text: str) -> None:
        self.note = "; ".join(filter(None, (self.note, text)))

    async def _pages(
        self,
        conditions: Sequence[Filter],
        on_rejects: OnRejects,
        cursor: str | None = None,
        kept: Kept | None = None,
    ) -> AsyncGenerator[Batch]:
        walk = self.service.raw_pages(
            reject=on_rejects,
            kept=kept,
            filters=[*self.plan.sent_filters, *conditions],
            page_size=self.plan.page_size,
            concurrency=self.plan.concurrency,
            cursor=cursor,
        )
        async with walk:
            async for page in walk:
                rows = as_rows(page.records)
                if self.mark is None:
                    self.mark = mark_of(walk.progress, rows, self.plan, self.file.share)
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

    async def batches(
        self, cursor: str | None, on_rejects: OnRejects, kept: Kept | None = None
    ) -> AsyncGenerator[Batch]:
        """As many at a time as may be asked for at once."""
        self.mark = self.mark or Mark()  # any button can be named next
        share, named = self.file.share, {id for ids in self.named for id in await ids.get()}
        named -= {id for id, _ in share.others}
        if share.end is not None:
            named &= {id for id, _ in share.known}
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
