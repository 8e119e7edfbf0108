"""What the codec needs to know of a record class."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import MemberDescriptorType, NoneType
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import attrs
import msgspec

from voipstudio_cmb.models import Record

from .json import MAX_ID

R = TypeVar("R", bound=Record)


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The types that a union like `int | str | None` allows, without None."""
    return tuple(t for t in get_args(annotation) or (annotation,) if t is not NoneType)


@attrs.frozen
class _Shape:
    """What the codec needs to know of one record class.

    *cell* is what msgspec takes a row for, None where it can't; *and_more* the same for rows that
    have other fields too. *retyped* are the fields that are held as another type than JSON has,
    where their values are kept as they were sent, and how to get them from a cell.
    """

    documented: frozenset[str]
    fields: tuple[tuple[str, Any], ...]
    retyped: dict[str, tuple[str, Callable[[Any], Any]]]
    numbers: tuple[Callable[[Any], Decimal | None], ...]
    cell: Any
    and_more: Any


def _shape(record: type[Record]) -> _Shape:
    kind: Any = record  # mypy does not take the attrs class for hashable
    return _described(kind)


@cache
def _described(record: Any) -> _Shape:
    hints = get_type_hints(record)
    names = [f.name for f in attrs.fields(record) if f.name != "extra"]
    fields, numbers = [], []
    retyped: dict[str, tuple[str, Callable[[Any], Any]]] = {}
    for name in names:
        options = alternatives(hints[name])
        fields.append((name, options[0] if len(options) == 1 else hints[name]))
        if not set(options) <= {int, str, bool}:
            retyped[name] = f"_sent.{name}", attrgetter(name)
        if Decimal in options:
            numbers.append(attrgetter(name))
    cell: Any = None
    and_more: Any = None
    if _is_plain(record):
        id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
        others = [name for name in names if name != "id"]
        for name in others:
            if name not in record.__dict__:
                setattr(record, name, None)  # what a record whose row lacks the field has there
        described: list[Any] = [("id", id), *((name, hints[name], None) for name in others)]
        cell = msgspec.defstruct("Cells", described, forbid_unknown_fields=True, gc=False)
        and_more = msgspec.defstruct("Cells", described, gc=False)
    return _Shape(frozenset(names), tuple(fields), retyped, tuple(numbers), cell, and_more)


def _is_plain(record: Any) -> bool:
    """Whether *record* can be made without its `__init__`: a subclass of a user's may need it."""
    fields = [field for field in attrs.fields(record) if field.name not in ("id", "extra")]
    return (
        attrs.fields(record).id.inherited
        and not any(hasattr(record, f"__attrs_{when}_init__") for when in ("pre", "post"))
        and not any(f.converter or f.validator or f.default is not None for f in fields)
        and not any(isinstance(getattr(record, f.name, None), MemberDescriptorType) for f in fields)
    )
