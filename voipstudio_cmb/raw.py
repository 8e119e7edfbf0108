"""Rows as the bytes that the API sent: cut apart and put on lines, never taken apart and rebuilt.

So every digit, key and nesting stays what it was. msgspec finds where values begin and end.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from .codec import MAX_ID, decode
from .http import Response

T = TypeVar("T")


class _Answer(msgspec.Struct):
    data: list[msgspec.Raw]
    total: Any = None


class _Head(msgspec.Struct):
    id: int


class _Heads(msgspec.Struct):
    data: list[_Head]


class _Item(msgspec.Struct):
    data: msgspec.Raw


_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
# In a string, JSON allows them raw; readers that split text into lines take them for line ends.
_LINE_ENDS = {"\u2028": b"\\u2028", "\u2029": b"\\u2029", "\x85": b"\\u0085"}


def raw_rows(response: Response) -> tuple[list[bytes], list[int | None], Any] | None:
    """The rows of a collection's answer as they came, each on one line; their ids; and the total.

    An id is None where there is none that can be used. None if the answer is JSON of another shape.

    Raises:
        EmptyBody, NotJSON: as `decode`.
    """
    return _read_raw(response, _rows)


def raw_item(response: Response) -> tuple[int, bytes] | None:
    """The id and the object of a single resource's answer, as it came; None if it is none.

    Raises:
        EmptyBody, NotJSON: as `decode`.
    """
    return _read_raw(response, _item)


def _read_raw(response: Response, read: Callable[[bytes, Callable[[bytes], bytes]], T]) -> T | None:
    """What *read* makes of the body, compact, and of a function that restores what it cuts out."""
    try:
        return read(_compact(response.body), bytes)
    except (msgspec.ValidationError, RecursionError):
        decode(response)
    except (msgspec.MsgspecError, ValueError):
        decode(response)
        # It is JSON, so there is half a surrogate pair, which msgspec does not take.
        mark = _mark()
        try:
            body = _compact(_marked(response.body, mark))
            return read(body, lambda cut: cut.replace(mark, b"\\u"))
        except msgspec.MsgspecError:
            pass
    return None


def _compact(body: bytes) -> bytes:
    body.decode()  # msgspec does not look into strings that it only passes on
    compact = msgspec.json.format(body, indent=-1)
    for end, escape in _LINE_ENDS.items():
        compact = compact.replace(end.encode(), escape)
    return compact


def _mark() -> bytes:
    return f"~{secrets.token_hex(8)}~".encode()


def _marked(json: bytes, mark: bytes) -> bytes:
    """*json* with *mark* in the place of `\\u` where half a surrogate pair stands."""
    return _ESCAPE.sub(lambda escape: mark + escape[1] if escape[1] else escape[0], json)


def _rows(
    body: bytes, restored: Callable[[bytes], bytes]
) -> tuple[list[bytes], list[int | None], Any]:
    answer = msgspec.json.decode(body, type=_Answer)
    rows = [restored(bytes(row)) for row in answer.data]
    try:
        heads = msgspec.json.decode(body, type=_Heads).data
    except msgspec.ValidationError:
        return rows, [_id(row) for row in answer.data], answer.total
    return rows, [head.id if 1 <= head.id <= MAX_ID else None for head in heads], answer.total


def _item(body: bytes, restored: Callable[[bytes], bytes]) -> tuple[int, bytes]:
    found = msgspec.json.decode(body, type=_Item).data
    id = _id(found)
    if id is None:
        raise msgspec.ValidationError("no usable id")
    return id, restored(bytes(found))


def _id(json: msgspec.Raw) -> int | None:
    try:
        id = msgspec.json.decode(json, type=_Head).id
    except msgspec.ValidationError:
        return None
    return id if 1 <= id <= MAX_ID else None


def why_unusable(json: bytes) -> str:
    """Why the row *json* has no usable id."""
    if not json.startswith(b"{"):
        kinds = {"[": "an array", '"': "a string", "t": "true", "f": "false", "n": "null"}
        return f"it is no object but {kinds.get(chr(json[0]), 'a number')}"
    cells = tokens(json)
    if "id" not in cells:
        return "it has no id"
    return (
        f"its id is no integer from 1 to 2**63 - 1: {cells['id'][:40].decode('utf-8', 'replace')}"
    )


def tokens(json: bytes) -> dict[str, bytes]:
    """The members of the object *json*, each value as the JSON text that it came as."""
    try:
        found = msgspec.json.decode(json, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:  # half a surrogate pair
        mark = _mark()
        cells = tokens(_marked(json, mark))
        unknown = re.compile(mark.decode() + "....")
        return {
            unknown.sub("\N{REPLACEMENT CHARACTER}", name): cell.replace(mark, b"\\u")
            for name, cell in cells.items()
        }
    return {name: bytes(cell) for name, cell in found.items()}
