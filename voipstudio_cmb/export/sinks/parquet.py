"""Parquet, through pyarrow: typed columns, those that the API does not document found in the rows.

Extra: `arrow`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from voipstudio_cmb.columns import Census, Chosen, Schema, write_columns
from voipstudio_cmb.columns.arrow import VALUES, arrow_schema, record_batch
from voipstudio_cmb.models import Record

from .base import Sink
from .compression import Compression

# Where row groups end depends on the rows alone, so that the same rows give the same bytes. One is
# held in memory at a time, hence the second limit.
GROUP_ROWS = 50_000
GROUP_BYTES = 1 << 24


class ParquetSink(Sink):
    """Typed columns, compressed inside the file with `compress`: zstd unless it is given."""

    suffix = "parquet"

    def __init__(self, compress: Compression | None = None, columns: Chosen = "all") -> None:
        self._compress = compress or "zstd"
        self._columns = columns

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        try:
            return write_columns(
                rows,
                lambda: Census(record, self._columns),
                VALUES,
                partial(self._write, path, about),
                path.unlink,
            )
        except pyarrow.ArrowException as error:
            raise _broken(path, str(error)) from error

    def _write(
        self,
        path: Path,
        about: Mapping[str, str],
        found: Schema,
        chunks: Iterator[list[Sequence[Any]]],
    ) -> None:
        schema, written = arrow_schema(found, about), 0
        with (
            open(path, "xb") as file,
            pyarrow.parquet.ParquetWriter(
                file, schema, compression=self._compress, version="2.6"
            ) as out,
        ):
            for group in _groups(record_batch(columns, schema) for columns in chunks):
                out.write_table(pyarrow.Table.from_batches(group), row_group_size=GROUP_ROWS * 2)
                written += sum(len(batch) for batch in group)
                group.clear()  # or it would be held until the next one is complete
        # Closing a file whose disk is full may report no error and leave it without its end.
        with open(path, "rb") as made:  # opened here: pyarrow takes no name but UTF-8
            readable = pyarrow.parquet.read_metadata(made).num_rows
        if readable != written:
            raise _broken(path, f"{readable} rows of {written} are in it")


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group, rows, size = list[Any](), 0, 0
    for batch in batches:
        group.append(batch)
        rows, size = rows + len(batch), size + batch.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield group
            group, rows, size = [], 0, 0
    if group:
        yield group


def _broken(path: Path, why: str) -> OSError:
    return OSError(errno.EIO, f"{os.strerror(errno.EIO)} (Parquet: {why})", str(path))
