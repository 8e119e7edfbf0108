"""CSV: the documented columns, then everything else as JSON in the column `extra`.

A cell that is null or absent is the null marker, without quotes; a text that is empty or equals the
marker is in quotes, as PostgreSQL and DuckDB tell them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from voipstudio_cmb.codec.rows import text, tokens
from voipstudio_cmb.codec.surrogates import without_half_pairs
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .base import Sink
from .columns import documented, object_of
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
# The string tokens, most of all, that are cells as they stand. What they begin with is not unseen,
# and no sign in full width, by its first bytes; C2 and E2 also begin U+0085 and U+2028.
_is_plain = re.compile(
    rb'"(?![=+\-@ \x7f\xef\xf3]|\xcd\x8f|\xd8[\x80-\x85\x9c]|\xdb\x9d|\xdc\x8f|\xe0[\xa2\xa3]'
    rb"|\xe1[\x85\x9a\x9e\xa0]|\xe3[\x80\x85]|\xf0[\x91\x93\x9b\x9d])"
    rb'[^"\\,\x00-\x1f\xc2\xe2]+(?<! )"'
).fullmatch
_NO_MARKER = re.compile('[",\r\n\ud800-\udfff]|\\A | \\Z')


class CsvLines:
    """The lines of a CSV file with rows of `record`, null written as the text `null`."""

    altered: int
    """How many cells had half a surrogate pair, which was replaced by U+FFFD."""

    def __init__(self, record: type[Record], null: str = "") -> None:
        self.altered = 0
        self._names = tuple(documented(record))
        self._null = null
        self._marker = null.encode()

    def header(self) -> bytes:
        """The first line: the names of the documented fields, and `extra`."""
        return b",".join(map(self._cell, (*self._names, "extra"))) + b"\r\n"

    def line(self, row: bytes) -> bytes:
        """The line of `row`, a JSON object.

        Numbers, booleans and nested values are the JSON text that they came as.
        """
        left = tokens(row)
        cells = []
        for name in self._names:
            token = left.pop(name, b"null")
            if token == b"null":
                cells.append(self._marker)
            elif _is_plain(token) and (cell := token[1:-1]) != self._marker:
                cells.append(cell)
            elif token.startswith(b'"'):
                cells.append(self._text(token))
            else:
                cells.append(self._cell(token.decode()))
        cells.append(self._cell(object_of(left).decode()) if left else self._marker)
        return b",".join(cells) + b"\r\n"

    def _text(self, token: bytes) -> bytes:
        """A string as a cell. What a spreadsheet would run as a formula gets a leading quote.

        A phone number or a number (digits, with a sign in front) is no formula and stays.
        """
        sent = text(token)
        value = without_half_pairs(sent)
        self.altered += value != sent
        formula = _FORMULA.match(value)
        if formula and not _PHONE_OR_NUMBER.fullmatch(formula[1] or ""):
            value = "'" + value
        return self._cell(value)

    def _cell(self, value: str) -> bytes:
        if not value or value == self._null or _QUOTED.search(value):
            value = '"' + value.replace('"', '""') + '"'
        return value.encode()


class CsvSink(Sink):
    """RFC 4180: comma, quotes where needed, CR LF line ends, a header line; perhaps compressed."""

    def __init__(self, compress: Compression | None = None, null: str = "") -> None:
        self.suffix: str = suffix("csv", compress)
        self._compress: Compression | None = compress
        if not isinstance(null, str) or _NO_MARKER.search(null):
            raise ClientMisuse(
                "this text can't stand for null in CSV: choose one without commas, quotes, "
                r"line ends and blanks around it, such as \N"
            )
        self._null = null

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        lines = CsvLines(record, self._null)
        with created(path, self._compress) as out:
            out.write(lines.header())
            out.writelines(map(lines.line, rows))
        return lines.altered
