"""The requests of one walk: how many at a time, how many so far, and what a 404 means.

Each request meets its page here, so this is where a server is caught that ignores a condition or an
order of the caller's. What the walk itself adds (ranges of ids) is for `Probe` to judge.
"""

from __future__ import annotations

import asyncio
from typing import Generic

import attrs

from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.errors import CallMeBackError, NotFound
from voipstudio_cmb.models import Page, Rows
from voipstudio_cmb.query import Fetch, PageRequest, R

from .contradiction import check_conditions, check_order, same_both_ways, sort_ignored
from .ids import ids_of
from .tasks import Tasks
from .walk import Progress

MANY = 100
"""Rows that show an order where a few do not."""

_TRIES = 5
"""How often a range that is not found is asked for again, though there are rows in it."""


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
    names_order: bool = False
    """Whether the caller has named the order of `first`, so that ignoring it is an error."""
    _order_is_known: bool = attrs.field(init=False, default=False)
    _slots: asyncio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def fetch(self, request: PageRequest) -> Page[R]:
        """The page that `request` asks for.

        Raises:
            FilterIgnored, SortIgnored: its rows contradict what the caller asked for.
        """
        async with self._slots:
            self.progress.requests += 1
            page = await self.send(request)
        self.progress.cached = page.cached or self.progress.cached
        if request.conditions:
            check_conditions(page, request)
        if self.names_order and not request.after and request.through is None:
            await self._check_order(page, request)
        return page

    async def _check_order(self, page: Page[R], request: PageRequest) -> None:
        """Makes sure that `page` is in the order that the caller has named.

        Where its rows leave a doubt, the same is asked for in the other direction, once. Where they
        show no order, as a single row does, more are.
        """
        first, rows = self.first, len(page.records)
        if (request.sort, request.descending) != (first.sort, first.descending):
            return
        order = check_order(page, request, proved=self._order_is_known)
        is_all = rows < request.page_size and (page.total or 0) <= rows
        if order == "fine" or self._order_is_known:
            return
        # The first page has shown which rows come first; the last may hold few, or all the same.
        if order != "doubt" and (is_all or request.number > 1):
            return
        if order == "same":
            if request.page_size < MANY:
                await self.fetch(replace(request, page_size=MANY))
                self._order_is_known = True
            return
        self._order_is_known = True
        turned = replace(request, descending=not request.descending)
        if same_both_ways(page, await self.fetch(turned), request.sort or ""):
            raise sort_ignored(request)

    async def page(self, number: int, page_size: int) -> Page[R]:
        """Page `number`, which is empty if the server does not find it; the first must be found."""
        try:
            return await self.fetch(replace(self.first, number=number, page_size=page_size))
        except NotFound:
            if number == 1:
                raise
            return Page(records=[], number=number, total=None)

    async def counts_from_0(self) -> bool:
        """Whether the page named 1 is behind rows that the first one has, before and after.

        Twice, because an id may be given again. Without an order of ids, only of an empty page it
        is known what it is behind.
        """
        ordered, down = self.first.sort == "id", self.first.descending
        before = {*ids_of(await self.fetch(self.first))}
        for _ in range(2):
            ids = await self.named_page()
            after = {*ids_of(await self.fetch(self.first))}
            stayed, before = before & after, after
            if not stayed or (ids and not ordered):
                return False
            if ids and (max(ids) >= min(stayed) if down else min(ids) <= max(stayed)):
                return False
        return True

    async def named_page(self) -> list[int]:
        """The ids on the page named 1: the second, if the server counts them from 0."""
        try:
            return ids_of(await self.fetch(replace(self.first, named=True)))
        except NotFound:
            return []

    async def newest(self, rows: int) -> Page[R]:
        """So many `rows` with the highest ids, the highest first."""
        page = await self.fetch(replace(self.first, page_size=rows, sort="id", descending=True))
        if isinstance(page.records, Rows):
            self.progress.newest = self.progress.newest or page.records.created
        return page

    async def ids(self, after: int, through: int | None, page_size: int = 0) -> Page[R]:
        """The first rows with ids above `after` and up to `through`, if it is given.

        Empty if the server answers 404, and other requests show that there is none.
        """
        request = replace(
            self.first, after=after, through=through, page_size=page_size or self.first.page_size
        )
        page = await self._or_none(request) if after or through else await self.fetch(request)
        return await self._found_nothing(request) if page is None else page

    async def hides_above(self, highest: int) -> bool:
        """Whether there are ids above the one that the server calls the `highest`, and still does.

        It may sort them as texts, of which 9 is the highest.
        """
        for _ in range(_TRIES):
            found = ids_of(await self.ids(highest, None, 1))
            if not found or max(ids_of(await self.newest(1)), default=0) >= found[0]:
                return False  # or it has come since
        return True

    async def guess(self, after: int, through: int) -> Page[R] | None:
        """The first rows of a range, asked for once; None if that fails."""
        try:
            return await self.fetch(replace(self.first, after=after, through=through, once=True))
        except CallMeBackError:
            return None

    async def _or_none(self, request: PageRequest) -> Page[R] | None:
        try:
            return await self.fetch(request)
        except NotFound:
            return None

    async def _found_nothing(self, request: PageRequest) -> Page[R]:
        """The page of a range that was answered 404.

        Some servers do so where nothing matches; one that has lost its way does it to anything. So
        it is asked for the next row above the range, or for the highest of all.

        Raises:
            NotFound: there are rows in the range, but the server does not find them.
        """
        above = replace(request, through=None, page_size=1)
        for _ in range(_TRIES):
            page = None if request.through is None else await self._or_none(above)
            if page is not None and page.records:
                empty = page.records[0].id > (request.through or 0)
            else:
                empty = all(id <= request.after for id in ids_of(await self.newest(1)))
            if empty:
                return Page(records=[], number=1, total=None)
            if (page := await self._or_none(request)) is not None:
                return page
        return await self.fetch(request)

    @property
    def is_one_page(self) -> bool:
        """Whether all rows that the caller wants fit on one page."""
        return self.limit is not None and self.limit <= self.first.page_size

    def has_all(self, first: Page[R]) -> bool:
        """Whether the `first` page holds all rows that the caller wants."""
        return self.limit is not None and len(first.records) >= self.limit

    def width(self, page_size: int) -> int:
        """How many pages of `page_size` rows are worth asking for at once, one at least."""
        if self.limit is None:
            return self.concurrency
        left = self.limit - self.progress.seen
        return max(1, min(self.concurrency, -(-left // page_size)))
