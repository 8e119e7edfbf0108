"""CSV: the documented columns, then everything else as JSON in the column `extra`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import attrs

from voipstudio_cmb.codec import to_dict, to_json
from voipstudio_cmb.models import Record

_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_PHONE_OR_NUMBER = re.compile(r"[+-]?[0-9][0-9 ().-]*")


def _text(value: Any) -> str:
    """*value* as a cell: null is empty, booleans and nested values are JSON.

    Text that a spreadsheet would run as a formula gets a leading quote; a phone number or a number
    (digits, with a sign in front) is none and stays.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        if _FORMULA.match(value) and not _PHONE_OR_NUMBER.fullmatch(value):
            return "'" + value
        return value
    return to_json(value).decode()


def _columns(record: type[Record]) -> list[str]:
    return [f.name for f in attrs.fields(record) if f.name not in ("extra", "_row")]


class CsvSink:
    """RFC 4180: comma, quotes where needed, CR LF line ends, a header line."""

    def header(self, record: type[Record]) -> bytes:
        """The names of the documented fields, and `extra`."""
        return _lines([[*_columns(record), "extra"]])

    def rows(self, records: Iterable[Record]) -> bytes:
        """One line a record."""
        return _lines(map(self._cells, records))

    @staticmethod
    def _cells(record: Record) -> list[str]:
        row = to_dict(record)
        cells = [_text(row.pop(name, None)) for name in _columns(type(record))]
        return [*cells, to_json(row).decode() if row else ""]


def _lines(rows: Iterable[list[str]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode("utf-8", "replace")
