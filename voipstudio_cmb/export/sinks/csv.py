"""CSV: the columns of the rows as text, and as JSON in the column `extra` what they do not hold.

A cell that is null or absent is the null marker, without quotes; a text that is empty or equals the
marker is in quotes, as PostgreSQL and DuckDB tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from voipstudio_cmb.columns import Census, Chosen, Schema, write_columns
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .base import Sink
from .compression import Compression, created, suffix

# What a spreadsheet drops, or does not show, in front of a formula: Unicode's spaces, controls,
# format characters and others that it calls ignorable, and the braille blank.
_UNSEEN = (
    "\\x00- \x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680"
    "\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# As they are, in full width, and small: East Asian input makes these of those.
_SIGNS = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_FORMULA = re.compile(rf"[\t\r\n]|[{_UNSEEN}]*([{_SIGNS}].*)", re.DOTALL)
_PHONE_OR_NUMBER = re.compile(r"[+-]?[0-9][0-9 ().-]*")
# Readers trim blanks at the ends of cells without quotes, and some split lines at more than CR LF.
_QUOTED = re.compile(r'[",\n-\r\x1c-\x1e\x85\u2028\u2029]|\A | \Z')
# Most texts, and phone numbers: cells as they stand.
_is_plain = re.compile(r"(?:(?![=+\-@ ])[ -!#-+\--~]+|[+-][0-9][0-9 ().-]*)(?<! )").fullmatch
# A cell behind a tilde that is empty, or may be a formula.
_BEGINS_ODDLY = re.compile(rf"~(?![+-][0-9][0-9 ().-]*~)[~{_UNSEEN}{_SIGNS}]")
_BOOLEANS = {True: "true", False: "false", None: None}
_MEMO = 4096
_NO_MARKER = re.compile('[",\r\n\ud800-\udfff]|\\A | \\Z')


def guarded(value: str) -> str:
    """A string for a cell. What a spreadsheet would run as a formula gets a leading quote.

    A phone number or a number (digits, with a sign in front) is no formula and stays.
    """
    formula = _FORMULA.match(value)
    return f"'{value}" if formula and not _PHONE_OR_NUMBER.fullmatch(formula[1] or "") else value


def quoted(value: str, null: str = "") -> str:
    """`value` as a cell, in quotes where it needs them, or would be taken for `null`."""
    if not value or value == null or _QUOTED.search(value):
        return '"' + value.replace('"', '""') + '"'
    return value


class CsvLines:
    """The lines of a CSV file with the columns of `schema`, null written as the text `null`."""

    def __init__(self, schema: Schema, null: str = "") -> None:
        self._schema = schema
        self._null = null
        self._text = lru_cache(_MEMO)(self._guarded)

    def header(self) -> bytes:
        """The first line: the names of the columns."""
        return ",".join(quoted(name, self._null) for name in self._schema.names).encode() + b"\r\n"

    def lines(self, columns: Sequence[Sequence[Any]]) -> bytes:
        """The lines of rows, whose `columns` a `Splitter` has made."""
        kinds = [*(column.kind for column in self._schema.columns), "json"]
        cells = [self._cells(kind, column) for kind, column in zip(kinds, columns, strict=True)]
        lines = [*map(",".join, zip(*cells, strict=True)), ""]
        return "\r\n".join(lines).encode()

    def _cells(self, kind: str, column: Sequence[Any]) -> list[str]:
        null = self._null
        if kind == "text":
            if self._are_plain([v for v in column if v is not None]):
                return [null if v is None else v for v in column]
            return [null if v is None else self._text(v) for v in column]
        if kind == "json":
            return [null if v is None else quoted(v, null) for v in column]
        if kind == "boolean":
            column = [_BOOLEANS[v] for v in column]
        texts = [null if v is None else str(v) for v in column]
        if null:
            pairs = zip(column, texts, strict=True)
            texts = [text if v is None else quoted(text, null) for v, text in pairs]
        return texts

    def _are_plain(self, texts: Sequence[str]) -> bool:
        """Whether all of `texts` are cells as they stand: looked at in one go."""
        line = "~".join(("", *texts, ""))
        special = ('"', ",", " ~", *([f"~{self._null}~"] if self._null else []))
        return (
            line.isprintable()
            and line.count("~") == len(texts) + 1
            and not any(text in line for text in special)
            and not _BEGINS_ODDLY.search(line)
        )

    def _guarded(self, value: str) -> str:
        """A string as a cell."""
        plain = _is_plain(value) and value != self._null
        return value if plain else quoted(guarded(value), self._null)


class CsvSink(Sink):
    """RFC 4180: comma, quotes where needed, CR LF line ends, a header line; perhaps compressed."""

    def __init__(
        self, compress: Compression | None = None, null: str = "", columns: Chosen = "all"
    ) -> None:
        self.suffix: str = suffix("csv", compress)
        self._compress: Compression | None = compress
        if not isinstance(null, str) or _NO_MARKER.search(null):
            raise ClientMisuse(
                "this text can't stand for null in CSV: choose one without commas, quotes, "
                r"line ends and blanks around it, such as \N"
            )
        self._null = null
        self._columns: Chosen = columns

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        return write_columns(
            rows,
            lambda: Census(record, self._columns),
            (),
            partial(self._write, path),
            path.unlink,
        )

    def _write(self, path: Path, schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        lines = CsvLines(schema, self._null)
        with created(path, self._compress) as out:
            out.write(lines.header())
            out.writelines(map(lines.lines, chunks))
