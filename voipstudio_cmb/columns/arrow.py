"""Columns as Arrow's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow

from .kinds import MOST_DIGITS, Column, Kind
from .schema import EXTRA, Schema

VALUES: frozenset[Kind] = frozenset({"time", "double", "decimal"})
"""The kinds of which Arrow takes values instead of texts."""

# Columns of some hundred cells are small: Arrow's own pool takes far more for them than they hold.
_POOL = pyarrow.system_memory_pool()
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
    arrays = [pyarrow.array(cells, type, memory_pool=_POOL) for cells, type in pairs]
    return pyarrow.record_batch(arrays, schema=schema)
