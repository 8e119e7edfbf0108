"""What the codec needs to know of a record class."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import MemberDescriptorType, NoneType
from typing import Annotated, Any, get_args, get_type_hints

import attrs
import msgspec

from .json import MAX_ID


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union like `int | str | None` allows, without None."""
    return tuple(t for t in get_args(annotation) or (annotation,) if t is not NoneType)


@attrs.frozen
class Shape:
    """What the codec needs to know of one record class."""

    fields: dict[str, Any]
    """The documented fields, and the type of each, without None."""
    retyped: dict[str, tuple[str, Callable[[Any], Any]]]
    """The fields whose type is none of JSON's: the key under which a record keeps the value that
    was sent, and the function that gets the typed value from a cell."""
    numbers: tuple[Callable[[Any], Decimal | None], ...]
    """The functions that get the decimals from a cell."""
    cell: Any
    """The struct that msgspec makes of a row; None if the class needs its `__init__`."""
    open_cell: Any
    """The same for a row that has fields beside the documented ones."""


def _describe(record: Any) -> Shape:
    hints = get_type_hints(record)
    fields: dict[str, Any] = {}
    retyped: dict[str, tuple[str, Callable[[Any], Any]]] = {}
    numbers = []
    for name in (field.name for field in attrs.fields(record) if field.name != "extra"):
        options = alternatives(hints[name])
        fields[name] = options[0] if len(options) == 1 else hints[name]
        if not set(options) <= {int, str, bool}:
            retyped[name] = f"_sent.{name}", attrgetter(name)
        if Decimal in options:
            numbers.append(attrgetter(name))
    cell: Any = None
    open_cell: Any = None
    if _needs_no_init(record):
        id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
        members: list[Any] = [("id", id)]
        members += [(name, hints[name], None) for name in fields if name != "id"]
        cell = msgspec.defstruct("Cell", members, forbid_unknown_fields=True, gc=False)
        open_cell = msgspec.defstruct("OpenCell", members, gc=False)
    return Shape(fields, retyped, tuple(numbers), cell, open_cell)


shape: Callable[[Any], Shape] = cache(_describe)
"""What the codec needs to know of a class of records."""


def _needs_no_init(record: Any) -> bool:
    """Whether `record` can be made without its `__init__`: a subclass of a user's may need it."""
    fields = [field for field in attrs.fields(record) if field.name not in ("id", "extra")]
    return (
        attrs.fields(record).id.inherited
        and not any(hasattr(record, f"__attrs_{when}_init__") for when in ("pre", "post"))
        and not any(f.converter or f.validator or f.default is not None for f in fields)
        and not any(isinstance(getattr(record, f.name, None), MemberDescriptorType) for f in fields)
    )
