"""Formats: one file each, behind one small protocol."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from voipstudio_cmb.models import Record

from .csv import CsvSink
from .jsonl import JsonlSink


class Sink(Protocol):
    """Turns records into the bytes of one file."""

    def header(self, record: type[Record]) -> bytes:
        """What the file begins with."""
        ...

    def rows(self, records: Iterable[Record]) -> bytes:
        """The bytes of these records, to be written after those of the ones before."""
        ...


SINKS: dict[str, type[Sink]] = {"jsonl": JsonlSink, "csv": CsvSink}
"""The formats by name."""

__all__ = ["SINKS", "CsvSink", "JsonlSink", "Sink"]
