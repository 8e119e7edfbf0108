"""JSON as bytes to values and back."""

from __future__ import annotations

import json
import re
from types import NoneType
from typing import Any, TypeVar

import msgspec

from voipstudio_cmb.errors import EmptyBody, NotJSON
from voipstudio_cmb.http import Response
from voipstudio_cmb.models.sent import read_json

from .surrogates import escaped

T = TypeVar("T")

MAX_ID = 2**63 - 1
INTEGER = "-?[0-9]{1,18}"


def to_json(value: object) -> bytes:
    """`value` as compact JSON in UTF-8, without a line end."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return escaped(value)


def plain(value: Any) -> Any:
    """`value` as exactly a bool, int, float or str: msgspec takes no subclass, as numpy's are."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def kind_of(value: object) -> str:
    """What JSON calls the type of `value`."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", NoneType: "null"}
    return names.get(type(value), "number")


def decode_as(kind: type[T], data: bytes | str) -> T:
    """The JSON in `data` as a `kind`, for what the package itself has written.

    Raises:
        ValueError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None


def decode(response: Response) -> Any:
    """The JSON in `response`.

    Raises:
        EmptyBody: there is none.
        NotJSON: it can't be read as JSON.
    """
    body = response.body
    if not body.strip():
        raise EmptyBody("the response is empty where JSON is documented", sent="yes")
    try:
        try:
            return msgspec.json.decode(body)
        except (msgspec.MsgspecError, ValueError):
            # Slower, and takes what msgspec does not: any escape, and a float of any size.
            return read_json(body)
    except RecursionError:
        what, problem, lasting = "nested too deeply to be read", "", True
    except ValueError as error:
        what, problem = "not JSON", f"; {error}"
        lasting = not isinstance(error, json.JSONDecodeError | UnicodeDecodeError)
    media = response.headers.get("content-type", "no media type")
    raise NotJSON(
        f"the response is {what} ({len(body)} bytes, {media}{problem})",
        sent="yes",
        retryable=not lasting,  # a response cut short may be complete the next time
    )


def total_of(value: object) -> int | None:
    """A collection's claimed total, or None for what can't be one."""
    if isinstance(value, str) and re.fullmatch(INTEGER, value):
        value = int(value)
    return value if type(value) is int and value >= 0 else None
