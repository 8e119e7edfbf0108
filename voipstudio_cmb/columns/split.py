"""Rows to columns, some hundred at a time.

msgspec reads the rows of a chunk in C, each member as what its column holds. The rows that it
refuses, and those of which it takes what the column could not give back, are odd: they are read one
by one, value by value. Both ways give the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Raw
from msgspec.structs import astuple

from voipstudio_cmb.codec.json import MAX_ID, to_json
from voipstudio_cmb.codec.rows import id_problem, tokens
from voipstudio_cmb.codec.surrogates import without_half_pairs
from voipstudio_cmb.errors import WrongShape

from .kinds import MISFIT, NESTED, SORTS, Column, Kind, reader, sort_of
from .schema import Census, Schema

_MOST_LEARNT, _MEMO = 64, 4096
_MINUS_ZERO = re.compile(rb"-0(?<=[: \t]-0)[ \t,}]")  # is found fastest by how it begins
# What msgspec takes for a member's name.
_LEARNABLE = re.compile(r'[^\x00-\x1f"\\\ud800-\udfff]*')
_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
_NO_ID = 0
_NO_TEXT = Raw(b"")
_ABSENT: dict[Any, Any] = {Raw: _NO_TEXT, _Id: msgspec.NODEFAULT}
_Integer: Any = Annotated[int, msgspec.Meta(ge=-MAX_ID - 1, le=MAX_ID)]
_Times = list[Annotated[datetime, msgspec.Meta(tz=False)] | None]
_DOCUMENTED: dict[Kind, Any] = {
    "integer": _Integer | str | None,
    "boolean": bool | int | str | None,
    "number": Raw,
    "time": str | None,
    "text": str | None,
}
_FURTHER: dict[Kind, Any] = {
    "integer": _Integer | None, "boolean": bool | None, "text": str | None,
    "double": Raw, "decimal": Raw, "json": Raw,
}  # fmt: skip
_VALUES: dict[Kind, Callable[[str], Any]] = {
    "time": datetime.fromisoformat, "double": float, "decimal": Decimal
}  # fmt: skip


def object_of(cells: Mapping[str, bytes]) -> str:
    """The JSON object with these members, sorted by name; their values are given as JSON text."""
    return (b"{" + b",".join([_key(name) + cells[name] for name in sorted(cells)]) + b"}").decode()


@lru_cache(4096)  # names repeat in every row; limited, because a server may invent new ones
def _key(name: str) -> bytes:
    return to_json(name) + b":"


def _texts(values: Sequence[Raw]) -> list[bytes]:
    """The JSON text of each of `values`; b"" where there is none."""
    if all(value is _NO_TEXT for value in values):  # documented, and never sent
        return [b""] * len(values)
    return [*map(bytes, values)]


def _count(values: Sequence[Any]) -> int:
    """How many of `values` are not None; `count` would compare each with it."""
    return len(values) if all(values) else len([1 for value in values if value is not None])


class _Chunk:
    """Rows that are split together, which of them are odd, and what does not fit in the others."""

    def __init__(self, rows: Sequence[bytes]) -> None:
        self.rows = rows
        self.lines = b"\n".join(rows)
        self.odd: set[int] = set()
        self.misfits: dict[int, dict[str, bytes]] = {}

    def note_minus_zeros(self, values: Sequence[Any]) -> None:
        """Notes the rows for which msgspec has read -0 as one of the `values`: it gives a 0."""
        if not all(values):
            zeros = [at for at, value in enumerate(values) if value == 0 and value is not False]
            self.odd.update(at for at in zeros if _MINUS_ZERO.search(self.rows[at]))

    def checked(self, name: str, cells: list[Any], sent: Sequence[Any] | None = None) -> list[Any]:
        """`cells` of the member `name`, without misfits; `sent` is the JSON text of each."""
        for at, cell in enumerate(cells):
            if cell is MISFIT:
                cells[at] = None
                token = sent[at] if sent is not None else tokens(self.rows[at])[name]
                self.misfits.setdefault(at, {})[name] = token
        return cells


class _Cells:
    """Makes the cells of one column of what msgspec has read."""

    def __init__(self, column: Column, values: Container[Kind]) -> None:
        self.column = column
        self.type: Any = (_DOCUMENTED if column.documented else _FURTHER)[column.kind]
        """What msgspec reads. From `Raw`, which it never refuses, all that fits is read."""
        if column.name == "id":
            self.type = _Id
        self._read = reader(column)
        self._value = _VALUES[column.kind] if column.kind in values else None
        self._known = lru_cache(_MEMO)(self.exact)

    def exact(self, token: bytes) -> Any:
        """The cell of a value's JSON text (b"": there is none), or `MISFIT`."""
        cell = None if token in (b"", b"null") else self._read(token)
        return cell if cell is None or cell is MISFIT or not self._value else self._value(cell)

    def of(self, values: Sequence[Any], chunk: _Chunk) -> Sequence[Any]:
        """The cells of `values`, as msgspec has read them; notes what is odd."""
        kind, name = self.column.kind, self.column.name
        if kind == "json":  # which is most often such a value, long, and of its own
            cells = [v.decode() if v and v[0] in NESTED else self.exact(v) for v in values]
            return chunk.checked(name, cells, values)
        if self.type is Raw:
            if not any(values):
                return [None] * len(values)
            return chunk.checked(name, [*map(self._known, values)], values)
        if kind == "time":
            return self._times(values, chunk)
        if kind in ("integer", "boolean"):
            chunk.note_minus_zeros(values)
        if kind in ("integer", "boolean") and self.column.documented:
            types = {*map(type, values)}
            if str in types or (kind == "boolean" and int in types):
                return chunk.checked(name, [self._known(to_json(value)) for value in values])
        return values

    def _times(self, values: Sequence[str | None], chunk: _Chunk) -> Sequence[Any]:
        sent = [*filter(None, values)]
        try:
            times = msgspec.convert(values, _Times)
            # It takes seven digits of a second, and "t" as well.
            if max(map(len, sent), default=0) <= 26 and "t" not in "".join(sent):
                return times if self._value else values
        except msgspec.ValidationError:
            pass
        cells = [self.exact(to_json(value)) for value in values]
        return chunk.checked(self.column.name, cells)


class Splitter:
    """Splits rows into the columns of `schema`, and `extra`; `census` counts what they hold.

    A cell is an int, a bool or a str, and None for null and for nothing; or, of the kinds that are
    to be `values`, a datetime ("time"), a float ("double") or a Decimal ("decimal").
    """

    altered: int
    """How many texts had half a surrogate pair, which was replaced by U+FFFD."""
    census: Census | None
    """It may be taken away once enough is counted."""

    def __init__(
        self, schema: Schema, *, values: Container[Kind] = (), census: Census | None = None
    ) -> None:
        self.altered = 0
        self.schema = schema
        self.census = census
        self._columns = {column.name: _Cells(column, values) for column in schema.columns}
        self._others: list[str] = []
        self._types: list[Any] = []
        self._learn(())

    def _learn(self, names: Iterable[str]) -> None:
        """Has the values of the members `names` read as text: some do not fit, or go to `extra`."""
        others = {*self._others}
        for name in names:
            if name in self._columns:
                self._columns[name].type = Raw
            elif len(others) < _MOST_LEARNT:
                others.add(name)
        types = [*(cells.type for cells in self._columns.values()), *(Raw for _ in others)]
        if types == self._types:
            return
        self._others, self._types = sorted(others), types
        self._row = msgspec.defstruct(
            "Row",
            [(f"member{at}", type, _ABSENT.get(type)) for at, type in enumerate(self._types)],
            rename={f"member{at}": name for at, name in enumerate(self._names)},
            forbid_unknown_fields=self.schema.whole,
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(self._row)

    @property
    def _names(self) -> list[str]:
        """Of the members that are read."""
        return [*self._columns, *self._others]

    def split(self, rows: Sequence[bytes]) -> list[Sequence[Any]]:
        """The columns of `rows`, which are JSON objects: the cells of each, those of `extra` last.

        `extra` is a JSON object, its members sorted by name, each with the JSON text that it came
        as; None if there are none.

        Raises:
            WrongShape: a row has no usable id.
        """
        if not rows:
            return [() for _ in self.schema.names]
        chunk, width = _Chunk(rows), len(self._columns)
        sent = self._sent(chunk)
        columns = [
            cells.of(values, chunk)
            for cells, values in zip(self._columns.values(), sent, strict=False)
        ]
        columns.append(self._extra(sent[width:], chunk))
        if self.census is not None:
            self._count(self.census, sent, chunk)
        if chunk.odd:
            columns = self._with_odd(columns, chunk)
        return columns

    def _sent(self, chunk: _Chunk) -> list[Sequence[Any]]:
        """What msgspec reads of each member: a value, or the text of one."""
        try:
            read = self._decoder.decode_lines(chunk.lines)
        except (msgspec.MsgspecError, ValueError):
            read = []
            for at, row in enumerate(chunk.rows):
                try:
                    read.append(self._decoder.decode(row))
                except (msgspec.MsgspecError, ValueError):
                    read.append(self._row(_NO_ID))
                    chunk.odd.add(at)
        return [
            _texts(values) if type is Raw else values
            for type, values in zip(self._types, zip(*map(astuple, read), strict=True), strict=True)
        ]

    def _extra(self, others: Sequence[Sequence[bytes]], chunk: _Chunk) -> Sequence[str | None]:
        """The cells of `extra`, of rows with these other members."""
        if not others:
            cells: list[str | None] = [None] * len(chunk.rows)
        else:
            keys = [_key(name) for name in self._others]
            members = [
                [token and key + token for token in tokens]
                for key, tokens in zip(keys, others, strict=True)
            ]
            objects = [b",".join(filter(None, row)) for row in zip(*members, strict=True)]
            cells = [f"{{{row.decode()}}}" if row else None for row in objects]
        for at, misfits in chunk.misfits.items():
            found = {name: tokens[at] for name, tokens in zip(self._others, others, strict=True)}
            cells[at] = object_of(misfits | {name: token for name, token in found.items() if token})
        return cells

    def _with_odd(self, columns: Sequence[Sequence[Any]], chunk: _Chunk) -> list[Sequence[Any]]:
        """`columns` with the cells of the rows that are odd; see `split_one`."""
        changed, learnt = [[*column] for column in columns], set[str]()
        for at in chunk.odd:
            for column, cell in zip(changed, self.split_one(chunk.rows[at], learnt), strict=True):
                column[at] = cell
        self._learn(learnt)
        return [*changed]

    def split_one(self, row: bytes, learnt: set[str]) -> Iterator[Any]:
        """The cells of `row`, value by value; adds to `learnt` the members that made it odd."""
        left, misfits = tokens(row), dict[str, bytes]()
        for name, cells in self._columns.items():
            cell = cells.exact(token := left.pop(name, b"null"))
            if cell is MISFIT:
                cell, misfits[name] = None, token
            if cells.column.kind == "text" and cell and (valid := without_half_pairs(cell)) != cell:
                cell, self.altered = valid, self.altered + 1
            if name == "id" and (type(cell) is not int or cell < 1):
                raise WrongShape(f"a row can't be exported: {id_problem(row)}")
            yield cell
        if self.schema.whole:
            misfits |= left
        learnt.update(filter(_LEARNABLE.fullmatch, misfits))
        yield object_of(misfits) if misfits else None

    def _count(self, census: Census, sent: Sequence[Sequence[Any]], chunk: _Chunk) -> None:
        for at in chunk.odd:
            census.see(chunk.rows[at])
        for name, type, values in zip(self._names, self._types, sent, strict=True):
            if not census.wants(name):
                continue
            if chunk.odd:
                values = [value for at, value in enumerate(values) if at not in chunk.odd]
            if type is Raw:
                for token, count in Counter(values).items():
                    if token not in (b"", b"null"):
                        census.sorts[name][sort_of(token)] += count
            elif count := _count(values):
                census.sorts[name][SORTS[self._columns[name].column.kind]] += count
