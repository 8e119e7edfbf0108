"""The page walk: any server's collection by page numbers, though rows come and go meanwhile.

A page number counts rows. A row that is deleted moves all rows after it up. A walk that has passed
the border between two pages then misses the row that crosses it, and no response shows this by
itself.

What this walk relies on: at one moment, at its beginning, it notes the highest id and the total, so
it knows how many rows there were up to that id (`HighWaterMark`). If it has received so many
different rows up to that id, it has received all that existed, whatever else has come or gone, and
whatever the order. The highest id is asked for along with the first pages. These are suspect, since
they may have been read before a change that the mark has not seen: they are asked for again later,
and must hold what they held (`Ledger`). An exact count is doubtful if totals have risen and fallen,
or rows have come again: others may have come in the place of those that are missing.

What it repairs: where a total has fallen between a page and the next, rows may have crossed the
border. The page before is read again, and the ones before that until known rows come up; what has
crossed is yielded in its place. If the count does not come out, or is doubtful, the walk proves
otherwise that it has all rows: the ids between the first row of a page and its last are covered
(`Coverage`), and what lies between two pages is asked for again with a page of another size that
has rows of both (`Verifier`). This needs no totals, and no row that comes or goes hides another
from it. What is found then comes late.

What it can't repair is `PageDrift`: a server that ends its pages before its rows, leaves rows out
whatever the page size, or (most often) counts its pages from 0. If rows come in another order than
that of their ids, by the caller's wish or the server's, the collection is walked up to three times,
with another page size each time, until the count is right or two walks have found the same. A walk
that resumed from a cursor knows only how many rows came before it, unless it is given the ids of
those (`Kept`): then it reads them again where the count leaves a doubt, as it does with its own.

What is not guaranteed: in another order than that of ids, rows that are inserted before existing
ones while rows are deleted; totals that are wrong at times by just the number of rows that were
missed; responses that are older than the walk, from a cache or from a replica that is behind, where
no total and no row that comes again shows it; and rows that the server neither shows nor counts. A
walk that ends at the caller's limit has not verified its count; its cursor carries it on.

A server may cap or ignore `limit`, may ignore `page`, and may claim a wrong `total`. So the end of
a collection is found like this:

* It ends when all rows up to the mark have come. Otherwise only an empty page ends it: a short one
  does not. If the total or the highest id says that there is more, the empty page is first asked
  for again, and the one after it too: rows there mean that the server left some out
  (`IncompleteWalk`).
* A sliding window of requests is in flight (`PageWindow`), and yielded in order, once page 2 has
  shown that the server supports `page`. `total` is a hint for how far to reach ahead.
* A first page that is shorter than asked sets the page size for the others: a server that caps
  `limit` may still count its pages by the one asked for.
* A total proves nothing once a page has shown more rows. One that claims more rows than came is
  believed to be wrong only where the highest id has come, or the pages show where they end.
* A page equal to the one before is the end if nothing says that there is more. Otherwise it is
  `PageDrift` if it is the second page. An id is yielded once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from operator import attrgetter
from typing import Any, Generic

import attrs

from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .cursor import Kept, PageCursor, no_cursor
from .ids import Seen, ids_of
from .reader import PageReader
from .tasks import PageWindow
from .verify import Verifier, check_beginning
from .walk import Progress

PASSES = 3
"""How often a collection in an order of its own is walked before the walk gives up."""


@attrs.define(eq=False)
class PageWalk(Generic[R]):
    """One walk over what `reader` reads."""

    _reader: PageReader[R]
    checksum: str
    after: PageCursor | None
    """Where to resume."""
    kept: Kept | None
    """What was kept of the rows before that."""
    limited: bool
    """Whether it may end before its count is verified, at the caller's limit."""
    _progress: Progress = attrs.field(init=False)
    _page: Page[R] | None = attrs.field(init=False, default=None)
    """The page that was yielded last."""
    _again: bool = attrs.field(init=False, default=False)
    """Whether pages are read again, and rows come late."""
    _strayed: bool = attrs.field(init=False, default=False)
    """Whether a row has come after one with a higher id."""

    def __attrs_post_init__(self) -> None:
        self._progress = self._reader.fetcher.progress

    async def pages(
        self, opening: tuple[Page[R], Page[R]] | None = None
    ) -> AsyncGenerator[Page[R]]:
        """The pages in order, each id once; `opening` as in `PageReader.open`.

        Raises:
            PageDrift: pages contradict each other in a way that can't be repaired.
            IncompleteWalk: a page stays empty although there are rows after it.
        """
        reader = self._reader
        self._progress.strategy = "page"
        seen = reader.seen
        for number in range(1, PASSES + 1):
            known = len(reader.seen)
            try:
                async with aclosing(self._forward(seen, opening)) as pages:
                    async for page in pages:
                        yield page
                if await reader.is_complete():
                    return
                self._again = True
                if reader.ordered:
                    async with aclosing(self._verify()) as pages:
                        async for page in pages:
                            yield page
                recalled = reader.ordered and self.kept is not None
                if self.after is not None and not (recalled or reader.ledger.is_exact):
                    raise reader.drift("rows before the cursor may have been missed")
                if reader.ordered:
                    return
                if number == 1:
                    await check_beginning(reader)
                if number > 1 and len(seen) == len(reader.seen) == known:
                    await reader.check_end()
                    return  # two walks have found the same
            finally:
                await reader.ledger.aclose()
            opening, seen, reader.jumbled = None, Seen(), False
            reader.page_size = max(1, reader.page_size - 1)  # so that its borders lie elsewhere
        raise reader.drift(f"it was walked {PASSES} times, and changed meanwhile each time")

    def cursor(self, last: int) -> str:
        """The cursor behind the row `last` of the page that was yielded last."""
        reader = self._reader
        if self._again or self._strayed or not reader.ordered or self._page is None:
            return no_cursor(self.checksum)
        ledger = reader.ledger
        if ledger.is_doubtful and not reader.coverage.reaches(last):
            ledger = attrs.evolve(ledger, mark=None)  # or who resumes would trust its count
        return ledger.cursor(self.checksum, self._page, reader.page_size, last).encode()

    async def _forward(
        self, seen: Seen, opening: tuple[Page[R], Page[R]] | None
    ) -> AsyncGenerator[Page[R]]:
        """The pages from the first, or from the cursor, to the end."""
        reader = self._reader
        window = PageWindow(reader.start)
        repeats = early = 0
        try:
            if self.after is None:
                page, early = await reader.open(window, opening, self._again)
                before = page
            else:
                before, missed = await reader.rejoin(self.after)
                window.asked = before.number
                if missed.records:
                    yield self._counted(self._fresh(seen, missed)[0])
                reader.cover(before, reader.page_size)
                if await reader.is_past_top():
                    return
                page = await self._next(window, before.number)
            while True:
                number, received = page.number, await reader.confirm(page, before)
                if number == 2 and self.limited:
                    await check_beginning(reader)
                page, fresh = self._fresh(seen, await self._verified(received, before, early))
                reader.cover(received, reader.page_size)
                if number == 1 and self._is_capped(received):
                    # The server caps `limit`, and may still count its pages by the one asked for.
                    reader.page_size, early = len(received), 1
                    await window.restart()
                if page.records:
                    yield self._counted(page)
                reader.ledger.verify()
                if not received.records and not received.unusable:
                    reader.end = number
                    return
                if number >= early and await reader.is_past_top():
                    return
                more = not received.records and not reader.claims_no_more(received.total, number)
                repeats = 0 if 2 * fresh > len(received) or more else repeats + 1
                if repeats > reader.fetcher.concurrency:
                    raise reader.drift("its pages repeat each other", lasting=True)
                before, page = received, await self._next(window, number)
        finally:
            await window.aclose()

    async def _next(self, window: PageWindow[R], number: int) -> Page[R]:
        """The page after page `number`, and further ones on their way."""
        if number == 1 and self.after is None:
            # No wider until page 2 has shown that the server supports `page`.
            window.reach(2, 1)
        else:
            width = 1 if self._again else self._reader.fetcher.concurrency
            window.reach(number + self._ahead(), width)
        return await window.next()

    async def _verified(self, page: Page[R], before: Page[R], early: int) -> Page[R]:
        """The `page`, with the rows that have moved before it since the one `before` was read.

        Those up to page `early` are suspect.
        """
        reader, number = self._reader, page.number
        if number <= early and not reader.ledger.complete:
            reader.ledger.suspect(page)
        if number > 1 and reader.ledger.mark is not None:
            reader.ledger.check(reader.start)
        if number == 1 or not reader.ordered or not _fell(before, page):
            return page
        moved = await reader.read_back(await reader.ask(number - 1))
        both = {record.id: record for record in (*moved.records, *page.records)}
        self._progress.repaired += len(both) - len({*ids_of(page)})
        return replace(page, records=[both[id] for id in sorted(both)])

    async def _verify(self) -> AsyncGenerator[Page[R]]:
        """What is new on the pages that are read again, across the borders of those before."""
        if self.after is not None and self.kept is not None:
            await self._recall(self.after, self.kept)
        async with aclosing(Verifier(self._reader).pages()) as pages:
            async for page in pages:
                late = self._late(page)
                if late.records:
                    yield self._counted(late)

    async def _recall(self, after: PageCursor, kept: Kept) -> None:
        """Knows the rows before the cursor by their ids from now on, not by their number.

        They say what has come, not that nothing was missed between: all of it is read again.
        """
        reader = self._reader
        reader.seen.recall(await kept(after.last))
        reader.coverage.uncover(after.last)
        reader.ledger.mark = None

    def _late(self, page: Page[R]) -> Page[R]:
        """The `page` with what is new to the walk, late."""
        records = self._reader.seen.fresh(page.records)
        if self._reader.ordered:
            records = sorted(records, key=attrgetter("id"))  # of the highest rows, they descend
            self._reader.ledger.add(records)
        self._progress.repaired += len(records)
        self._progress.repeated += len(page.records) - len(records)
        return replace(page, records=records)

    def _fresh(self, seen: Seen, page: Page[R]) -> tuple[Page[R], int]:
        """The `page` with what is new to the walk, and how many rows are new to this pass."""
        reader, last = self._reader, seen.last
        records = seen.fresh(page.records)
        reader.ledger.add(records)
        self._progress.repeated += len(page.records) - len(records)
        reader.ledger.repeats = reader.ledger.repeats or len(records) < len(page.records)
        if seen is not reader.seen:
            return self._late(replace(page, records=records)), len(records)
        if records and records[0].id <= last:
            self._strayed = True
            # A server that does not sort may have sent a page in order by chance.
            reader.ordered = reader.ordered and reader.ledger.top > 0
        return replace(page, records=records), len(records)

    def _is_capped(self, first: Page[R]) -> bool:
        """Whether the `first` page shows that the server sends fewer rows than were asked for."""
        short = 0 < len(first.records) < self._reader.page_size and first.total != len(
            first.records
        )
        return short and not self._reader.ledger.complete

    def _counted(self, page: Page[R]) -> Page[R]:
        self._page = page
        self._progress.pages += 1
        self._progress.seen += len(page.records)
        return page

    def _ahead(self) -> int:
        """How many pages beyond the present one are worth asking for now.

        Up to the one that reaches the total, and the empty one after it if the highest id is not
        known; if there is no total or it has proved too low, as many as may be in flight. In any
        case no more than the rows up to the limit take.
        """
        reader, total, rows = self._reader, self._progress.total, self._reader.ledger.rows
        width = reader.fetcher.width(reader.page_size)
        if total is None or total < rows:
            return width
        last = reader.ordered and reader.ledger.top > 0
        pages = max(1, -(-(total - rows) // reader.page_size) + (not last))
        return pages if reader.fetcher.limit is None else min(pages, width)


def _fell(before: Page[Any], page: Page[Any]) -> bool:
    """Whether rows may have gone between `before` and `page`."""
    return before.total is not None and page.total is not None and page.total < before.total
