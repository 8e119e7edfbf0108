"""Records as they are printed: as JSON, JSON Lines, CSV or a table. Not a word of progress."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TextIO

from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.columns import Schema, Splitter, documented
from voipstudio_cmb.export.sinks.csv import CsvLines
from voipstudio_cmb.models import Record

from .terminal import escape_controls, table_text, terminal_size


class Printer(ABC):
    """Makes text of records one by one, for `stream`, on which it prints nothing itself."""

    words = False
    """Whether the text is for people, and not data."""

    def __init__(self, record: type[Record], stream: TextIO) -> None:
        self._stream = stream

    @abstractmethod
    def add(self, record: Record) -> str:
        """What comes now: `record`, or nothing if it is kept for `finish`."""

    def finish(self) -> str:
        """What comes behind all records."""
        return ""


def _json(record: Record) -> str:
    return escape_controls(to_json(record.to_dict()).decode())


class JsonLines(Printer):
    """Prints a row a line, as the API sent it."""

    def add(self, record: Record) -> str:
        return _json(record) + "\n"


class JsonArray(Printer):
    """Prints one array with a row a line."""

    _before = "[\n  "

    def add(self, record: Record) -> str:
        before, self._before = self._before, ",\n  "
        return before + _json(record)

    def finish(self) -> str:
        return "\n]\n" if self._before.startswith(",") else "[]\n"


class Csv(Printer):
    """Prints the CSV of an export."""

    def __init__(self, record: type[Record], stream: TextIO) -> None:
        super().__init__(record, stream)
        schema = Schema(documented(record))
        self._splitter, self._lines = Splitter(schema), CsvLines(schema)
        self._header = self._lines.header().decode()

    def add(self, record: Record) -> str:
        columns = self._splitter.split([to_json(record.to_dict())])
        line = self._lines.lines(columns).decode()
        return self.finish() + (on_one_line(line) + "\r\n" if self._stream.isatty() else line)

    def finish(self) -> str:
        # The header, once: with the first row, because a walk may fail before there is one.
        header, self._header = self._header, ""
        return header


class Table(Printer):
    """Prints a row a line, in columns as wide as their contents.

    On a terminal, cells are cut at 30 characters, and columns that do not fit are named below the
    table. Elsewhere nothing is cut.
    """

    words = True
    _FIRST = ("id", "name", "created_at")

    def __init__(self, record: type[Record], stream: TextIO) -> None:
        super().__init__(record, stream)
        self._rows: list[dict[str, str]] = []

    def add(self, record: Record) -> str:
        row = record.to_dict().items()
        self._rows.append({name: self._cell(value) for name, value in row if value is not None})
        return ""

    def _cell(self, value: object) -> str:
        text = value if isinstance(value, str) else to_json(value).decode()
        text = " ".join(text.split())
        return text[:29] + "…" if self._stream.isatty() and len(text) > 30 else text

    def finish(self) -> str:
        names = dict.fromkeys(name for row in self._rows for name in row)
        columns = [name for name in self._FIRST if name in names]
        columns += [name for name in names if name not in columns]
        shown = self._fitting(columns) if self._stream.isatty() else columns
        text = table_text(self._rows, self._stream, shown) if shown else ""
        if hidden := [name for name in columns if name not in shown]:
            rest = ", ".join(map(on_one_line, hidden))
            text += f"not shown: {rest} (--format json shows all)\n"
        return text

    def _fitting(self, columns: list[str]) -> list[str]:
        """The columns that fit into the terminal's width: at least the first."""
        shown: list[str] = []
        room = terminal_size(self._stream)[0] - 1
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
