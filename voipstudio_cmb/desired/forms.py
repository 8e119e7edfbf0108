"""How each documented attribute is written in a document, sent, and read back. No I/O.

The API takes and sends one value in several forms: a number as text, a list as text with commas, a
rate as a number or as "100.00". Each kind of attribute has one canonical form, in which values are
compared, and which is made of whatever a document or a row says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final, Literal, TypeAlias

from voipstudio_cmb.boundary.text import UNPRINTABLE
from voipstudio_cmb.codec.surrogates import is_text
from voipstudio_cmb.models import ButtonFields, SettingFields

Kind: TypeAlias = Literal["buttons", "settings"]
"""A kind of resource that a document may have sections of."""


class Unknown(Enum):
    """What can't be compared."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""The canonical form of a value that the API does not send, or sends in an unknown form."""

FIELDS: Mapping[Kind, type] = {"buttons": ButtonFields, "settings": SettingFields}
"""The attributes that the API takes for each kind."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", re.ASCII)
_BOOLEANS: Mapping[object, bool] = {"1": True, "true": True, "0": False, "false": False}
_MAX = 2**63 - 1


def _text(value: object) -> Any:
    return value if isinstance(value, str) and is_text(value) else UNKNOWN


def _integer(value: object) -> Any:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return UNKNOWN
    return value if -_MAX <= value <= _MAX else UNKNOWN


def _boolean(value: object) -> Any:
    if isinstance(value, str):
        return _BOOLEANS.get(value, UNKNOWN)
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else UNKNOWN


def _decimal(value: object) -> Any:
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return UNKNOWN
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        return UNKNOWN
    try:  # as a double, which is what the number has been for some time on its way
        form = Decimal(repr(float(value))).normalize() + 0
    except (InvalidOperation, OverflowError):
        return UNKNOWN
    return form if _NUMBER.fullmatch(format(form, "f")) else UNKNOWN


def _choice(value: object) -> Any:
    whole = _integer(value)
    return _text(value) if whole is UNKNOWN else whole


def _countries(value: object) -> Any:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or _text("".join(map(str, names))) is UNKNOWN:
        return UNKNOWN
    if not all(isinstance(name, str) for name in names):
        return UNKNOWN
    codes = {" ".join(code.split()).upper() for name in names for code in name.split(",")}
    return tuple(sorted(codes - {""}))


_FORMS: Mapping[str, tuple[Callable[[object], Any], tuple[str, ...]]] = {
    "allowed_countries": (_countries, ("allowed_countries",)),
    "button_id": (_integer, ("button_id",)),
    "culture": (_choice, ("culture",)),
    "data_offline": (_text, ("data_offline",)),
    "data_online": (_text, ("data_online",)),
    "ddi_e164": (_integer, ("ddi_e164", "ddi")),
    "floating_icon": (_boolean, ("floating_icon",)),
    "max_call_rate": (_decimal, ("max_call_rate",)),
    "name": (_text, ("name",)),
    "position": (_choice, ("position",)),
    "privacy_policy_url": (_text, ("privacy_policy_url",)),
    "show_to_allowed_countries_only": (_boolean, ("show_to_allowed_countries_only",)),
    "welcome_screen_msg": (_text, ("welcome_screen_msg",)),
}
"""The canonical form of each attribute, and the names that it has in a row, the best first.

What a row has besides (`id`, `title`, `created_at`) can't be written."""


def attributes(kind: Kind) -> tuple[str, ...]:
    """The names of the attributes of a `kind`, in the order of the API's page."""
    return tuple(FIELDS[kind].__annotations__)


def canonical(attribute: str, value: object) -> Any:
    """The one form of what a document or a row says by `value`; UNKNOWN if that is not known."""
    if value is None:
        return () if attribute == "allowed_countries" else None
    return _FORMS[attribute][0](value)


def read_row(kind: Kind, row: Mapping[str, Any]) -> dict[str, Any]:
    """All attributes of a `row` of the API in canonical form; UNKNOWN where it has none."""
    values = {}
    for attribute in attributes(kind):
        name = next((name for name in _FORMS[attribute][1] if name in row), None)
        values[attribute] = UNKNOWN if name is None else canonical(attribute, row[name])
    return values


def comparable(before: object, after: object) -> bool:
    """Whether two canonical values can be told to be the same or not.

    A choice that a document gives by name comes back as a number, of which nobody knows the name.
    """
    if before is UNKNOWN or after is UNKNOWN:
        return False
    return {type(before), type(after)} != {int, str}


def written(attribute: str, value: object) -> Any:
    """What is sent for a document's `value`: what the API's page shows for such an attribute."""
    form = canonical(attribute, value)
    if value is None or form is UNKNOWN:
        return value
    if isinstance(form, Decimal):
        return format(form, "f")
    if attribute == "allowed_countries":
        return ",".join(form)
    return str(form) if attribute in ("culture", "position") else form


def spelt(form: object) -> str:
    """A canonical value in TOML, on one line; what can't be seen is escaped. There is no null."""
    if isinstance(form, bool):
        return "true" if form else "false"
    if isinstance(form, int):
        return str(form)
    if isinstance(form, tuple):
        return f"[{', '.join(map(spelt, form))}]"
    if isinstance(form, Decimal):
        return f'"{form:f}"'
    return quoted(str(form))


_ESCAPES = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}


def quoted(text: str) -> str:
    """`text` as a string of TOML, which is one of JSON too but for characters beyond U+FFFF."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{re.sub(UNPRINTABLE, _escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    letter, number = found[0], ord(found[0])
    return _ESCAPES.get(letter) or (f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}")
