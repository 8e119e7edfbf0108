"""How a keyset walk ends: every row up to its end must have come, as far as the server shows it.

Each range that was asked for has been answered, by rows that meet its conditions. That none was
left out takes more. The highest id of the beginning must have come, or be gone. And so many rows
must have come as there were at the beginning, or as there still are. If there are more, they may
have come since: then the server finds them now. If it does not, it contradicts itself.
"""

from __future__ import annotations

from array import array
from typing import Generic

import attrs

from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .fetcher import MANY, PageFetcher
from .ids import ids_of
from .verdicts import within

_CHECKS = 3
"""How often it is looked until a contradiction is certain to be none between two moments."""


def claimed_by(page: Page[R]) -> int | None:
    """The total of `page`, with its rows that can't be used: they count in all other totals."""
    return None if page.total is None else page.total + page.unusable


@attrs.define(eq=False)
class Totals:
    """What the totals of a walk are worth."""

    count: bool = False
    """Whether one has counted more rows than its own page has, where conditions on `id` go with it.

    Not all do, so that they show no end."""
    wrong: bool = False
    """Whether one was contradicted by the rows that it came with."""

    def learn(self, page: Page[R], through: int) -> None:
        """Notes what `page`, of ids up to `through`, shows of its total."""
        rows = len(page.records)
        if page.total is None or not rows:
            return
        self.count = self.count or page.total > rows
        is_all = page.records[-1].id == through
        self.wrong = self.wrong or page.total < rows or (is_all and page.total > rows)

    @property
    def are_right(self) -> bool:
        """Whether they count, and none was wrong."""
        return self.count and not self.wrong


@attrs.define(eq=False)
class Ending(Generic[R]):
    """The end of a walk over the ids above `low` and up to `through`."""

    _fetcher: PageFetcher[R]
    low: int
    through: int
    claimed: int | None
    """How many rows there were at the beginning, by its total, the unusable ones included."""
    last: int = attrs.field(init=False)
    """The id that came last, or where the walk began."""
    came: int = attrs.field(init=False, default=0)
    """How many rows have come."""
    _lows: array[int] = attrs.field(init=False, factory=lambda: array("q"))
    """Where each range began that was answered."""
    _rows: array[int] = attrs.field(init=False, factory=lambda: array("q"))
    """How many rows had come up to there."""

    def __attrs_post_init__(self) -> None:
        self.last = self.low

    def begin_range(self, low: int) -> None:
        """Notes that what comes next is the response for a range above `low`."""
        self._lows.append(low)
        self._rows.append(self.came)

    def add(self, page: Page[R]) -> None:
        """Counts the rows of `page`."""
        self.last = page.records[-1].id
        self.came += len(page.records) + page.unusable

    async def has_rows_left(self) -> bool:
        """Whether there are rows above the last one and up to the end.

        They are looked for without a condition, as far as the highest rows of all reach.

        Raises:
            PageDrift: conditions on higher ids find nothing.
        """
        if self.last >= self.through:
            return False
        rows, ids = max(MANY, self._fetcher.first.page_size), list[int]()
        for _ in range(_CHECKS):
            ids = ids_of(await self._fetcher.newest(rows))
            if not ids or min(ids) <= self.through:
                return any(self.last < id <= self.through for id in ids)
            # All of them have come since. The next row will do, which is one of these at the most.
            following = ids_of(await self._fetcher.ids(self.last, max(ids), 1))
            if following:
                return following[0] <= self.through
        raise self.drift(f"none came above {self.last} up to {max(ids)}, which existed before")

    async def check_count(self, totals: Totals) -> None:
        """Makes sure that all rows have come, if there were more at the beginning.

        Raises:
            PageDrift: there are more by the total, and the server does not find them.
        """
        if not self.claimed or self.came >= self.claimed or not totals.count or totals.wrong:
            return
        left = 0
        for _ in range(_CHECKS):
            left = await self._total(self.through)
            if left > self.came and await self._contradicts():
                continue
            if await self._fetcher.hides_above(self.through):
                raise self.drift(f"there are ids above {self.through}, the highest by its order")
            return
        raise self.drift(f"{self.came} rows came of {left}, and of {self.claimed} at the beginning")

    async def _contradicts(self) -> bool:
        """Whether some range does not have the rows that the totals on both sides of it claim.

        It is found by halves, and asked for again as it was before. Totals that count rows where
        none can be claim nothing.
        """
        if await self._total(self.low):
            return False
        lows, rows = [self.low, *self._lows, self.through], [0, *self._rows, self.came]
        first, after = 0, len(lows) - 1
        while after - first > 1:
            middle = (first + after) // 2
            if await self._total(lows[middle]) > rows[middle]:
                after = middle
            else:
                first = middle
        low, high = lows[first], lows[after]
        page = await self._fetcher.ids(low, high)
        found = len(page.records) + page.unusable
        all_shown = not page.records or page.total == len(page.records)
        finds_no_more = all_shown and found <= rows[after] - rows[first]
        return finds_no_more or not within(page, low, high)

    async def _total(self, through: int) -> int:
        """How many rows there are up to `through` now; 0 if that is not known."""
        return claimed_by(await self._fetcher.ids(self.low, through, 1)) or 0

    def drift(self, evidence: str) -> PageDrift:
        """The error for rows that did not come."""
        return PageDrift(
            "the server has left out rows of the ranges of ids that it was asked for, though it "
            'had proved to support such conditions: walk again, with walk="page"',
            evidence=evidence,
            sent="yes",
        )
