"""The five tables of the sandbox: computed from a seed, changed by tests and requests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import attrs
import msgspec

from .query import Condition, Query, bisect_ids, is_id_range, matches, sort_key
from .rows import Row, RowMaker, campaign, ids

WEBSITES: Final = 12
BUTTONS: Final = 30
SETTINGS: Final = 40
COLLECTIONS: Final = ("websites", "settings", "cdrs", "visitors")

ZERO_DATES: Final = 0.001
"""Seldom enough that a test with few rows meets none, often enough that a large export does."""

_MAX_ENCODED_ROWS: Final = 100_000
_MAX_VIEWS: Final = 16


@attrs.frozen
class TablePage:
    """The ids on one page, and how many rows match in total."""

    ids: Sequence[int]
    total: int


@attrs.frozen(eq=False)
class Watch:
    """The ids that a table had while it was watched."""

    throughout: set[int]
    """The ids that the table had during all of that time."""
    ever: set[int]
    """The ids that the table had at any moment of that time."""


class Table:
    """Rows by ascending id. A row is computed when it is read, unless it was changed.

    Tests may change a table while the server runs, in its threaded form only between requests.
    """

    def __init__(self, ids: list[int], make: Callable[[int], Row], *, first: int) -> None:
        self._ids = ids
        self._make = make
        self._last = self._first_last = ids[-1] if ids else first - 1
        self._changed: dict[int, Row] = {}
        self._encoded: dict[int, bytes] = {}
        self._views: dict[tuple[tuple[Condition, ...], str, bool], list[int]] = {}
        self._watches: list[Watch] = []
        self.columns: frozenset[str] = frozenset(make(self._last)) | {"max_call_rate"}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, row_id: object) -> bool:
        if not isinstance(row_id, int):
            return False
        index = bisect_left(self._ids, row_id)
        return index < len(self._ids) and self._ids[index] == row_id

    @property
    def ids(self) -> Sequence[int]:
        """The current ids, ascending."""
        return tuple(self._ids)

    @property
    def new_ids(self) -> Sequence[int]:
        """The current ids above those with which the table began."""
        return tuple(self._ids[bisect_right(self._ids, self._first_last) :])

    def id_at(self, index: int) -> int:
        """Returns one of the current ids, without a copy of them all; -1 is the last."""
        return self._ids[index]

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Records which ids the table has while the block runs, whoever changes the table.

        After ``with table.watched() as rows:`` around a walk, the walk must have returned every
        row of ``rows.throughout``, and no row outside ``rows.ever``.
        """
        watch = Watch(set(self._ids), set(self._ids))
        self._watches.append(watch)
        try:
            yield watch
        finally:
            self._watches.remove(watch)

    def get(self, row_id: int) -> Row:
        """Returns a copy of the row; raises `KeyError` for an unknown id."""
        if row_id not in self:
            raise KeyError(row_id)
        return dict(self._row(row_id))

    def insert(self, **fields: Any) -> Row:
        """Adds a row with the next free id, or with the given ``id``; other fields are computed."""
        row_id = fields.setdefault("id", self._last + 1)
        if row_id in self:
            raise KeyError(f"row {row_id} exists already: insert it with another id, or update it")
        self._last = max(self._last, row_id)
        insort(self._ids, row_id)
        for watch in self._watches:
            watch.ever.add(row_id)
        return self._change(row_id, {**self._make(row_id), **fields})

    def update(self, row_id: int, **fields: Any) -> Row:
        """Changes the given fields and returns the row; raises `KeyError` for an unknown id."""
        return self._change(row_id, {**self.get(row_id), **fields})

    def delete(self, row_id: int) -> None:
        """Removes the row; raises `KeyError` for an unknown id."""
        if row_id not in self:
            raise KeyError(row_id)
        del self._ids[bisect_left(self._ids, row_id)]
        for watch in self._watches:
            watch.throughout.discard(row_id)
        self._changed.pop(row_id, None)
        self._drop_cached(row_id)

    def page(self, query: Query, hidden: Set[int] = frozenset()) -> TablePage:
        """Returns the page of ids that `query` asks for, as if the `hidden` ones did not exist."""
        # Id ranges are bisected on each request: a walk asks for a different one each time.
        ranges = [each for each in query.conditions if query.sort == "id" and is_id_range(each)]
        view = self._view(query, tuple(each for each in query.conditions if each not in ranges))
        if hidden:
            view = [row_id for row_id in view if row_id not in hidden]
        low, high = bisect_ids(view, ranges)
        total = high - low
        size = total if query.limit is None else query.limit
        start = min((query.page - 1) * size, total)
        stop = min(start + (size if query.max_rows is None else min(size, query.max_rows)), total)
        if query.sort == "id" and query.descending:
            return TablePage(view[high - stop : high - start][::-1], total)
        return TablePage(view[low + start : low + stop], total)

    def encoded(self, row_id: int) -> bytes:
        """Returns the row as JSON, from a cache when it was read before."""
        encoded = self._encoded.get(row_id)
        if encoded is None:
            if len(self._encoded) >= _MAX_ENCODED_ROWS:
                self._encoded.clear()
            encoded = self._encoded[row_id] = msgspec.json.encode(self._row(row_id))
        return encoded

    def _row(self, row_id: int) -> Row:
        return self._changed.get(row_id) or self._make(row_id)

    def _change(self, row_id: int, row: Row) -> Row:
        self._changed[row_id] = row
        self._drop_cached(row_id)
        return dict(row)

    def _drop_cached(self, row_id: int) -> None:
        self._encoded.pop(row_id, None)
        self._views.clear()

    def _view(self, query: Query, conditions: tuple[Condition, ...]) -> list[int]:
        """Returns the matching ids in order, cached until a row changes.

        Descending ids need no view of their own: `page` reads the ascending one backwards.
        """
        by_id = query.sort == "id"
        if by_id and not conditions:
            return self._ids
        key = (conditions, query.sort, query.descending and not by_id)
        if key not in self._views:
            if len(self._views) >= _MAX_VIEWS:
                self._views.clear()
            rows = [row for row in map(self._row, self._ids) if matches(row, conditions)]
            if not by_id:
                # Stable in both directions: rows with equal values stay in the order of their ids.
                rows.sort(key=lambda row: sort_key(row.get(query.sort)), reverse=query.descending)
            self._views[key] = [row["id"] for row in rows]
        return self._views[key]


@attrs.frozen(kw_only=True)
class Data:
    """The five tables of one sandbox; a test may read and change them."""

    websites: Table
    settings: Table
    cdrs: Table
    visitors: Table
    buttons: Table

    @classmethod
    def generate(cls, *, rows: int, seed: int, zero_dates: float = ZERO_DATES) -> Data:
        """Returns `rows` call records, and the visitors and campaigns that they refer to.

        A share of `zero_dates` among the rows of each table has no valid times.

        The same `rows` and `seed` give the same data on every machine and in every run.
        """
        button_ids = ids(seed + 1, 201, BUTTONS)
        campaigns = [campaign(seed, number, button_ids) for number in range(WEBSITES)]

        def table(
            make: Callable[[RowMaker, int], Row],
            salt: int,
            first: int,
            count: int,
            visitor_ids: Sequence[int] = (),
        ) -> Table:
            maker = RowMaker(seed + salt, first, count, campaigns, visitor_ids, zero_dates)
            return Table(ids(maker.seed, first, count), partial(make, maker), first=first)

        visitors = table(RowMaker.visitor, 2, 50_001, max(min(rows, 20), rows // 8))
        return cls(
            websites=table(RowMaker.website, 3, 11, WEBSITES),
            settings=table(RowMaker.setting, 4, 41, SETTINGS),
            cdrs=table(RowMaker.cdr, 5, 100_001, rows, visitors.ids),
            visitors=visitors,
            buttons=table(RowMaker.button, 1, 201, BUTTONS),
        )

    def collections(self) -> Mapping[str, Table]:
        """Returns the four tables that can be listed, by the last part of their path."""
        return {name: getattr(self, name) for name in COLLECTIONS}
