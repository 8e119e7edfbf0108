"""Bytes to values and back: the only folder of the client that knows msgspec and cattrs.

    body -> envelopes -> json -> records   typed, as `shape` describes them; `conversion` takes
                     |                     the rows that do not fit, and a program's own hooks
                     `-> rows              the same rows as the bytes that were sent
    values -> payloads -> json -> body

`comparison` says how the value of a documented field compares with that of a condition, and
`surrogates` lets all of them take the one kind of string that is no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cattrs

    from .conversion import make_converter

    converter: cattrs.Converter
    """The converter in use; register hooks here for the types of fields that you add."""

__all__ = ["converter", "make_converter"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import conversion  # late: most APIs send what they document

        return conversion.shared_converter() if name == "converter" else conversion.make_converter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
