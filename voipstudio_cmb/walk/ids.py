"""Ids: which a walk has seen, and in what order they came."""

from __future__ import annotations

import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import le, lt
from typing import Any, TypeVar

from voipstudio_cmb.models import Identified, Page, Rows

R = TypeVar("R", bound=Identified)

_FEW = 10_000
"""So many ids are moved within an array at the most, for one that is inserted."""


class Seen:
    """The ids that a walk has yielded: 8 bytes each while they ascend, twice at the most.

    All ids up to `floor` count as seen, as those before a cursor do.
    """

    def __init__(self, floor: int = 0) -> None:
        self.last: int = floor
        self.floor = floor
        self._ascending: array[int] = array("q")
        self._late: array[int] = array("q")
        """Those that came after higher ones, in ascending order."""
        self._others: set[int] = set()
        """Those of them that came after too many higher ones to go between."""

    def fresh(self, records: Sequence[R]) -> Sequence[R]:
        """Those of `records` that were not seen before; marks them as seen.

        Of two with the same id the later one is taken.
        """
        ids = record_ids(records)
        if ids and ascends(ids, self.last):
            self._ascending.extend(ids)
            self.last = ids[-1]
            return records
        new = {record.id: record for record in records if record.id not in self}
        for id in new:
            self._add(id)
        return records if len(new) == len(records) else list(new.values())

    def _add(self, id: int) -> None:
        if id > self.last:
            self._ascending.append(id)
            self.last = id
            return
        at = bisect_left(self._late, id)
        if len(self._late) - at < _FEW:
            self._late.insert(at, id)
        else:
            self._others.add(id)

    def recall(self, ids: array[int]) -> None:
        """Takes only `ids`, which ascend, for seen of all those up to the floor."""
        ids.extend(self._ascending)
        self._ascending, self.floor = ids, 0

    def __contains__(self, id: int) -> bool:
        if id <= self.floor or id in self._others:
            return True
        return any(_has(ids, id) for ids in (self._ascending, self._late))

    def __len__(self) -> int:
        return len(self._ascending) + len(self._late) + len(self._others)

    def rank(self, id: int) -> int:
        """How many of those that came in ascending order, or nearly so, are not above `id`."""
        return bisect_right(self._ascending, id) + bisect_right(self._late, id)


def _has(ascending: array[int], id: int) -> bool:
    at = bisect_left(ascending, id)
    return at < len(ascending) and ascending[at] == id


def ascends(ids: Sequence[int], low: int) -> bool:
    """Whether `ids` ascend strictly from above `low`."""
    return all(map(lt, (low, *ids), ids))


def passed_over(ids: Sequence[int], tops: Sequence[int]) -> bool:
    """Whether `tops` are not the highest ids, highest first: one of `ids` lies between them."""
    return any(a <= b or any(a > id > b for id in ids) for a, b in pairwise(tops[:2]))


def record_ids(records: Sequence[Identified]) -> list[int]:
    """The ids of `records`, in their order."""
    return records.ids.copy() if isinstance(records, Rows) else [record.id for record in records]


def ids_of(page: Page[Any]) -> list[int]:
    """The ids of `page`, in its order."""
    return record_ids(page.records)


def checksum(page: Page[Any], rows: int) -> int:
    """A checksum of the first `rows` ids of `page`, in its order."""
    return zlib.crc32(array("q", ids_of(page)[:rows]).tobytes())


def overlap(first: Page[Any], second: Page[Any]) -> bool:
    """Whether two pages share a row."""
    return not set(ids_of(first)).isdisjoint(ids_of(second))


def again(first: Page[Any], second: Page[Any]) -> bool:
    """Whether the `second` page begins in the lower half of the `first`, both in the order of ids.

    Not if a few rows have come before it, and moved the last ones of the first page there.
    """
    ids = ids_of(first)
    return overlap(first, second) and ids_of(second)[0] <= ids[(len(ids) - 1) // 2]


def in_order(page: Page[Any]) -> bool:
    """Whether the ids of `page` ascend."""
    ids = ids_of(page)
    return all(map(le, ids, ids[1:]))
