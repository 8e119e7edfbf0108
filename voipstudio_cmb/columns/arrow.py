"""Columns as Arrow's.

Their buffers are made here: `pyarrow.array` imports pandas where it is installed, which takes 55 MB
and as long as the export of some ten thousand rows.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any

import pyarrow

from .kinds import MOST_DIGITS, Column, Kind
from .schema import EXTRA, Schema

VALUES: frozenset[Kind] = frozenset({"time", "double", "decimal"})
"""The kinds of which Arrow takes values instead of texts."""

# Columns of some hundred cells are small: Arrow's own pool takes far more for them than they hold.
_POOL = pyarrow.system_memory_pool()
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_TYPES: dict[Kind, Any] = {
    "integer": pyarrow.int64(),
    "boolean": pyarrow.bool_(),
    "time": pyarrow.timestamp("us"),
    # Its text, because the API documents neither its digits nor their number.
    "number": pyarrow.string(),
    "double": pyarrow.float64(),
    "text": pyarrow.string(),
    "json": pyarrow.string(),
}


def arrow_schema(schema: Schema, metadata: Mapping[str, str] | None = None) -> Any:
    """The `pyarrow.Schema` of `schema`, which holds `metadata`."""
    fields = [
        pyarrow.field(column.name, _type(column), nullable=column.name != "id")
        for column in schema.columns
    ]
    return pyarrow.schema([*fields, (EXTRA, pyarrow.string())], metadata=metadata)


def _type(column: Column) -> Any:
    if column.kind == "decimal":
        return pyarrow.decimal128(MOST_DIGITS, column.scale)
    return _TYPES[column.kind]


def record_batch(columns: Sequence[Sequence[Any]], schema: Any) -> Any:
    """A `pyarrow.RecordBatch` of `columns`, as a `Splitter` makes them with `VALUES`."""
    pairs = zip(columns, schema.types, strict=True)
    return pyarrow.record_batch([_array(cells, type) for cells, type in pairs], schema=schema)


def _array(cells: Sequence[Any], type: Any) -> Any:
    """The Arrow array of `cells`."""
    make, absent = _BUFFERS[type.id]
    valid = None
    if not all(cells):  # which is faster than to compare each with None
        held = [cell is not None for cell in cells]
        if not any(held):
            return pyarrow.nulls(len(cells), type, memory_pool=_POOL)
        if not all(held):
            valid = pyarrow.py_buffer(*_bits(held))
            cells = [absent if cell is None else cell for cell in cells]
    return pyarrow.Array.from_buffers(
        type, len(cells), [valid, *map(pyarrow.py_buffer, make(cells))]
    )


def _bits(cells: Sequence[Any]) -> list[Any]:
    digits = ["1" if cell else "0" for cell in reversed(cells)]
    return [int("".join(digits) or "0", 2).to_bytes(-(-len(cells) // 8), "little")]


def _texts(cells: Sequence[str]) -> list[Any]:
    """Where each of the texts begins and ends, and all of them."""
    text = "".join(cells)
    if text.isascii():
        return [array("i", [0, *accumulate(map(len, cells))]), text.encode()]
    encoded = [cell.encode() for cell in cells]
    return [array("i", [0, *accumulate(map(len, encoded))]), b"".join(encoded)]


def _decimal(cell: Decimal) -> bytes:
    """All digits of `cell`, as an integer."""
    return int(f"{cell:f}".replace(".", "")).to_bytes(16, "little", signed=True)


_BUFFERS: dict[int, tuple[Callable[[Sequence[Any]], list[Any]], Any]] = {
    pyarrow.int64().id: (lambda cells: [array("q", cells)], 0),
    pyarrow.float64().id: (lambda cells: [array("d", cells)], 0.0),
    pyarrow.bool_().id: (_bits, False),
    pyarrow.timestamp("us").id: (
        lambda cells: [array("q", [(cell - _EPOCH) // _MICROSECOND for cell in cells])], _EPOCH,
    ),
    pyarrow.decimal128(1).id: (lambda cells: [b"".join(map(_decimal, cells))], Decimal(0)),
    pyarrow.string().id: (_texts, ""),
}  # fmt: skip
"""By the type of an array: what makes the buffers of cells, and the cell in the place of none."""
