"""Rows as the bytes that the API sent: cut apart and put on lines, never taken apart and rebuilt.

So every digit, key and nesting stays what it was. msgspec finds where values begin and end.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from json import loads
from typing import Annotated, Any, TypeVar

import attrs
import msgspec

from voipstudio_cmb.http import Response

from .json import MAX_ID, decode

T = TypeVar("T")


class _Answer(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    total: Any = None


class _Head(msgspec.Struct, gc=False):
    id: Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
    created_at: Any = None


class _Heads(msgspec.Struct, gc=False):
    data: list[_Head]


class _Item(msgspec.Struct, gc=False):
    data: msgspec.Raw


_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_string = msgspec.json.Decoder(str).decode
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
# In a string, JSON allows them raw; readers that split text into lines take them for line ends.
_LINE_ENDS = {"\u2028": b"\\u2028", "\u2029": b"\\u2029", "\x85": b"\\u0085"}


@attrs.frozen
class RawRows:
    """The *rows* of a collection's answer as they came, each on one line, as bytes or a view of
    some; their *ids*, and when they were *created* as they say; and the *total*. The *unusable* are
    the places of those that have no usable id: their ids are 0.
    """

    rows: Sequence[bytes | msgspec.Raw]
    ids: list[int]
    created: list[Any]
    total: Any
    unusable: frozenset[int] = frozenset()


def raw_rows(response: Response) -> RawRows | None:
    """What *response* holds; None if it is JSON of another shape.

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
    """What *read* makes of the body, whose values are each on one line, and of a function that
    restores what it cuts out.
    """
    try:
        return read(_on_one_line(response.body), bytes)
    except (msgspec.ValidationError, RecursionError):
        decode(response)
    except (msgspec.MsgspecError, ValueError):
        decode(response)
        # It is JSON, so there is half a surrogate pair, which msgspec does not take.
        mark = _mark()
        try:
            body = _on_one_line(_marked(response.body, mark))
            return read(body, lambda cut: cut.replace(mark, b"\\u"))
        except msgspec.MsgspecError:
            pass
    return None


def _on_one_line(body: bytes) -> bytes:
    if b"\n" in body or b"\r" in body:
        body = msgspec.json.format(body, indent=-1)
    if not body.isascii():
        body.decode()  # msgspec does not look into strings that it only passes on
        for end, escape in _LINE_ENDS.items():
            body = body.replace(end.encode(), escape)
    return body


def _mark() -> bytes:
    return f"~{secrets.token_hex(8)}~".encode()


def _marked(json: bytes, mark: bytes) -> bytes:
    """*json* with *mark* in the place of `\\u` where half a surrogate pair stands."""
    return _ESCAPE.sub(lambda escape: mark + escape[1] if escape[1] else escape[0], json)


def _rows(body: bytes, restored: Callable[[bytes], bytes]) -> RawRows:
    answer = msgspec.json.decode(body, type=_Answer)
    rows = answer.data if restored is bytes else [restored(bytes(row)) for row in answer.data]
    try:
        heads = msgspec.json.decode(body, type=_Heads).data
    except msgspec.ValidationError:
        found = [_head(row) for row in answer.data]
        ids = [0 if head is None else head.id for head in found]
        times = [None if head is None else head.created_at for head in found]
        unusable = frozenset(at for at, head in enumerate(found) if head is None)
        return RawRows(rows, ids, times, answer.total, unusable)
    return RawRows(rows, [h.id for h in heads], [h.created_at for h in heads], answer.total)


def _item(body: bytes, restored: Callable[[bytes], bytes]) -> tuple[int, bytes]:
    found = msgspec.json.decode(body, type=_Item).data
    head = _head(found)
    if head is None:
        raise msgspec.ValidationError("no usable id")
    return head.id, restored(bytes(found))


def _head(json: msgspec.Raw) -> _Head | None:
    try:
        return msgspec.json.decode(json, type=_Head)
    except msgspec.ValidationError:
        return None


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
    """The members of the object *json*, each value as the JSON text that it came as.

    A name with half a surrogate pair is that string, as for Python's own reader.

    Raises:
        ValueError: *json* is no object.
    """
    try:
        found = _members(json)
    except msgspec.MsgspecError:  # half a surrogate pair
        mark = _mark()
        marked = _marked(json, mark)
        if marked == json:
            raise
        half = re.compile(mark.decode() + "(....)")
        return {
            half.sub(lambda match: chr(int(match[1], 16)), name): cell.replace(mark, b"\\u")
            for name, cell in tokens(marked).items()
        }
    return dict(zip(found, map(bytes, found.values()), strict=True))


def text(token: bytes) -> str:
    """The string that *token*, a string's JSON text, spells; half surrogate pairs stay in it."""
    if b"\\" not in token:
        return token[1:-1].decode()
    try:
        return _string(token)
    except msgspec.MsgspecError:
        spelt: str = loads(token)
        return spelt


def integers(rows: Iterable[bytes], name: str) -> set[int]:
    """The integers above 0 that the member *name* of the objects *rows* holds."""
    found = (tokens(row).get(name, b"") for row in rows)
    return {int(cell) for cell in found if cell.isdigit() and len(cell) < 20} - {0}


class _Dated(msgspec.Struct, gc=False):
    id: int
    created_at: Any = None


_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")


def created_at(json: bytes) -> str | None:
    """When the row *json* says that it was created; None if not in the documented form."""
    try:
        time = msgspec.json.decode(json, type=_Dated).created_at
    except msgspec.MsgspecError:  # half a surrogate pair somewhere in it
        time = tokens(json).get("created_at", b"").decode().strip('"')
    return time if _is_time(time) else None


def _is_time(time: object) -> bool:
    return isinstance(time, str) and _TIME.fullmatch(time) is not None
