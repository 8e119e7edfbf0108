"""Prints records on a stream: as JSON, JSON Lines, CSV or a table. Not a word of progress."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import IO, Protocol

from voipstudio_cmb.codec.conversion import to_dict
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.export.sinks import CsvLines
from voipstudio_cmb.models import Record

from .terminal import escaped, harmless


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
        self._lines = CsvLines(record)
        self._stream = stream
        self._stream.write(self._lines.header().decode())

    def add(self, record: Record) -> None:
        line = self._lines.line(to_json(to_dict(record))).decode()
        self._stream.write(harmless(line) if self._stream.isatty() else line)

    def finish(self) -> None:
        """Nothing is left to print."""


class Table:
    """Columns fitted to their contents, and on a terminal to its width: what does not fit is left.

    A row is a line. On a terminal cells are cut at 30 characters and the columns that have no room
    are named below; elsewhere nothing is cut.
    """

    _FIRST = ("id", "name", "created_at")

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._stream = stream
        self._rows: list[dict[str, str]] = []

    def add(self, record: Record) -> None:
        self._rows.append(
            {
                name: self._cell(value)
                for name, value in to_dict(record).items()
                if value is not None
            }
        )

    def _cell(self, value: object) -> str:
        text = value if isinstance(value, str) else to_json(value).decode()
        text = harmless(" ".join(text.split()))
        return text[:29] + "…" if self._stream.isatty() and len(text) > 30 else text

    def finish(self) -> None:
        found = dict.fromkeys(name for row in self._rows for name in row)
        columns = [name for name in self._FIRST if name in found]
        columns += [name for name in found if name not in columns]
        width = shutil.get_terminal_size().columns if self._stream.isatty() else None
        shown, left = self._fitting(columns, width)
        if shown and not (width and self._drawn(shown)):
            self._print(shown)
        if left:
            self._stream.write(f"not shown: {', '.join(left)} (--format json shows all)\n")

    def _width(self, column: str) -> int:
        return max(len(column), *(len(row.get(column, "")) for row in self._rows))

    def _fitting(self, columns: list[str], width: int | None) -> tuple[list[str], list[str]]:
        if width is None:
            return columns, []
        shown: list[str] = []
        used = 1
        for column in columns:
            used += self._width(column) + 3
            if used <= width or not shown:
                shown.append(column)
        return shown, [column for column in columns if column not in shown]

    def _drawn(self, columns: list[str]) -> bool:
        """Draws the table with rich, if that is installed."""
        try:
            from voipstudio_cmb.ext.rich import print_table
        except ImportError:
            return False
        rows = [[row.get(name, "") for name in columns] for row in self._rows]
        print_table(self._stream, columns, rows)
        return True

    def _print(self, columns: list[str]) -> None:
        widths = {column: self._width(column) for column in columns}
        for row in ({name: name for name in columns}, *self._rows):
            cells = (row.get(name, "").ljust(widths[name]) for name in columns)
            self._stream.write("  ".join(cells).rstrip() + "\n")


PRINTERS: dict[str, Callable[[type[Record], IO[str]], Printer]] = {
    "json": JsonArray,
    "jsonl": JsonLines,
    "csv": Csv,
    "table": Table,
}
"""The formats of `list` by name."""
