"""The ids of the buttons that settings and websites name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.codec.rows import integers
from voipstudio_cmb.errors import CallMeBackError, ExportError
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.services import Collection

NAMED_BY = ("settings", "websites")
"""The resources whose rows name buttons."""


class ButtonIds:
    """The ids of the buttons that a resource names, once somebody has read it."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self._ids = asyncio.Future[set[int] | CallMeBackError]()

    def give(self, ids: set[int] | CallMeBackError) -> None:
        """Hands on the ids, or why they are not known."""
        if not self._ids.done():
            self._ids.set_result(ids)

    def take(self, rows: Iterator[bytes]) -> None:
        """Finds the ids in all `rows` of the resource. May be called in a thread."""
        self._ids.get_loop().call_soon_threadsafe(self.give, integers(rows, "button_id"))

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
            self.give(ids)
        except CallMeBackError as error:
            self.give(error)

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
