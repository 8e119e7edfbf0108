"""Prints records on a stream: as JSON, JSON Lines, CSV or a table. Not a word of progress."""

from __future__ import annotations

import shutil
from typing import IO

from voipstudio_cmb.codec.conversion import to_dict
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.export.sinks.csv import CsvLines
from voipstudio_cmb.models import Record
from voipstudio_cmb.text import on_one_line

from .terminal import escape_controls, print_table


class Printer:
    """Prints records one by one."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        self._stream = stream

    def add(self, record: Record) -> None:
        """Prints `record`, or keeps it for `finish`."""
        raise NotImplementedError

    def finish(self) -> None:
        """Prints what `add` has kept."""


def _json(record: Record) -> str:
    return escape_controls(to_json(to_dict(record)).decode())


class JsonLines(Printer):
    """Prints a row a line, as the API sent it."""

    def add(self, record: Record) -> None:
        self._stream.write(_json(record) + "\n")


class JsonArray(Printer):
    """Prints one array with a row a line."""

    _before = "[\n  "

    def add(self, record: Record) -> None:
        self._stream.write(self._before + _json(record))
        self._before = ",\n  "

    def finish(self) -> None:
        self._stream.write("\n]\n" if self._before.startswith(",") else "[]\n")


class Csv(Printer):
    """Prints the CSV of an export."""

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        super().__init__(record, stream)
        self._lines = CsvLines(record)
        self._header = self._lines.header().decode()

    def add(self, record: Record) -> None:
        self._write_header()
        line = self._lines.line(to_json(to_dict(record))).decode()
        self._stream.write(on_one_line(line) + "\r\n" if self._stream.isatty() else line)

    def finish(self) -> None:
        self._write_header()

    def _write_header(self) -> None:
        # With the first row, because a walk may fail before there is one.
        self._stream.write(self._header)
        self._header = ""


class Table(Printer):
    """Prints a row a line, in columns as wide as their contents.

    On a terminal, cells are cut at 30 characters, and columns that do not fit are named below the
    table. Elsewhere nothing is cut.
    """

    _FIRST = ("id", "name", "created_at")

    def __init__(self, record: type[Record], stream: IO[str]) -> None:
        super().__init__(record, stream)
        self._rows: list[dict[str, str]] = []

    def add(self, record: Record) -> None:
        row = to_dict(record).items()
        self._rows.append({name: self._cell(value) for name, value in row if value is not None})

    def _cell(self, value: object) -> str:
        text = value if isinstance(value, str) else to_json(value).decode()
        text = " ".join(text.split())
        return text[:29] + "…" if self._stream.isatty() and len(text) > 30 else text

    def finish(self) -> None:
        names = dict.fromkeys(name for row in self._rows for name in row)
        columns = [name for name in self._FIRST if name in names]
        columns += [name for name in names if name not in columns]
        shown = self._fitting(columns) if self._stream.isatty() else columns
        if shown:
            print_table(self._rows, self._stream, shown)
        if hidden := [name for name in columns if name not in shown]:
            self._stream.write(
                f"not shown: {', '.join(map(on_one_line, hidden))} (--format json shows all)\n"
            )

    def _fitting(self, columns: list[str]) -> list[str]:
        """The columns that fit into the terminal's width: at least the first."""
        shown: list[str] = []
        room = shutil.get_terminal_size().columns - 1
        for column in columns:
            room -= (
                max(len(on_one_line(column)), *(len(row.get(column, "")) for row in self._rows)) + 3
            )
            if room >= 0 or not shown:
                shown.append(column)
        return shown


PRINTERS: dict[str, type[Printer]] = {
    "json": JsonArray, "jsonl": JsonLines, "csv": Csv, "table": Table
}  # fmt: skip
"""The formats of `list` by name."""
