"""The keyset walk: `id > last` instead of page numbers, so that rows may come and go meanwhile.

A page number counts rows, and rows that come or go before it shift what it means; an id does not.
Every row that exists throughout the walk is yielded exactly once, in the order of ids, whatever is
inserted or deleted meanwhile. The walk ends at the highest id that there was when it began.

A server has to honour `filter` and `sort` on `id` for this, and proves it by its answers, before
anything is yielded (`proof`). What it has proved is remembered (`Proofs`) for the walks after.

With a window the ids are cut into ranges, each about a page of rows by the density that was found
last, and several ranges are asked for at once. A range with more than a page is cut again. The
rows come in order all the same, and what is in memory is bounded by the window: it is shared by
ranges within ranges, each of which may only ask for one more at a time where it is used up.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic, TypeVar

import attrs

from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.models import Identified, Page

from .cursor import Position
from .probe import Capabilities, FetchRange, Probe, within
from .ranges import Cutter, _span
from .tasks import Tasks, cancel_all, result_of
from .walk import Progress

R = TypeVar("R", bound=Identified)


@attrs.define(eq=False)
class KeysetWalk(Generic[R]):
    """One walk over *resource*: at most *window* requests are in flight, *limit* rows each.

    It goes on *after* a position, if there is one. *opening* is how it begins.
    """

    fetch: FetchRange[R]
    resource: str
    capabilities: Capabilities
    page_size: int
    concurrency: int
    tasks: Tasks
    progress: Progress
    after: Position | None = None
    opening: Probe[R] = attrs.field(init=False)
    _slots: asyncio.Semaphore = attrs.field(init=False)
    _size: int = attrs.field(init=False, default=0)
    _mark: int = attrs.field(init=False, default=0)
    _held: int = attrs.field(init=False, default=0)
    """Ranges that were asked for and are not yielded yet, of all segments together."""

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.concurrency)
        self.opening = Probe(
            self._ask, self.page_size, self.tasks, self.resource, self.capabilities
        )

    async def _ask(
        self, low: int, high: int | None, page_size: int, descending: bool = False
    ) -> Page[R]:
        async with self._slots:
            self.progress.requests += 1
            return await self.fetch(low, high, page_size, descending)

    async def pages(self) -> AsyncGenerator[Page[R]]:
        """The pages, numbered from 1.

        Raises:
            NotHonoured: before anything is yielded, if the server refuses or ignores conditions.
            PageDrift: later, if an answer breaks what the server had proved.
        """
        number = 0
        self.progress.strategy = "keyset"
        found = self._all() if self.after is None else self._resumed(*self.after.numbers)
        async with aclosing(found) as pages:
            async for page in pages:
                number += 1
                self.progress.pages = number
                self.progress.seen += len(page.records)
                yield attrs.evolve(page, number=number, total=self.progress.total)

    def cursor(self, last: int) -> tuple[int, ...]:
        """How to go on after the row *last*: behind it, up to the highest id of the beginning."""
        return last, self._mark

    async def _resumed(self, low: int, high: int) -> AsyncGenerator[Page[R]]:
        """The pages with ids from above *low* to *high*."""
        self._mark = self.progress.upto = high
        if low >= high:
            return
        first: Page[R] | None = None
        if self.resource not in self.capabilities.supported:
            whole, _, first = await self.opening.begin(low, high)
            if first is None and self.resource not in self.capabilities.supported:
                # The first page is everything, so that no condition has to be trusted.
                rows = [record for record in whole.records if low < record.id <= high]
                if rows:
                    self.progress.total = len(rows)
                    yield attrs.evolve(whole, records=rows)
                return
        if first is None:
            first = self._kept(await self._ask(low, high, self.page_size), low, high)
        self.progress.total = first.total
        self._size = max(1, len(first.records))
        if first.records:
            yield first
            left = None if first.total is None else first.total - len(first.records)
            rest = self._segment(first.records[-1].id, high, left, _span(first))
        else:
            rest = self._one_by_one(low, high)
        async with aclosing(rest) as pages:
            async for page in pages:
                yield page

    async def _all(self) -> AsyncGenerator[Page[R]]:
        first, self._mark, proof = await self.opening.begin()
        self.progress.upto = self._mark
        rest = first.records[-1].id if first.records else 0
        self.progress.total = first.total
        self._size = max(1, len(first.records))
        left = None if first.total is None else first.total - len(first.records)
        near = _span(first) if first.records else 1
        if first.records:
            yield first
        if proof is not None and proof.records:
            yield proof
            rest = proof.records[-1].id
            left = None if proof.total is None else proof.total - len(proof.records)
        async with aclosing(self._segment(rest, self._mark, left, near)) as pages:
            async for page in pages:
                yield page

    async def _segment(
        self, low: int, high: int, rows: int | None, near: int
    ) -> AsyncGenerator[Page[R]]:
        """The pages with ids from above *low* to *high*, of which there should be *rows*.

        The page right before took *near* ids.
        """
        if self.concurrency == 1 or rows is None:  # or there is no density to go by
            async with aclosing(self._one_by_one(low, high)) as pages:
                async for page in pages:
                    yield page
            return
        cutter = Cutter(low, high, rows, self._size, near)
        flying: deque[tuple[int, int, asyncio.Task[Page[R]]]] = deque()
        try:
            while True:
                # One may always be asked for, or what holds the others would wait for ever.
                while not flying or self._held < self.concurrency:
                    if (cut := cutter.next(len(flying))) is None:
                        break
                    flying.append((*cut, self.tasks.start(self._ask(*cut, self.page_size))))
                    self._held += 1
                if not flying:
                    return
                after, until, task = flying[0]
                page = self._kept(await result_of(task), after, until)
                flying.popleft()
                del task  # and with it a second reference to what it has brought
                self._held -= 1
                if not page.records and page.total:
                    # It says that there are rows, and has sent none.
                    page = self._kept(await self._ask(after, until, self.page_size), after, until)
                cutter.learn(len(page.records) if page.total is None else page.total)
                if not page.records:
                    continue
                yield page
                if not self._more(page):
                    continue
                last, more = page.records[-1].id, (page.total or 0) - len(page.records)
                span = _span(page)
                if until == high and len(page.records) >= self._size and more > 0:
                    # The last of all ranges, so that what is left of it is all that is left.
                    cutter = Cutter(last, high, more, self._size, span)
                    continue
                async with aclosing(self._rest(page, until, more, span)) as pages:
                    async for page in pages:
                        yield page
        finally:
            self._held -= len(flying)
            await cancel_all([task for _, _, task in flying])

    def _rest(self, page: Page[R], high: int, more: int, span: int) -> AsyncGenerator[Page[R]]:
        """The pages of a range after its first one, *page*."""
        low = page.records[-1].id
        if len(page.records) < self._size or more <= self._size:
            # A short page that says that there is more: one look is enough to know.
            return self._one_by_one(low, high)
        return self._segment(low, high, more, span)

    async def _one_by_one(self, low: int, high: int) -> AsyncGenerator[Page[R]]:
        """As `_segment`, each page after the last id of the one before."""
        while low < high:
            page = self._kept(await self._ask(low, high, self.page_size), low, high)
            if not page.records and page.total:
                page = self._kept(await self._ask(low, high, self.page_size), low, high)
            if not page.records:
                return
            yield page
            low = page.records[-1].id
            if not self._more(page):
                return

    def _kept(self, page: Page[R], low: int, high: int) -> Page[R]:
        if within(page, low, high):
            return page
        raise PageDrift(
            "the server answered with other ids than it was asked for, or in another order, after "
            "it had proved to honour such conditions: begin the walk anew, if need be with "
            'walk="page"',
            evidence=f"asked for: ids above {low} up to {high}",
            sent="yes",
        )

    def _more(self, page: Page[R]) -> bool:
        """Whether the range of *page* may hold more rows: a total can be too low."""
        if page.total is None:
            return True
        return page.total > len(page.records) or len(page.records) >= self._size
