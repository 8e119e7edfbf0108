"""Half surrogate pairs: JSON can escape one, but it is no text, so msgspec and UTF-8 refuse it.

They enter with bytes, through `tolerant`. They leave as the escape that they were, or through one
of the other functions. No other module knows how they are spelt.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_ESCAPE = rb"(?s)\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)"
_HALF = "[\ud800-\udfff]"


def tolerant(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """`read`, a function of msgspec's that takes JSON, for JSON with half surrogate pairs too.

    Strings that it returns hold them as Python's own reader leaves them; JSON text is as it came.
    """

    def tolerant_read(text: bytes) -> T:
        try:
            return read(text)
        except msgspec.DecodeError:
            text = bytes(text)
            stand_in = f"~{os.urandom(8).hex()}~".encode()  # nobody can send it on purpose
            plain = re.sub(
                _ESCAPE, lambda escape: stand_in + escape[1] if escape[1] else escape[0], text
            )
            if plain == text:
                raise
            value: T = _restored(read(plain), stand_in)
            return value

    return tolerant_read


def _restored(value: Any, stand_in: bytes) -> Any:
    if isinstance(value, str):
        half = f"{stand_in.decode()}(....)"
        return re.sub(half, lambda match: chr(int(match[1], 16)), value)
    if isinstance(value, bytes | msgspec.Raw):
        return type(value)(bytes(value).replace(stand_in, b"\\u"))
    if isinstance(value, list):
        return [_restored(item, stand_in) for item in value]
    if isinstance(value, dict):
        items = value.items()
        return {_restored(name, stand_in): _restored(item, stand_in) for name, item in items}
    if isinstance(value, msgspec.Struct):
        members = (getattr(value, name) for name in value.__struct_fields__)
        return type(value)(*(_restored(member, stand_in) for member in members))
    return value


def escaped(value: object) -> bytes:
    """`value` as JSON in ASCII, where an escape can write what UTF-8 can't."""
    return json.dumps(value, separators=(",", ":"), default=str).encode()


def is_text(value: str) -> bool:
    """Whether `value` can be written in UTF-8."""
    return re.search(_HALF, value) is None


def without_half_pairs(value: str) -> str:
    """`value` with U+FFFD for each half surrogate pair."""
    return re.sub(_HALF, "\N{REPLACEMENT CHARACTER}", value)
