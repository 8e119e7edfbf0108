"""The data of the stand-in: five tables that are computed from a seed and can be changed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs
import msgspec

from .query import Condition, Query, bounds, matcher, sort_key, split
from .rows import (
    Calendar,
    Maker,
    Row,
    button_maker,
    campaign,
    cdr_maker,
    ids,
    plain_maker,
    setting_maker,
    visitor_maker,
)

WEBSITES: Final = 12
BUTTONS: Final = 30
SETTINGS: Final = 40
COLLECTIONS: Final = ("websites", "settings", "cdrs", "visitors")

_ENCODED_ROWS_KEPT: Final = 100_000
_VIEWS_KEPT: Final = 16

_View = tuple[tuple[Condition, ...], str, bool]


@attrs.frozen
class Slice:
    """The ids of one page, and how many rows match in all."""

    ids: Sequence[int]
    total: int


@attrs.frozen(eq=False)
class Watch:
    """The ids that were there *throughout* the time of watching, and those that *ever* were."""

    throughout: set[int]
    ever: set[int]


class Table:
    """Rows by ascending id. A row is computed when it is read, unless somebody changed it.

    Tests may change a table while the server runs; in the threaded form do so between requests.
    """

    def __init__(self, ids: list[int], make: Maker, *, first: int) -> None:
        self._ids = ids
        self._make = make
        self._last = ids[-1] if ids else first - 1
        self._changed: dict[int, Row] = {}
        self._encoded: dict[int, bytes] = {}
        self._views: dict[_View, list[int]] = {}
        self._watches: list[Watch] = []
        self.columns = frozenset(make(self._last)) | {"max_call_rate"}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, row_id: object) -> bool:
        return isinstance(row_id, int) and self._at(row_id) is not None

    @property
    def ids(self) -> Sequence[int]:
        """The ids that are there now, ascending."""
        return tuple(self._ids)

    def id_at(self, place: int) -> int:
        """Returns the id at *place* among those there now, ascending; -1 is the last."""
        return self._ids[place]

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Notes which ids are there as long as the block runs, whoever changes the table.

        After ``with table.watched() as rows:`` around a walk, ``rows.throughout`` is what the walk
        must have found, and ``rows.ever`` is all that it may have.
        """
        watch = Watch(set(self._ids), set(self._ids))
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def get(self, row_id: int) -> Row:
        """Returns a copy of the row; `KeyError` when there is none."""
        if row_id not in self:
            raise KeyError(row_id)
        return dict(self._row(row_id))

    def insert(self, **fields: Any) -> Row:
        """Adds a row with the next free id, or the given ``id``; what is not named is computed."""
        row_id = fields.setdefault("id", self._last + 1)
        if row_id in self:
            raise KeyError(f"there is a row {row_id} already")
        self._last = max(self._last, row_id)
        insort(self._ids, row_id)
        for watch in self._watches:
            watch.ever.add(row_id)
        self._keep({**self._make(row_id), **fields})
        return self.get(row_id)

    def update(self, row_id: int, **fields: Any) -> Row:
        """Changes the named fields and returns the row as it is then."""
        self._keep({**self.get(row_id), **fields})
        return self.get(row_id)

    def delete(self, row_id: int) -> None:
        """Takes the row out; `KeyError` when there is none."""
        at = self._at(row_id)
        if at is None:
            raise KeyError(row_id)
        del self._ids[at]
        for watch in self._watches:
            watch.throughout.discard(row_id)
        self._changed.pop(row_id, None)
        self._forget(row_id)

    def slice(self, query: Query) -> Slice:
        """Returns the page of ids that *query* asks for."""
        ranges, others = split(query)
        view = self._view(others, query)
        low, high = bounds(view, ranges) if ranges else (0, len(view))
        total = high - low
        size = total if query.limit is None else query.limit
        start = min((query.page - 1) * size, total)
        stop = min(start + (size if query.most is None else min(size, query.most)), total)
        if query.sort == "id" and query.descending:
            return Slice(view[high - stop : high - start][::-1], total)
        return Slice(view[low + start : low + stop], total)

    def encoded(self, row_id: int) -> bytes:
        """Returns the row as JSON; rows that were read lately need no new encoding."""
        found = self._encoded.get(row_id)
        if found is None:
            if len(self._encoded) >= _ENCODED_ROWS_KEPT:
                self._encoded.clear()
            found = self._encoded[row_id] = msgspec.json.encode(self._row(row_id))
        return found

    def _row(self, row_id: int) -> Row:
        return self._changed.get(row_id) or self._make(row_id)

    def _at(self, row_id: int) -> int | None:
        at = bisect_left(self._ids, row_id)
        return at if at < len(self._ids) and self._ids[at] == row_id else None

    def _keep(self, row: Row) -> None:
        self._changed[row["id"]] = row
        self._forget(row["id"])

    def _forget(self, row_id: int) -> None:
        self._encoded.pop(row_id, None)
        self._views.clear()

    def _view(self, conditions: tuple[Condition, ...], query: Query) -> list[int]:
        """Returns the matching ids in order, kept until a row changes so that pages are cheap.

        Descending ids need no view of their own: `slice` reads the ascending one backwards.
        """
        by_id = query.sort == "id"
        if by_id and not conditions:
            return self._ids
        key = (conditions, query.sort, query.descending and not by_id)
        if key not in self._views:
            if len(self._views) >= _VIEWS_KEPT:
                self._views.clear()
            self._views[key] = self._ordered(conditions, None if by_id else query)
        return self._views[key]

    def _ordered(self, conditions: Sequence[Condition], order: Query | None) -> list[int]:
        matches = matcher(conditions)
        rows = [row for row in map(self._row, self._ids) if matches(row)]
        if order is not None:
            # Stable in both directions: rows that tie stay in the order of their ids.
            rows.sort(key=sort_key(order.sort), reverse=order.descending)
        return [row["id"] for row in rows]


@attrs.frozen(kw_only=True)
class Data:
    """The five tables of one stand-in; a test may read and change them."""

    websites: Table
    settings: Table
    cdrs: Table
    visitors: Table
    buttons: Table

    @classmethod
    def generate(cls, *, rows: int, seed: int) -> Data:
        """Returns *rows* call records with the visitors and campaigns they belong to.

        The same *rows* and *seed* give the same data on every machine and in every run.
        """
        button_ids = ids(seed + 1, 201, BUTTONS)
        campaigns = [campaign(seed, number, button_ids) for number in range(WEBSITES)]

        def table(salt: int, first: int, count: int, maker: Callable[[Calendar], Maker]) -> Table:
            return Table(ids(seed + salt, first, count), maker(Calendar(first, count)), first=first)

        visitors = table(
            2,
            50_001,
            max(min(rows, 20), rows // 8),
            lambda calendar: visitor_maker(seed + 2, calendar, campaigns),
        )
        known = visitors.ids
        return cls(
            websites=table(3, 11, WEBSITES, lambda calendar: plain_maker(calendar, campaigns)),
            settings=table(4, 41, SETTINGS, lambda calendar: setting_maker(calendar, campaigns)),
            cdrs=table(
                5, 100_001, rows, lambda calendar: cdr_maker(seed + 5, calendar, campaigns, known)
            ),
            visitors=visitors,
            buttons=Table(button_ids, button_maker(Calendar(201, BUTTONS), campaigns), first=201),
        )

    def collections(self) -> Mapping[str, Table]:
        """Returns the four tables that can be listed, by the last part of their path."""
        return {name: getattr(self, name) for name in COLLECTIONS}
