"""The formats by name."""

from __future__ import annotations

from typing import Literal, get_args

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


def sink(format: Format, compress: Compression | None = None, *, csv_null: str = "") -> Sink:
    """The format `format`, its files compressed with `compress` (None: not).

    Parquet compresses inside its files, with zstd unless `compress` says otherwise. `csv_null` is
    what stands for null in CSV.

    Raises:
        ClientMisuse: there is no such format or compression, the format does not have it, or it
            needs a package that is not installed.
    """
    if format not in FORMATS:
        raise ClientMisuse(f"unknown format (known: {', '.join(FORMATS)})")
    if compress is not None and compress not in COMPRESSIONS:
        raise ClientMisuse(f"unknown compression (known: {', '.join(COMPRESSIONS)})")
    if compress is not None and format == "sqlite":
        raise ClientMisuse(f"{format} can't be compressed: leave {compress!r} away")
    if csv_null and format != "csv":
        raise ClientMisuse(f"{format} has a null of its own: a text for null is for csv only")
    try:
        if format == "parquet":
            from .parquet import ParquetSink

            return ParquetSink(compress)
        if compress == "zstd":
            import zstandard  # noqa: F401 - whether it is installed
    except ImportError:
        extra = "parquet" if format == "parquet" else "zstd"
        raise ClientMisuse(
            f"{extra} needs another package: install voipstudio-cmb[{extra}]"
        ) from None
    if format == "csv":
        return CsvSink(compress, csv_null)
    return SqliteSink() if format == "sqlite" else JsonlSink(compress)
