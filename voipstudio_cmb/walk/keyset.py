"""The keyset walk: `id > last` instead of page numbers, so that rows may come and go meanwhile.

A page number counts rows. A row that comes or goes ahead of it changes what the number means; an id
never changes. Every row that exists throughout the walk is yielded exactly once, in the order of
ids, whatever is inserted or deleted meanwhile. The walk ends at the highest id that existed when it
began.

The server has to support `filter` and `sort` on `id`. Its responses must prove that (`Probe`)
before more than the first page is yielded. What it has proved is remembered (`Capabilities`).

With a concurrency above 1 the ids are cut into ranges, each about a page of rows by the density
that was found last, and several ranges are asked for at once. A range with more than a page is cut
again. The rows come in order all the same. All ranges share the concurrency, which bounds what is
in memory: where it is used up, each range may only ask for one more at a time. The first ranges are
asked for while the server is probed (`Guess`), and none of them is looked at before it has proved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic

import attrs

from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .capabilities import Capabilities
from .cursor import KeysetCursor
from .digits import Digits
from .ending import Ending, Totals, claimed_by
from .fetcher import PageFetcher
from .flights import Flight, Flights, Guess
from .ledger import cursor_of_opening
from .probe import Probe
from .ranges import Cutter, hides_rows, id_span, left_behind
from .tasks import result_of
from .verdicts import within


@attrs.define(eq=False)
class KeysetWalk(Generic[R]):
    """One walk over `resource`."""

    _fetcher: PageFetcher[R]
    resource: str
    capabilities: Capabilities
    checksum: str
    after: KeysetCursor | None
    """Where to resume."""
    trusted: bool
    """Whether its cursors are by keyset even where nothing had to be proved."""
    probe: Probe[R] = attrs.field(init=False)
    _opening: tuple[Page[R], Page[R]] | None = attrs.field(init=False, default=None)
    """What was yielded first, and the highest rows of then."""
    _size: int = attrs.field(init=False, default=0)
    """Rows on the first page: as many as the server sends at once."""
    _through: int = attrs.field(init=False, default=0)
    """The highest id of the beginning, where the walk ends."""
    _ending: Ending[R] | None = attrs.field(init=False, default=None)
    """Checks the end; None where nothing has to be trusted."""
    _totals: Totals = attrs.field(init=False)
    _digits: Digits[R] = attrs.field(init=False)
    _flights: Flights[R] = attrs.field(init=False)
    _guessed: deque[Flight[R]] = attrs.field(init=False, factory=deque)

    def __attrs_post_init__(self) -> None:
        self.probe = Probe(self._fetcher, self.resource, self.capabilities)
        self._digits = Digits(self._fetcher, self.resource, self.capabilities)
        self._flights = Flights(self._fetcher)
        self._totals = Totals(self.resource in self.capabilities.counted)

    async def first(self) -> Page[R] | None:
        """The first page, before anything is proved; None where that is due first."""
        if self.after is not None or self.resource in self.capabilities.supported:
            return None
        page, self._through = await self.probe.open()
        self._opening = self.probe.opening
        self._note(page, self._through)
        # Who wants no more than it has is to have a cursor by keyset.
        return page if page.records and not self._fetcher.has_all(page) else None

    async def pages(self) -> AsyncGenerator[Page[R]]:
        """The pages, numbered from 1.

        Raises:
            KeysetUnsupported: the server refuses or ignores conditions; nothing is yielded then.
            PageDrift: later, if a response breaks what the server had proved.
        """
        self._fetcher.progress.strategy = "keyset"
        try:
            first, rest = await (self._begin() if self.after is None else self._resume(self.after))
            for page in first:
                if self._ending is not None:
                    self._ending.begin_range(self._ending.last)
                yield self._counted(page)
            for part in (rest,) if self._ending is None else (rest, self._late(self._ending)):
                async with aclosing(part) as pages:
                    async for page in pages:
                        yield self._counted(page)
        except PageDrift:
            self.capabilities.refuse(self.resource)
            raise
        finally:
            if self._guessed:
                await self._flights.drop(self._guessed)

    async def _late(self, ending: Ending[R]) -> AsyncGenerator[Page[R]]:
        """The pages between the last row and the end, if rows have come there or were left out.

        Raises:
            PageDrift: there are rows that don't come.
        """
        while await ending.has_rows_left():
            last = ending.last
            async with aclosing(self._one_by_one(last, ending.through)) as pages:
                async for page in pages:
                    yield page
            if ending.last == last and await ending.has_rows_left():
                raise ending.drift(f"none came above {last} up to {ending.through}")
        await ending.check_count(self._totals)

    def _counted(self, page: Page[R]) -> Page[R]:
        progress = self._fetcher.progress
        progress.pages += 1
        progress.seen += len(page.records)
        if self._ending is not None:
            self._ending.add(page)
        return replace(page, number=progress.pages, total=progress.total)

    def cursor(self, last: int) -> str:
        """The cursor behind the row `last`; the walk resumed there has the same end as this one."""
        proved = self.trusted or self.resource in self.capabilities.supported
        if proved or self.after is not None or self._opening is None:
            return KeysetCursor(self.checksum, last, self._through).encode()
        size = self._fetcher.first.page_size
        return cursor_of_opening(self._opening, self.checksum, size, last).encode()

    async def _begin(self) -> tuple[list[Page[R]], AsyncGenerator[Page[R]]]:
        """The first pages, and those after them."""
        if self.resource in self.capabilities.supported and self._fetcher.is_one_page:
            page = await self._fetcher.ids(0, None)
            if self._fetcher.has_all(page) and within(page, 0, None):
                # All that is wanted. Where the walk would end is found out when it is resumed.
                self._note(page, None)
                return [page], self._one_by_one(0, 0)
        guess: Guess[R] | None = None
        if self.resource not in self.capabilities.supported:
            first, through = self.probe.opened or await self.probe.open()
            some = first.records and first.records[-1].id < through
            if some and not self._fetcher.has_all(first):
                guess = Guess(self._flights, first, through, self._guessed)
        page, self._through, ahead = await self.probe.begin()
        self._opening = self.probe.opening if page.records else self._opening
        self._note(page, self._through)
        last = page.records[-1].id if page.records else 0
        if last >= self._through:
            return [page] if page.records else [], self._one_by_one(0, 0)
        if ahead is not None:
            self._learn(ahead, self._through)
        await self._digits.prove(page, ahead, self._through)
        self._ending = Ending(self._fetcher, 0, self._through, claimed_by(page))
        if guess and ahead and (fitting := guess.fitting(page, self._through, ahead)):
            return [page, fitting], self._in_ranges(guess.cutter, guess.flying)
        await self._flights.drop(self._guessed)
        pages = [page] if ahead is None or not ahead.records else [page, ahead]
        last = pages[-1].records[-1].id
        return pages, self._segment(last, self._through, left_behind(pages[-1]), id_span(page))

    async def _resume(self, after: KeysetCursor) -> tuple[list[Page[R]], AsyncGenerator[Page[R]]]:
        """The first page behind the cursor, and those after it."""
        low, high = after.last, after.through
        page: Page[R] | None = None
        if not high or (low < high and not self.capabilities.supports(self.resource, low, high)):
            complete, highest, page = await self.probe.begin(low, high or None)
            high = high or highest
            if page is None and not self.capabilities.supports(self.resource, low, high):
                # The first page is everything, so that no condition has to be trusted.
                rows = [record for record in complete.records if low < record.id <= high]
                if rows:
                    self._fetcher.progress.total = len(rows)
                self._through = high
                pages = [replace(complete, records=rows)] if rows else []
                return pages, self._one_by_one(high, high)
        self._through = self._fetcher.progress.through = high
        if low >= high:
            return [], self._one_by_one(low, high)
        if page is None:
            page = await self._ask(low, high)
        self._learn(page, high)
        self._note(page, high)
        self._ending = Ending(self._fetcher, low, high, claimed_by(page))
        if not page.records:
            return [], self._one_by_one(low, high)
        return [page], self._segment(page.records[-1].id, high, left_behind(page), id_span(page))

    def _note(self, first: Page[R], through: int | None) -> None:
        self._fetcher.progress.through = through
        self._fetcher.progress.total = first.total
        self._size = max(1, len(first.records))

    def _segment(self, low: int, high: int, rows: int | None, near: int) -> AsyncGenerator[Page[R]]:
        """The pages of ids above `low` up to `high`: about `rows`; the page before took `near`."""
        # Nothing to ask for, one request at a time, or no density to go by.
        if low >= high or self._fetcher.concurrency == 1 or rows is None:
            return self._one_by_one(low, high)
        return self._in_ranges(Cutter(low, high, rows, self._size, near), deque())

    async def _in_ranges(self, cutter: Cutter, flying: deque[Flight[R]]) -> AsyncGenerator[Page[R]]:
        """The pages of the ranges `flying`, and of those that `cutter` cuts."""
        high = cutter.high
        try:
            while self._flights.take_off(cutter, flying):
                low, through = flying[0][:2]
                page = await self._land(flying)
                cutter.learn((page.total if page.records else 0) or len(page.records))
                if page.records:
                    yield page
                    if not self._has_more(page, through):
                        continue
                elif not hides_rows(page, self._size):
                    continue
                last = page.records[-1].id if page.records else low
                more = (page.total or 0) - len(page.records)
                if through == high and len(page.records) >= self._size and more > 0:
                    # The last of all ranges, so that what is left of it is all that is left.
                    cutter = Cutter(last, high, more, self._size, id_span(page))
                    continue
                if len(page.records) < self._size or more <= self._size:
                    # A short page whose total says that there is more: one look is enough to know.
                    rest = self._one_by_one(last, through)
                else:
                    rest = self._segment(last, through, more, id_span(page))
                async with aclosing(rest) as pages:
                    async for page in pages:
                        yield page
        finally:
            await self._flights.drop(flying)

    async def _land(self, flying: deque[Flight[R]]) -> Page[R]:
        """The page of the oldest range, asked for again if it should not be empty."""
        low, high, task = flying[0]
        page = await result_of(task)
        page = await (self._ask(low, high) if page is None else self._checked(page, low, high))
        flying.popleft()
        self._flights.held -= 1
        return page if page.records or not page.total else await self._ask(low, high)

    async def _one_by_one(self, low: int, high: int) -> AsyncGenerator[Page[R]]:
        """As `_segment`, each page after the last id of the one before."""
        while low < high:
            page = await self._ask(low, high)
            if not page.records and page.total:
                page = await self._ask(low, high)
            if page.records:
                yield page
                low = page.records[-1].id if self._has_more(page, high) else high
            elif hides_rows(page, self._size) and high - low > 1:
                middle = (low + high) // 2
                async with aclosing(self._one_by_one(low, middle)) as pages:
                    async for page in pages:
                        yield page
                low = middle
            else:
                return

    async def _ask(self, low: int, high: int) -> Page[R]:
        return await self._checked(await self._fetcher.ids(low, high), low, high)

    async def _checked(self, page: Page[R], low: int, high: int) -> Page[R]:
        if within(page, low, high) and not await self._digits.passed_over(page, low, high):
            self._learn(page, high)
            if self._ending is not None:
                self._ending.begin_range(low)
            return page
        raise PageDrift(
            "the server answered with other ids than it was asked for, or in another order, after "
            "it had proved to support such conditions: walk again from the beginning, if need be "
            'with walk="page"',
            evidence=f"asked for: ids above {low} up to {high}",
            sent="yes",
        )

    def _learn(self, page: Page[R], through: int) -> None:
        self._totals.learn(page, through)
        if self._totals.count:
            self.capabilities.counted.add(self.resource)

    def _has_more(self, page: Page[R], through: int) -> bool:
        """Whether the range of `page`, up to `through`, may hold more rows.

        A total can be too low, or count no more than the page; the highest id can't be wrong.
        """
        rows, came = len(page.records), len(page.records) + page.unusable
        is_all = page.total is not None and page.total <= rows and came < self._size
        return page.records[-1].id < through and not (is_all and self._totals.are_right)
