"""The requests of one walk: how many at a time, how many so far, and what a 404 means."""

from __future__ import annotations

import asyncio
from typing import Generic

import attrs

from voipstudio_cmb.errors import NotFound
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import Fetch, PageRequest, R

from .tasks import Tasks
from .walk import Progress


@attrs.define(eq=False, kw_only=True)
class PageFetcher(Generic[R]):
    """Fetches the pages of one walk, at most `concurrency` at a time, and counts the requests."""

    send: Fetch[R]
    first: PageRequest
    """The request for the first page: the others differ from it in what they name."""
    concurrency: int
    limit: int | None
    """The most rows that the caller wants."""
    tasks: Tasks
    progress: Progress
    _slots: asyncio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def fetch(self, request: PageRequest) -> Page[R]:
        async with self._slots:
            self.progress.requests += 1
            return await self.send(request)

    async def page(self, number: int, page_size: int) -> Page[R]:
        """Page `number`, which is empty if the server does not find it; the first must be found."""
        try:
            return await self.fetch(attrs.evolve(self.first, number=number, page_size=page_size))
        except NotFound:
            if number == 1:
                raise
            return Page(records=[], number=number, total=None)

    async def newest(self, rows: int) -> Page[R]:
        """So many `rows` with the highest ids, the highest first."""
        return await self.fetch(
            attrs.evolve(self.first, page_size=rows, sort="id", descending=True)
        )

    async def ids(self, after: int, through: int | None, page_size: int = 0) -> Page[R]:
        """The first rows with ids above `after` and up to `through`, if it is given.

        Empty if the server finds none of these, but finds others.
        """
        request = attrs.evolve(
            self.first, after=after, through=through, page_size=page_size or self.first.page_size
        )
        try:
            return await self.fetch(request)
        except NotFound:
            if not after and through is None:
                raise
        # Some servers answer 404 if nothing matches; one that has lost its way does to everything.
        await self.fetch(attrs.evolve(self.first, page_size=1))
        try:
            return await self.fetch(request)
        except NotFound:
            return Page(records=[], number=1, total=None)

    def has_all(self, first: Page[R]) -> bool:
        """Whether the `first` page holds all rows that the caller wants."""
        return self.limit is not None and len(first.records) >= self.limit

    def width(self, page_size: int) -> int:
        """How many pages of `page_size` rows are worth asking for at once, one at least."""
        if self.limit is None:
            return self.concurrency
        left = self.limit - self.progress.seen
        return max(1, min(self.concurrency, -(-left // page_size)))
