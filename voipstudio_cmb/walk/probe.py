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
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

import attrs

from voipstudio_cmb.errors import BadRequest, FilterIgnored, HTTPStatusError, Unauthorized
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .capabilities import LARGEST, Capabilities, is_proof, is_right, probes
from .fetcher import PageFetcher
from .ids import ascends, ids_of, passed_over
from .tasks import cancel_all, result_of
from .verdicts import Changed, KeysetUnproved, KeysetUnsupported, Wrong, within

T = TypeVar("T")

_ATTEMPTS = 20
"""How often a walk is begun, or a server probed, while rows come and go."""

_WRONG = 3
"""So many wrong answers that no row which came or went explains are enough."""


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
    _wrong: int = attrs.field(init=False, default=0)
    """How many answers were wrong."""
    _kept: Page[R] | None = attrs.field(init=False, default=None)
    """The first page, where only the highest id has to be asked for again."""
    opened: tuple[Page[R], int] | None = attrs.field(init=False, default=None)
    """What `open` has found for `begin`."""

    async def open(self) -> tuple[Page[R], int]:
        """The first page and the highest id, before anything is proved; `begin` goes on from them.

        Raises:
            KeysetUnsupported, KeysetUnproved: as `begin`.
        """
        self.opened = await self._until_steady(self._open)
        return self.opened

    async def begin(
        self, low: int | None = None, high: int | None = None
    ) -> tuple[Page[R], int, Page[R] | None]:
        """The first page, the highest id, and the page that was asked for along with the probe.

        That is the page of ids above `low` (the last of the first page, if it is not given) and up
        to `high` (the highest). There is none where the first page holds the highest id, which
        makes it everything, where it has all the rows that the caller wants, and where the server
        has proved before that it supports conditions.

        Raises:
            KeysetUnsupported: the server refuses or ignores conditions.
            KeysetUnproved: rows come and go too fast for it to prove that it supports them.
        """
        return await self._until_steady(partial(self._begin, low, high))

    async def _until_steady(self, step: Callable[[], Awaitable[T]]) -> T:
        """What `step` returns, done again where rows have come or gone within it."""
        before: list[list[int]] = []
        try:
            for _ in range(_ATTEMPTS):
                try:
                    return await step()
                except Changed as changed:
                    shown = [*changed.args, *map(ids_of, self.opening or ())]
                    wrong = isinstance(changed, Wrong)
                if wrong or shown == before:
                    self._note_wrong()
                before = shown
        except HTTPStatusError as error:
            if not _refuses(error) or (self.opening is None and not isinstance(error, BadRequest)):
                raise
            if self.refusal is None:
                self._capabilities.refuse(self._resource)
            raise KeysetUnsupported from None
        except FilterIgnored:
            if self.opening is None:
                raise
            # Only where conditions on ids go with it, as where a server takes the last one alone.
            self._capabilities.refuse(self._resource)
            raise KeysetUnsupported from None
        raise KeysetUnproved

    async def _begin(
        self, low: int | None, high: int | None
    ) -> tuple[Page[R], int, Page[R] | None]:
        opened, self.opened = self.opened, None
        first, highest = await self._open() if opened is None else opened
        last = max(ids_of(first), default=0)
        wants_all = low is None and self._fetcher.has_all(first)
        low, high = last if low is None else low, highest if high is None else high
        if last == highest or self._capabilities.supports(self._resource, low, high):
            return first, highest, None
        if wants_all:
            await self._prove(ids_of(first))
            return first, highest, None
        return first, highest, await self._prove_ahead(first, low, high)

    def _note_wrong(self) -> None:
        """Notes an answer that no row which came or went explains."""
        self._wrong += 1
        if self._wrong == _WRONG:
            self._capabilities.refuse(self._resource)
            raise KeysetUnsupported

    async def _open(self) -> tuple[Page[R], int]:
        """The first page, and the highest id that exists now."""
        first, top = self.opening = await self._ask_ends()
        ids, tops = ids_of(first), ids_of(top)
        lower = any(id < lowest for id in tops[:2] for lowest in ids[:1])
        if not ascends(ids, 0) or tops != sorted(tops, reverse=True):
            raise KeysetUnsupported  # no row that comes or goes turns an order round
        highest, self._kept = max(tops, default=0), None
        if not ids and not tops and (not first.total or self._wrong == _WRONG - 1):
            return first, 0  # totals are known to overstate
        if not ids or highest < ids[-1] or passed_over(ids, tops) or lower:
            raise Changed  # between the two, or it sorts otherwise
        complete = len({*ids, *tops}) == first.total == top.total
        await self._check_ends(first, tops, highest, complete)
        return first, highest

    async def _ask_ends(self) -> tuple[Page[R], Page[R]]:
        """The first page, unless it is kept, and the two highest rows.

        Both at once, except where rows have come in between.
        """
        if self._kept is not None:
            return self._kept, await self._fetcher.newest(2)
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
        self, first: Page[R], tops: list[int], highest: int, complete: bool
    ) -> None:
        """Makes sure that nothing is below the `first` page nor above the `highest` of `tops`.

        They are `complete` if both totals say so.
        """
        ids = ids_of(first)
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
                raise Changed
        if same:
            above = await self._fetcher.ids(highest, None)
            if above.records:
                self._kept = first  # or a small table would have to rest for three requests
                raise Changed(ids_of(above))
        if highest != ids[-1] or self._capabilities.supports(self._resource, highest, highest):
            return
        if len(ids) > 1:
            await self._prove(ids)
        elif ids_of(await self._fetcher.ids(highest - 1, highest)) != ids:
            raise Changed  # or it answers any condition with nothing

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
        highest = max(ids_of(self.opening[1]))
        low, high = highest - 1, min(10 ** len(str(highest)), LARGEST)
        if self._judged(await self._fetcher.ids(low, high), low, high).records:
            return
        still_there = highest in ids_of(await self._fetcher.newest(2))
        raise Wrong if still_there else Changed

    async def _prove(self, known: list[int]) -> None:
        """Returns if the server proves by the first ids, `known`, that it supports conditions.

        Raises:
            KeysetUnsupported: it does not.
        """
        before: list[int] = []
        for _ in range(_ATTEMPTS):
            if len(known) == 1:
                known = await self._more_than(known[0])
            if len(known) < 2:
                raise Changed  # there were higher ones
            if (failed := await self._ask_probes(known)) is None:
                self._capabilities.prove(self._resource, known[-1], known[-1])
                return
            now, wrong = failed
            if wrong or known == before:
                self._note_wrong()
            before, known = known, now
        raise KeysetUnproved

    async def _ask_probes(self, known: list[int]) -> tuple[list[int], bool] | None:
        """None if every probe about the `known` ids is answered right.

        Else the ids of now, and whether one was wrong, which no row that came or went explains.
        """
        for low, high, expected in probes(known):
            page = self._judged(await self._fetcher.ids(low, high), low, high)
            if (received := ids_of(page)) == expected:
                continue
            now = ids_of(await self._fetcher.ids(0, None))
            right = is_right((low, high, expected), received, {*known} & {*now})
            if not right:
                return now, right is False
        return None

    async def _more_than(self, first: int) -> list[int]:
        """The first few ids, where a page has no more than the `first`."""
        known = ids_of(await self._fetcher.ids(0, None, 3))
        if len(known) == 1:  # the server sends no more than one row a page
            known += ids_of(await self._fetcher.ids(known[0], None))
        if not ascends(known, 0):
            raise KeysetUnsupported
        if self.opening and known[-1:] > ids_of(self.opening[1])[:1]:
            raise Changed(known)  # it came since, or the server has an order of its own
        return known

    def _judged(self, page: Page[R], low: int, high: int) -> Page[R]:
        if within(page, low, high):
            return page
        self._capabilities.refuse(self._resource)
        raise KeysetUnsupported


def _refuses(error: HTTPStatusError) -> bool:
    """Whether `error` may be about the conditions, as that of a server or proxy without them."""
    lasting = 400 <= error.status < 500 and not error.retryable
    return error.status == 501 or (lasting and not isinstance(error, Unauthorized))
