"""Bytes to records and back. The only module that knows cattrs; msgspec is met in `raw` too.

The hot path takes a page in C, twice: into rows (dicts), and from these into cells, which checks
all values and makes dates of texts. A row then becomes the `__dict__` of its record as it is, with
those few values changed that have another type there. To copy each row into slots would take as
long as all the rest.

A page with a value that does not fit its documented type goes row by row through `converter`, which
keeps such a value in `extra`. That cattrs converter is also where users register hooks of their
own, for fields that they add in subclasses of the records.

What a record was sent as is in its `__dict__` too: under `_sent` the row if it has fields that are
not documented, else None; and under `_sent.created_at` the text that the date was.
"""

from __future__ import annotations

import inspect
import json
import math
import re
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from itertools import repeat
from operator import attrgetter
from types import GenericAlias, MemberDescriptorType, NoneType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar, get_args, get_type_hints

import attrs
import msgspec

from .errors import BadPayload, EmptyBody, NotJSON, WrongShape
from .http import Response
from .models import Record

if TYPE_CHECKING:
    import cattrs

R = TypeVar("R", bound=Record)

MAX_ID = 2**63 - 1
_DATE_TIME = "%Y-%m-%d %H:%M:%S"
INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_set_dict = Record.__dict__["__dict__"].__set__
_OURS = frozenset({"extra", "_sent"})


# What the API's values may be taken for. cattrs' own hooks would corrupt in silence: "false"
# becomes True, None becomes "None", 5.9 becomes 5. These take what is exact and refuse the rest.


def _int(value: object, _: type) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and INTEGER.fullmatch(value):
        return int(value)
    raise ValueError("not an integer")


def _bool(value: object, _: type) -> bool:
    if value in (True, "1") and not isinstance(value, float):
        return True
    if value in (False, "0") and not isinstance(value, float):
        return False
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
        try:
            number = Decimal(str(value))
        except InvalidOperation:
            raise ValueError("not a number") from None
        if number.is_finite():
            return number
    raise ValueError("not a number")


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


def _structure(row: object, record: type[R]) -> R:
    """One *row* as a *record*; what does not fit its field goes to `extra`."""
    if not isinstance(row, Mapping):
        raise WrongShape(f"a row is not an object but {kind_of(row)}", sent="yes")
    if "id" not in row:
        raise WrongShape("a row has no id", sent="yes")
    shape = _shape(record)
    if type(row["id"]) is not int or not 1 <= row["id"] <= MAX_ID:
        raise WrongShape(f"a row's id is not an integer of at least 1 ({kind_of(row['id'])})")
    values: dict[str, Any] = {}
    extra = {name: row[name] for name in row if name not in shape.documented}
    for name, kind in shape.fields:
        if row.get(name) is None:
            continue
        try:
            values[name] = _converter().structure(row[name], kind)
        except Exception:  # a user's hook may raise what it likes: the value is kept all the same
            extra[name] = row[name]
    made = record(**values, extra=extra)
    made.__dict__["_sent"] = row
    return made


def _unstructure(record: Record) -> dict[str, Any]:
    """The row that *record* came from, or for a record made by hand the row that it stands for."""
    held = record.__dict__
    if "_sent" in held:
        if held["_sent"] is not None:
            return dict(held["_sent"])
        retyped = _shape(type(record)).retyped
        return {
            name: held.get(retyped[name][0], value) if name in retyped else value
            for name, value in held.items()
            if name not in _OURS and not name.startswith("_sent.")
        }
    row = {
        name: _converter().unstructure(value)
        for name, _ in _shape(type(record)).fields
        if (value := getattr(record, name)) is not None
    }
    # A field that was changed goes before the value that had not fitted it.
    return row | {name: value for name, value in record.extra.items() if name not in row}


def _is_record(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Record)


def make_converter() -> cattrs.Converter:
    """A cattrs converter for the records, with hooks that never guess."""
    import cattrs  # here, because most programs never meet a row that needs it

    made = cattrs.Converter()
    made.register_structure_hook(int, _int)
    made.register_structure_hook(bool, _bool)
    made.register_structure_hook(str, _str)
    made.register_structure_hook(datetime, _datetime)
    made.register_structure_hook(Decimal, _decimal)
    made.register_structure_hook_func(
        lambda kind: set(alternatives(kind)) == {int, str}, _int_or_str
    )
    made.register_structure_hook_func(_is_record, _structure)
    made.register_unstructure_hook(datetime, lambda value: value.strftime(_DATE_TIME))
    made.register_unstructure_hook(Decimal, str)
    made.register_unstructure_hook_func(_is_record, _unstructure)
    return made


if TYPE_CHECKING:
    converter: cattrs.Converter
    """The converter in use; register hooks here for the types of fields that you add."""


@cache
def _converter() -> cattrs.Converter:
    return make_converter()


def __getattr__(name: str) -> cattrs.Converter:
    if name == "converter":
        return _converter()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def to_dict(record: Record) -> dict[str, Any]:
    """The row as the API sent it: every key in its order, every value as it came (a shallow copy).

    A record made by hand, or changed by `attrs.evolve`, gives its fields that are not None, spelt
    as the API spells them, and what is in `extra`.
    """
    return _unstructure(record)


def to_json(value: object) -> bytes:
    """*value* (a row, a list of rows) as compact JSON in UTF-8, without a line end."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
        return json.dumps(value, separators=(",", ":"), default=str).encode()


def kind_of(value: object) -> str:
    """What JSON calls the type of *value*."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", NoneType: "null"}
    return names.get(type(value), "number")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _float(text: str) -> float | Decimal:
    number = float(text)
    if math.isfinite(number):
        return number
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number's exponent is larger than any decimal can have") from None


def decode(response: Response) -> Any:
    """The JSON in *response*.

    Raises:
        EmptyBody: there is none.
        NotJSON: it can't be read as JSON.
    """
    body = response.body
    if not body.strip():
        raise EmptyBody("the answer is empty where JSON is documented", sent="yes")
    lasting = False
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        problem, lasting = "nested too deeply", True
    except (msgspec.MsgspecError, ValueError):
        try:
            # Slower, and takes what msgspec does not: half a surrogate pair, a float of any size.
            return json.loads(body.decode(), parse_constant=_refuse, parse_float=_float)
        except RecursionError:
            problem, lasting = "nested too deeply", True
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        except ValueError as error:
            problem, lasting = str(error), True
    media = response.headers.get("content-type", "no media type")
    fault = NotJSON(
        f"the answer is not JSON ({len(body)} bytes, {media}; {problem})",
        sent="yes",
    )
    fault.retryable = not lasting  # an answer cut short may be whole the next time
    raise fault


def records(rows: list[Any], record: type[R]) -> list[R]:
    """*rows* as records, in their order. The rows become theirs, and are no longer the caller's.

    Raises:
        WrongShape: a row is no object or has no usable id; the message says which one.
    """
    shape = _shape(record)
    if shape.cell is not None:
        try:
            return _of_page(rows, record, shape)
        except (msgspec.ValidationError, UnicodeEncodeError, TypeError):
            pass  # some value does not fit, or a subclass has a type of its own
    return [_row_record(index, row, record) for index, row in enumerate(rows)]


def _of_page(rows: list[Any], record: type[R], shape: _Shape) -> list[R]:
    """The hot path. Changes nothing if it raises."""
    try:
        cells, only = _cells(rows, shape.cell), True
    except msgspec.ValidationError:
        cells, only = _cells(rows, shape.and_more), False
    for number in shape.numbers:
        if not all(map(Decimal.is_finite, filter(None, map(number, cells)))):
            raise msgspec.ValidationError("msgspec takes NaN for a number")
    if only:
        for row in rows:
            row["_sent"] = None
    else:
        rows = [_parted(row, shape.documented) for row in rows]
    for name, (kept, get) in shape.retyped.items():
        for row, value in zip(rows, map(get, cells), strict=True):
            if value is not None:
                row[kept], row[name] = row[name], value
    made = list(map(record.__new__, repeat(record, len(rows))))
    deque(map(_set_dict, made, rows), maxlen=0)
    return made


def _cells(rows: list[Any], cell: Any) -> list[Any]:
    if len(rows) == 1:  # msgspec plans for a list each time, which takes longer than one row
        return [msgspec.convert(rows[0], cell)]
    cells: list[Any] = msgspec.convert(rows, GenericAlias(list, (cell,)))
    return cells


def _parted(row: dict[str, Any], documented: frozenset[str]) -> dict[str, Any]:
    """What a record of *row* holds, which has other fields than those *documented*."""
    if row.keys() <= documented:
        row["_sent"] = None
        return row
    held = {name: row[name] for name in row if name in documented}
    held["extra"] = {name: row[name] for name in row if name not in documented}
    held["_sent"] = row
    return held


def _row_record(index: int, row: object, record: type[R]) -> R:
    try:
        return _converter().structure(row, record)
    except BadPayload as error:
        raise WrongShape(f"row {index} of the answer: {error.message}", sent="yes") from None
