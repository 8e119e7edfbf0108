"""Ranges of ids that a keyset walk has asked for: how many at once, and none left behind."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from typing import Generic, TypeAlias

import attrs

from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .fetcher import PageFetcher
from .ids import ids_of
from .ranges import Cutter, id_span
from .tasks import cancel_all

Flight: TypeAlias = tuple[int, int, "asyncio.Task[Page[R]] | asyncio.Task[Page[R] | None]"]
"""A range that was asked for: the ids above the first number, up to the second."""

_FEW = 4
"""Rows that show how far the next ones reach."""


@attrs.define(eq=False)
class Flights(Generic[R]):
    """The ranges of all segments of a walk, which share its concurrency."""

    _fetcher: PageFetcher[R]
    held: int = attrs.field(init=False, default=0)
    """Ranges that were asked for and are not yielded yet."""

    def take_off(self, cutter: Cutter, flying: deque[Flight[R]], besides: int = 0) -> bool:
        """Asks for further ranges, as far as the concurrency goes; returns whether any is flying.

        One may always be asked for, or what holds the others would wait for ever. But `besides` so
        many other requests they are guesses: none is needed, nor tried again.
        """
        width = self._fetcher.width(self._fetcher.first.page_size) - besides
        while self.held < width or not (flying or besides):
            if (cut := cutter.next(len(flying) + besides)) is None:
                break
            flying.append(self.ask(*cut, guess=bool(besides)))
        return bool(flying)

    def ask(self, low: int, high: int, guess: bool = False) -> Flight[R]:
        """Asks for a range, whatever is flying."""
        self.held += 1
        fetcher = self._fetcher
        if guess:
            return low, high, fetcher.tasks.start(fetcher.guess(low, high))
        return low, high, fetcher.tasks.start(fetcher.ids(low, high))

    async def drop(self, flying: deque[Flight[R]]) -> None:
        """Ends what is `flying`."""
        self.held -= len(flying)
        tasks = [task for *_, task in flying]
        flying.clear()
        await cancel_all(tasks)


@attrs.define(eq=False)
class Guess(Generic[R]):
    """Ranges that are asked for while a server is probed, by the density of the first page.

    They are useless where rows lie otherwise, so there are none if the mean of all is another.
    """

    flights: Flights[R]
    first: Page[R]
    through: int
    """The highest id."""
    flying: deque[Flight[R]] = attrs.field(factory=deque)
    cutter: Cutter = attrs.field(init=False)
    start: int = attrs.field(init=False)
    """Where they begin: the page that is asked for along with the probe should reach so far."""

    def __attrs_post_init__(self) -> None:
        first, rows = self.first, len(self.first.records)
        left, last = (first.total or 0) - rows, first.records[-1].id
        self.cutter = Cutter(last, self.through, left, rows, id_span(first))
        _, self.start = self.cutter.next(0) or (last, last)
        if left > rows >= _FEW:  # else the page after the first may be the last one
            self.flights.held += 1  # that page
            self.flights.take_off(self.cutter, self.flying, besides=1)
            self.flights.held -= 1

    def fitting(self, first: Page[R], through: int, ahead: Page[R]) -> Page[R] | None:
        """The page `ahead` of the ranges without the rows that they have.

        None if there are no ranges, if `first` or `through` are others than was thought, or if
        `ahead` shows that rows lie otherwise.
        """
        if not self.flying or first is not self.first or through != self.through or ahead.unusable:
            return None
        rows = bisect_right(ids_of(ahead), self.start)
        if 2 * rows <= self.cutter.size:
            return None
        self.cutter.learn(rows)
        if (last := ahead.records[-1].id) < self.start:
            self.flying.appendleft(self.flights.ask(last, self.start))
        return replace(ahead, records=ahead.records[:rows])
