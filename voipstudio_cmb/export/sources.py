"""Where the rows of an export come from: a collection, or single buttons. In the order of ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ExportError, NotFound
from voipstudio_cmb.filters import Filter
from voipstudio_cmb.models import Reject, Row
from voipstudio_cmb.raw import integers
from voipstudio_cmb.services import Collection


@attrs.frozen(kw_only=True)
class Batch:
    """Some rows, where to go on after them (None: nowhere), and how many there should be in all.

    *total* is None where that is not known any more: a walk by keyset that is gone on with is only
    told of those that are left.
    """

    rows: Sequence[Row]
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


@attrs.frozen(kw_only=True)
class CollectionSource:
    """The rows of a *service* that meet all *filters*."""

    service: Collection[Any]
    filters: Sequence[Filter]
    limit: int
    window: int

    async def ready(self) -> None:
        """At once."""

    async def batches(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        """A page at a time."""
        walk = self.service.raw_pages(
            reject=reject,
            filters=self.filters or None,
            limit=self.limit,
            window=self.window,
            after=after,
        )
        async with walk:
            async for page in walk:
                of_the_rest = after is not None and walk.progress.strategy == "keyset"
                yield Batch(
                    rows=page.records,
                    position=walk.position if walk.resumable else None,
                    total=None if of_the_rest else walk.progress.total,
                )


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
    """The buttons that the resources of *namings* name; *missing* of them do not exist."""

    client: CallMeBackClient
    namings: Sequence[Naming]
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
            named |= await naming.ids()
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
            yield Batch(rows=rows, position=str(chunk[-1]), total=len(named))
