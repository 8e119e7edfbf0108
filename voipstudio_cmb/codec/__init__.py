"""Bytes to values and back: the only folder that knows msgspec and cattrs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .conversion import make_converter, to_dict

if TYPE_CHECKING:
    import cattrs

    converter: cattrs.Converter
    """The converter in use; register hooks here for the types of fields that you add."""

__all__ = ["converter", "make_converter", "to_dict"]


def __getattr__(name: str) -> Any:
    if name == "converter":
        from .conversion import _converter

        return _converter()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
