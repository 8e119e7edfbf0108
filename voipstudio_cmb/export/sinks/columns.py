"""Rows as typed cells, for the formats whose columns have types; what does not fit goes to `extra`.

A cell is read from the JSON text that the API sent, never from a value made of it, so that no digit
is lost. What fits a column is what fits the record's field (`codec`), but for values that the
column could not give back: digits with zeros in front, integers beyond 64 bits, times with a zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from voipstudio_cmb.codec.json import MAX_ID, to_json
from voipstudio_cmb.codec.rows import id_problem, text, tokens
from voipstudio_cmb.codec.shape import alternatives, shape
from voipstudio_cmb.codec.surrogates import without_half_pairs
from voipstudio_cmb.errors import WrongShape
from voipstudio_cmb.models import Record

Kind = Literal["integer", "boolean", "decimal", "time", "text", "integer or text"]

MISFIT = object()
"""The cell of a value that its column can't hold."""

_KINDS: dict[frozenset[type], Kind] = {
    frozenset({int}): "integer",
    frozenset({bool}): "boolean",
    frozenset({Decimal}): "decimal",
    frozenset({datetime}): "time",
    frozenset({str}): "text",
    frozenset({int, str}): "integer or text",
}
_QUOTE = ord('"')
_BOOLEANS = {b"true": True, b"1": True, b'"1"': True, b"false": False, b"0": False, b'"0"': False}
_DECIMAL = re.compile(rb'("?)([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)\1')
# The hour is checked here: from Python 3.14 on, fromisoformat takes 24:00 for the next day's 00:00.
_TIME = re.compile(
    rb'"([0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)"'
)


def documented(record: type[Record]) -> dict[str, Kind]:
    """The documented fields of `record` in their order, and the kind of each."""
    fields = shape(record).fields
    return {name: _KINDS[frozenset(alternatives(kind))] for name, kind in fields.items()}


def object_of(cells: Mapping[str, bytes]) -> bytes:
    """The JSON object with these members, their values given as JSON text."""
    return b"{" + b",".join([_key(name) + cell for name, cell in cells.items()]) + b"}"


@lru_cache(4096)  # names repeat in every row; limited, because a server may invent new ones
def _key(name: str) -> bytes:
    return to_json(name) + b":"


def integer(token: bytes) -> Any:
    """An integer of 64 bits, sent as one or as its digits in a string."""
    quoted = token[0] == _QUOTE
    digits = token[1:-1] if quoted else token
    try:
        value = int(digits)
    except ValueError:
        return MISFIT
    if not -MAX_ID - 1 <= value <= MAX_ID:
        return MISFIT
    # int() takes blanks, underscores and zeros in front, which would be lost: a phone number's too.
    if b"%d" % value != digits:
        return MISFIT
    return value


def boolean(token: bytes) -> Any:
    """True or false, sent as such or as 1 or 0, in a string or not."""
    return _BOOLEANS.get(token, MISFIT)


def decimal(token: bytes) -> Any:
    """The text of a finite number as it was sent, in a string or not."""
    match = _DECIMAL.fullmatch(token)
    return match[2].decode() if match else MISFIT


class Splitter:
    """Splits rows of `record` into typed cells and `extra`.

    A method for each kind makes a cell of a value's JSON text, or `MISFIT`.
    """

    altered: int
    """How many texts had half a surrogate pair, which was replaced."""

    def __init__(self, record: type[Record]) -> None:
        self.altered: int = 0
        readers: dict[Kind, Callable[[bytes], Any]] = {
            "integer": integer,
            "boolean": boolean,
            "decimal": decimal,
            "time": self.time,
            "text": self.text,
            "integer or text": self.integer_or_text,
        }
        self._columns = [(name, readers[kind]) for name, kind in documented(record).items()]

    def time(self, token: bytes) -> Any:
        """A date and time without a zone, as documented, perhaps with T and a fraction."""
        match = _TIME.fullmatch(token)
        try:
            return datetime.fromisoformat(match[1].decode()) if match else MISFIT
        except ValueError:
            return MISFIT  # there is no such day

    def text(self, token: bytes) -> Any:
        """A string."""
        if token[0] != _QUOTE:
            return MISFIT
        if b"\\" not in token:  # most have no escape, and this is called for most cells
            return token[1:-1].decode()
        value = text(token)
        if (valid := without_half_pairs(value)) != value:
            self.altered += 1
        return valid

    def integer_or_text(self, token: bytes) -> Any:
        """An integer of 64 bits or a string, each as it was sent."""
        return self.text(token) if token[0] == _QUOTE else integer(token)

    def split(self, row: bytes) -> list[Any]:
        """The cells of `row`: one for each documented field, None where it has none, and `extra`.

        `extra` is a JSON object of all other members and of those that do not fit their field, each
        with the JSON text that it came as; None if there are none.

        Raises:
            WrongShape: `row` has no usable id.
        """
        left = tokens(row)
        cells: list[Any] = []
        misfits: dict[str, bytes] = {}
        for name, read in self._columns:
            token = left.pop(name, b"null")
            cell = None if token == b"null" else read(token)
            if cell is MISFIT:
                cell, misfits[name] = None, token
            cells.append(cell)
        left |= misfits
        if type(cells[0]) is not int or cells[0] < 1:
            raise WrongShape(f"a row can't be exported: {id_problem(row)}")
        cells.append(object_of(left).decode() if left else None)
        return cells
