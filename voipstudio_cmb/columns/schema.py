"""Which columns a collection's rows have: those documented, and those found in the rows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

import attrs

from voipstudio_cmb.boundary.checks import described, is_quotable
from voipstudio_cmb.codec.rows import tokens
from voipstudio_cmb.codec.shape import alternatives, shape
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .kinds import Column, Kind, Sort, sort_of

EXTRA = "extra"
"""The last column: a JSON object of what no other column holds."""

Chosen = Literal["all", "documented"] | Sequence[str]
"""Which members of the rows are columns: all, the documented fields, or those of these names."""

_MOST_COLUMNS = 256
_MOST_NAMES = 10_000
_KINDS: dict[type, Kind] = {
    int: "integer", bool: "boolean", Decimal: "number", datetime: "time", str: "text"
}  # fmt: skip
# What can be a column's name in every format, and is no formula as the head of one in CSV.
_NAME = re.compile(r"\w(?:[\w .:/-]{0,126}\w)?")
_ORDER: tuple[Kind, ...] = ("integer", "double", "decimal", "text", "boolean", "json")


def documented(record: type[Record]) -> tuple[Column, ...]:
    """The columns of the documented fields of `record`, in their order.

    What responses document as an integer, and requests as a string, is an integer.
    """
    fields = shape(record).fields.items()
    columns = (
        Column(name, _KINDS[alternatives(kind)[0]], documented=True) for name, kind in fields
    )
    return tuple(columns)


@attrs.frozen
class Schema:
    """The columns of some rows; behind them comes `extra`."""

    columns: tuple[Column, ...]
    """Those documented first, the others by name; or as they were chosen, behind the id."""
    whole: bool = True
    """Whether `extra` has the members that are no column; or else only what fits none."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, the last of which is `extra`."""
        return (*(column.name for column in self.columns), EXTRA)


def checked_columns(chosen: Chosen) -> Chosen:
    """`chosen`; raises `ClientMisuse` if it is no choice of columns."""
    if chosen in ("all", "documented"):
        return chosen
    if isinstance(chosen, str) or not all(isinstance(name, str) and name for name in chosen):
        raise ClientMisuse('columns (--columns) are "all", "documented" or names, none empty')
    for name in chosen:
        if name == EXTRA or not _NAME.fullmatch(name):
            what = repr(name) if is_quotable(name) else described(name)
            raise ClientMisuse(
                f"columns (--columns): {what} can't be one: a name has letters, digits and . : / "
                f"- _, and is not {EXTRA}, which is always there"
            )
    names = tuple(dict.fromkeys(chosen))
    if not names:
        raise ClientMisuse("columns (--columns): name at least one")
    return names


class Census:
    """Counts what sorts of values rows have, and says which columns hold most of them.

    The same rows give the same columns, in whatever order they come (up to 10,000 names).
    """

    def __init__(self, record: type[Record], chosen: Chosen, fixed: Iterable[Column] = ()) -> None:
        """`fixed` are columns that there are already."""
        self._chosen = chosen
        self.known: dict[str, Column] = {column.name: column for column in fixed}
        self._fixed = [*self.known]
        for column in documented(record):
            if isinstance(chosen, str) or column.name in ("id", *chosen):
                self.known.setdefault(column.name, column)
        self.sorts: defaultdict[str, Counter[Sort]] = defaultdict(Counter)
        """What was seen of each further member that may be a column."""

    def wants(self, name: str) -> bool:
        """Whether the member `name` is to be counted."""
        if name in self.known or self._chosen == "documented":
            return False
        if name in self.sorts:
            return True
        wanted = self._chosen == "all" or name in self._chosen
        return wanted and len(self.sorts) < _MOST_NAMES and _NAME.fullmatch(name) is not None

    def see(self, row: bytes) -> None:
        """Notes the values of `row`, a JSON object."""
        for name, token in tokens(row).items():
            if token != b"null" and self.wants(name):
                self.sorts[name][sort_of(token)] += 1

    def schema(self) -> Schema:
        """The columns for what was seen."""
        found = {name: sorts for name, sorts in self.sorts.items() if _NAME.fullmatch(name)}
        if not isinstance(self._chosen, str):
            found |= {name: Counter() for name in self._chosen if name not in {*found, *self.known}}
        columns = [
            *self.known.values(),
            *sorted(_columns(found, self.known), key=lambda column: column.name),
        ]
        if not isinstance(self._chosen, str):
            names = [*dict.fromkeys((*self._fixed, "id", *self._chosen))]
            columns.sort(key=lambda column: names.index(column.name))
        return Schema(tuple(columns), whole=isinstance(self._chosen, str))


def _columns(found: dict[str, Counter[Sort]], known: Iterable[str]) -> Iterator[Column]:
    """A column for each member that was `found`, unless databases take its name for another's."""
    taken = {EXTRA, *(name.casefold() for name in known)}
    by_count = sorted(found, key=lambda name: (-found[name].total(), name))
    for name in by_count:
        if name.casefold() not in taken and len(taken) <= _MOST_COLUMNS:
            taken.add(name.casefold())
            yield _column(name, found[name])


def _column(name: str, sorts: Counter[Sort]) -> Column:
    """The column that holds most of such values."""
    fits: Counter[tuple[Kind, int]] = Counter()
    for sort, count in sorts.items():
        if sort.kind is not None:
            fits[sort.kind, 0] += count
        if sort.kind == "integer":
            fits["double", 0] += count
        if sort.scale is not None:
            fits["decimal", sort.scale] += count
    if not fits:
        return Column(name, "text")
    kind, scale = min(fits, key=lambda fit: (-fits[fit], _ORDER.index(fit[0]), fit[1]))
    return Column(name, kind, scale)
