"""A row as it was sent, beneath what is made of it: bytes that are read when somebody asks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, KeysView, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, NoReturn, TypeVar

import attrs

from voipstudio_cmb.boundary.text import html_table

T = TypeVar("T")


def read_json(text: bytes) -> Any:
    """The values in `text`, JSON with any escape and numbers of any size.

    One is a `Decimal` where it is too large for a float, or has more digits than Python reads at
    once; and its text where it is too large for that.

    Raises:
        ValueError, RecursionError: it is no JSON, or nested too deeply.
    """
    return json.loads(
        text.decode(), parse_constant=_refuse, parse_float=_number, parse_int=_integer
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _number(text: str) -> float | Decimal | str:
    value = float(text)
    if math.isfinite(value):
        return value
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _integer(text: str) -> int | Decimal:
    try:
        return int(text)
    except ValueError:
        return Decimal(text)


class AsSent:
    """What a class of records (attrs) has beside its fields: the row as it was sent.

    `extra`, a field of it, is found in the row when it is asked for: what is no other field, and
    what does not fit one.
    """

    __slots__ = ("_row",)
    _row: bytes | dict[str, Any]
    """Its object, which is read once; nothing where a record was made by hand."""

    extra: Mapping[str, Any]

    def _sent(self) -> dict[str, Any] | None:
        row: bytes | dict[str, Any] | None = getattr(self, "_row", None)
        if not isinstance(row, bytes):
            return row
        values: dict[str, Any] = read_json(row)
        object.__setattr__(self, "_row", values)
        return values

    def to_dict(self) -> dict[str, Any]:
        """The row as the API sent it: every key in its order, every value as it came (a copy).

        A record made by hand, or changed by `attrs.evolve`, gives its fields that are not None,
        spelt as the API spells them, and what is in `extra`.
        """
        row = self._sent()
        return self._spelt() if row is None else dict(row)

    def _spelt(self) -> dict[str, Any]:
        row = {name: _spelt(value) for name, value in self._shown() if name != "extra"}
        # A field that was changed takes precedence over the value that had not fitted it.
        return row | {name: value for name, value in self.extra.items() if name not in row}

    def keys(self) -> KeysView[str]:
        """The names of all that the API sent of this row."""
        return (self._sent() or self._spelt()).keys()

    def __getitem__(self, name: str) -> Any:
        """What the API sent for `name`, as it came.

        Raises:
            KeyError: it sent nothing of that name; it says what there is.
        """
        row = self._sent() or self._spelt()
        if name in row:
            return row[name]
        raise KeyError(f"the row has no {name!r}; it has {', '.join(row)}")

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __repr__(self) -> str:
        shown = (f"{name}={value!r}" for name, value in self._shown())
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        return html_table((type(self).__name__, ""), self._shown())

    def _shown(self) -> Iterator[tuple[str, Any]]:
        for name in _fields(type(self)):
            value = getattr(self, name)
            if value is not None and (name != "extra" or value):
                yield name, value

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: getattr(self, name) for name in _fields(type(self))}
        return _remade, (type(self), fields, self._sent())


class _Extra:
    """The field `extra`, which is made of the row when it is first asked for."""

    # No `__getattr__` of the record: each field that a row lacks would ask it once.

    def __init__(self, slot: Any) -> None:
        self._slot = slot

    def __get__(self, record: Any, owner: object = None) -> Any:
        if record is None:
            return self
        try:
            return self._slot.__get__(record)
        except AttributeError:
            if (row := record._sent()) is None:
                raise
        fields = _fields(type(record))
        extra = {
            name: value for name, value in row.items()
            if name not in fields or name == "extra"
            or (value is not None and getattr(record, name) is None)
        }  # fmt: skip
        self._slot.__set__(record, extra)
        return extra

    def __set__(self, record: Any, extra: Mapping[str, Any]) -> None:
        self._slot.__set__(record, extra)


def with_lazy_extra(record: type[T]) -> type[T]:
    """The class `record`, whose field `extra` is made when it is asked for."""
    setattr(record, "extra", _Extra(record.__dict__["extra"]))  # noqa: B010 - it is a slot to mypy
    return record


def _names(record: Any) -> dict[str, None]:
    return dict.fromkeys(field.name for field in attrs.fields(record))


_fields: Callable[[Any], dict[str, None]] = cache(_names)
"""The names of the fields of a class."""


def _spelt(value: Any) -> Any:
    """`value` as the API spells it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value) if isinstance(value, Decimal) else value


def _remade(kind: Any, fields: Mapping[str, Any], row: Mapping[str, Any] | None) -> Any:
    """What `AsSent.__reduce__` has taken apart; of a copy, a row is a copy too."""
    made = kind.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    if row is not None:
        object.__setattr__(made, "_row", row)
    return made
