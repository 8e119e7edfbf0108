"""What a collection request asks for: ``page``, ``limit``, ``sort``, ``dir`` and ``filter``."""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import attrs
import msgspec

from voipstudio_cmb.sandbox.refusal import Refusal

from .rows import Row

Scalar = str | int | float | bool | None

TIMES: Final = frozenset({"created_at", "calldate"})
"""The columns that a database compares as times, not as text."""

PAGE_SIZE: Final = 25
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DIGITS = re.compile(r"[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")


@attrs.frozen
class Condition:
    """One entry of the ``filter`` parameter; a row has to meet all of them."""

    property: str
    operator: str
    value: Scalar


@attrs.frozen(kw_only=True)
class Query:
    """A checked collection request."""

    page: int
    limit: int | None
    """The rows on a page, by which pages are counted. `None` puts all rows on page 1."""
    max_rows: int | None = None
    """The most rows in a response; rows beyond are cut off without another page for them."""
    sort: str
    descending: bool
    conditions: tuple[Condition, ...]


def parse(params: Mapping[str, str], columns: frozenset[str]) -> Query:
    """Reads the query parameters of a collection that has `columns`; raises `Refusal` (400)."""
    conditions = _conditions(params["filter"], columns) if params.get("filter") else ()
    errors: dict[str, str] = {}
    page = _positive("page", params.get("page", "1"), errors)
    limit = _positive("limit", params.get("limit", str(PAGE_SIZE)), errors)
    sort = params.get("sort", "id")
    if sort not in columns:
        errors["sort"] = f"There is no property {sort!r}."
    direction = params.get("dir", "ASC")
    if direction not in {"ASC", "DESC"}:
        errors["dir"] = "Must be ASC or DESC."
    if errors:
        raise Refusal(400, "Validation error", errors)
    descending = direction == "DESC"
    return Query(page=page, limit=limit, sort=sort, descending=descending, conditions=conditions)


def _positive(name: str, text: str, errors: dict[str, str]) -> int:
    if _DIGITS.fullmatch(text) and int(text) > 0:
        return int(text)
    errors[name] = "Must be a whole number from 1."
    return 1


def _conditions(text: str, columns: frozenset[str]) -> tuple[Condition, ...]:
    try:
        entries = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise _filtration_error("Is not JSON.") from None
    if not isinstance(entries, list):
        raise _filtration_error("Must be an array of conditions.")
    return tuple(_condition(entry, columns) for entry in entries)


def _condition(entry: object, columns: frozenset[str]) -> Condition:
    if not isinstance(entry, dict) or not {"property", "operator", "value"} <= entry.keys():
        raise _filtration_error("A condition needs property, operator and value.")
    name, symbol, value = entry["property"], entry["operator"], entry["value"]
    if not isinstance(name, str) or name not in columns:
        raise _filtration_error(f"There is no property {name!r} to filter by.")
    if not isinstance(symbol, str) or symbol not in _OPERATORS:
        raise _filtration_error(f"There is no operator {symbol!r}.")
    if value is not None and not isinstance(value, (str, int, float)):
        raise _filtration_error(f"The value for {name!r} must be a single one.")
    if name in TIMES and symbol != "like" and isinstance(value, str) and _DATE.fullmatch(value):
        value = f"{value} 00:00:00"  # to a column of text it would be a text like any other
    return Condition(name, symbol, value)


def _filtration_error(reason: str) -> Refusal:
    return Refusal(400, "Filtration error", {"filter": reason})


def matches(row: Row, conditions: Iterable[Condition]) -> bool:
    """Tells whether `row` meets all `conditions`."""
    return all(_OPERATORS[each.operator](row.get(each.property), each.value) for each in conditions)


def _compare(compare: Callable[[Any, Any], bool], found: object, wanted: Scalar) -> bool:
    """Compares as numbers when both sides are numbers, else as text, like the database.

    Times compare as their text: they all have the same form, and zero dates come first.

    Null equals null and compares with nothing else.
    """
    if found is None or wanted is None:
        return compare is operator.eq and found is wanted
    right = _as_number(wanted)
    left = None if right is None else _as_number(found)
    if left is None:
        return compare(_as_text(found), _as_text(wanted))
    return compare(left, right)


def _like(found: object, wanted: Scalar) -> bool:
    return found is not None and bool(_like_pattern(_as_text(wanted)).fullmatch(_as_text(found)))


@lru_cache(maxsize=64)
def _like_pattern(text: str) -> re.Pattern[str]:
    """Translates a pattern of SQL's LIKE, where ``%`` is any text and ``_`` any character.

    A pattern without ``%`` matches anywhere in a text.
    """
    wild = {"%": ".*", "_": "."}
    text = text if "%" in text else f"%{text}%"
    pattern = "".join(wild.get(letter) or re.escape(letter) for letter in text)
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_OPERATORS: Final[Mapping[str, Callable[[object, Scalar], bool]]] = {
    "eq": partial(_compare, operator.eq),
    "gt": partial(_compare, operator.gt),
    "gte": partial(_compare, operator.ge),
    "like": _like,
    "lt": partial(_compare, operator.lt),
    "lte": partial(_compare, operator.le),
}


def _as_number(value: object) -> int | float | None:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        return float(value) if "." in value else int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (int, float)) else None


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (list, dict)):
        return msgspec.json.encode(value).decode()  # a database keeps it as text
    return "" if value is None else str(value)


def sort_key(value: object) -> tuple[int, int | float, str]:
    """Returns the key that sorts values of a field: nulls first, then numbers, then text."""
    if value is None:
        return 0, 0, ""
    number = _as_number(value)
    return (2, 0, _as_text(value)) if number is None else (1, number, "")


def is_id_range(condition: Condition) -> bool:
    """Tells whether `condition` cuts a range out of ascending ids."""
    name, symbol, number = condition.property, condition.operator, _as_number(condition.value)
    return name == "id" and symbol != "like" and number is not None


def bisect_ids(ids: Sequence[int], ranges: Iterable[Condition]) -> tuple[int, int]:
    """Returns where the ids that meet all `ranges` begin and end in ascending `ids`."""
    low, high = 0, len(ids)
    for condition in ranges:
        number = _as_number(condition.value)
        assert number is not None  # `is_id_range` accepts only numbers
        if condition.operator in {"gt", "gte", "eq"}:
            cut = bisect_right if condition.operator == "gt" else bisect_left
            low = max(low, cut(ids, number))
        if condition.operator in {"lt", "lte", "eq"}:
            cut = bisect_left if condition.operator == "lt" else bisect_right
            high = min(high, cut(ids, number))
    return low, max(low, high)
