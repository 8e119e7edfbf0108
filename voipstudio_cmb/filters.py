"""Conditions on a collection, as the API's `filter` parameter takes them. No I/O.

The parameter, its operators and the 400 for `between` come from the vendor's client and connector,
which use them on other collections. They are not confirmed for the Call Me Back module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, get_args

import attrs

from .boundary.checks import described, is_quotable
from .codec.comparison import meets, problem, type_of
from .codec.conversion import values_of
from .codec.json import plain
from .codec.surrogates import is_text
from .errors import ClientMisuse

T = TypeVar("T")

Operator: TypeAlias = Literal["eq", "like", "gt", "gte", "lt", "lte"]
"""How a `Filter` compares, in the API's words."""

Value: TypeAlias = str | int | float | bool | Decimal | date | datetime
"""What a `Filter` can compare with."""

_OPERATORS: tuple[str, ...] = get_args(Operator)


def _plain(value: Any) -> str | int | float | bool:
    """The `value` as the API writes it: dates without a zone, decimals as their digits."""
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ClientMisuse(
                "the API's times have no zone, so a filter can't take an aware datetime: convert "
                "it to your account's local time and drop the zone with .replace(tzinfo=None)"
            )
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal) and value.is_finite():
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ClientMisuse(f"a filter can't compare with {value}: pass a finite number")
    if isinstance(value, str) and not is_text(value):
        raise ClientMisuse("a filter can't compare with half a surrogate pair: pass valid text")
    if isinstance(value, bool | int | float | str):
        exact: str | int | float | bool = plain(value)
        return exact
    raise ClientMisuse(
        f"a filter can't compare with {type(value).__name__}: pass a str, number, bool or date"
    )


def _known(_: object, __: object, operator: str) -> None:
    if operator not in _OPERATORS:
        hint = ": write two conditions, gte and lte" if operator == "between" else ""
        raise ClientMisuse(f"unknown filter operator{hint} (known: {', '.join(_OPERATORS)})")


def _named(_: object, __: object, name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise ClientMisuse(f"a filter needs the name of a property, not {described(name)}")


def _fitting(condition: Filter, _: object, value: Any) -> None:
    why = None if condition.operator == "like" else problem(condition.property, value)
    if why is not None:
        sent = str(value) if is_quotable(value) else "…"
        named = f"{condition.property}{_sign(condition)}{sent}"
        raise ClientMisuse(f"the filter {named!r} can't be met: {why}")


def _sign(condition: Filter) -> str:
    return next(sign for sign, operator in _SIGNS.items() if operator == condition.operator)


@attrs.frozen
class Filter:
    """One condition; a row must meet all that are given.

    Raises:
        ClientMisuse: the value is none of the documented type of the property, or of no type that
            a filter takes. What the API does not document may be compared with anything.
    """

    property: str = attrs.field(validator=_named)
    """A field's name."""
    operator: Operator = attrs.field(validator=_known)
    value: str | int | float | bool = attrs.field(converter=_plain, validator=_fitting)

    def __str__(self) -> str:
        """The condition as on a command line: "id>100"."""
        return f"{self.property}{_sign(self)}{self.value}"

    def __bool__(self) -> bool:
        # `a and b` and `1 < where("id") < 9` would otherwise drop one of the two unseen.
        raise ClientMisuse(
            "conditions can't be joined by and, or, not, & or a chained comparison: "
            'list them, as in filters=[where("id") > 1, where("id") < 9]'
        )

    def __and__(self, other: object) -> bool:
        return bool(self)

    __or__ = __and__


@attrs.frozen(eq=False)
class Property:
    """A property's name, compared with Python's own operators to make a `Filter`; see `where`."""

    name: str = attrs.field(validator=_named)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return Filter(self.name, "eq", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        raise ClientMisuse("the API has no operator for 'not equal': filter the records instead")

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __gt__(self, value: Value) -> Filter:
        return Filter(self.name, "gt", value)

    def __ge__(self, value: Value) -> Filter:
        return Filter(self.name, "gte", value)

    def __lt__(self, value: Value) -> Filter:
        return Filter(self.name, "lt", value)

    def __le__(self, value: Value) -> Filter:
        return Filter(self.name, "lte", value)

    def like(self, pattern: str) -> Filter:
        """Matches by pattern, as SQL's LIKE does."""
        return Filter(self.name, "like", pattern)


def where(property: str) -> Property:
    """Begins a condition on the field called `property`.

    >>> where("created_at") >= "2026-01-01"
    Filter(property='created_at', operator='gte', value='2026-01-01')
    """
    return Property(property)


_CONDITION = r"(?s)\s*([A-Za-z_]\w*)\s*(>=|<=|=|>|<|~)(.*)"
_SIGNS: dict[str, Operator] = {
    ">=": "gte", "<=": "lte", "=": "eq", ">": "gt", "<": "lt", "~": "like"
}  # fmt: skip
_INTEGER = "0|-?[1-9][0-9]{0,17}"


def parse(text: str) -> Filter:
    """The condition that `text` writes, as on a command line: "id>100", "name~%shop%".

    A value that is an integer is compared as one, unless the field is documented as something else;
    `true` and `false` are what they say where a boolean is documented.

    Raises:
        ClientMisuse: `text` is not property, operator, value, or the value does not fit the field.
    """
    found = re.fullmatch(_CONDITION, text)
    if found is None:
        raise ClientMisuse(
            "a filter is not PROPERTY OPERATOR VALUE, like 'id>100' "
            f"(operators: {' '.join(_SIGNS)})"
        )
    name, sign, value = found[1], found[2], found[3].strip()
    return Filter(name, _SIGNS[sign], _typed(name, value))


def _typed(name: str, text: str) -> str | int | bool:
    kind = type_of(name)
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    as_integer = kind in (int, Decimal, None) and re.fullmatch(_INTEGER, text)
    return int(text) if as_integer else text


def matching(conditions: Iterable[Filter], records: Sequence[T]) -> Sequence[T]:
    """Those of `records` (or rows as they were sent) that meet all `conditions`, compared here.

    Numbers are compared as numbers, times as times, texts without case and accents; `like` looks
    for a fragment anywhere unless it has a `%`. Null meets no condition.
    """
    for each in conditions:
        name, how, wanted = each.property, each.operator, each.value
        values = zip(records, values_of(records, name), strict=True)
        records = [record for record, found in values if meets(name, how, wanted, found)]
    return records
