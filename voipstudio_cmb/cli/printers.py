"""Records as they are printed: as JSON, JSON Lines, CSV, TSV or a table. Not a word of progress."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TextIO

from voipstudio_cmb.boundary.text import UNPRINTABLE, on_one_line
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.columns import EXTRA, Census, documented
from voipstudio_cmb.export.sinks.csv import guarded, quoted
from voipstudio_cmb.models import Record

from .layout import CELL, check_seen, in_order, lay_out, read_columns
from .table import printable, table_text
from .terminal import escape_controls, terminal_size

_MOST_HELD = 500
"""Rows that are held, to find their columns, before the first is printed."""


def _room(stream: TextIO) -> int:
    """The columns of the terminal `stream`; nobody reads a table in less than 20."""
    return max(20, terminal_size(stream)[0])


class Printer(ABC):
    """Makes text of records one by one, for `stream`, on which it prints nothing itself.

    `columns` are names separated by commas, "all", or None for what suits the format.
    """

    words = False
    """Whether the text is for people, and not data."""

    note = ""
    """What is to be said of the text once it is finished."""

    begun = False
    """Whether any of the text was printed."""

    held = _MOST_HELD
    """So many rows are held before the first is printed."""

    def __init__(self, record: type[Record], stream: TextIO, columns: str | None = None) -> None:
        self._record, self._stream = record, stream
        self._names = None if columns is None else read_columns(columns)
        self._known = dict.fromkeys(column.name for column in documented(record))
        self._missing = {name for name in self._names or () if name not in self._known}
        self._held: list[dict[str, Any]] | None = []

    def add(self, record: Record) -> str:
        """What comes now: `record`, or nothing if it is kept for later."""
        row = record.to_dict()
        if self._missing:
            self._known |= dict.fromkeys(row)
            self._missing -= row.keys()
        if self._held is None:
            return self._text(row)
        self._held.append(row)
        most = max(self.held, _MOST_HELD if self._missing else 0)
        return self._release() if len(self._held) >= most else ""

    def flush(self) -> str:
        """The records that are kept. Those that come later have the same columns.

        Raises:
            ClientMisuse: no record had a column that was named.
        """
        rows = self._held
        if rows or rows is None:
            check_seen(sorted(self._missing), self._known)
        return "" if rows is None else self._release()

    def finish(self) -> str:
        """What comes behind all records; raises as `flush` does."""
        return self.flush()

    def _release(self) -> str:
        rows, self._held = self._held or [], None
        return self._begin(rows) + "".join(map(self._text, rows))

    def _begin(self, rows: Sequence[dict[str, Any]]) -> str:
        """What comes before the first `rows`."""
        return ""

    @abstractmethod
    def _text(self, row: dict[str, Any]) -> str:
        """The text of `row`."""

    def _json(self, row: dict[str, Any]) -> str:
        if self._names is not None:
            row = {name: row[name] for name in self._names if name in row}
        return escape_controls(to_json(row).decode())


class JsonLines(Printer):
    """Prints a row a line, as the API sent it."""

    held = 0

    def _text(self, row: dict[str, Any]) -> str:
        return self._json(row) + "\n"


class JsonArray(Printer):
    """Prints one array with a row a line."""

    held = 0
    _before = "[\n  "

    def _text(self, row: dict[str, Any]) -> str:
        before, self._before = self._before, ",\n  "
        return before + self._json(row)

    def finish(self) -> str:
        text = super().finish()
        return text + ("\n]\n" if self._before.startswith(",") else "[]\n")


class _Cells(Printer):
    """Prints the columns of an export, which the first rows have, and `extra`; or those named."""

    _separator, _end = "\t", "\n"

    def _begin(self, rows: Sequence[dict[str, Any]]) -> str:
        self._columns = self._names or ()
        if self._names is None:
            census = Census(self._record, "all")
            for row in rows:
                census.see(to_json(row))
            self._columns = census.schema().names
        return self._line(self._columns)

    def _text(self, row: dict[str, Any]) -> str:
        if self._names is None:
            further = {name: row[name] for name in sorted(row.keys() - self._columns[:-1])}
            row = row | {EXTRA: further or None}
        return self._line([row.get(name) for name in self._columns])

    def _line(self, values: Sequence[Any]) -> str:
        return self._separator.join(map(self._cell, values)) + self._end

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return self._string(value)
        return "" if value is None else self._quoted(to_json(value).decode())

    @abstractmethod
    def _string(self, value: str) -> str:
        """The cell of a string."""

    def _quoted(self, json: str) -> str:
        """The cell of another value, whose JSON text is `json`."""
        return self._string(json)


class Csv(_Cells):
    """Prints the CSV of an export."""

    _separator, _end = ",", "\r\n"

    def _quoted(self, json: str) -> str:
        return quoted(escape_controls(json) if self._stream.isatty() else json)

    def _string(self, value: str) -> str:
        return quoted(guarded(on_one_line(value) if self._stream.isatty() else value))


class Tsv(_Cells):
    r"""Prints the columns of the CSV between tabs, for `cut` and `awk`.

    A tab, a line end and a backslash in a cell are \t, \n, \r and \\; null is an empty cell. What a
    spreadsheet takes for a formula is left as it is.
    """

    _ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})

    def _string(self, value: str) -> str:
        text = value.translate(self._ESCAPES)
        return (
            re.sub(UNPRINTABLE, "\N{REPLACEMENT CHARACTER}", text)
            if self._stream.isatty()
            else text
        )


class Table(Printer):
    """Prints a row a line, in columns as wide as their contents.

    On a terminal, cells are cut at 30 characters, and columns that say little or do not fit are
    left out, unless columns were chosen. Elsewhere nothing is cut or left out.
    """

    words = True

    def __init__(self, record: type[Record], stream: TextIO, columns: str | None = None) -> None:
        super().__init__(record, stream, columns)
        self._suits = columns is None and stream.isatty()
        self._rows: list[dict[str, str]] = []
        self._first: list[dict[str, str]] = []
        self._shown: Sequence[str] | None = None

    def _text(self, row: dict[str, Any]) -> str:
        cells = {name: self._cell(value) for name, value in row.items() if value is not None}
        self._rows.append(cells)
        return ""

    def _cell(self, value: object) -> str:
        text = value if isinstance(value, str) else to_json(value).decode()
        return printable(text, self._stream)

    def flush(self) -> str:
        super().flush()
        rows, self._rows = self._rows, []
        if not rows:
            return ""
        if begins := self._shown is None:
            self._first, self._shown = rows, self._lay_out(rows)
        # A terminal may be narrower than the one column that is always shown.
        most = min(CELL, _room(self._stream)) if self._suits else None
        if begins:
            return table_text(rows, self._stream, self._shown, most)
        # Below the first, as wide as they are.
        text = table_text([*self._first, *rows], self._stream, self._shown, most)
        return "".join(text.splitlines(keepends=True)[-len(rows) :])

    def _lay_out(self, rows: Sequence[dict[str, str]]) -> Sequence[str]:
        """The columns to show of `rows`; notes which are left out."""
        if self._names is not None:
            return self._names
        found = dict.fromkeys(name for row in rows for name in row)
        names = in_order(found, self._known)
        if not self._suits:
            return names
        layout = lay_out(rows, names, _room(self._stream))
        self.note = str(layout)
        return layout.shown


PRINTERS: dict[str, type[Printer]] = {
    "table": Table, "json": JsonArray, "jsonl": JsonLines, "csv": Csv, "tsv": Tsv
}  # fmt: skip
"""The formats of `list` by name."""
