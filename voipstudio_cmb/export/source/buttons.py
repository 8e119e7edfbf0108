"""Buttons, fetched one by one by the ids that settings and websites name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec.rows import as_rows, integers
from voipstudio_cmb.errors import CallMeBackError, ExportError, NotFound
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.services import Collection

from .base import Batch, OnRejects, Source

NAMED_BY = ("settings", "websites")
"""The resources whose rows name buttons."""


class ButtonIds:
    """The ids of the buttons that a resource names, once somebody has read it."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self._loop = asyncio.get_running_loop()
        self._ids: asyncio.Future[set[int] | CallMeBackError] = self._loop.create_future()

    def give(self, ids: set[int] | CallMeBackError) -> None:
        """Hands on the ids, or why they are not known."""
        if not self._ids.done():
            self._ids.set_result(ids)

    def take(self, rows: Iterator[bytes]) -> None:
        """Finds the ids in all `rows` of the resource. May be called in a thread."""
        self._loop.call_soon_threadsafe(self.give, integers(rows, "button_id"))

    async def read(self, client: CallMeBackClient, plan: Plan) -> None:
        """Reads the resource from the API."""
        service: Collection[Any] = getattr(client, self.resource)
        ids: set[int] = set()
        try:
            walk = service.raw_pages(
                reject=lambda _: None, page_size=plan.page_size, concurrency=plan.concurrency
            )
            async with walk:
                async for page in walk:
                    ids |= integers((row.json for row in page.records), "button_id")
        except CallMeBackError as error:
            self.give(error)
        else:
            self.give(ids)

    async def get(self) -> set[int]:
        """The ids, when they are known.

        Raises:
            ExportError: the resource could not be read.
        """
        ids = await self._ids
        if isinstance(ids, CallMeBackError):
            raise ExportError(
                f"the buttons are known from {self.resource}, which could not be read ({ids})"
            ) from ids
        return ids


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
