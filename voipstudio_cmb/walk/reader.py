"""A collection as a page walk reads it: pages, read again where they look wrong."""

from __future__ import annotations

import asyncio
from typing import Generic

import attrs

from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.errors import BadRequest, IncompleteWalk, PageDrift
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .coverage import Coverage
from .cursor import PageCursor
from .fetcher import PageFetcher
from .ids import Seen, again, ids_of, in_order, overlap
from .ledger import HighWaterMark, Ledger
from .tasks import PageWindow, cancel_all, result_of

_OPENINGS = 3
"""How often the highest id is asked for again where rows have come since."""

_FAR = 10_000
"""A page that comes so many pages behind another is a different one, if it exists at all."""


@attrs.define(eq=False)
class PageReader(Generic[R]):
    """What one page walk reads from, and what it has read so far."""

    fetcher: PageFetcher[R]
    by_id: bool
    """Whether the rows were asked for in ascending order of ids."""
    sorts: bool
    """Whether the server may be asked for an order."""
    tries_keyset: bool = True
    """Whether a walk by keyset is worth a try where this one fails."""
    ordered: bool = attrs.field(init=False)
    """Whether the rows have come in ascending order of ids so far."""
    page_size: int = attrs.field(init=False)
    seen: Seen = attrs.field(init=False, factory=Seen)
    """The ids that have come."""
    ledger: Ledger = attrs.field(init=False, factory=Ledger)
    coverage: Coverage = attrs.field(init=False, factory=Coverage)
    """Which ids are covered while rows come in ascending order of ids."""
    end: int = attrs.field(init=False, default=1)
    """The page that was empty."""
    jumbled: bool = attrs.field(init=False)
    """Whether pages may be read in another order than that of their numbers."""

    def __attrs_post_init__(self) -> None:
        self.ordered = self.by_id
        self.page_size = self.fetcher.first.page_size
        self.jumbled = self.fetcher.concurrency > 1

    async def open(
        self, window: PageWindow[R], opening: tuple[Page[R], Page[R]] | None, again: bool
    ) -> tuple[Page[R], int]:
        """The first page, and the number of the last page that may be older than the mark.

        `opening` holds the first page and the top, if they were asked for already; `again` says
        that the collection has been walked before.
        """
        if opening is None:
            first, top, early = await self._open(window, again)
        else:
            first, top = opening
            window.asked = early = 1
        self.ledger = Ledger.open(first, top)
        for _ in range(_OPENINGS):
            if top is None or not self._may_have_grown(first, top):
                break
            before, top, early = top, await self.ask_top(), window.asked
            self.ledger = Ledger.open(first, top)
            if top is not None and ids_of(top) == ids_of(before):
                break
        lowest = min(ids_of(first), default=0)
        lower = top is not None and any(id < lowest for id in ids_of(top)[:2])
        self.ordered = self.ordered and in_order(first) and not lower
        if self.ledger.mark is None and first.records:
            if first.total == len(first.records):
                # It is the mark by itself, so that nothing on it can be older.
                self.ledger.mark, early = HighWaterMark(max(ids_of(first)), len(first.records)), 0
            elif self.ordered:
                await self._mark_by_number(first)
        self.fetcher.progress.through = self.ledger.top or None
        return first, early

    def _may_have_grown(self, first: Page[R], top: Page[R]) -> bool:
        """Whether the highest id may be unknown because rows came after `top` was read."""
        ids, tops = ids_of(first), ids_of(top)
        if self.ledger.top or not ids or not tops or not (self.ordered and in_order(first)):
            return False
        grown = first.total is None or first.total != top.total or ids[-1] > tops[0]
        return grown and tops == sorted(tops, reverse=True)

    async def _open(
        self, window: PageWindow[R], again: bool
    ) -> tuple[Page[R], Page[R] | None, int]:
        fetcher = self.fetcher
        if not self.by_id and fetcher.is_one_page and not again:
            # If it has all that is wanted, nothing has to be accounted for.
            window.reach(1, 1)
            first = await window.next()
            return first, None if fetcher.has_all(first) else await self.ask_top(), 1
        if fetcher.concurrency == 1 or not self.by_id or again:
            top = await self.ask_top()
            window.reach(1, 1)
            return await window.next(), top, 0
        asking = fetcher.tasks.start(self.ask_top())
        try:
            pages = min(2, fetcher.concurrency - 1, fetcher.width(self.page_size))
            window.reach(pages, fetcher.concurrency)
            early = window.asked
            first = await window.next()
            return first, await result_of(asking), early
        finally:
            await cancel_all((asking,))

    async def _mark_by_number(self, first: Page[R]) -> None:
        """Takes the mark from the row whose number is the total: in a page of 1, that is a page."""
        ids, total = ids_of(first), first.total
        if self.ledger.top or total is None or total <= len(ids):
            return
        last = ids_of(await self.fetcher.page(total, 1))
        if len(last) == 1 and last > ids[-1:]:
            self.ledger.mark = HighWaterMark(last[0], total)

    async def rejoin(self, after: PageCursor) -> tuple[Page[R], Page[R]]:
        """The page of a cursor as it is now, and the rows behind the cursor up to there."""
        self.seen.floor, self.seen.last = after.last, max(self.seen.last, after.last)
        self.page_size = after.page_size
        self.coverage = Coverage(after.last)
        self.ledger = Ledger.resume(after)
        self.ledger.check(self.start)
        self.fetcher.progress.through = self.ledger.top or None
        now = await self.ask(after.number)
        return now, await self.read_back(now)

    async def ask(self, number: int, page_size: int = 0) -> Page[R]:
        page = await self.fetcher.page(number, page_size or self.page_size)
        self.ordered = self.ordered and in_order(page)
        return page

    def start(self, number: int) -> asyncio.Task[Page[R]]:
        return self.fetcher.tasks.start(self.ask(number))

    async def ask_top(self, rows: int = 2) -> Page[R] | None:
        """So many `rows` with the highest ids, or None if the server does not sort by id."""
        if not self.sorts:
            return None
        try:
            return await self.fetcher.newest(rows)
        except BadRequest:
            return None

    async def confirm(self, page: Page[R], before: Page[R]) -> Page[R]:
        """The `page`, read again where it is empty or the same as the one `before`."""
        self.note_total(page)
        number = page.number
        if number > 1 and self.ledger.complete:
            return replace(page, records=[])  # it was asked for before that was known
        if not page.records:
            if not page.unusable and self.expects_more():
                page = await self.confirm_empty(number)
        elif page is not before and ids_of(page) == ids_of(before):
            page = await self.ask(number)
            same = ids_of(page) == ids_of(before)
            if number == 2:
                page = await self._confirm_second(page, before, same)
            elif same and ids_of(await self.ask(number + _FAR)) == ids_of(before):
                # Rows can move by a page, but not that far: it is the last page again.
                page = replace(page, records=[])
        elif number == 2:
            page = await self._confirm_second(page, before, False)
        self.note_total(page)
        return page

    async def _confirm_second(self, second: Page[R], first: Page[R], same: bool) -> Page[R]:
        """Page 2, which has no row of the `first` unless it was read before; or an empty one.

        Raises:
            PageDrift: it is page 1 again, and that was not everything.
        """
        if not same and overlap(first, second):
            first, second = await self.ask(1), await self.ask(2)
            same = again(first, second) if self.ordered else ids_of(first) == ids_of(second)
        if not same:
            return second
        if not self.reached_top() and self.ledger.rows != self.ledger.highest_total:
            raise self.drift(
                "page 2 is page 1 again: the server seems to ignore `page`", lasting=True
            )
        return replace(second, records=[])

    async def confirm_empty(self, number: int) -> Page[R]:
        """Page `number`, which was empty though there should be more rows, asked for again.

        Raises:
            IncompleteWalk: it stays empty, and the page after it is not.
        """
        for _ in range(2):
            page = await self.ask(number)
            if page.records or not (await self.ask(number + 1)).records:
                return page
        raise IncompleteWalk(
            f"page {number} stays empty, and page {number + 1} is not: "
            "the server leaves out rows, and stays by it. With another page size (page_size, "
            "--page-size) they may come; if not, only the API's makers can help",
            sent="yes",
        )

    async def read_back(self, page: Page[R]) -> Page[R]:
        """The rows behind the last one that came, on `page` and the ones before.

        Reads backwards until known rows come up.
        """
        last, back = self.seen.last, page
        rows = {record.id: record for record in page.records if record.id > last}
        while back.number > 1 and not any(id <= last for id in ids_of(back)):
            back = await self.ask(back.number - 1)
            rows.update({record.id: record for record in back.records if record.id > last})
        return replace(page, records=[rows[id] for id in sorted(rows)])

    def note_total(self, page: Page[R]) -> None:
        """Notes the total that came with `page`."""
        if page.total is None:
            return
        self.fetcher.progress.total = page.total
        before = (page.number - 1) * self.page_size
        self.ledger.note(page.total, before + len(page.records) if page.records else min(before, 1))

    def claims_no_more(self, total: int | None, number: int) -> bool:
        """Whether `total` claims no rows behind those that came, and behind page `number`."""
        rows = max(number * self.page_size, self.ledger.rows)
        return total is None or self.ledger.blind or total <= rows

    def cover(self, page: Page[R], page_size: int) -> None:
        """Notes that all rows between the first and the last of `page` have come.

        Not if it came short, though there are more: then it may have left out any.
        """
        if ids := ids_of(page) if self.ordered else []:
            is_last = page.total == (page.number - 1) * page_size + len(ids)
            if is_last or len(ids) + page.unusable >= page_size or 0 < self.ledger.top <= ids[-1]:
                self.coverage.add(ids[0], ids[-1])

    async def is_complete(self) -> bool:
        """Whether the count proves that every row has come that existed at the beginning."""
        ledger = self.ledger
        if ledger.is_doubtful and (self.ordered or self.jumbled):
            return False
        return all(id in self.seen for id in ledger.tops) and await ledger.is_proved()

    def reached_top(self) -> bool:
        """Whether the highest id of the beginning has come, or one above it."""
        return self.ordered and 0 < self.ledger.top <= self.seen.last

    async def is_past_top(self) -> bool:
        """Whether nothing up to the highest id of the beginning is to come any more.

        If only a higher one has come, that may have gone; or the server sorts ids as texts, and has
        shown another one as the highest. Then it is forgotten.
        """
        if not self.reached_top() or self.ledger.top in self.seen:
            return self.reached_top()
        now = await self.ask_top(1)
        if now is not None and self.seen.last > max(ids_of(now), default=0):
            self.ledger.top, self.ledger.tops, self.ledger.mark = 0, (), None
            self.fetcher.progress.through = None
        return self.reached_top()

    async def check_end(self) -> None:
        """Makes sure that no row is known which has not come, and that no total claims more.

        Raises:
            PageDrift: it is not so.
        """
        if not self.claims_no_more(self.fetcher.progress.total, self.end - 1):
            raise self.drift("the total claims rows after the last one", lasting=True)
        top = self.ledger.top
        now = await self.ask_top(max(2, self.page_size)) if top else None
        last = [] if now is None else [id for id in ids_of(now) if id <= top]
        if top and self.expects_more() and (first := self.fetcher.first).descending:
            turned = replace(first, page_size=2, descending=False)
            last += ids_of(await self.fetcher.fetch(turned))
        if any(id not in self.seen for id in (*self.ledger.tops, *last)):
            raise self.drift("rows at the end of the collection are on none of them", lasting=True)

    def expects_more(self) -> bool:
        """Whether there should be more rows than have come."""
        ledger, higher = self.ledger, self.ordered and self.ledger.top > self.seen.last
        return higher or ledger.highest_total > ledger.rows

    def drift(self, why: str, *, lasting: bool = False) -> PageDrift:
        """The error that says `why` this walk can't be complete; see `Ledger.drift`."""
        total = self.fetcher.progress.total
        return self.ledger.drift(why, total, lasting=lasting, keyset=self.tries_keyset)
