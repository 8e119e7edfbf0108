"""Rows as the bytes that the API sent: cut apart and put on lines, never decoded and rebuilt.

So every digit, key and nesting stays what it was. msgspec finds where values begin and end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from types import GenericAlias
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.boundary.value import Frozen, replace
from voipstudio_cmb.models import Row, Rows

from .json import MAX_ID
from .surrogates import tolerant

T = TypeVar("T")


class _Head(msgspec.Struct, gc=False):
    """What the package needs to know of a row."""

    id: Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]
    created_at: Any = None


class _Envelope(msgspec.Struct, Generic[T], gc=False):
    data: T


class _Collection(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    total: Any = None


_head = tolerant(msgspec.json.Decoder(_Head).decode)
_head_lines = tolerant(msgspec.json.Decoder(_Head).decode_lines)
_heads = tolerant(msgspec.json.Decoder(_Envelope[list[_Head]]).decode)
_collection = tolerant(msgspec.json.Decoder(_Collection).decode)
_item = tolerant(msgspec.json.Decoder(_Envelope[msgspec.Raw]).decode)
_members = tolerant(msgspec.json.Decoder(dict[str, msgspec.Raw]).decode)
_string = tolerant(msgspec.json.Decoder(str).decode)
_compact = tolerant(lambda json: msgspec.json.format(json, indent=-1))

# In a string, JSON allows them raw; readers that split text into lines take them for line ends.
_LINE_ENDS = {"\u2028": b"\\u2028", "\u2029": b"\\u2029", "\x85": b"\\u0085"}


class RawRows(Frozen, frozen=True):
    """What the response for a page holds, each row on one line."""

    rows: Rows
    """Those with a usable id."""
    unusable: dict[int, tuple[str, bytes]]
    """The others by their place in the response, from 1: what is wrong with one, and its JSON."""
    total: Any
    """What the response gives for the total, unchecked."""


def raw_rows(body: bytes, fields: tuple[str, ...] = ()) -> RawRows:
    """The rows of a collection's response; `ValueError` or `RecursionError` if it is none.

    What they give for `fields` is read along.
    """
    try:
        return _raw_rows(body, fields)
    except (ValueError, RecursionError):
        from .odd_rows import odd_rows  # late: few servers send any

        odd = odd_rows(body)
        if odd is None:
            raise
    found = _raw_rows(odd.body, fields)
    known = ((at, odd.rows.get(json), why, json) for at, (why, json) in found.unusable.items())
    unusable = {
        at: (why, json) if row is None else (row.why, row.json) for at, row, why, json in known
    }
    return replace(found, unusable=unusable)


def _raw_rows(body: bytes, fields: tuple[str, ...]) -> RawRows:
    body = _on_one_line(body)
    collection = _collection(body)
    rows, unusable = collection.data, dict[int, tuple[str, bytes]]()
    columns: dict[str, list[Any]] = {}
    try:
        if fields:
            heads = _heads_with(fields)(body).data
            columns = {
                name: [*map(attrgetter(f"field{at}"), heads)] for at, name in enumerate(fields)
            }
        else:
            heads = _heads(body).data
    except msgspec.ValidationError:
        if fields:
            return _raw_rows(body, ())  # some number is too large for a float, or a row is unusable
        rows, heads = [], []
        for index, row in enumerate(collection.data, 1):
            try:
                heads.append(_head(row))
                rows.append(row)
            except msgspec.ValidationError:
                unusable[index] = id_problem(bytes(row)), bytes(row)
    created = [head.created_at for head in heads]
    ids = [head.id for head in heads]
    return RawRows(Rows(ids, created, rows, columns), unusable, collection.total)


def raw_object(body: bytes) -> bytes:
    """What a single resource's response holds in `data`, as it came; raises as `raw_rows`."""
    if not body.isascii():
        body.decode()
    return bytes(_item(body).data)


def raw_item(body: bytes) -> Row:
    """The object of a single resource's response; raises as `raw_rows`."""
    row = _item(_on_one_line(body)).data
    return Row(_head(row).id, bytes(row))


def as_rows(rows: Iterable[Row]) -> Rows:
    if isinstance(rows, Rows):
        return rows
    objects = [row.json for row in rows]
    return Rows(*dated_lines(b"\n".join(objects)), objects)


def dated_lines(lines: bytes) -> tuple[list[int], list[Any]]:
    """The ids of the rows in `lines`, one a line, and what they give for `created_at`."""
    heads = _head_lines(lines)
    return [head.id for head in heads], [head.created_at for head in heads]


def column(rows: Rows, name: str) -> list[Any]:
    """What `rows` give for `name`; None where that is null or nothing."""
    if name in ("id", "created_at"):
        return rows.ids if name == "id" else rows.created
    if name in rows.columns:
        return [*rows.columns[name]]
    try:
        return _cells(name)(rows.lines())
    except msgspec.MsgspecError:  # some number is too large for a float
        return [_value(tokens(row.json).get(name, b"null")) for row in rows]


@lru_cache(maxsize=32)
def _heads_with(fields: tuple[str, ...]) -> Callable[[bytes], Any]:
    """Reads heads with further `fields`, as `field0` and so on."""
    names = {f"field{at}": name for at, name in enumerate(fields)}
    members = [(name, Any, None) for name in names]
    head = msgspec.defstruct("HeadWith", members, bases=(_Head,), rename=names, gc=False)
    envelope = GenericAlias(_Envelope, (GenericAlias(list, (head,)),))
    return tolerant(msgspec.json.Decoder(envelope).decode)


@lru_cache(maxsize=32)
def _cells(name: str) -> Callable[[bytes], list[Any]]:
    members = [("value", Any, None)]
    cell = msgspec.defstruct("Cell", members, rename={"value": name}, gc=False)
    decode, value = msgspec.json.Decoder(cell).decode_lines, attrgetter("value")
    return tolerant(lambda lines: [*map(value, decode(lines))])


def _value(token: bytes) -> Any:
    try:
        return msgspec.json.decode(token)
    except msgspec.MsgspecError:
        return token.decode("utf-8", "replace")


def _on_one_line(body: bytes) -> bytes:
    if b"\n" in body or b"\r" in body:
        body = _compact(body)
    if not body.isascii():
        text = body.decode()  # msgspec does not look into strings that it only passes on
        for end, escape in _LINE_ENDS.items():
            if end in text:  # costs far less than to look in bytes
                body = body.replace(end.encode(), escape)
    return body


def id_problem(json: bytes) -> str:
    """Why the row `json` has no usable id."""
    if not json.startswith(b"{"):
        kinds = {"[": "an array", '"': "a string", "t": "true", "f": "false", "n": "null"}
        return f"it is no object but {kinds.get(chr(json[0]), 'a number')}"
    cells = tokens(json)
    if "id" not in cells:
        return "it has no id"
    if (id := cells["id"]).isdigit() and len(id) < 20 and 1 <= int(id) <= MAX_ID:
        return "its created_at is a number that can't be read"
    sent = on_one_line(id[:40].decode("utf-8", "replace"))
    return f"its id is no integer from 1 to 2**63 - 1: {sent}"


def tokens(json: bytes) -> dict[str, bytes]:
    """The members of the object `json`, each value as the JSON text that it came as.

    Raises:
        ValueError: `json` is no object.
    """
    members = _members(json)
    return dict(zip(members, map(bytes, members.values()), strict=True))


def text(token: bytes) -> str:
    """The string that `token`, a string's JSON text, spells; half surrogate pairs stay in it."""
    return _string(token) if b"\\" in token else token[1:-1].decode()


def integers(rows: Iterable[bytes], name: str) -> set[int]:
    """The integers above 0 that the member `name` of the objects `rows` holds."""
    cells = (tokens(row).get(name, b"") for row in rows)
    return {int(cell) for cell in cells if cell.isdigit() and len(cell) < 20} - {0}
