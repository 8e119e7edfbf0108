"""Whether a server that compares ids as numbers sorts them as texts, and so passes some over.

As a text, 9 comes behind 1000. Such a server sends 1 and 1000 on one page, and what follows is
asked for above 1000. Every response meets its conditions and every page ascends, so only the ids in
between show it, where the next one has more digits.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Generic

import attrs

from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

from .capabilities import Capabilities
from .ending import claimed_by
from .fetcher import PageFetcher
from .ids import ids_of
from .verdicts import KeysetUnsupported

_CHECKS = 3
"""How often an id is looked for that may have gone between two requests."""


@attrs.frozen(eq=False)
class Digits(Generic[R]):
    """Looks for ids that were passed over in `resource`, until its order has shown itself."""

    _fetcher: PageFetcher[R]
    _resource: str
    _capabilities: Capabilities

    async def prove(self, first: Page[R], ahead: Page[R] | None, through: int) -> None:
        """Returns if nothing is hidden at the beginning: on the `first` page, nor on that `ahead`.

        The totals show it too, where the second is by the rows of the first below its own.

        Raises:
            KeysetUnsupported: ids are passed over.
        """
        count = None if ahead is None else claimed_by(ahead)
        adds_up = count is not None and first.total == len(first.records) + count
        hidden = not adds_up and (
            await self.passed_over(first, 0, None)
            or (ahead is not None and await self._fetcher.hides_above(through))
        )
        if ahead is not None and not hidden:
            hidden = await self.passed_over(ahead, first.records[-1].id, through)
        if hidden:
            self._capabilities.refuse(self._resource)
            raise KeysetUnsupported

    async def passed_over(self, page: Page[R], low: int, high: int | None) -> bool:
        """Whether `page`, of the first ids above `low` and up to `high`, should have had others."""
        ids = ids_of(page)
        if len(str(min((low, *ids)))) == len(str(max((low, *ids)))):
            return False  # as on most pages: to look at each id costs a tenth of reading its row
        longer = [(a, b) for a, b in pairwise((low, *ids)) if len(str(a)) < len(str(b))]
        if not longer or self._resource in self._capabilities.sorts_numbers:
            return False
        if any(str(a) > str(b) for a, b in pairwise(ids)):
            self._capabilities.sorts_numbers.add(self._resource)
            return False
        for before, after in longer:
            if after - before > 1 and await self._has_hidden(before, after, high):
                return True
        return False

    async def _has_hidden(self, before: int, after: int, high: int | None) -> bool:
        """Whether ids between two of a page are found alone, but not first above `before`."""
        for _ in range(_CHECKS):
            found = ids_of(await self._fetcher.ids(before, after - 1, 1))
            if not found:
                return False
            now = ids_of(await self._fetcher.ids(before, high))
            if now and now[0] <= found[0]:
                return False  # it came since
        return True
