"""How a keyset walk begins: with the first page, the highest id, and a proof.

A server has to honour `filter` and `sort` on `id` for such a walk. No answer shows that by itself
whose rows are not known beforehand: a server that takes only the last condition, or takes every
condition for an equality, sends rows that keep to what was asked for, and leaves others out. So it
is asked for rows that the first page has shown, with others on either side of them. If some do not
come, they may have been deleted: the first page is read again, and must not have them either.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from voipstudio_cmb.errors import BadRequest
from voipstudio_cmb.models import Identified, Page

from .ids import ascends, ids_of, passed_over
from .tasks import Tasks, cancel_all, result_of

R = TypeVar("R", bound=Identified)

_OPENINGS = 2
"""How often the first page and the highest id are asked for until they go together."""

_PROBES = 3
"""How often a server that has left out rows is tried, each time with a fresh first page."""

FetchRange = Callable[[int, "int | None", int, bool], Coroutine[None, None, Page[R]]]
"""`(after, up to or None, limit, descending) -> page` of the rows with such ids."""

Question: TypeAlias = tuple[int, int, list[int]]
"""Two bounds, and the ids above the first and up to the second."""


class KeysetUnsupported(Exception):
    """The server does not honour `filter` or `sort` on `id`: such a walk has to count pages."""


class _Changed(Exception):
    """The answers do not go together, which rows that have come or gone may be the cause of."""


@attrs.frozen
class Capabilities:
    """What a server has shown of each resource: that it honours conditions on `id`, or that not.

    *unsorted* are those that it only answers without an order.
    """

    supported: set[str] = attrs.field(factory=set)
    refused: set[str] = attrs.field(factory=set)
    unsorted: set[str] = attrs.field(factory=set)


def within(page: Page[Any], low: int, high: int | None) -> bool:
    """Whether the ids of *page* ascend strictly within (*low*, *high*]."""
    ids = ids_of(page)
    return ascends(ids, low) and (not ids or high is None or ids[-1] <= high)


def questions(known: list[int]) -> list[Question]:
    """What to ask about the first ids of a collection, so that only a right answer is right.

    A condition that is left out lets rows in that are known to lie beyond it. One row alone would
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


def agrees(probe: Question, found: list[int], before: list[int], after: list[int]) -> bool:
    """Whether *found* is right though it is not what the *probe* expected.

    *before* and *after* are the ids of the first page at the two times: what is on both was there
    all the while.
    """
    low, high, expected = probe
    stayed = {*before} & {*after}
    right = {id for id in expected if id in stayed} <= {*found} and high in found
    around = any(id <= low for id in stayed) and any(id > high for id in stayed)
    return right and around and len(found) > 1


@attrs.define(eq=False)
class Probe(Generic[R]):
    """What *ask* is told at the beginning of a walk over *resource*, with *limit* rows a page.

    *pages* are the first page and the one with the two highest ids, once they are known; *refusal*
    is why there is no first page.
    """

    _ask: FetchRange[R]
    _limit: int
    _tasks: Tasks
    _resource: str
    _capabilities: Capabilities
    pages: tuple[Page[R], Page[R]] | None = attrs.field(init=False, default=None)
    refusal: BadRequest | None = attrs.field(init=False, default=None)

    async def begin(
        self, low: int | None = None, high: int | None = None
    ) -> tuple[Page[R], int, Page[R] | None]:
        """The first page, the highest id, and what came along with the proof, if it was needed.

        That is the page of ids from above *low*, or the last of the first page, up to *high*, or
        the highest. None is needed where the highest id is on the first page, which is everything
        then, and where the server has proved it before.

        Raises:
            NotHonoured: the server refuses or ignores conditions, or does not show that it doesn't.
        """
        try:
            first, mark = await self._opened()
            last = max(ids_of(first), default=0)
            if last == mark or self._resource in self._capabilities.supported:
                return first, mark, None
            bounds = last if low is None else low, mark if high is None else high
            return first, mark, await self._proved(ids_of(first), *bounds)
        except BadRequest:
            if self.refusal is None:
                self._capabilities.refused.add(self._resource)
            raise KeysetUnsupported from None

    async def _opened(self) -> tuple[Page[R], int]:
        """The first page, and the highest id that there is now."""
        for left in reversed(range(_OPENINGS)):
            first, top = self.pages = await self._asked()
            ids, tops = ids_of(first), ids_of(top)
            lower = any(id < lowest for id in tops[:2] for lowest in ids[:1])
            if not within(first, 0, None) or passed_over(ids, tops) or lower:
                raise KeysetUnsupported
            mark = max(tops, default=0)
            if not ids and not tops and (not first.total or not left):
                return first, 0  # totals are known to overstate
            if not ids or mark < ids[-1]:
                continue  # rows have come between the two, or it sorts otherwise
            try:
                await self._bounded(first, top, mark)
                return first, mark
            except _Changed:
                continue
        raise KeysetUnsupported

    async def _asked(self) -> tuple[Page[R], Page[R]]:
        """The first page, and the two highest rows."""
        oldest = self._tasks.start(self._ask(0, None, self._limit, False))
        newest = self._tasks.start(self._ask(0, None, 2, True))
        try:
            try:
                first = await result_of(oldest)
            except BadRequest as error:
                self.refusal = error
                raise
            return first, await result_of(newest)
        finally:
            await cancel_all((oldest, newest))

    async def _bounded(self, first: Page[R], top: Page[R], mark: int) -> None:
        """Makes sure that nothing is below the first page nor above the *mark*, if in doubt."""
        ids, tops = ids_of(first), ids_of(top)
        known = len({*ids, *tops})
        # Who turns a page around instead of the collection sends the same rows for the highest.
        same = mark == ids[-1] or ids[0] in tops
        if same and known == first.total == top.total:
            return
        # A single row shows no order: it may be the first or the last.
        if (same or len(ids) == 1) and ids[0] > 1:
            below = await self._ask(0, ids[0] - 1, self._limit, False)
            if below.records:
                raise KeysetUnsupported
        if same:
            above = await self._ask(mark, None, self._limit, False)
            if above.records:
                raise _Changed
        if mark != ids[-1] or self._resource in self._capabilities.supported:
            return
        if len(ids) > 1:
            await self._show(ids)
        elif ids_of(await self._ask(mark - 1, mark, self._limit, False)) != ids:
            raise _Changed  # or it answers any condition with nothing

    async def _proved(self, known: list[int], low: int, high: int) -> Page[R]:
        """The page of ids from above *low* to *high*, asked for along with the proof."""
        ahead = self._tasks.start(self._ask(low, high, self._limit, False))
        try:
            await self._show(known)
            return self._judged(await result_of(ahead), low, high)
        finally:
            await cancel_all((ahead,))

    async def _show(self, known: list[int]) -> None:
        """Lets the server show that it honours conditions, by the first ids, *known*.

        Raises:
            NotHonoured: it does not.
        """
        for _ in range(_PROBES):
            if len(known) == 1:
                known = await self._more_than(known[0])
            now = await self._shown(known)
            if now is None:
                self._capabilities.supported.add(self._resource)
                return
            known = now
        self._capabilities.refused.add(self._resource)
        raise KeysetUnsupported

    async def _more_than(self, first: int) -> list[int]:
        """The first few ids, where a page has no more than the *first*."""
        known = ids_of(await self._ask(0, None, 3, False))
        if len(known) == 1:  # the server sends no more than one row a page
            known += ids_of(await self._ask(known[0], None, self._limit, False))
        if ascends(known, 0):
            return known
        raise KeysetUnsupported

    async def _shown(self, known: list[int]) -> list[int] | None:
        """None if the server answers right to what is asked about *known* ids, or those of now."""
        for low, high, expected in questions(known):
            page = self._judged(await self._ask(low, high, self._limit, False), low, high)
            if (found := ids_of(page)) == expected:
                continue
            now = ids_of(await self._ask(0, None, self._limit, False))
            if not agrees((low, high, expected), found, known, now):
                return now
        if len(known) > 1:
            return None
        return ids_of(await self._ask(0, None, self._limit, False))

    def _judged(self, page: Page[R], low: int, high: int) -> Page[R]:
        if within(page, low, high):
            return page
        self._capabilities.refused.add(self._resource)
        self._capabilities.supported.discard(self._resource)
        raise KeysetUnsupported
