"""Formats: one file each, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .csv import CsvSink
from .jsonl import JsonlSink


class Sink(Protocol):
    suffix: str
    upserts: bool

    def write(
        self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path
    ) -> int: ...


class Old:
    suffix = "csv"
    upserts = False

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        import json

        from voipstudio_cmb.codec import records

        old = CsvSink()
        with path.open("wb") as file:
            file.write(old.header(record))
            for row in rows:
                file.write(old.rows(records([json.loads(row)], record)))
        return 0


def sink(format: str, compress: str | None = None) -> Sink:
    if format == "jsonl":
        return JsonlSink()
    if format == "csv":
        return Old()
    raise ClientMisuse(f"unknown format {format!r} (known: jsonl, csv, sqlite, parquet)")


FORMATS = ("jsonl", "csv")
__all__ = ["FORMATS", "CsvSink", "JsonlSink", "Sink", "sink"]
