"""Where the rows of an export come from: a collection, or single buttons. In the order of ids."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import attrs

from voipstudio_cmb.codec.rows import as_rows, is_time
from voipstudio_cmb.errors import BadRequest, ClientMisuse
from voipstudio_cmb.export.plan.files import IdRange, Late
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.models import Reject, Rows
from voipstudio_cmb.services import Collection

from .batch import Batch


@attrs.frozen(kw_only=True)
class CollectionSource:
    """The rows of a *service* that meet all *filters* and have one of the *ids*, or are *late*."""

    service: Collection[Any]
    filters: Sequence[Filter]
    ids: IdRange
    late: Late | None
    page_size: int
    concurrency: int

    async def ready(self) -> None:
        """At once."""

    async def batches(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        """A page at a time; those that are late come last, if the API filters by `created_at`."""
        async with aclosing(self._with_ids(after, reject)) as batches:
            async for batch in batches:
                yield batch
        if self.late is None:
            return
        conditions = [where("created_at") >= self.late.since, where("id") <= self.ids.after]
        unusable: list[Reject] = []
        try:
            async with aclosing(self._pages(conditions, None, unusable.extend)) as pages:
                async for rows, _, _ in pages:
                    times = [time if is_time(time) else "" for time in rows.created]
                    if min(times, default=self.late.since) < self.late.since:
                        return  # the API ignores the condition: this would be all rows
                    late = [
                        row
                        for row in rows
                        if row.id <= self.ids.after and row.id not in self.late.known
                    ]
                    yield Batch(rows=as_rows(late), cursor=None, total=None)
        except BadRequest:
            return  # it knows no such condition
        if unusable:
            reject(unusable)

    async def _with_ids(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        conditions = self.ids.conditions()
        begun = False
        try:
            async with aclosing(self._batches(conditions, after, reject)) as batches:
                async for batch in batches:
                    begun = True
                    yield batch
            return
        except (BadRequest, ClientMisuse):
            # The API may not know conditions on ids; then an export that was interrupted went
            # without them too, and so does its position. All rows come, and are chosen from here.
            if begun or not conditions:
                raise
        async with aclosing(self._batches([], after, reject)) as batches:
            async for batch in batches:
                yield batch

    async def _batches(
        self,
        conditions: Sequence[Filter],
        after: str | None,
        reject: Callable[[Sequence[Reject]], None],
    ) -> AsyncGenerator[Batch]:
        async with aclosing(self._pages(conditions, after, reject)) as pages:
            async for rows, cursor, total in pages:
                # Chosen from here too: the API may ignore what it is asked for.
                if not self.ids.hold(rows.ids):
                    rows = as_rows(row for row in rows if row.id in self.ids)
                yield Batch(rows=rows, cursor=cursor, total=total)

    async def _pages(
        self,
        conditions: Sequence[Filter],
        after: str | None,
        reject: Callable[[Sequence[Reject]], None],
    ) -> AsyncGenerator[tuple[Rows, str | None, int | None]]:
        walk = self.service.raw_pages(
            reject=reject,
            filters=[*self.filters, *conditions],
            page_size=self.page_size,
            concurrency=self.concurrency,
            cursor=after,
        )
        async with walk:
            async for page in walk:
                cursor = walk.cursor if walk.resumable else None
                of_the_rest = after is not None and walk.progress.strategy == "keyset"
                # A walk by page also brings some of the rows that have come meanwhile: all of them
                # are left to the next export, which takes the highest id here for its beginning.
                upto = walk.progress.upto
                rows = as_rows(page.records)
                if upto is not None and max(rows.ids, default=0) > upto:
                    rows = as_rows(row for row in rows if row.id <= upto)
                yield rows, cursor, None if of_the_rest else walk.progress.total
