"""Drift: rows that are deleted and inserted between two requests for a collection."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Literal

import attrs
from attrs.validators import deep_iterable, ge, in_, optional

from .tables import COLLECTIONS, Table


def _names(values: Iterable[str]) -> frozenset[str]:
    return frozenset((values,) if isinstance(values, str) else values)


def _check_rate(_: object, field: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{field.name} must be rows per request, at least 0, not {value!r}")


@attrs.frozen(kw_only=True)
class Drift:
    """How collections change while a client walks over them.

    The changes come right after each response of a collection, so that the first response shows
    the rows as they were before. A fraction is a chance: 0.25 is one row in four requests, 1.5 is
    one or two rows in each. The seed of the sandbox decides for each collection separately, so the
    same number of requests has the same effect in every run.
    """

    inserts: float = attrs.field(default=0.0, validator=_check_rate)
    """Rows to add per request; they get the next free ids."""
    deletes: float = attrs.field(default=0.0, validator=_check_rate)
    """Rows to delete per request."""
    choose: Literal["random", "oldest", "newest"] = attrs.field(
        default="random", validator=in_(("random", "oldest", "newest"))
    )
    """Which rows to delete."""
    min_rows: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Where deleting stops; `None` is half of the rows that the table began with."""
    max_rows: int | None = attrs.field(default=None, validator=optional(ge(0)))
    """Where inserting stops; `None` is twice the rows that the table began with."""
    collections: frozenset[str] = attrs.field(
        default=frozenset(COLLECTIONS), converter=_names, validator=deep_iterable(in_(COLLECTIONS))
    )
    """The collections that change."""


class TableDrift:
    """Applies a drift to one table, with random numbers of its own."""

    def __init__(self, drift: Drift, table: Table, seed: str) -> None:
        self._drift = drift
        self._table = table
        self._random = random.Random(seed)
        self._min_rows = len(table) // 2 if drift.min_rows is None else drift.min_rows
        self._max_rows = 2 * len(table) if drift.max_rows is None else drift.max_rows

    def apply(self) -> None:
        """Changes the table as much as is due after one request."""
        # Deletes come first, or "newest" would only ever delete the row just inserted.
        for _ in range(self._count(self._drift.deletes)):
            if len(self._table) > self._min_rows:
                self._table.delete(self._table.id_at(self._index()))
        for _ in range(self._count(self._drift.inserts)):
            if len(self._table) < self._max_rows:
                self._table.insert()

    def _count(self, rate: float) -> int:
        return int(rate) + (self._random.random() < rate % 1)

    def _index(self) -> int:
        if self._drift.choose == "random":
            return self._random.randrange(len(self._table))
        return 0 if self._drift.choose == "oldest" else -1
