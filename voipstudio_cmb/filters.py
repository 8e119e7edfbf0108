"""Conditions on a collection, as the API's `filter` parameter takes them. No I/O.

The parameter, its operators and the 400 for `between` come from the vendor's client and connector,
which use them on other collections. They are not confirmed for the Call Me Back module.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import attrs

from .checks import described
from .codec.json import plain
from .codec.surrogates import is_text
from .errors import ClientMisuse

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


@attrs.frozen
class Filter:
    """One condition; a row must meet all that are given."""

    property: str = attrs.field(validator=_named)
    """A field's name."""
    operator: Operator = attrs.field(validator=_known)
    value: str | int | float | bool = attrs.field(converter=_plain)

    def __str__(self) -> str:
        """The condition as on a command line: "id>100"."""
        sign = next(sign for sign, operator in _SIGNS.items() if operator == self.operator)
        return f"{self.property}{sign}{self.value}"

    def __bool__(self) -> bool:
        # `a and b` and `1 < where("id") < 9` would otherwise drop one of the two unseen.
        raise ClientMisuse(
            "conditions can't be joined by and, or, not or a chained comparison: "
            'list them, as in filters=[where("id") > 1, where("id") < 9]'
        )


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


_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|=|>|<|~)(.*)", re.DOTALL)
_SIGNS: dict[str, Operator] = {
    ">=": "gte", "<=": "lte", "=": "eq", ">": "gt", "<": "lt", "~": "like"
}  # fmt: skip
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)


def parse(text: str) -> Filter:
    """The condition that `text` writes, as on a command line: "id>100", "name~%shop%".

    A value that is an integer is compared as one.

    Raises:
        ClientMisuse: `text` is not property, operator, value.
    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ClientMisuse(
            "a filter is not PROPERTY OPERATOR VALUE, like 'id>100' "
            f"(operators: {' '.join(_SIGNS)})"
        )
    name, sign, value = found[1], found[2], found[3].strip()
    return Filter(name, _SIGNS[sign], int(value) if _INTEGER.fullmatch(value) else value)


def checked(filters: Filter | Iterable[Filter] | None) -> tuple[Filter, ...]:
    """`filters` as a tuple.

    Raises:
        ClientMisuse: one is no `Filter`.
    """
    if filters is None:
        return ()
    single = isinstance(filters, Filter | str | bytes | Property)
    conditions: tuple[Any, ...]
    conditions = (filters,) if single or not isinstance(filters, Iterable) else tuple(filters)
    for condition in conditions:
        if not isinstance(condition, Filter):
            raise ClientMisuse(
                f"filters must be Filter objects, not {type(condition).__name__}: "
                'write where("created_at") >= "2026-01-01", or Filter(property, operator, value)'
            )
    return conditions
