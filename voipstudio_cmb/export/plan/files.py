"""The files of an export: which rows go where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.filters import Filter, where


@attrs.frozen
class IdRange:
    """The ids from above *after* to *upto* (None: however high), and *also* some lower ones.

    *but* those that other files have.
    """

    after: int = 0
    upto: int | None = None
    also: frozenset[int] = frozenset()
    but: frozenset[int] = frozenset()

    def __contains__(self, id: int) -> bool:
        if id in self.but:
            return False
        return id in self.also or (id > self.after and (self.upto is None or id <= self.upto))

    def hold(self, ids: Sequence[int]) -> bool:
        """Whether they are all of *ids*; says no where looking would take long."""
        if self.but or not ids:
            return not ids
        low = not self.after or min(ids) > self.after
        return low and (self.upto is None or max(ids) <= self.upto)

    def conditions(self) -> list[Filter]:
        """What to ask the API for."""
        above = min([self.after, *(id - 1 for id in self.also)])
        low = [where("id") > above] if above else []
        return low if self.upto is None else [*low, where("id") <= self.upto]


@attrs.frozen
class Late:
    """Rows that were created *since* that time (the last one that an export has met), but for those
    with the ids *known*, which it has exported.

    An id can be lower than one that was there before it, where rows come from several writers.
    """

    since: str
    known: frozenset[int]


@attrs.frozen(kw_only=True)
class OutputFile:
    """One file of an export: the rows of *resource* with *ids* go to *path*.

    *adds* says that they go into a file that is there, *more* that they go on from other files or
    that one, and *again* that this file had gone.
    """

    resource: str
    path: Path
    ids: IdRange = attrs.field(factory=IdRange)
    late: Late | None = None
    adds: bool = False
    more: bool = False
    again: bool = False
