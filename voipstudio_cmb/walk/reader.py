"""A collection as a page walk reads it: pages, made certain of where they look wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import attrs

from voipstudio_cmb.errors import BadRequest, IncompleteWalk, PageDrift
from voipstudio_cmb.models import Identified, Page

from .ids import Seen, ids_of, in_order, overlap
from .ledger import Ledger
from .tasks import Tasks
from .walk import Progress

R = TypeVar("R", bound=Identified)

_FAR = 10_000
"""So many pages behind another, a page is a different one, if there is one at all."""

FetchPage = Callable[[int, int], Coroutine[Any, Any, Page[R]]]
"""`(number, limit) -> page`."""

FetchTop = Callable[[int], Coroutine[Any, Any, Page[R]]]
"""`(rows) -> page` with so many of the highest ids, the highest first."""


@attrs.define(eq=False, kw_only=True)
class Source(Generic[R]):
    """What one walk reads from: *fetch* asks for *limit* rows, with *window* requests in flight.

    *ordered* says whether the rows have come in ascending order of ids so far, *seen* which have
    come and *audit* what there must have been.
    """

    fetch: FetchPage[R]
    fetch_top: FetchTop[R] | None
    page_size: int
    concurrency: int
    tasks: Tasks
    progress: Progress
    ordered: bool
    seen: Seen = attrs.field(init=False, factory=Seen)
    ledger: Ledger = attrs.field(init=False, factory=Ledger)
    _slots: asyncio.Semaphore = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)

    async def ask(self, number: int) -> Page[R]:
        """Page *number*."""
        async with self._slots:
            self.progress.requests += 1
            page = await self.fetch(number, self.page_size)
        self.ordered = self.ordered and in_order(page)
        return page

    def read(self, number: int) -> asyncio.Task[Page[R]]:
        """Page *number*, on its way."""
        return self.tasks.start(self.ask(number))

    async def ask_row(self, number: int) -> Page[R]:
        """Row *number*, counted from 1: in pages of one row it is a page."""
        async with self._slots:
            self.progress.requests += 1
            return await self.fetch(number, 1)

    async def ask_top(self, rows: int = 2) -> Page[R] | None:
        """The *rows* with the highest ids, or None if the server does not sort by id."""
        if self.fetch_top is None:
            return None
        async with self._slots:
            self.progress.requests += 1
            try:
                return await self.fetch_top(rows)
            except BadRequest:
                return None

    async def certain(self, page: Page[R], before: Page[R]) -> Page[R]:
        """*page*, or what it is found to be where it is empty, or the same as the one *before*."""
        self.note(page)
        number = page.number
        if number > 1 and self.ledger.whole:
            return attrs.evolve(page, records=[])  # it was asked for before that was known
        if not page.records:
            page = await self.confirmed(number) if self.more() else page
        elif page is not before and ids_of(page) == ids_of(before):
            page = await self.ask(number)
            same = ids_of(page) == ids_of(before)
            if number == 2:
                page = await self._apart(page, before, same)
            elif same and ids_of(await self.ask(number + _FAR)) == ids_of(before):
                # Rows can move by a page, but not that far: it is the last page again.
                page = attrs.evolve(page, records=[])
        elif number == 2:
            page = await self._apart(page, before, False)
        self.note(page)
        return page

    async def _apart(self, second: Page[R], first: Page[R], same: bool) -> Page[R]:
        """Page 2, which has no row of the *first* unless it was read before; or an empty one.

        Raises:
            PageDrift: it is page 1 again, and that was not everything.
        """
        if not same and overlap(first, second):
            first, second = await self.ask(1), await self.ask(2)
            same = overlap(first, second) if self.ordered else ids_of(first) == ids_of(second)
        if not same:
            return second
        if not self.reached() and self.ledger.count != self.ledger.highest:
            raise self.drift("page 2 is page 1 again: the server seems to ignore `page`")
        return attrs.evolve(second, records=[])

    async def confirmed(self, number: int) -> Page[R]:
        """Page *number*, which was empty though there should be more rows, asked for once again.

        Raises:
            IncompleteWalk: it stays empty, and the page after it is not.
        """
        for _ in range(2):
            page = await self.ask(number)
            if page.records or not (await self.ask(number + 1)).records:
                return page
        raise IncompleteWalk(
            f"page {number} stays empty, and page {number + 1} is not: "
            "the server has left out rows. Walk again later",
            sent="yes",
        )

    async def back(self, page: Page[R]) -> Page[R]:
        """The rows behind the last one, on *page* and the ones before until known rows come up."""
        last, back = self.seen.last, page
        found = {record.id: record for record in page.records if record.id > last}
        while back.number > 1 and not any(id <= last for id in ids_of(back)):
            back = await self.ask(back.number - 1)
            found.update({record.id: record for record in back.records if record.id > last})
        return attrs.evolve(page, records=[found[id] for id in sorted(found)])

    def note(self, page: Page[R]) -> None:
        """Takes note of the total that came with *page*."""
        if page.total is None:
            return
        self.progress.total = page.total
        self.ledger.note(page.total)
        least = (page.number - 1) * self.page_size + len(page) if page.records else 0
        if page.total < least:
            self.ledger.mark = None  # it was taken by a total, and they are too low

    def reached(self) -> bool:
        """Whether the highest id of the beginning has come."""
        return self.ordered and 0 < self.ledger.top <= self.seen.last

    async def check_top(self) -> None:
        """Makes sure that the highest id of the beginning has come, or is gone.

        Raises:
            PageDrift: it is still there.
        """
        top = self.ledger.top
        if top == 0 or top in self.seen:
            return
        # Rows that were added since are higher.
        now = await self.ask_top(max(2, self.page_size))
        if now is not None and top in ids_of(now):
            raise self.drift(f"the row with the highest id, {top}, is on none of them")

    def more(self) -> bool:
        """Whether there should be more rows than have come."""
        higher = self.ordered and self.ledger.top > self.seen.last
        return higher or self.ledger.highest > self.ledger.count

    def drift(self, why: str) -> PageDrift:
        """The error that says *why* this walk can't be whole, with the evidence."""
        ledger = self.ledger
        mark = "unknown" if ledger.mark is None else f"{ledger.mark.rows} up to id {ledger.mark.id}"
        return PageDrift(
            f"this collection can't be walked without loss by its pages: {why}. Walk again when it "
            "is quieter, or by keyset",
            evidence=f"rows at the beginning: {mark}; of these came {ledger.under}, of all "
            f"{ledger.count}; the total is {self.progress.total}",
            sent="yes",
        )
