"""Request bodies: which attributes the write operations take, and what they become in a row."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from voipstudio_cmb.sandbox.data import Row
from voipstudio_cmb.sandbox.refusal import Complaint, Refusal

_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,15}")
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,15})?")
_LARGEST: Final = 2**63 - 1
_HIGHEST: Final = 1e12


class _WrongTypeError(Exception):
    """A value is not of the documented type; the text names the type."""


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _WrongTypeError("a string")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise _WrongTypeError("a boolean")


def _integer(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST:
        return value
    raise _WrongTypeError("an integer")


def _choice(value: object) -> int:
    """A choice is documented as a string and answered as an integer: a name becomes 0."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else 0
    try:
        return _integer(value)
    except _WrongTypeError:
        raise _WrongTypeError("a string or an integer") from None


def _rate(value: object) -> str:
    """A rate is documented as a float and shown as the text of one: ``"100.00"``."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _HIGHEST:
        return f"{value:.2f}"
    raise _WrongTypeError("a number, or a string that holds one")


def _text_of_anything(value: object) -> str:
    """An attribute of undocumented type is answered as a string."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_Reader = tuple[str, Callable[[object], object]]
Attributes = Mapping[str, _Reader]

SETTING: Final[Attributes] = {
    "button_id": ("button_id", _integer),
    "name": ("name", _string),
    "position": ("position", _choice),
    "floating_icon": ("floating_icon", _boolean),
    "culture": ("culture", _choice),
    "allowed_countries": ("allowed_countries", _text_of_anything),
    "show_to_allowed_countries_only": ("show_to_allowed_countries_only", _boolean),
    "welcome_screen_msg": ("welcome_screen_msg", _string),
    "privacy_policy_url": ("privacy_policy_url", _string),
    "ddi_e164": ("ddi", _integer),
    "max_call_rate": ("max_call_rate", _rate),
}
BUTTON: Final[Attributes] = {
    "name": ("name", _string),
    "data_online": ("data_online", _string),
    "data_offline": ("data_offline", _string),
}


def json_object(body: bytes) -> dict[str, Any]:
    """Returns the JSON object in *body*; raises `Refusal` (400) when it holds anything else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "Validation error", [Complaint("", "The body must be a JSON object.")])
    return found


def fields(body: bytes, attributes: Attributes) -> Row:
    """Returns the fields of a row that *body* sets; a null attribute clears its field.

    Raises `Refusal` (400) that lists every unknown attribute and every value of a wrong type.
    """
    row: Row = {}
    complaints: list[Complaint] = []
    for name, value in json_object(body).items():
        if name not in attributes:
            complaints.append(Complaint(name, "There is no such attribute."))
            continue
        column, read = attributes[name]
        try:
            row[column] = None if value is None else read(value)
        except _WrongTypeError as wrong:
            complaints.append(Complaint(name, f"Must be {wrong}."))
    if complaints:
        raise Refusal(400, "Validation error", complaints)
    return row
