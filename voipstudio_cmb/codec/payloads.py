"""What `create` and `update` send: attributes checked against a TypedDict, then JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, get_type_hints

from voipstudio_cmb.boundary.checks import described
from voipstudio_cmb.errors import ClientMisuse

from .json import plain, to_json
from .shape import alternatives
from .surrogates import is_text


@cache
def _attributes(fields: type) -> dict[str, tuple[Any, ...]]:
    """The attributes of a payload's TypedDict and the types that each takes."""
    return {name: alternatives(hint) for name, hint in get_type_hints(fields).items()}


def _fits(value: object, kinds: tuple[Any, ...]) -> bool:
    if isinstance(value, list):
        return list[str] in kinds and all(isinstance(item, str) for item in value)
    kind = next(
        (kind for kind in (bool, int, float, Decimal, str) if isinstance(value, kind)), None
    )
    return value is None or kind in kinds or (kind is int and float in kinds)


def _type_name(kind: Any) -> str:
    return "list of str" if kind == list[str] else str(getattr(kind, "__name__", kind))


def write_payload(values: Mapping[str, Any], fields: type) -> bytes | None:
    """`values` as a JSON body, each checked against the TypedDict `fields`; None if there are none.

    Raises:
        ClientMisuse: an attribute that the API does not document, or a value of another type.
    """
    known = _attributes(fields)
    for name, value in values.items():
        if name not in known:
            raise ClientMisuse(
                f"the API knows no attribute {name!r} here (known: {', '.join(sorted(known))})"
            )
        if not _fits(value, known[name]):
            wanted = " or ".join(map(_type_name, known[name]))
            hint = " (digits only, without quotes or a plus sign)" if known[name] == (int,) else ""
            raise ClientMisuse(f"{name} must be {wanted} or None, not {described(value)}{hint}")
        if isinstance(value, float | Decimal) and not Decimal(value).is_finite():
            raise ClientMisuse(f"{name} must be a finite number or None")
        if isinstance(value, str) and not is_text(value):
            raise ClientMisuse(f"{name} holds half a surrogate pair: pass valid text")
    try:
        return to_json({name: plain(value) for name, value in values.items()}) if values else None
    except OverflowError as error:
        raise ClientMisuse(f"the attributes can't be written as JSON: {error}") from None
