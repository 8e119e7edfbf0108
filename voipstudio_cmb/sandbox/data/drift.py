"""Drift: rows that come and go by themselves, between any two requests for a collection."""

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


def _rate(_: object, field: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{field.name} must be rows a request, from 0, not {value!r}")


@attrs.frozen(kw_only=True)
class Drift:
    """How collections change while a client walks over them.

    Right after each answer of one of the *collections*, *deletes* of its rows go and *inserts* new
    ones come: a change is always between two answers, and the first answer shows what there was
    before. A fraction is a chance: 0.25 is one row in four requests, 1.5 is one or two each time.
    The sandbox's seed decides, for each collection by itself, so that requests in the same number
    have the same effect in every run.

    The rows that go are drawn (*choose* ``"random"``), or are always the ``"oldest"`` or the
    ``"newest"``; those that come get the next free id. It takes no row of a table that has *least*
    or fewer, and adds none to one that has *most* or more: half and twice the rows that the table
    began with, unless they are given.
    """

    inserts: float = attrs.field(default=0.0, validator=_rate)
    deletes: float = attrs.field(default=0.0, validator=_rate)
    choose: Literal["random", "oldest", "newest"] = attrs.field(
        default="random", validator=in_(("random", "oldest", "newest"))
    )
    least: int | None = attrs.field(default=None, validator=optional(ge(0)))
    most: int | None = attrs.field(default=None, validator=optional(ge(0)))
    collections: frozenset[str] = attrs.field(
        default=frozenset(COLLECTIONS), converter=_names, validator=deep_iterable(in_(COLLECTIONS))
    )


class Tide:
    """Lets one table drift; the *seed* is its own."""

    def __init__(self, drift: Drift, table: Table, seed: str) -> None:
        self._drift = drift
        self._table = table
        self._draw = random.Random(seed)
        self._least = len(table) // 2 if drift.least is None else drift.least
        self._most = 2 * len(table) if drift.most is None else drift.most

    def turn(self) -> None:
        """Changes the table as much as is due between two requests."""
        table = self._table
        # In this order, or "newest" would only ever take what has just come.
        for _ in range(self._number(self._drift.deletes)):
            if len(table) > self._least:
                table.delete(table.id_at(self._place()))
        for _ in range(self._number(self._drift.inserts)):
            if len(table) < self._most:
                table.insert()

    def _number(self, rows: float) -> int:
        return int(rows) + (self._draw.random() < rows % 1)

    def _place(self) -> int:
        if self._drift.choose == "random":
            return self._draw.randrange(len(self._table))
        return 0 if self._drift.choose == "oldest" else -1
