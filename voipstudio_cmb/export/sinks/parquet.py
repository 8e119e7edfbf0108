"""Parquet, through pyarrow: a fixed schema, nothing inferred from the rows. Extra: `parquet`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from voipstudio_cmb.models import Record

from .base import Sink
from .columns import Kind, Splitter, documented
from .compression import Compression

# Where row groups end depends on the rows alone, so that the same rows give the same bytes. One is
# held in memory at a time, hence the second limit.
GROUP_ROWS = 50_000
GROUP_BYTES = 1 << 25
_BATCH_ROWS = 2_000  # cells take several times as much memory in Python as in Arrow

_TYPES: dict[Kind, Any] = {
    "integer": pyarrow.int64(),
    "boolean": pyarrow.bool_(),
    "decimal": pyarrow.string(),
    "time": pyarrow.timestamp("us"),
    "text": pyarrow.string(),
    "integer or text": pyarrow.string(),
}


class _TextSplitter(Splitter):
    def integer_or_text(self, token: bytes) -> Any:
        """A string, or the digits of an integer: a column has one type."""
        cell = super().integer_or_text(token)
        return str(cell) if type(cell) is int else cell


class ParquetSink(Sink):
    """Typed columns, compressed inside the file with `compress`: zstd unless it is given."""

    suffix = "parquet"

    def __init__(self, compress: Compression | None = None) -> None:
        self._compress = compress or "zstd"

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        fields = [(name, _TYPES[kind]) for name, kind in documented(record).items()]
        schema = pyarrow.schema([*fields, ("extra", pyarrow.string())])
        splitter = _TextSplitter(record)
        written = 0
        try:
            with (
                open(path, "xb") as file,
                pyarrow.parquet.ParquetWriter(
                    file, schema, compression=self._compress, version="2.6"
                ) as out,
            ):
                for group in _groups(rows):
                    table = pyarrow.Table.from_batches(_batches(group, splitter, schema))
                    out.write_table(table, row_group_size=len(group))
                    written += len(group)
            # Closing a file whose disk is full may report no error and leave it without its end.
            with open(path, "rb") as made:  # opened here: pyarrow takes no name but UTF-8
                readable = pyarrow.parquet.read_metadata(made).num_rows
        except pyarrow.ArrowException as error:
            raise _broken(path, str(error)) from error
        if readable != written:
            raise _broken(path, f"{readable} rows of {written} are in it")
        return splitter.altered


def _groups(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row)
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _batches(group: list[bytes], splitter: Splitter, schema: Any) -> Iterator[Any]:
    """The rows of `group` as Arrow's columns, a few at a time."""
    for start in range(0, len(group), _BATCH_ROWS):
        cells = zip(*map(splitter.split, group[start : start + _BATCH_ROWS]), strict=True)
        columns = zip(cells, schema.types, strict=True)
        arrays = [pyarrow.array(column, type) for column, type in columns]
        yield pyarrow.record_batch(arrays, schema=schema)


def _broken(path: Path, why: str) -> OSError:
    return OSError(errno.EIO, f"{os.strerror(errno.EIO)} (Parquet: {why})", str(path))
