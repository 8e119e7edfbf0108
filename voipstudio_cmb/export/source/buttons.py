"""Buttons, fetched one by one by the ids that settings and websites name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec.rows import as_rows, integers
from voipstudio_cmb.errors import CallMeBackError, ExportError, NotFound
from voipstudio_cmb.export.plan.files import IdRange
from voipstudio_cmb.models import Reject
from voipstudio_cmb.services import Collection

from .batch import Batch


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

    async def read(self, client: CallMeBackClient, page_size: int, concurrency: int) -> None:
        """Reads them from the API."""
        service: Collection[Any] = getattr(client, self.resource)
        ids: set[int] = set()
        try:
            walk = service.raw_pages(
                reject=lambda _: None, page_size=page_size, concurrency=concurrency
            )
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
    ids: IdRange
    concurrency: int
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
        for start in range(0, len(wanted), self.concurrency):
            chunk = wanted[start : start + self.concurrency]
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
            yield Batch(rows=as_rows(rows), cursor=str(chunk[-1]), total=len(named))


NAMING = ("settings", "websites")
"""The resources whose rows name buttons."""


def _tell(naming: Naming) -> Callable[[Iterator[bytes]], None]:
    loop = asyncio.get_running_loop()

    def tell(rows: Iterator[bytes]) -> None:
        ids = integers(rows, "button_id")
        loop.call_soon_threadsafe(naming.told, ids)  # the rows are read in a thread

    return tell
