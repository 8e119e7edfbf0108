"""The cattrs converter: rows to records and back, one value at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from voipstudio_cmb.errors import WrongShape
from voipstudio_cmb.models import Record, Row, Rows
from voipstudio_cmb.models.sent import read_json

from .json import INTEGER, MAX_ID, to_json
from .rows import as_rows, column, id_problem
from .shape import alternatives, shape

if TYPE_CHECKING:
    import cattrs

R = TypeVar("R", bound=Record)

_DATE_TIME = "%Y-%m-%d %H:%M:%S"
_BOOLEANS: dict[object, bool] = {True: True, "1": True, False: False, "0": False}


# What the API's values may be taken for. cattrs' own hooks would corrupt in silence: "false"
# becomes True, None becomes "None", 5.9 becomes 5. These take what is exact and refuse the rest.


def _int(value: object, _: type) -> int:
    if type(value) is int:
        return value
    # Zeros in front would be lost: a phone number's too.
    if isinstance(value, str) and re.fullmatch(INTEGER, value) and str(int(value)) == value:
        return int(value)
    raise ValueError("not an integer")


def _bool(value: object, _: type) -> bool:
    if isinstance(value, int | str) and value in _BOOLEANS:
        return _BOOLEANS[value]
    raise ValueError("not a boolean")


def _str(value: object, _: type) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("not a string")


def _int_or_str(value: object, _: object) -> int | str:
    if type(value) is int or isinstance(value, str):
        return value
    raise ValueError("neither an integer nor a string")


def _datetime(value: object, _: type) -> datetime:
    if isinstance(value, str):
        return msgspec.convert(value, datetime)  # as on the hot path, to the digit
    raise ValueError("not a date and time")


def _decimal(value: object, _: type) -> Decimal:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        number = Decimal(str(value))
        if number.is_finite():
            return number
    raise ValueError("not a number")


def structured(row: bytes, record: type[R]) -> R:
    """The object `row` as a `record`; what does not fit its field goes to `extra`.

    Raises:
        WrongShape: it is no object or has no usable id.
    """
    try:
        values = msgspec.json.decode(row)
    except (msgspec.MsgspecError, ValueError):
        values = read_json(row)
    made = _structure(values, record)
    object.__setattr__(made, "_row", row)
    return made


def _structure(row: object, record: type[R]) -> R:
    """One `row` as a `record`."""
    id = row.get("id") if isinstance(row, Mapping) else None
    if not isinstance(row, Mapping) or type(id) is not int or not 1 <= id <= MAX_ID:
        raise WrongShape(f"a row can't be used: {id_problem(to_json(row))}", sent="yes")
    how = shape(record)
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, value in row.items():
        if name not in how.fields:
            extra[name] = value
            continue
        if value is None:
            continue
        try:
            fits = type(value) in how.exact[name]
            values[name] = value if fits else _value(value, how.fields[name])
        except Exception:  # a user's hook may raise what it likes: the value is kept all the same
            extra[name] = value
    made = record(**values, extra=extra)
    object.__setattr__(made, "_row", dict(row))
    return made


def _value(value: object, kind: Any) -> Any:
    if kind is datetime and isinstance(value, str):
        with suppress(msgspec.ValidationError):
            return msgspec.convert(value, datetime)
    return shared_converter().structure(value, kind)


def values_of(records: Sequence[Any], name: str) -> list[Any]:
    """What `records`, or rows, were sent with for `name`; None where that is null or nothing."""
    if isinstance(records, Rows):
        return column(records, name)
    if records and isinstance(records[0], Row):
        return column(as_rows(records), name)
    return [record.to_dict().get(name) for record in records]


def make_converter() -> cattrs.Converter:
    """A cattrs converter for the records, with hooks that never guess."""
    import cattrs  # here, because most programs never meet a row that needs it

    made = cattrs.Converter()
    for kind, hook in (
        (int, _int), (bool, _bool), (str, _str), (datetime, _datetime), (Decimal, _decimal),
    ):  # fmt: skip
        made.register_structure_hook(kind, hook)
    made.register_structure_hook_func(
        lambda kind: set(alternatives(kind)) == {int, str}, _int_or_str
    )
    made.register_structure_hook(Record, _structure)
    made.register_unstructure_hook(datetime, lambda value: value.strftime(_DATE_TIME))
    made.register_unstructure_hook(Decimal, str)
    made.register_unstructure_hook(Record, Record.to_dict)
    return made


@cache
def shared_converter() -> cattrs.Converter:
    """The converter that reads rows, with the hooks that a program has registered."""
    return make_converter()
