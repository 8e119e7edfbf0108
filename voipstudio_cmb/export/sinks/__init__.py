"""Formats: one file each, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .compression import SUFFIXES, check
from .csv import CsvLines, CsvSink
from .jsonl import JsonlSink
from .sqlite import SqliteSink


class Sink(Protocol):
    """One format of file.

    *suffix* is how the names of its files end: "jsonl", "csv.gz", "sqlite". *upserts* says whether
    rows can be added, by their id, to a file that was written before.
    """

    suffix: str
    upserts: bool

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        """Writes *rows* (each one JSON object on one line, without its line end) to *path*.

        *path* does not exist or, if this format upserts, may hold a file that was written before:
        a private copy, which is changed in place. Returns how many values had to be altered (half
        surrogate pairs replaced by U+FFFD). The same rows give the same bytes.

        Blocks, so it runs in a thread of its own.

        Raises:
            ClientMisuse: the file that is there can't be added to.
            WrongShape: the format has typed columns, and a row has no usable id.
            OSError: the file can't be written (disk full, ...), also if that only shows when it is
                closed. Whatever is there by then is the caller's to throw away.
        """
        ...


_COMPRESSIONS: dict[str, tuple[str, ...]] = {
    "jsonl": tuple(SUFFIXES),
    "csv": tuple(SUFFIXES),
    "sqlite": (),
    "parquet": tuple(SUFFIXES),
}

FORMATS = tuple(_COMPRESSIONS)
"""The formats by name."""


def sink(format: str, compress: str | None = None, *, csv_null: str = "") -> Sink:
    """The format *format*, its files compressed with *compress* ("gzip" or "zstd"; None: not).

    Parquet compresses inside its files, with zstd unless *compress* says otherwise. *csv_null* is
    what stands for null in CSV.

    Raises:
        ClientMisuse: there is no such format or compression, the format does not have it, or it
            needs a package that is not installed.
    """
    if format not in FORMATS:
        raise ClientMisuse(f"unknown format {format!r} (known: {', '.join(FORMATS)})")
    if compress is not None and compress not in SUFFIXES:
        raise ClientMisuse(f"unknown compression {compress!r} (known: {', '.join(SUFFIXES)})")
    if compress is not None and compress not in _COMPRESSIONS[format]:
        raise ClientMisuse(f"{format} can't be compressed: leave {compress!r} away")
    if csv_null and format != "csv":
        raise ClientMisuse(f"{format} has a null of its own: a text for null is for csv only")
    if format == "parquet":
        return _parquet(compress)
    check(compress)
    if format == "csv":
        return CsvSink(compress, csv_null)
    return SqliteSink() if format == "sqlite" else JsonlSink(compress)


def _parquet(compress: str | None) -> Sink:
    try:
        from .parquet import ParquetSink
    except ImportError:
        raise ClientMisuse(
            "the format parquet needs a package more: install voipstudio-cmb[parquet]"
        ) from None
    return ParquetSink(compress)


__all__ = ["FORMATS", "CsvLines", "CsvSink", "JsonlSink", "Sink", "SqliteSink", "sink"]
