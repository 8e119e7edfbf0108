"""Where an export ends and the next one begins: by id, and by time of creation.

A `Mark` is fixed when an export begins, from rows that existed then. What is behind it is left to
the next export, except for the rows that this one has all the same (`KnownRows`): those that are
read while others still come. So each row is in one file, whenever it turns up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import attrs

MOST_KNOWN = 100_000
"""So many rows behind its mark an export may have, before it moves the mark."""

Known: TypeAlias = Mapping[str, str]
"""Rows by what they give for `created_at` ("" for no time); their ids as "17 19-25"."""

KnownRow: TypeAlias = tuple[int, str]
"""An id and the time of creation: an id may be given again to another row."""

_FORM = "%Y-%m-%d %H:%M:%S"
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


@attrs.frozen
class Mark:
    """The end of what an export has to bring."""

    id: int = 0
    """Rows with higher ids are behind it."""
    time: str | None = None
    """Rows that were created then or later are behind it too; None: the id alone tells."""

    def leaves(self, id: int, time: str) -> bool:
        """Whether a row is behind it."""
        return id > self.id or (self.time is not None and time >= self.time)


def time_of(created: object) -> str:
    """What a row gives for `created_at` if that is a time, or else ""."""
    return created if isinstance(created, str) and _TIME.fullmatch(created) else ""


def moved(time: str, seconds: float) -> str | None:
    """The `time` so many `seconds` later; None if it is no moment of a calendar."""
    try:
        later = datetime.strptime(time, _FORM) + timedelta(seconds=seconds)
    except (ValueError, OverflowError):
        return None
    return later.isoformat(" ", "seconds")


def packed(rows: Iterable[KnownRow]) -> dict[str, str]:
    """The `rows` as a manifest holds them."""
    by_time: dict[str, list[int]] = {}
    for id, time in sorted(rows):
        by_time.setdefault(time, []).append(id)
    return {time: _packed_ids(ids) for time, ids in by_time.items()}


def _packed_ids(ids: Sequence[int]) -> str:
    first = [ids[0], *(right for left, right in pairwise(ids) if right > left + 1)]
    last = [*(left for left, right in pairwise(ids) if right > left + 1), ids[-1]]
    pairs = zip(first, last, strict=True)
    return " ".join(f"{low}" if low == high else f"{low}-{high}" for low, high in pairs)


def unpacked(known: Known) -> Iterator[KnownRow]:
    """The rows that `packed` was given.

    Raises:
        ValueError: it has not made `known`.
    """
    for time, text in known.items():
        for each in text.split():
            low, _, high = each.partition("-")
            yield from ((id, time) for id in range(int(low), int(high or low) + 1))


class KnownRows:
    """The rows of an export that are behind its `mark`; it began behind the id `after`.

    Where they become too many the mark moves behind them, and `moved` says so.
    """

    def __init__(self, mark: Mark, after: int) -> None:
        self.mark = mark
        self.moved = False
        self.recent: int = 0
        """An id below all of them: that of the row before them, if rows come in that order."""
        self._last = after
        self._rows: set[KnownRow] = set()

    def add(self, ids: Sequence[int], created: Sequence[Any]) -> None:
        """Takes note of the rows of one page."""
        mark, last, self._last = self.mark, self._last, max(ids, default=self._last)
        if not ids or (self._last <= mark.id and not _any_since(created, mark.time)):
            return
        pairs = zip(ids, map(time_of, created), strict=True)
        rows = {pair for pair in pairs if mark.leaves(*pair)}
        if rows and ((lowest := min(rows)[0]) <= self.recent or not self._rows):
            self.recent = max((id for id in (last, *ids) if id < lowest), default=lowest - 1)
        self._rows |= rows
        while len(self._rows) > MOST_KNOWN:
            self._move()

    def _move(self) -> None:
        mark, self.moved = self.mark, True
        above = [id for id, _ in self._rows if id > mark.id]
        if 2 * len(above) > len(self._rows):
            mark = attrs.evolve(mark, id=max(above))
        else:
            latest = max(time for _, time in self._rows)
            mark = attrs.evolve(mark, time=moved(latest, 1))
        self.mark = mark
        self._rows = {pair for pair in self._rows if mark.leaves(*pair)}

    def packed(self) -> dict[str, str]:
        """The rows, as a manifest holds them."""
        return packed(self._rows)


def _any_since(created: Sequence[Any], time: str | None) -> bool:
    """Whether one of the times in `created` may not be before `time`."""
    if time is None:
        return False
    try:
        return bool(max(created) >= time)
    except TypeError:  # some give nothing
        return True
