"""What the codec needs to know of a record class."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from inspect import getattr_static
from operator import attrgetter
from threading import Lock
from types import MemberDescriptorType, NoneType
from typing import Any, NoReturn, TypeAlias, get_args, get_type_hints

import attrs
import msgspec

from voipstudio_cmb.boundary.value import Frozen

_ONE_AT_A_TIME = Lock()
"""For what is changed of a class while msgspec looks at it."""

Setter: TypeAlias = Callable[[Any, Any], None]
"""Sets one field of a record."""


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
    setters: dict[str, Setter]
    """What sets the fields that may be None."""
    lacking: list[Setter]
    """Those of the fields that rows lack, which are set to None before: msgspec takes far longer
    over a field that it finds neither in the row nor set."""

    def expect(self, made: Any) -> None:
        """Takes further rows to lack what the record `made` lacks."""
        self.lacking[:] = [
            setter for name, setter in self.setters.items() if getattr(made, name) is None
        ]


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
    lacking: list[Setter] = []
    with _ONE_AT_A_TIME:
        decode = _decoder(record, lacking)
    return Shape(fields, exact, tuple(numbers), decode, _setters(record), lacking)


shape: Callable[[Any], Shape] = cache(_describe)
"""What the codec needs to know of a class of records."""


def _setters(record: Any) -> dict[str, Setter]:
    slots = {
        field.name: getattr_static(record, field.name, None)
        for field in attrs.fields(record)
        if field.default is None
    }
    return {
        name: slot.__set__ for name, slot in slots.items() if type(slot) is MemberDescriptorType
    }


def _decoder(record: Any, lacking: list[Setter]) -> Callable[[bytes], Any]:
    fields = attrs.fields(record)
    if any(field.converter for field in fields):
        return _refuse

    def prepare(made: Any) -> None:
        if type(made) is record:  # and no subclass, which msgspec may meet at the same time
            for set_field in lacking:
                set_field(made, None)

    prepares = "__attrs_pre_init__"
    by_user = hasattr(record, prepares)
    try:
        # msgspec shall leave `extra` alone: it is found in the row, when somebody asks for it.
        record.__attrs_attrs__ = tuple(field for field in fields if field.name != "extra")
        if not by_user:
            setattr(record, prepares, staticmethod(prepare))
        return msgspec.json.Decoder(record).decode
    except TypeError:  # a type of the user's own
        return _refuse
    finally:
        record.__attrs_attrs__ = fields
        if not by_user:
            delattr(record, prepares)


def _refuse(text: bytes) -> NoReturn:
    raise TypeError("msgspec can't read this class")
