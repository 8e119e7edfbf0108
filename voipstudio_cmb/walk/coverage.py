"""Which stretches of ids a page walk has covered: no row that stays is missing within one.

Where rows come in the order of ids, a page leaves nothing out between its first row and its last.
Two pages that share a row leave nothing out between them either, whatever has come or gone
meanwhile, and whatever the totals say. Nor is there anything between an id and the next one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import count

END = 2**63
"""Above any id."""


class Coverage:
    """Stretches of ids that are covered; all ids up to `floor` are."""

    def __init__(self, floor: int = 0) -> None:
        self._lows = [0]
        self._highs = [floor]

    def add(self, low: int, high: int) -> None:
        """Notes that the ids from `low` to `high` are covered."""
        first = bisect_left(self._highs, low - 1)
        last = bisect_right(self._lows, high + 1)
        if first < last:
            low, high = min(low, self._lows[first]), max(high, self._highs[last - 1])
        self._lows[first:last] = [low]
        self._highs[first:last] = [high]

    def uncover(self, id: int) -> None:
        """Forgets what is covered below `id`, up to which all ids are."""
        self._lows[:1] = [0, id]
        self._highs.insert(0, 0)

    def __contains__(self, id: int) -> bool:
        return id <= self._highs[bisect_right(self._lows, id) - 1]

    def reaches(self, id: int) -> bool:
        """Whether all ids up to `id` are covered."""
        return id <= self._highs[0]

    @property
    def last_gap(self) -> tuple[int, int] | None:
        """The covered ids on both sides of the last gap; None if there is none."""
        if self._highs[-1] < END:
            return self._highs[-1], END
        return (self._highs[-2], self._lows[-1]) if len(self._lows) > 1 else None


def page_over(border: int, most: int, *, after: bool = False) -> tuple[int, int]:
    """The number and the size of a page, `most` rows at most, with the rows around a `border`.

    The border comes after so many rows of the collection. It lies as near to the middle of the
    page as a size from half of `most` on allows, or near its beginning if the rows `after` it are
    wanted. A larger size is taken only where each of these ends a page at it, as those from 5 to 10
    do at the row 2520.
    """
    border, weight = max(border, 1), 4 if after else 1
    size = max(
        range(max(2, (most + 1) // 2), max(2, most) + 1),
        key=lambda size: min(weight * (border % size), size - border % size) / size,
    )
    size = next(size for size in count(size) if border % size)
    return (border - 1) // size + 1, size
