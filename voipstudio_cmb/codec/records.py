"""Bytes to records and back. The only module that knows cattrs; msgspec is met in `raw` too.

The hot path takes a page in C, twice: into rows (dicts), and from these into cells, which checks
all values and makes dates of texts. A row then becomes the `__dict__` of its record as it is, with
those few values changed that have another type there. To copy each row into slots would take as
long as all the rest.

A page with a value that does not fit its documented type goes row by row through `converter`, which
keeps such a value in `extra`. That cattrs converter is also where users register hooks of their
own, for fields that they add in subclasses of the records.

What a record was sent as is in its `__dict__` too: under `_sent` the row if it has fields that are
not documented, else None; and under `_sent.created_at` the text that the date was.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from itertools import repeat
from types import GenericAlias
from typing import Any, TypeVar

import msgspec

from voipstudio_cmb.errors import BadPayload, WrongShape
from voipstudio_cmb.models import Record

from .conversion import _converter
from .shape import _Shape, _shape

R = TypeVar("R", bound=Record)

_set_dict = Record.__dict__["__dict__"].__set__


def records(rows: list[Any], record: type[R]) -> list[R]:
    """*rows* as records, in their order. The rows become theirs, and are no longer the caller's.

    Raises:
        WrongShape: a row is no object or has no usable id; the message says which one.
    """
    shape = _shape(record)
    if shape.cell is not None:
        try:
            return _of_page(rows, record, shape)
        except (msgspec.ValidationError, UnicodeEncodeError, TypeError):
            pass  # some value does not fit, or a subclass has a type of its own
    return [_row_record(index, row, record) for index, row in enumerate(rows)]


def _of_page(rows: list[Any], record: type[R], shape: _Shape) -> list[R]:
    """The hot path. Changes nothing if it raises."""
    try:
        cells, only = _cells(rows, shape.cell), True
    except msgspec.ValidationError:
        cells, only = _cells(rows, shape.and_more), False
    for number in shape.numbers:
        if not all(map(Decimal.is_finite, filter(None, map(number, cells)))):
            raise msgspec.ValidationError("msgspec takes NaN for a number")
    if only:
        for row in rows:
            row["_sent"] = None
    else:
        rows = [_parted(row, shape.documented) for row in rows]
    for name, (kept, get) in shape.retyped.items():
        for row, value in zip(rows, map(get, cells), strict=True):
            if value is not None:
                row[kept], row[name] = row[name], value
    made = list(map(record.__new__, repeat(record, len(rows))))
    deque(map(_set_dict, made, rows), maxlen=0)
    return made


def _cells(rows: list[Any], cell: Any) -> list[Any]:
    if len(rows) == 1:  # msgspec plans for a list each time, which takes longer than one row
        return [msgspec.convert(rows[0], cell)]
    cells: list[Any] = msgspec.convert(rows, GenericAlias(list, (cell,)))
    return cells


def _parted(row: dict[str, Any], documented: frozenset[str]) -> dict[str, Any]:
    """What a record of *row* holds, which has other fields than those *documented*."""
    if row.keys() <= documented:
        row["_sent"] = None
        return row
    held = {name: row[name] for name in row if name in documented}
    held["extra"] = {name: row[name] for name in row if name not in documented}
    held["_sent"] = row
    return held


def _row_record(index: int, row: object, record: type[R]) -> R:
    try:
        return _converter().structure(row, record)
    except BadPayload as error:
        raise WrongShape(f"row {index} of the answer: {error.message}", sent="yes") from None
