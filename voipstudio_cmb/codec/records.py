"""Rows to typed records, a page at a time.

The hot path takes a page in C, twice: into rows (dicts), and from these into cells, which checks
all values and makes dates of texts. A row then becomes the `__dict__` of its record as it is, with
those few values changed that have another type there.

A page with a value that does not fit its documented type goes row by row through the converter
(`conversion`), which keeps such a value in `extra`.

What a record was sent as is in its `__dict__` too: under `_sent` the row if it has fields that are
not documented, else None; and under `_sent.created_at` the text that the date was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from itertools import repeat
from types import GenericAlias
from typing import Any, TypeVar

import msgspec

from voipstudio_cmb.errors import BadPayload, WrongShape
from voipstudio_cmb.models import Record

from .conversion import shared_converter
from .json import to_json
from .rows import id_problem
from .shape import Shape, shape

R = TypeVar("R", bound=Record)


def records(rows: list[Any], record: type[R]) -> list[R]:
    """`rows` as records, in their order. The rows become theirs, and are no longer the caller's.

    Raises:
        WrongShape: a row is no object or has no usable id; the message says which one.
    """
    shape_of_record = shape(record)
    if shape_of_record.cell is not None:
        try:
            return _page_records(rows, record, shape_of_record)
        except (msgspec.ValidationError, UnicodeEncodeError, TypeError):
            pass  # some value does not fit, or a subclass has a type of its own
    return [_row_record(index, row, record) for index, row in enumerate(rows)]


def _page_records(rows: list[Any], record: Any, shape: Shape) -> list[Any]:
    """The hot path. Changes nothing if it raises."""
    try:
        cells, documented_only = _cells(rows, shape.cell), True
    except msgspec.ValidationError:
        cells, documented_only = _cells(rows, shape.open_cell), False
    for number in shape.numbers:
        if not all(map(Decimal.is_finite, filter(None, map(number, cells)))):
            raise msgspec.ValidationError("msgspec takes NaN for a number")
    if documented_only:
        for row in rows:
            row["_sent"] = None
    else:
        rows = [_with_extra(row, shape.fields) for row in rows]
    for name, (sent, get) in shape.retyped.items():
        for row, value in zip(rows, map(get, cells), strict=True):
            if value is not None:
                row[sent], row[name] = row[name], value
    return _maker(record)(rows)


def _cells(rows: list[Any], cell: Any) -> list[Any]:
    if len(rows) == 1:  # msgspec plans for a list each time, which takes longer than one row
        return [msgspec.convert(rows[0], cell)]
    cells: list[Any] = msgspec.convert(rows, GenericAlias(list, (cell,)))
    return cells


def _with_extra(row: dict[str, Any], documented: dict[str, Any]) -> dict[str, Any]:
    """The `__dict__` of a record of `row`, with all that is not `documented` in `extra`."""
    if row.keys() <= documented.keys():
        row["_sent"] = None
        return row
    values = {name: row[name] for name in row if name in documented}
    values["extra"] = {name: row[name] for name in row if name not in documented}
    values["_sent"] = row
    return values


@cache
def _maker(record: Any) -> Callable[[list[dict[str, Any]]], list[Any]]:
    """A function that makes a `record` of each dict, which becomes its `__dict__`.

    The only place that reaches into how Python keeps attributes. Calling `__init__` for each row
    would take as long as all the rest. A field that a row lacks is found on the class, as None.
    """
    for name in shape(record).fields:
        if name != "id" and name not in record.__dict__:
            setattr(record, name, None)
    set_dict = Record.__dict__["__dict__"].__set__

    def make(rows: list[dict[str, Any]]) -> list[Any]:
        made = list(map(record.__new__, repeat(record, len(rows))))
        deque(map(set_dict, made, rows), maxlen=0)
        return made

    return make


def _row_record(index: int, row: object, record: type[R]) -> R:
    try:
        return shared_converter().structure(row, record)
    except BadPayload:
        problem = id_problem(to_json(row))
        raise WrongShape(
            f"row {index} of the response can't be used: {problem}", sent="yes"
        ) from None
