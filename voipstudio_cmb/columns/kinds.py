"""The kinds of values that a column can have, and which JSON texts each of them holds.

A value is read from the JSON text that the API sent, never from a value made of it, so that no
digit is lost: what a column can't give back as it came is a `MISFIT`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import attrs

from voipstudio_cmb.codec.json import MAX_ID
from voipstudio_cmb.codec.rows import text

Kind = Literal["integer", "boolean", "time", "number", "double", "decimal", "text", "json"]
"""`number` is the text of one, `decimal` a number with so many digits behind the point in each row,
`json` the text of an object or an array."""

MISFIT = object()
"""Stands for a value that its column can't hold."""

MOST_DIGITS = 38
"""Of a decimal, as Arrow and most databases have them."""

NESTED = frozenset(b"{[")
"""How the text of a nested value begins."""

_QUOTE = ord('"')
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NUMBER = re.compile(rb'("?)([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,9})?)\1')
# The hour is checked here: from Python 3.14 on, fromisoformat takes 24:00 for the next day's 00:00.
_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?"
)
_FIXED = re.compile(rb"-?([0-9]+)(?:\.([0-9]+))?")
_EXACT = 2**53  # a float holds every integer up to here


@attrs.frozen
class Column:
    """One column."""

    name: str
    kind: Kind
    scale: int = 0
    """The digits behind the point, of a decimal."""
    documented: bool = False
    """Whether it is of a documented field, for which 1 and "1" are true, and "12" is 12."""


class Sort(NamedTuple):
    """What a JSON value is, as far as it matters for which kind of column holds it."""

    kind: Kind | None
    """The kind, of what is no number but an integer of 64 bits; "double" if one gives it back."""
    scale: int | None = None
    """The digits behind the point, of a number that a decimal gives back."""


SORTS = {
    "integer": Sort("integer", 0), "text": Sort("text"), "boolean": Sort("boolean"),
    "json": Sort("json"),
}  # fmt: skip
"""What all values of these kinds are."""

_BEGIN: dict[int, Kind] = {
    ord('"'): "text", ord("t"): "boolean", ord("f"): "boolean", ord("{"): "json", ord("["): "json"
}  # fmt: skip


def sort_of(token: bytes) -> Sort:
    """What the JSON value `token` is, which is not null."""
    kind = _BEGIN.get(token[0])
    return SORTS[kind] if kind else _sort_of_number(token)


@lru_cache(4096)  # asked for where a number is read, and again where it is counted
def _sort_of_number(token: bytes) -> Sort:
    if integer(token) is not MISFIT:
        return SORTS["integer"]
    value, scale = float(token), None
    if found := _FIXED.fullmatch(token):
        whole, fraction = found.groups(b"")
        scale = len(fraction) if len(whole + fraction) <= MOST_DIGITS else None
    if not value and token.startswith(b"-"):
        return Sort(None)  # some databases drop the sign of a zero
    return Sort("double" if repr(value).encode() == token else None, scale)


def integer(token: bytes) -> Any:
    """An integer of 64 bits, sent as one or as its digits in a string."""
    digits = text(token) if token[0] == _QUOTE else token.decode()
    try:
        value = int(digits)
    except ValueError:
        return MISFIT
    # int() takes blanks, underscores and zeros in front, which would be lost: a phone number's too.
    if not -MAX_ID - 1 <= value <= MAX_ID or str(value) != digits:
        return MISFIT
    return value


def boolean(token: bytes) -> Any:
    """True or false, sent as such or as 1 or 0, in a string or not."""
    value = text(token) if token[0] == _QUOTE else token.decode()
    fits = value in _BOOLEANS and (token[0] != _QUOTE or value in "10")
    return _BOOLEANS[value] if fits else MISFIT


def number(token: bytes) -> Any:
    """The text of a finite number as it was sent, in a string or not."""
    match = _NUMBER.fullmatch(token)
    return match[2].decode() if match else MISFIT


def time(token: bytes) -> Any:
    """The text of a date and time without a zone, as documented, perhaps with T and a fraction."""
    return value if token[0] == _QUOTE and is_time(value := text(token)) else MISFIT


def is_time(text: str) -> bool:
    """Whether `text` is a date and time without a zone, of a day that there is."""
    try:
        return _TIME.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def string(token: bytes) -> Any:
    """A string; half surrogate pairs are left in it."""
    return text(token) if token[0] == _QUOTE else MISFIT


def _strict_integer(token: bytes) -> Any:
    return MISFIT if token[0] == _QUOTE else integer(token)


def _strict_boolean(token: bytes) -> Any:
    return token == b"true" if token[0] in b"tf" else MISFIT


def _double(token: bytes) -> Any:
    """The text of a number that a float gives back."""
    sort = sort_of(token)
    fits = sort.kind == "double" or (sort.kind == "integer" and abs(int(token)) <= _EXACT)
    return token.decode() if fits else MISFIT


def _decimal(token: bytes, scale: int) -> Any:
    return token.decode() if sort_of(token).scale == scale else MISFIT


def _json(token: bytes) -> Any:
    return token.decode() if token[0] in NESTED else MISFIT


def reader(column: Column) -> Callable[[bytes], Any]:
    """Reads the JSON text of a value for `column`: an int, bool or str, or `MISFIT`."""
    if column.kind == "decimal":
        return partial(_decimal, scale=column.scale)
    return (_DOCUMENTED if column.documented else _FURTHER)[column.kind]


_DOCUMENTED: dict[Kind, Callable[[bytes], Any]] = {
    "integer": integer, "boolean": boolean, "number": number, "time": time, "text": string
}  # fmt: skip
_FURTHER: dict[Kind, Callable[[bytes], Any]] = {
    "integer": _strict_integer, "boolean": _strict_boolean, "double": _double, "text": string,
    "json": _json,
}  # fmt: skip
