"""Where the rows of an export come from: a collection, or single buttons. In the order of ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    ExportError,
    NotFound,
)
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.models import Reject, Row, Rows
from voipstudio_cmb.raw import created_at, integers
from voipstudio_cmb.services import Collection


@attrs.frozen(kw_only=True)
class Batch:
    """Some rows, where to go on after them (None: nowhere), and how many there should be in all.

    *total* is None where that is not known any more: a walk by keyset that is gone on with is only
    told of those that are left.
    """

    rows: Rows
    position: str | None
    total: int | None


class Source(Protocol):
    """The rows of one resource."""

    async def ready(self) -> None:
        """Returns when the rows can be asked for."""
        ...

    def batches(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        """The rows after the position *after*; those that can't be used go to *reject*."""
        ...


@attrs.frozen
class Ids:
    """The ids from above *after* to *upto* (None: however high), and *also* some lower ones.

    *but* those that other files have.
    """

    after: int = 0
    upto: int | None = None
    also: frozenset[int] = frozenset()
    but: frozenset[int] = frozenset()

    def __contains__(self, id: int) -> bool:
        if id in self.but:
            return False
        return id in self.also or (id > self.after and (self.upto is None or id <= self.upto))

    def hold(self, ids: Sequence[int]) -> bool:
        """Whether they are all of *ids*; says no where looking would take long."""
        if self.but or not ids:
            return not ids
        low = not self.after or min(ids) > self.after
        return low and (self.upto is None or max(ids) <= self.upto)

    def conditions(self) -> list[Filter]:
        """What to ask the API for."""
        above = min([self.after, *(id - 1 for id in self.also)])
        low = [where("id") > above] if above else []
        return low if self.upto is None else [*low, where("id") <= self.upto]


@attrs.frozen
class Late:
    """Rows that were created *since* that time (the last one that an export has met), but for those
    with the ids *known*, which it has exported.

    An id can be lower than one that was there before it, where rows come from several writers.
    """

    since: str
    known: frozenset[int]


@attrs.frozen(kw_only=True)
class CollectionSource:
    """The rows of a *service* that meet all *filters* and have one of the *ids*, or are *late*."""

    service: Collection[Any]
    filters: Sequence[Filter]
    ids: Ids
    late: Late | None
    limit: int
    window: int

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
                    times = [created_at(row.json) or "" for row in rows]
                    if min(times, default=self.late.since) < self.late.since:
                        return  # the API ignores the condition: this would be all rows
                    late = [
                        row
                        for row in rows
                        if row.id <= self.ids.after and row.id not in self.late.known
                    ]
                    yield Batch(rows=_side_by_side(late), position=None, total=None)
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
            async for rows, position, total in pages:
                # Chosen from here too: the API may ignore what it is asked for.
                if not self.ids.hold(rows.ids):
                    rows = _side_by_side(row for row in rows if row.id in self.ids)
                yield Batch(rows=rows, position=position, total=total)

    async def _pages(
        self,
        conditions: Sequence[Filter],
        after: str | None,
        reject: Callable[[Sequence[Reject]], None],
    ) -> AsyncGenerator[tuple[Rows, str | None, int | None]]:
        walk = self.service.raw_pages(
            reject=reject,
            filters=[*self.filters, *conditions],
            limit=self.limit,
            window=self.window,
            after=after,
        )
        async with walk:
            async for page in walk:
                position = walk.position if walk.resumable else None
                of_the_rest = after is not None and walk.progress.strategy == "keyset"
                # A walk by page also brings some of the rows that have come meanwhile: all of them
                # are left to the next export, which takes the highest id here for its beginning.
                upto = walk.progress.upto
                rows = page.records
                if not isinstance(rows, Rows):
                    rows = _side_by_side(rows)
                if upto is not None and max(rows.ids, default=0) > upto:
                    rows = _side_by_side(row for row in rows if row.id <= upto)
                yield rows, position, None if of_the_rest else walk.progress.total


def _side_by_side(rows: Iterable[Row]) -> Rows:
    return Rows.of(rows, created_at)


class Naming:
    """The ids of the buttons that a resource names, once somebody has read it."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        loop = asyncio.get_running_loop()
        self._ids: asyncio.Future[set[int] | CallMeBackError] = loop.create_future()

    def told(self, ids: set[int] | CallMeBackError) -> None:
        """Hands them on, or why they are not known."""
        if not self._ids.done():
            self._ids.set_result(ids)

    async def read(self, client: CallMeBackClient, limit: int, window: int) -> None:
        """Reads them from the API."""
        service: Collection[Any] = getattr(client, self.resource)
        ids: set[int] = set()
        try:
            walk = service.raw_pages(reject=lambda _: None, limit=limit, window=window)
            async with walk:
                async for page in walk:
                    ids |= integers((row.json for row in page.records), "button_id")
        except CallMeBackError as error:
            self.told(error)
        else:
            self.told(ids)

    async def ids(self) -> set[int]:
        """Them.

        Raises:
            ExportError: the resource could not be read.
        """
        found = await self._ids
        if isinstance(found, CallMeBackError):
            raise ExportError(
                f"the buttons are known from {self.resource}, which could not be read ({found})"
            ) from found
        return found


@attrs.define(kw_only=True)
class ButtonSource:
    """The buttons with *ids* that the resources of *namings* name; *missing* do not exist."""

    client: CallMeBackClient
    namings: Sequence[Naming]
    ids: Ids
    window: int
    missing: set[int] = attrs.field(factory=set)

    async def ready(self) -> None:
        """When the resources that name buttons have been read."""
        for naming in self.namings:
            await naming.ids()

    async def batches(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        """As many at a time as may be asked for at once."""
        named: set[int] = set()
        for naming in self.namings:
            named |= {id for id in await naming.ids() if id in self.ids}
        last = 0 if after is None else int(after)
        wanted = sorted(id for id in named if id > last)
        for start in range(0, len(wanted), self.window):
            chunk = wanted[start : start + self.window]
            answers = await asyncio.gather(
                *(self.client.buttons.raw(id) for id in chunk), return_exceptions=True
            )
            rows = []
            for id, answer in zip(chunk, answers, strict=True):
                if isinstance(answer, NotFound):
                    self.missing.add(id)
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    rows.append(answer)
            yield Batch(rows=_side_by_side(rows), position=str(chunk[-1]), total=len(named))
