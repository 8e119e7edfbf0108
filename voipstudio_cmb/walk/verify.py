"""Reads again, across the borders between pages, what a page walk can't account for by counting."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator
from typing import Any, Generic

import attrs

from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .coverage import END, page_over
from .ids import ids_of
from .reader import PageReader

_TRIES = 12
"""How many pages in a row may bring a gap no nearer to its end."""

_FEW = 8
"""Rows that are asked for at least: a page of one or two may have no border inside."""


async def check_beginning(reader: PageReader[Any]) -> bool:
    """Whether the page named 1 has no row that has not come.

    Raises:
        PageDrift: it has some each time, since the server counts its pages from 0.
    """
    missed = any(id not in reader.seen for id in await reader.fetcher.named_page())
    if missed and await reader.fetcher.counts_from_0():
        raise reader.drift("the server counts its pages from 0, not from 1", lasting=True)
    return not missed


@attrs.define(eq=False)
class Verifier(Generic[R]):
    """Closes the gaps in what a walk has covered, the last one first.

    A gap is what lies between two pages that share no row. A page with rows of both closes it,
    whatever has come or gone meanwhile. A page that comes short may leave out any row, and closes
    none.
    """

    _reader: PageReader[R]
    _most: int = attrs.field(init=False)
    """The rows to ask for: fewer where pages come short."""
    _ceiling: int = attrs.field(init=False)
    """What they may grow to again: a server that sends no more may count its pages by less."""
    _shift: int = attrs.field(init=False)
    """How many rows there are before the present place, less those that have come."""
    _began: tuple[int, int] = attrs.field(init=False, default=(0, 0))
    """The id that page 1 began with when it was read last, and its size."""
    _begins: bool = attrs.field(init=False, default=False)
    """Whether the page that was read last is known to begin with the first row."""
    _last: int = attrs.field(init=False)
    """The page to read where the last rows should be, of a server that does not sort."""
    _above: bool = attrs.field(init=False, default=False)
    """Whether the page above it has nothing new."""
    _gone: int = attrs.field(init=False, default=0)
    """How often in a row no row was there any more when the first or the highest were read."""
    _ending: set[int] = attrs.field(init=False, factory=set)
    """The ids of the last page, if it is known."""
    _tries: int = attrs.field(init=False, default=0)
    _unusable: dict[int, int] = attrs.field(init=False, factory=dict)
    """How many rows that can't be used are on pages that have no others, by their numbers."""

    def __attrs_post_init__(self) -> None:
        reader = self._reader
        self._most = self._ceiling = max(_FEW, reader.page_size)
        self._last = reader.end
        self._shift = reader.ledger.rows - len(reader.seen)

    async def pages(self) -> AsyncGenerator[Page[R]]:
        """Pages that may hold rows which have not come; those are taken before the next is read.

        Ends when all is accounted for, or when rows come in another order than that of ids.

        Raises:
            PageDrift: a gap can't be closed.
        """
        reader = self._reader
        if 0 < reader.ledger.top in reader.coverage:
            reader.coverage.add(reader.ledger.top, END)
        while not await reader.is_complete() and (gap := reader.coverage.last_gap):
            question, known = self._question(*gap), reader.seen.last
            number, size = question
            page = await (reader.ask(*question) if number else reader.fetcher.newest(size))
            yield page
            ids = ids_of(page)
            if not number and ids != sorted(ids, reverse=True):
                reader.ordered = False  # the highest, in another order than that of ids
            if not reader.ordered:
                return
            may_begin = number == 1 and self._may_begin(sorted(ids), size)
            # Rows that go can make page 1 begin with others.
            self._begins = may_begin and await check_beginning(reader)
            full = self._is_full(page, *question)
            self._learn(gap, page, *question, full, known)
            self._tries = 0 if reader.coverage.last_gap != gap else self._tries + 1
            if self._tries == _TRIES:
                raise self._given_up(*gap)

    def _given_up(self, low: int, high: int) -> PageDrift:
        reader = self._reader
        why = f"what comes after the row {low} is on none of them"
        if high == END and reader.ledger.top == 0:
            why = f"nothing comes after the row {low}, and the total claims more"
        return reader.drift(why, lasting=not reader.ledger.has_changed)

    def _question(self, low: int, high: int) -> tuple[int, int]:
        """The number and size of a page to close the gap between two ids; 0 for the highest."""
        reader = self._reader
        sorts = reader.ledger.top > 0
        if self._gone:
            return 1, 1  # the first row, if there is one
        if sorts and (high == END or self._tries % 4 == 3):
            return 0, self._most
        if high == END:
            few = self._last == 1 or reader.ledger.rows < _FEW
            if few and not self._ending and self._tries % 2 == 0:
                return 1, max(_FEW, reader.page_size + 1)
            return 1 if self._ending else self._last, reader.page_size
        number, size = 1, reader.page_size
        if low > 0:
            rank = reader.seen.rank(low)
            # Where rows of a cursor lie in the gap, it is wider than a page.
            wide = reader.seen.rank(high - 1) > rank
            number, size = page_over(rank + self._shift, self._most, after=wide)
        if number == 1 and size == self._began[1]:
            size = size // 2 if size > 2 * _FEW else size + _FEW
        return number, size

    def _is_full(self, page: Page[R], number: int, size: int) -> bool:
        """Whether `page` has all rows that were asked for, or that its total says there are."""
        rows, before = len(page.records), max(number - 1, 0) * size
        return rows + page.unusable >= size or (
            not self._reader.ledger.blind and page.total == before + rows
        )

    def _may_begin(self, ids: list[int], size: int) -> bool:
        """Whether page 1, with these `ids`, seems to begin with the first row.

        Only from there on do pages of two sizes begin with the same one: a server may take another
        page for the first. A much smaller one would begin with a lower id there.
        """
        if not ids:
            return self._gone >= 2
        if self._reader.coverage.reaches(ids[0]):
            return False  # there is nothing to prove
        most, later = self._began[1], ids[0] - self._began[0]
        return (later == 0 and size != most) or (later > 0 and size + _FEW <= most)

    def _learn(
        self, gap: tuple[int, int], page: Page[R], number: int, size: int, full: bool, known: int
    ) -> None:
        """Notes what `page` has covered, and where it was."""
        reader, ids, (low, high) = self._reader, sorted(ids_of(page)), gap
        before = (number - 1) * size
        self._gone = self._gone + 1 if not ids and number < 2 else 0
        if self._gone >= 3 and self._begins:  # since it may be a page that is empty by mistake
            reader.coverage.add(0, END)
        if ids and full:
            self._most = min(self._ceiling, self._most + 1)
            reader.coverage.add(ids[0], ids[-1] if number else END)
            ends = before + len(ids) == page.total and not reader.ledger.blind
            if ends and ids[-1] <= low < high < END and number > 1 and reader.ledger.top == 0:
                reader.coverage.add(ids[0], END)  # what came above has gone since
        elif ids:
            self._most = max(2, len(ids), self._most // 2)
            self._ceiling = max(_FEW, min(self._ceiling, size - 1))
        if number == 0:
            return
        if number == 1 and ids:
            if self._begins:
                reader.coverage.add(0, ids[0])
            self._began = ids[0], size
        if high == END:
            if size == reader.page_size:
                self._unusable[number] = 0 if ids else page.unusable
            self._learn_end(known, ids, page.total, number == 1 and len(ids) < size)
        elif ids:
            rows = bisect_right(ids, low)
            self._shift = before + rows - reader.seen.rank(ids[rows - 1] if rows else ids[0] - 1)
            if ids[0] > high:  # past it by rows that have not come, as many as fit in at the most
                self._shift -= min(high - low, size << self._tries) >> 2
        else:
            # Behind the last row. The rows above the gap end where the total does, if it is known.
            rank, back = reader.seen.rank(low), size << self._tries >> 1
            if page.total is not None and not reader.ledger.blind:
                back = max(size // 2, before - page.total + len(reader.seen) - rank)
            self._shift = before - back - rank

    def _learn_end(self, known: int, ids: list[int], total: int | None, short: bool) -> None:
        """Goes up to a page with nothing above the id `known`, then down to one with rows.

        Nothing is above that one: rows that are deleted only move down.
        """
        reader = self._reader
        if self._ending:
            if ids and ids[0] not in self._ending:
                reader.coverage.add(min(self._ending), END)
            elif self._tries > _TRIES // 2:
                raise reader.drift(
                    "page 1 is the last one again: the server seems to ignore `page`",
                    lasting=True,
                )
            self._ending = set()
        elif ids and ids[-1] > known:
            self._last, self._above = self._last + 1, False
        elif ids and short and ids[-1] == known:
            reader.coverage.add(ids[0], END)
        elif ids and self._above and self._last > 1:
            above = {page: rows for page, rows in self._unusable.items() if page > self._last}
            if total is None or reader.claims_no_more(total - sum(above.values()), self._last):
                self._ending = {*ids}
            else:
                highest = max((page for page, rows in above.items() if rows), default=self._last)
                self._last, self._above = highest + 1, False
        else:
            self._last, self._above = max(1, self._last - 1), True
