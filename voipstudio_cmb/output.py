"""Prints records on a stream: as JSON, JSON Lines, CSV or a table. Not a word of progress."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO, Protocol

from .codec import to_dict, to_json
from .export.sinks import CsvSink
from .models import Record

# What could steer a terminal or reverse the order in which text is shown.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """*text* with control characters replaced, but for line ends: the API's texts may hold any."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def escaped(json: str) -> str:
    """*json*, the same still, with the control characters that JSON allows raw as escapes."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", json)


class Printer(Protocol):
    """Takes records one by one; `finish` prints what is still to come."""

    def add(self, record: Record) -> None:
        """Prints *record*, or keeps it for later."""
        ...

    def finish(self) -> None:
        """Prints the rest."""
        ...


class JsonLines:
    """A row a line, as the API sent it."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._stream = stream

    def add(self, record: Record) -> None:
        self._stream.write(escaped(to_json(to_dict(record)).decode()) + "\n")

    def finish(self) -> None:
        """Nothing is left to print."""


class JsonArray:
    """One array with a row a line."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._stream = stream
        self._before = "[\n  "

    def add(self, record: Record) -> None:
        self._stream.write(self._before + escaped(to_json(to_dict(record)).decode()))
        self._before = ",\n  "

    def finish(self) -> None:
        self._stream.write("\n]\n" if self._before.startswith(",") else "[]\n")


class Csv:
    """The export's CSV."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._sink = CsvSink()
        self._stream = stream
        self._stream.write(self._sink.header(record).decode())

    def add(self, record: Record) -> None:
        line = self._sink.rows([record]).decode()
        self._stream.write(harmless(line) if self._stream.isatty() else line)

    def finish(self) -> None:
        """Nothing is left to print."""


class Table:
    """Columns fitted to their contents: by rich where it is installed, else by blanks."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._stream = stream
        self._rows: list[dict[str, str]] = []

    def add(self, record: Record) -> None:
        self._rows.append(
            {
                name: harmless(value if isinstance(value, str) else to_json(value).decode())
                for name, value in to_dict(record).items()
                if value is not None
            }
        )

    def finish(self) -> None:
        columns = list(dict.fromkeys(name for row in self._rows for name in row))
        rows = [[row.get(name, "") for name in columns] for row in self._rows]
        if self._stream.isatty():
            try:
                from .ext.rich import print_table
            except ImportError:
                pass  # plain columns, then
            else:
                print_table(self._stream, columns, rows)
                return
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for row in (columns, *rows) if columns else ():
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._stream.write("  ".join(cells).rstrip() + "\n")


PRINTERS: dict[str, Callable[[type[Record], IO[str]], Printer]] = {
    "json": JsonArray,
    "jsonl": JsonLines,
    "csv": Csv,
    "table": Table,
}
"""The formats of `list` by name."""
