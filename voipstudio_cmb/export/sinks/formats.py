"""The formats by name."""

from __future__ import annotations

from typing import Literal, get_args

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.columns import Chosen, checked_columns
from voipstudio_cmb.errors import ClientMisuse

from .base import Sink
from .compression import COMPRESSIONS, Compression
from .csv import CsvSink
from .jsonl import JsonlSink
from .sqlite import SqliteSink

Format = Literal["jsonl", "csv", "sqlite", "parquet"]
"""The formats of an export."""

FORMATS: tuple[Format, ...] = get_args(Format)
"""Their names."""


def sink(
    format: Format,
    compress: Compression | None = None,
    *,
    csv_null: str = "",
    columns: Chosen = "all",
) -> Sink:
    """The format `format`, its files compressed with `compress` (None: not).

    Parquet compresses inside its files, with zstd unless `compress` says otherwise. `csv_null` is
    what stands for null in CSV. `columns` says which members of the rows have columns.

    Raises:
        ClientMisuse: there is no such format or compression, the format does not have it, or it
            needs a package that is not installed.
    """
    if format not in FORMATS:
        raise ClientMisuse(f"unknown format (known: {', '.join(FORMATS)})")
    if compress is not None and compress not in COMPRESSIONS:
        raise ClientMisuse(f"unknown compression (known: {', '.join(COMPRESSIONS)})")
    if compress is not None and format == "sqlite":
        raise ClientMisuse(f"compress (--compress): {format} can't be compressed: leave it out")
    if csv_null and format != "csv":
        raise ClientMisuse(f"csv_null (--csv-null): {format} has a null of its own: leave it out")
    columns = checked_columns(columns)
    if columns != "all" and format == "jsonl":
        raise ClientMisuse(
            "columns (--columns): jsonl has no columns, as it holds the rows as they came: leave "
            "it out, or choose another format"
        )
    try:
        if format == "parquet":
            from .parquet import ParquetSink

            return ParquetSink(compress, columns)
        if compress == "zstd":
            import zstandard  # noqa: F401 - whether it is installed
    except ImportError:
        extra, what = ("arrow", format) if format == "parquet" else ("zstd", "zstd")
        raise ClientMisuse(lacks_extra(what, extra)) from None
    if format == "csv":
        return CsvSink(compress, csv_null, columns)
    return SqliteSink(columns) if format == "sqlite" else JsonlSink(compress)
