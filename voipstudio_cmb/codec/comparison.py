"""How the value of a field compares with that of a condition: by the field's documented type.

As the database behind the API compares: numbers as numbers, times as times, texts without case and
accents. No I/O, and no judgement on servers: that is `walk.contradiction`.
"""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, lru_cache
from itertools import filterfalse
from typing import Any

from voipstudio_cmb.boundary.checks import described, is_quotable
from voipstudio_cmb.models import RECORDS

from .json import to_json
from .shape import shape

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le
}  # fmt: skip
"""What the API's operators but `like` do."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_MOMENT = re.compile(
    rf"({_DAY}(?:[ T][0-9]{{2}}:[0-9]{{2}}(?::[0-9]{{2}}(?:\.[0-9]{{1,6}})?)?)?)"
    r"(Z|[+-][0-9]{2}:?[0-9]{2})?",
    re.ASCII,
)
_NO_DATE = re.compile(r"0000-00-00( 00:00:00)?", re.ASCII)


def is_day(value: object) -> bool:
    """Whether `value` is a date without a time of day."""
    return isinstance(value, str) and re.fullmatch(_DAY, value) is not None


def number(value: object) -> int | float | Decimal | None:
    """The number that `value` is or writes; None if it is none. A boolean counts as 0 or 1."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    return value if isinstance(value, int | float | Decimal) else None


def moment(value: object) -> datetime | None:
    """The time that `value` is or writes, with its zone left out; a date is its midnight."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    try:
        return None if found is None else datetime.fromisoformat(found[1])
    except ValueError:  # the 31st of February, or the year 0
        return None


def folded(text: str) -> str:
    """`text` without case and accents."""
    if text.isascii():
        return text.casefold()
    letters = unicodedata.normalize("NFKD", text.casefold())
    return "".join(map(_without_stroke, filterfalse(unicodedata.combining, letters)))


def _without_stroke(letter: str) -> str:
    """`letter` without what Unicode takes for a part of it, as in ø and ł."""
    if letter.isascii():
        return letter
    found = re.fullmatch(r"LATIN SMALL LETTER ([A-Z]) WITH .*", unicodedata.name(letter, ""))
    return found[1].lower() if found else letter


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return False
    found = _MOMENT.fullmatch(value)
    # MySQL's way to write that there is no date is met in rows.
    return bool(_NO_DATE.fullmatch(value) or (found and not found[2] and moment(value)))


def _is_integer(value: object) -> bool:
    return type(value) is int or (isinstance(value, str) and bool(_INTEGER.fullmatch(value)))


def _is_boolean(value: object) -> bool:
    return isinstance(value, int | str) and value in (0, 1, "0", "1")


_TYPES: Mapping[type, tuple[Callable[[object], bool], str, str]] = {
    int: (_is_integer, "an integer", "100"),
    Decimal: (lambda v: not isinstance(v, bool) and number(v) is not None, "a decimal", "0.15"),
    bool: (_is_boolean, "a boolean", "true or false"),
    datetime: (_is_time, "a time without a zone", "2026-01-31 or 2026-01-31 08:30:00"),
}


@cache
def _types() -> dict[str, Any]:
    return {name: kind for each in RECORDS.values() for name, kind in shape(each).fields.items()}


def type_of(field: str) -> type | None:
    """The documented type of `field`: of a number, bool, datetime or str; None: it may be any."""
    kind = _types().get(field)
    return kind if kind in _TYPES or kind is str else None


def problem(field: str, value: object) -> str | None:
    """Why `field` can't be compared with `value`, and with what it can; None if it can."""
    fits, kind, example = _TYPES.get(type_of(field) or object, (None, "", ""))
    if fits is None or fits(value):
        return None
    what = repr(str(value)) if is_quotable(value) else described(value)
    return f"{field} is {kind}, and {what} is none: write one like {example}"


def meets(field: str, how: str, wanted: object, found: object) -> bool:
    """Whether a row whose `field` is `found` meets a condition; null and nothing meet none."""
    if found is None:
        return False
    if how == "like":
        return _pattern(folded(_text(wanted))).fullmatch(folded(_text(found))) is not None
    compare = OPERATORS[how]
    for read in () if type_of(field) is str else (number, moment):
        left, right = read(found), read(wanted)
        if left is not None and right is not None:
            return compare(left, right)
    return compare(folded(_text(found)), folded(_text(wanted)))


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, bool) else to_json(value).decode()


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of SQL's LIKE; one without `%` is looked for anywhere, as the API does."""
    wild = {"%": ".*", "_": "."}
    text = text if "%" in text else f"%{text}%"
    return re.compile("".join(wild.get(each) or re.escape(each) for each in text), re.DOTALL)
