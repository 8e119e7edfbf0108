"""What the codec needs to know of a record class."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, NoReturn, get_args, get_type_hints

import attrs
import msgspec

from voipstudio_cmb.boundary.value import Frozen


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union like `int | str | None` allows, without None."""
    return tuple(t for t in get_args(annotation) or (annotation,) if t is not NoneType)


class Shape(Frozen, frozen=True):
    """What the codec needs to know of one record class."""

    fields: dict[str, Any]
    """The documented fields, and the type of each, without None."""
    exact: dict[str, frozenset[Any]]
    """The types of JSON's that need no change for a field."""
    numbers: tuple[Callable[[Any], Decimal | None], ...]
    """The functions that get the decimals from a record."""
    decode: Callable[[bytes], Any]
    """Reads a row as a record, without what it was sent as; raises `TypeError` if the class has to
    be called."""


def _describe(record: Any) -> Shape:
    hints = get_type_hints(record)
    fields: dict[str, Any] = {}
    exact = {}
    numbers = []
    for name in (field.name for field in attrs.fields(record) if field.name != "extra"):
        options = alternatives(hints[name])
        fields[name] = options[0] if len(options) == 1 else hints[name]
        exact[name] = frozenset(options) & {int, str, bool}
        if Decimal in options:
            numbers.append(attrgetter(name))
    return Shape(fields, exact, tuple(numbers), _decoder(record))


shape: Callable[[Any], Shape] = cache(_describe)
"""What the codec needs to know of a class of records."""


def _decoder(record: Any) -> Callable[[bytes], Any]:
    fields = attrs.fields(record)
    if any(field.converter for field in fields):
        return _refuse
    try:
        # msgspec shall leave `extra` alone: it is found in the row, when somebody asks for it.
        record.__attrs_attrs__ = tuple(field for field in fields if field.name != "extra")
        return msgspec.json.Decoder(record).decode
    except TypeError:  # a type of the user's own
        return _refuse
    finally:
        record.__attrs_attrs__ = fields


def _refuse(text: bytes) -> NoReturn:
    raise TypeError("msgspec can't read this class")
