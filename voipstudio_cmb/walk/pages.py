"""The page walk: any server's collection by page numbers, though rows come and go meanwhile.

A page number counts rows. One that goes before a page moves all after it up, and a walk that has
passed the border between two pages misses the one that crosses it; no answer shows this by itself.

What this walk relies on. At one moment, at its beginning, it notes the highest id and the total: so
many rows there were up to that id (`Mark`). If it has received so many different rows up to that
id, it has received all that were there, whatever else has come or gone, and whatever the order. The
highest id is asked for along with the first pages; those are asked for once more later, and must
hold what they held, or they may have been read before a change that the mark has not seen.

What it repairs. Where a total has fallen between a page and the next, rows may have crossed the
border: the page before is read again, and the ones before that until known rows come up, and what
has crossed is yielded in its place. If at the end the rows are not all accounted for (a row deleted
before it was read is not, nor is any if the totals are wrong or missing), the pages are read again
one by one from the last to the first. In this direction a deletion can only bring a row up for a
second time, never hide it, so that nothing can be missed any more. What is found comes late.

What it can't repair is `PageDrift`: if the rows come in another order than that of their ids, by
the caller's wish or the server's, the collection is walked up to three times, until the count is
right or two walks have found the same; and a walk gone on with from a position has no more than the
number of the rows before it, not their ids.

What is not guaranteed: rows that are inserted before others that were there already (lower ids, or
another order) while rows are deleted; and a total that is wrong at times by just the number of rows
that were missed.

How it knows where a collection ends, given that a server may cap or ignore `limit`, may ignore
`page`, and may claim a wrong `total`:

* It ends when all rows up to the mark have come. Otherwise only an empty page ends it: a short one
  does not. If the total or the highest id says that there is more, the empty page is asked for once
  again first, and the one after it too: rows there mean that the server left some out
  (`IncompleteWalk`).
* A sliding window of requests is in flight, and yielded in order, once page 2 has shown that the
  server honours `page`. `total` is a hint for how far to reach ahead.
* A first page that is shorter than asked sets the limit for the others: a server that caps `limit`
  may still count its pages by the one asked for.
* A page equal to the one before is the end if nothing says that there is more, and else `PageDrift`
  if it is the second. An id is yielded once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import attrs

from voipstudio_cmb.models import Identified, Page

from .cursor import Position
from .ids import Seen, checksum, ids_of, in_order, overlap
from .ledger import HighWaterMark, Ledger
from .reader import Source
from .tasks import Tasks, cancel_all, result_of

R = TypeVar("R", bound=Identified)

PASSES = 3
"""How often a collection in an order of its own is walked before the walk gives up."""


class _Window(Generic[R]):
    """Page requests in flight, oldest first; those up to *asked* have been made."""

    def __init__(self, fetch: Callable[[int], Coroutine[Any, Any, Page[R]]], tasks: Tasks) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._flying: deque[asyncio.Task[Page[R]]] = deque()
        self.asked = 0

    def reach(self, last: int, width: int) -> None:
        """Asks for further pages while fewer than *width* are in flight, none beyond *last*."""
        while len(self._flying) < width and self.asked < last:
            self.asked += 1
            self._flying.append(self._tasks.start(self._fetch(self.asked)))

    async def next(self) -> Page[R]:
        """The next page, in order."""
        page = await result_of(self._flying[0])
        self._flying.popleft()
        return page

    async def restart(self) -> None:
        """Drops what is in flight, to be asked for again."""
        self.asked -= len(self._flying)
        await self.aclose()
        self._flying.clear()

    async def aclose(self) -> None:
        """Ends what is in flight."""
        await cancel_all(self._flying)


@attrs.define(eq=False)
class PageWalk(Generic[R]):
    """One walk over *source*.

    *by_id* says that the rows were asked for in ascending order of ids, and *after* from where.
    """

    _source: Source[R]
    by_id: bool
    after: Position | None
    _page: Page[R] | None = attrs.field(init=False, default=None)
    """The page that was yielded last."""
    _end: int = attrs.field(init=False, default=1)
    """The first page of those that the walk does not need."""
    _again: bool = attrs.field(init=False, default=False)
    """Whether pages are read again, and rows come late."""
    _strayed: bool = attrs.field(init=False, default=False)
    """Whether a row has come after one with a higher id."""

    async def pages(
        self, opening: tuple[Page[R], Page[R]] | None = None
    ) -> AsyncGenerator[Page[R]]:
        """The pages in order, each id once.

        *opening* holds the first page and the top, if they were asked for already.

        Raises:
            PageDrift: pages contradict each other in a way that can't be repaired.
            IncompleteWalk: a page stays empty although there are rows after it.
        """
        self._source.progress.strategy = "page"
        seen = self._source.seen
        for _ in range(PASSES):
            known = len(self._source.seen)
            try:
                async with aclosing(self._forward(seen, opening)) as pages:
                    async for page in pages:
                        yield page
                if await self._source.ledger.proved():
                    return
            finally:
                await self._source.ledger.aclose()
            if self._source.ordered:
                self._again = True
                async with aclosing(self._backward()) as pages:
                    async for page in pages:
                        yield page
                if self._source.ordered and self.after is None:
                    await self._source.check_top()
                    return
            elif self._again and len(seen) == len(self._source.seen) == known:
                await self._source.check_top()
                return  # two walks have found the same
            if self.after is not None:
                raise self._source.drift("rows before the position may have been missed")
            self._again, opening, seen = True, None, Seen()
        raise self._source.drift(f"it was walked {PASSES} times, and changed meanwhile each time")

    def cursor(self, last: int) -> tuple[str, tuple[int, ...]]:
        """How to go on after the row *last* of the page that was yielded last."""
        if self._again or self._strayed or not self._source.ordered or self._page is None:
            return "none", ()
        source = self._source
        return "page", source.ledger.cursor(self._page, source.page_size, last)

    async def _forward(
        self, seen: Seen, opening: tuple[Page[R], Page[R]] | None
    ) -> AsyncGenerator[Page[R]]:
        """The pages from the first, or from the position, to the end."""
        flights = _Window(self._source.ask, self._source.tasks)
        early = repeats = 0
        try:
            if self.after is None:
                page, early = await self._open(flights, opening)
                before = page
                self._source.progress.upto = self._source.ledger.top or None
            else:
                before, page = await self._rejoin(self.after)
                self._source.progress.upto = self._source.ledger.top or None
                flights.asked = self._end = before.number
                if page.records:
                    yield self._given(self._fresh(seen, page)[0])
                if self._source.reached():
                    return
                flights.reach(before.number + self._ahead(), self._source.concurrency)
                page = await flights.next()
            while True:
                number = page.number
                page = came = await self._source.certain(page, before)
                if number <= early and not self._source.ledger.whole:
                    self._source.ledger.doubt(number, len(page), checksum(page, len(page)))
                if number > 1 and self._source.ledger.mark is not None:
                    self._source.ledger.check(self._source.read)
                if self._source.ordered and number > 1 and _fell(before, page):
                    page = await self._mended(page)
                page, fresh = self._fresh(seen, page)
                if number == 1 and self._capped(came):
                    # The server caps `limit`, and may still count its pages by the one asked for.
                    self._source.page_size, early = len(came), 1
                    await flights.restart()
                self._end = number + 1 if came.records else number
                if page.records:
                    yield self._given(page)
                self._source.ledger.settle()
                if not came.records or (number >= early and self._source.reached()):
                    return
                repeats = 0 if 2 * fresh > len(came) else repeats + 1
                if repeats > self._source.concurrency:
                    raise self._source.drift("its pages repeat each other")
                before = came
                # No wider until page 2 has shown that the server honours `page`.
                ahead, width = (1, 1) if number == 1 else (self._ahead(), self._source.concurrency)
                flights.reach(number + ahead, width)
                page = await flights.next()
        finally:
            await flights.aclose()

    async def _open(
        self, flights: _Window[R], opening: tuple[Page[R], Page[R]] | None
    ) -> tuple[Page[R], int]:
        """The first page, and up to which page there may be some that are older than the mark."""
        top: Page[R] | None
        early = 0
        if opening is not None:
            first, top = opening
            flights.asked = early = 1
        elif self._source.concurrency == 1 or not self.by_id or self._again:
            top = await self._source.ask_top()
            flights.reach(1, 1)
            first = await flights.next()
        else:
            asking = self._source.tasks.start(self._source.ask_top())
            try:
                flights.reach(min(2, self._source.concurrency - 1), self._source.concurrency)
                early = flights.asked
                first = await flights.next()
                top = await result_of(asking)
            finally:
                await cancel_all((asking,))
        lowest = min(ids_of(first), default=0)
        lower = top is not None and any(id < lowest for id in ids_of(top)[:2])
        self._source.ordered = self._source.ordered and in_order(first) and not lower
        self._source.ledger = Ledger()
        self._source.ledger.open(first, top)
        if self._source.ledger.mark is None and first.records:
            if first.total == len(first):
                # It is the mark by itself, so that nothing on it can be older.
                self._source.ledger.mark, early = HighWaterMark(max(ids_of(first)), len(first)), 0
            elif self._source.ordered:
                await self._mark_by_number(first)
        return first, early

    async def _mark_by_number(self, first: Page[R]) -> None:
        """Takes the mark from the row whose number is the total: in a page of 1, that is a page."""
        ids, total = ids_of(first), first.total
        if self._source.ledger.top or total is None or total <= len(ids):
            return
        found = ids_of(await self._source.ask_row(total))
        if len(found) == 1 and found > ids[-1:]:
            self._source.ledger.mark = HighWaterMark(found[0], total)

    async def _rejoin(self, after: Position) -> tuple[Page[R], Page[R]]:
        """The page of a position as it is now, and the rows after the position up to there."""
        source = self._source
        last, number, source.page_size, top, highest, mark, rows, under, count, *early = (
            after.numbers
        )
        source.seen.last = source.seen.floor = last
        source.ledger = Ledger(
            top, highest, HighWaterMark(mark, rows) if rows else None, under, count
        )
        for doubt in zip(early[::3], early[1::3], early[2::3], strict=True):
            self._source.ledger.doubt(*doubt)
        self._source.ledger.check(self._source.read)
        now = await self._source.ask(number)
        return now, await self._source.back(now)

    async def _mended(self, page: Page[R]) -> Page[R]:
        """*page* with the rows that have moved before it since the page before was read."""
        found = await self._source.back(await self._source.ask(page.number - 1))
        both = {record.id: record for record in (*found.records, *page.records)}
        self._source.progress.repaired += len(both) - len({*ids_of(page)})
        return attrs.evolve(page, records=[both[id] for id in sorted(both)])

    async def _backward(self) -> AsyncGenerator[Page[R]]:
        """What is new on the pages from the last to the first, asked for one at a time."""
        number, top = self._end, self._source.ledger.top
        page = await self._source.ask(number)
        while any(id not in self._source.seen for id in ids_of(page) if not top or id <= top):
            yield self._given(self._found(page))
            number += 1
            page = await self._source.ask(number)
        while number > 1:
            number -= 1
            above, page = page, await self._source.ask(number)
            if above.records and not page.records:
                page = await self._source.confirmed(number)
            known = any(id <= self._source.seen.floor for id in ids_of(page))
            new = self._found(page)
            if new.records:
                yield self._given(new)
            if known:
                return
        if self._end > 2 and overlap(page, await self._source.ask(2)):
            raise self._source.drift("page 2 repeats page 1: the server seems to ignore `page`")

    def _found(self, page: Page[R]) -> Page[R]:
        """*page* with what is new to the walk, late."""
        records = self._source.seen.fresh(page.records)
        self._source.progress.repaired += len(records)
        self._source.progress.repeated += len(page.records) - len(records)
        return attrs.evolve(page, records=records)

    def _fresh(self, seen: Seen, page: Page[R]) -> tuple[Page[R], int]:
        """*page* with what is new to the walk, and how many rows are new to this pass over it."""
        last = seen.last
        records = seen.fresh(page.records)
        self._source.ledger.add(records)
        self._source.progress.repeated += len(page.records) - len(records)
        if seen is not self._source.seen:
            return self._found(attrs.evolve(page, records=records)), len(records)
        if records and records[0].id <= last:
            self._strayed = True
            # Pages of one row show an order only together.
            self._source.ordered = self._source.ordered and self._source.page_size > 1
        return attrs.evolve(page, records=records), len(records)

    def _capped(self, first: Page[R]) -> bool:
        """Whether the *first* page shows that there is a lower limit than was asked for."""
        short = 0 < len(first) < self._source.page_size and first.total != len(first)
        return short and not self._source.ledger.whole

    def _given(self, page: Page[R]) -> Page[R]:
        self._page = page
        self._source.progress.pages += 1
        self._source.progress.seen = len(self._source.seen)
        return page

    def _ahead(self) -> int:
        """How many pages beyond the present one are worth asking for now.

        Up to the one that reaches the total, and the empty one after it if the highest id is not
        known; if there is no total or it has proved too low, as many as the window takes.
        """
        total, count = self._source.progress.total, self._source.ledger.count
        if total is None or total < count:
            return self._source.concurrency
        last = self._source.ordered and self._source.ledger.top > 0
        return max(1, -(-(total - count) // self._source.page_size) + (not last))


def _fell(before: Page[Any], page: Page[Any]) -> bool:
    """Whether rows may have gone between *before* and *page*."""
    return before.total is not None and page.total is not None and page.total < before.total
