"""How a keyset walk begins: with the first page, the highest id, and probes of the server.

The server has to support `filter` and `sort` on `id`. A response alone does not prove that, because
its rows are not known beforehand: a server that takes only the last condition, or takes every
condition for an equality, sends rows that meet what was asked for, and leaves others out. So it is
asked for rows that the first page has shown, with other rows on either side of them. If some do not
come, they may have been deleted: the first page is read again, and must not hold them either.

All these ids may be short ones. What the walk will ask for, up to the highest id, is proved by its
next page (`is_proof`), or by asking for the highest row (`_prove_top`).
"""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeAlias

import attrs

from voipstudio_cmb.errors import BadRequest, FilterIgnored
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .capabilities import LARGEST, Capabilities, is_proof
from .fetcher import PageFetcher
from .ids import ascends, ids_of, passed_over
from .tasks import cancel_all, result_of

_OPENINGS = 4
"""How often the first page and the highest id are asked for until they agree."""

_PROBES = 3
"""How often a server that has left out rows is probed, each time with a fresh first page."""

Question: TypeAlias = tuple[int, int, list[int]]
"""Two bounds, and the ids above the first and up to the second."""


class KeysetUnsupported(Exception):
    """The server does not support `filter` or `sort` on `id`: the walk has to count pages."""


class _Changed(Exception):
    """Two responses contradict each other, perhaps because rows have come or gone."""


def within(page: Page[Any], low: int, high: int | None) -> bool:
    """Whether the ids of `page` ascend strictly, above `low` and up to `high`."""
    ids = ids_of(page)
    return ascends(ids, low) and (not ids or high is None or ids[-1] <= high)


def probes(known: list[int]) -> list[Question]:
    """What to ask about the first ids of a collection, so that only a right response is right.

    A condition that is ignored lets rows in that are known to lie beyond it. One row alone would
    come by an equality too; where there is no other, none must come that an equality would let in.
    """
    if len(known) < 2:
        return []
    if len(known) < 4:
        first, second = known[:2]
        return [(first, second, [second]), (first, first, [])]
    # Not from the very first: the oldest may be those that are deleted all the time.
    low = (len(known) - 1) // 2 - 1
    return [(known[low], known[-2], known[low + 1 : -1])]


def agrees(probe: Question, received: list[int], before: list[int], after: list[int]) -> bool:
    """Whether the `received` ids are right though they are not what the `probe` expected.

    `before` and `after` are the ids of the first page at the two times: a row on both existed
    between them.
    """
    low, high, expected = probe
    stayed = {*before} & {*after}
    right = {id for id in expected if id in stayed} <= {*received} and high in received
    around = any(id <= low for id in stayed) and any(id > high for id in stayed)
    return right and around and len(received) > 1


@attrs.define(eq=False)
class Probe(Generic[R]):
    """The beginning of a keyset walk over `resource`."""

    _fetcher: PageFetcher[R]
    _resource: str
    _capabilities: Capabilities
    opening: tuple[Page[R], Page[R]] | None = attrs.field(init=False, default=None)
    """The first page, and the one with the two highest ids, once they are known."""
    refusal: BadRequest | None = attrs.field(init=False, default=None)
    """Why there is no first page."""
    _below: set[int] = attrs.field(init=False, factory=set)
    """Ids that were found below the first page."""

    async def begin(
        self, low: int | None = None, high: int | None = None
    ) -> tuple[Page[R], int, Page[R] | None]:
        """The first page, the highest id, and the page that was asked for along with the probe.

        That is the page of ids above `low` (the last of the first page, if it is not given) and up
        to `high` (the highest). There is none where the first page holds the highest id, which
        makes it everything, where it has all the rows that the caller wants, and where the server
        has proved before that it supports conditions.

        Raises:
            KeysetUnsupported: the server refuses or ignores conditions, or does not prove that it
                supports them.
        """
        try:
            first, highest = await self._open()
            last = max(ids_of(first), default=0)
            wants_all = low is None and self._fetcher.has_all(first)
            low, high = last if low is None else low, highest if high is None else high
            if last == highest or self._capabilities.supports(self._resource, low, high):
                return first, highest, None
            if wants_all:
                await self._prove(ids_of(first))
                return first, highest, None
            return first, highest, await self._prove_ahead(first, low, high)
        except BadRequest:
            if self.refusal is None:
                self._capabilities.refuse(self._resource)
            raise KeysetUnsupported from None
        except FilterIgnored:
            if self.opening is None:
                raise
            # Only where conditions on ids go with it, as where a server takes the last one alone.
            self._capabilities.refuse(self._resource)
            raise KeysetUnsupported from None

    async def _open(self) -> tuple[Page[R], int]:
        """The first page, and the highest id that exists now."""
        for left in reversed(range(_OPENINGS)):
            first, top = self.opening = await self._ask_ends()
            ids, tops = ids_of(first), ids_of(top)
            lower = any(id < lowest for id in tops[:2] for lowest in ids[:1])
            if not ascends(ids, 0) or tops != sorted(tops, reverse=True):
                raise KeysetUnsupported  # no row that comes or goes turns an order round
            highest = max(tops, default=0)
            if not ids and not tops and (not first.total or not left):
                return first, 0  # totals are known to overstate
            if not ids or highest < ids[-1] or passed_over(ids, tops) or lower:
                continue  # rows have come or gone between the two, or it sorts otherwise
            try:
                complete = len({*ids, *tops}) == first.total == top.total
                await self._check_ends(ids, tops, highest, complete)
                return first, highest
            except _Changed:
                continue
        raise KeysetUnsupported

    async def _ask_ends(self) -> tuple[Page[R], Page[R]]:
        """The first page, and the two highest rows.

        Both at once, except where rows have come in between.
        """
        oldest = self._fetcher.tasks.start(self._fetcher.ids(0, None))
        tasks = [oldest]
        try:
            if self.opening is None:
                tasks.append(self._fetcher.tasks.start(self._fetcher.newest(2)))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            try:
                first = await result_of(oldest)
            except BadRequest as error:
                self.refusal = error
                raise
            if self.opening is None:
                return first, await result_of(tasks[1])
            return first, await self._fetcher.newest(2)
        finally:
            await cancel_all(tasks)

    async def _check_ends(
        self, ids: list[int], tops: list[int], highest: int, complete: bool
    ) -> None:
        """Makes sure that nothing is below the first page nor above the `highest` id.

        They hold `ids` and `tops`, which are `complete` if both totals say so.
        """
        # A server that reverses a page instead of the collection sends the same rows as highest.
        same = highest == ids[-1] or ids[0] in tops
        if same and complete:
            return
        # A single row shows no order: it may be the first or the last.
        if (same or len(ids) == 1) and ids[0] > 1:
            below = await self._fetcher.ids(0, ids[0] - 1)
            if not self._below.isdisjoint(found := ids_of(below)):
                raise KeysetUnsupported  # the first page should have held it
            if found:
                self._below.update(found)
                raise _Changed
        if same:
            above = await self._fetcher.ids(highest, None)
            if above.records:
                raise _Changed
        if highest != ids[-1] or self._capabilities.supports(self._resource, highest, highest):
            return
        if len(ids) > 1:
            await self._prove(ids)
        elif ids_of(await self._fetcher.ids(highest - 1, highest)) != ids:
            raise _Changed  # or it answers any condition with nothing

    async def _prove_ahead(self, first: Page[R], low: int, high: int) -> Page[R]:
        """The page of ids above `low` and up to `high`, asked for while the server is probed."""
        ahead = self._fetcher.tasks.start(self._fetcher.ids(low, high))
        known = ids_of(first)
        try:
            await self._prove(known)
            page = self._judged(await result_of(ahead), low, high)
        finally:
            await cancel_all((ahead,))
        left = first.total - len(known) if first.total and low == known[-1] else None
        if not is_proof(page, low, high, left):
            await self._prove_top()
        self._capabilities.prove(self._resource, low, high)
        return page

    async def _prove_top(self) -> None:
        """Returns if the highest row comes by conditions that let in no row below it.

        The upper one is above it, and as a text before it.

        Raises:
            KeysetUnsupported: it does not come, and it exists.
        """
        assert self.opening is not None
        top = self.opening[1]
        for _ in range(_PROBES):
            highest = max(ids_of(top), default=1)
            low, high = highest - 1, min(10 ** len(str(highest)), LARGEST)
            if self._judged(await self._fetcher.ids(low, high), low, high).records:
                return
            top = await self._fetcher.newest(2)
        self._capabilities.refuse(self._resource)
        raise KeysetUnsupported

    async def _prove(self, known: list[int]) -> None:
        """Returns if the server proves by the first ids, `known`, that it supports conditions.

        Raises:
            KeysetUnsupported: it does not.
        """
        for _ in range(_PROBES):
            if len(known) == 1:
                known = await self._more_than(known[0])
            now = await self._ask_probes(known)
            if now is None:
                self._capabilities.prove(self._resource, known[-1], known[-1])
                return
            known = now
        self._capabilities.refuse(self._resource)
        raise KeysetUnsupported

    async def _more_than(self, first: int) -> list[int]:
        """The first few ids, where a page has no more than the `first`."""
        known = ids_of(await self._fetcher.ids(0, None, 3))
        if len(known) == 1:  # the server sends no more than one row a page
            known += ids_of(await self._fetcher.ids(known[0], None))
        if ascends(known, 0):
            return known
        raise KeysetUnsupported

    async def _ask_probes(self, known: list[int]) -> list[int] | None:
        """None if every probe about the `known` ids is answered right, else the ids of now."""
        for low, high, expected in probes(known):
            page = self._judged(await self._fetcher.ids(low, high), low, high)
            if (received := ids_of(page)) == expected:
                continue
            now = ids_of(await self._fetcher.ids(0, None))
            if not agrees((low, high, expected), received, known, now):
                return now
        if len(known) > 1:
            return None
        return ids_of(await self._fetcher.ids(0, None))

    def _judged(self, page: Page[R], low: int, high: int) -> Page[R]:
        if within(page, low, high):
            return page
        self._capabilities.refuse(self._resource)
        raise KeysetUnsupported
