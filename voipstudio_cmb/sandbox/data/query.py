"""What a collection is asked for: ``page limit sort dir filter``, understood without any I/O."""

from __future__ import annotations

import math
import operator
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import msgspec

from voipstudio_cmb.sandbox.refusal import Complaint, Refusal

from .rows import Row

Scalar = str | int | float | bool | None

PAGE_SIZE: Final = 25
_WHOLE = re.compile(r"[0-9]{1,100}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,100}(\.[0-9]{1,100})?")


@attrs.frozen
class Condition:
    """One entry of the ``filter`` parameter; a row is kept when it meets all of them."""

    property: str
    operator: str
    value: Scalar


@attrs.frozen(kw_only=True)
class Query:
    """A collection request, checked. *limit* ``None`` means everything there is.

    Pages are counted by *limit*; *most* cuts each of them short.
    """

    page: int = 1
    limit: int | None = PAGE_SIZE
    most: int | None = None
    sort: str = "id"
    descending: bool = False
    conditions: tuple[Condition, ...] = ()


def parse(params: Mapping[str, str], columns: frozenset[str], limit_cap: int | None) -> Query:
    """Reads the query parameters of a collection that has *columns*; raises `Refusal` (400).

    A limit above *limit_cap* is lowered to it without a word, as the vendor's server may do.
    """
    conditions = _conditions(params["filter"], columns) if params.get("filter") else ()
    complaints: list[Complaint] = []
    page = _positive("page", params.get("page", "1"), complaints)
    limit = _positive("limit", params.get("limit", str(PAGE_SIZE)), complaints)
    sort = params.get("sort", "id")
    if sort not in columns:
        complaints.append(Complaint("sort", f"There is no property {sort!r}."))
    direction = params.get("dir", "ASC")
    if direction not in {"ASC", "DESC"}:
        complaints.append(Complaint("dir", "Must be ASC or DESC."))
    if complaints:
        raise Refusal(400, "Validation error", complaints)
    return Query(
        page=page,
        limit=limit if limit_cap is None else min(limit, limit_cap),
        sort=sort,
        descending=direction == "DESC",
        conditions=conditions,
    )


def _positive(name: str, text: str, complaints: list[Complaint]) -> int:
    if _WHOLE.fullmatch(text) and int(text) > 0:
        return int(text)
    complaints.append(Complaint(name, "Must be a whole number from 1."))
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
    return Condition(name, symbol, value)


def _filtration_error(reason: str) -> Refusal:
    return Refusal(400, "Filtration error", [Complaint("filter", reason)])


def matcher(conditions: Sequence[Condition]) -> Callable[[Row], bool]:
    """Returns the test whether a row meets all *conditions*."""
    tests = [(each.property, _OPERATORS[each.operator](each.value)) for each in conditions]

    def matches(row: Row) -> bool:
        return all(test(row.get(name)) for name, test in tests)

    return matches


def _comparison(
    compare: Callable[[Any, Any], bool],
) -> Callable[[Scalar], Callable[[Scalar], bool]]:
    """Builds tests that compare as numbers when both sides are, else as text, like the database.

    Null equals null and compares with nothing else.
    """

    def build(wanted: Scalar) -> Callable[[Scalar], bool]:
        number, text = _as_number(wanted), _as_text(wanted)

        def test(found: Scalar) -> bool:
            if found is None or wanted is None:
                return compare is operator.eq and found is wanted
            left = None if number is None else _as_number(found)
            if left is not None:
                return compare(left, number)
            return compare(_as_text(found), text)

        return test

    return build


def _like(wanted: Scalar) -> Callable[[Scalar], bool]:
    """Builds SQL's LIKE: ``%`` is any text, ``_`` any character; plain text is looked for."""
    pattern = _as_text(wanted)
    if "%" not in pattern:
        pattern = f"%{pattern}%"
    wild = {"%": ".*", "_": "."}
    found_by = re.compile(
        "".join(wild.get(letter) or re.escape(letter) for letter in pattern),
        re.IGNORECASE | re.DOTALL,
    )

    def test(found: Scalar) -> bool:
        return found is not None and found_by.fullmatch(_as_text(found)) is not None

    return test


_OPERATORS: Final[Mapping[str, Callable[[Scalar], Callable[[Scalar], bool]]]] = {
    "eq": _comparison(operator.eq),
    "gt": _comparison(operator.gt),
    "gte": _comparison(operator.ge),
    "like": _like,
    "lt": _comparison(operator.lt),
    "lte": _comparison(operator.le),
}


def _as_number(value: Scalar) -> int | float | None:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        return float(value) if "." in value else int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _as_text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    return "" if value is None else str(value)


def sort_key(name: str) -> Callable[[Row], tuple[int, int | float, str]]:
    """Returns the key that sorts rows by *name*: nulls first, then numbers, then text."""

    def key(row: Row) -> tuple[int, int | float, str]:
        value = row.get(name)
        number = _as_number(value)
        if value is None:
            return 0, 0, ""
        return (2, 0, _as_text(value)) if number is None else (1, number, "")

    return key


def split(query: Query) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Parts the conditions into those that cut a range out of ascending ids, and all others."""
    if query.sort != "id":
        return (), query.conditions
    ranges = tuple(each for each in query.conditions if _is_range(each))
    return ranges, tuple(each for each in query.conditions if not _is_range(each))


def _is_range(condition: Condition) -> bool:
    return (
        condition.property == "id"
        and condition.operator != "like"
        and _as_number(condition.value) is not None
    )


def bounds(ids: Sequence[int], ranges: Sequence[Condition]) -> tuple[int, int]:
    """Returns the slice of ascending *ids* that meets all *ranges*, found by bisection."""
    low, high = 0, len(ids)
    for condition in ranges:
        number = _as_number(condition.value)
        assert number is not None  # _is_range let only numbers through
        if condition.operator in {"gt", "gte", "eq"}:
            cut = bisect_right if condition.operator == "gt" else bisect_left
            low = max(low, cut(ids, number))
        if condition.operator in {"lt", "lte", "eq"}:
            cut = bisect_left if condition.operator == "lt" else bisect_right
            high = min(high, cut(ids, number))
    return low, max(low, high)
