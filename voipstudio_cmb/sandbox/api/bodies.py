"""Request bodies of create and update: attributes in, the fields of a row out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from voipstudio_cmb.sandbox.data import Row
from voipstudio_cmb.sandbox.refusal import Refusal

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,15})?")
_MAX_INTEGER: Final = 2**63 - 1
_MAX_RATE: Final = 1e12


class _WrongTypeError(Exception):
    """A value is not of the documented type; the text names the type."""


def _exactly(kind: type, wanted: str, value: object) -> object:
    if isinstance(value, kind):
        return value
    raise _WrongTypeError(wanted)


_string, _boolean = partial(_exactly, str, "a string"), partial(_exactly, bool, "a boolean")


def _integer(value: object, wanted: str = "an integer") -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_INTEGER:
        return value
    raise _WrongTypeError(wanted)


def _choice(value: object) -> int:
    """A choice is documented as a string and returned as an integer: a name becomes 0."""
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else 0
    return _integer(value, "a string or an integer")


def _rate(value: object) -> float:
    """A rate is documented as a float, shown as text in examples, and returned as a number."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MAX_RATE:
        return value
    raise _WrongTypeError("a number, or a string that holds one")


def _any_as_text(value: object) -> str:
    """An attribute of undocumented type is returned as a string."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


Attributes = Mapping[str, Callable[[object], object]]

SETTING: Final[Attributes] = {
    "button_id": _integer,
    "name": _string,
    "position": _choice,
    "floating_icon": _boolean,
    "culture": _choice,
    "allowed_countries": _any_as_text,
    "show_to_allowed_countries_only": _boolean,
    "welcome_screen_msg": _string,
    "privacy_policy_url": _string,
    "ddi_e164": _integer,
    "max_call_rate": _rate,
}
BUTTON: Final[Attributes] = {"name": _string, "data_online": _string, "data_offline": _string}
_RENAMED: Final = {"ddi_e164": "ddi"}


def json_object(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in `body`; raises `Refusal` (400) for anything else."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise Refusal(400, "Validation error", {"": "The body must be a JSON object."})
    return content


def fields_of(body: bytes, attributes: Attributes) -> Row:
    """Returns the fields that `body` sets; a null attribute clears its field.

    Raises `Refusal` (400) that lists every unknown attribute and every value of a wrong type.
    """
    row: Row = {}
    errors: dict[str, str] = {}
    for name, value in json_object(body).items():
        if name not in attributes:
            errors[name] = "There is no such attribute."
            continue
        try:
            row[_RENAMED.get(name, name)] = None if value is None else attributes[name](value)
        except _WrongTypeError as wrong:
            errors[name] = f"Must be {wrong}."
    if errors:
        raise Refusal(400, "Validation error", errors)
    return row
