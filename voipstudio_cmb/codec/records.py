"""Bytes to typed records, a page at a time.

msgspec fills the records of a page in C, and finds the rows that were sent, which the records keep.
A row with a value that does not fit its documented type goes alone, through `conversion`, which
leaves such a value to `extra`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from voipstudio_cmb.errors import BadPayload, WrongShape
from voipstudio_cmb.models import Record
from voipstudio_cmb.models.sent import AsSent

from .json import MAX_ID, total_of
from .rows import id_problem
from .shape import Shape, shape
from .surrogates import tolerant

R = TypeVar("R", bound=Record)


class _Collection(msgspec.Struct, gc=False):
    data: list[msgspec.Raw]
    total: Any = None


_collection = msgspec.json.Decoder(_Collection).decode
_REFUSED = (msgspec.MsgspecError, ArithmeticError, TypeError, ValueError)
_id = attrgetter("id")
_is_finite, _ZERO = Decimal.is_finite, Decimal()
_keep_row = AsSent.__dict__["_row"].__set__


def collection(body: bytes, record: type[R]) -> tuple[list[R], int | None]:
    """The records in a collection's response, and its total, if it is usable.

    Raises:
        WrongShape: a row is no object or has no usable id; the message says which one.
        ValueError, RecursionError: it is no such response.
    """
    try:
        found = _collection(body)
    except msgspec.DecodeError:
        found = tolerant(_collection)(body)
    rows = [*map(bytes, found.data)]
    # msgspec does not look into strings that it only passes on.
    if not body.isascii():
        b"".join(row for row in rows if not row.isascii()).decode()
    return records(rows, record), total_of(found.total)


def records(rows: Sequence[bytes], record: type[R]) -> list[R]:
    """The objects `rows` as records, in their order; raises `WrongShape` as `collection`."""
    how, left, made = shape(record), iter(rows), list[R]()
    while len(made) < len(rows):
        try:
            made.extend(map(how.decode, left))
        except _REFUSED:  # of a row behind those that it has taken, and `left` begins after it
            made.append(_misfit(len(made), rows[len(made)], record))
    for at in _wrong(made, how):
        made[at] = _misfit(at, rows[at], record)
    deque(map(_keep_row, made, rows), maxlen=0)
    if made:
        how.expect(made[0])
    return made


def single(row: bytes, record: type[R]) -> R:
    """The object `row` as a record; raises as `records`, and takes less time than a page of one."""
    how = shape(record)
    try:
        made: R = how.decode(row)
    except _REFUSED:
        return _misfit(0, row, record)
    if not _fits(made, how):
        return _misfit(0, row, record)
    _keep_row(made, row)
    if not how.lacking:
        how.expect(made)
    return made


def _misfit(index: int, row: bytes, record: type[R]) -> R:
    """The record of a row with a value that does not fit."""
    try:
        from .conversion import structured  # late: most APIs send what they document

        return structured(row, record)
    except BadPayload:
        raise WrongShape(
            f"row {index} of the response can't be used: {id_problem(row)}", sent="yes"
        ) from None


def _wrong(made: Sequence[Any], how: Shape) -> list[int]:
    """The places of records in which msgspec has taken what it was not meant to take."""
    ids = [*map(_id, made)]
    fit = not ids or 1 <= min(ids) <= max(ids) <= MAX_ID
    if fit and all(all(map(_is_finite, filter(None, map(number, made)))) for number in how.numbers):
        return []
    return [at for at, one in enumerate(made) if not _fits(one, how)]


def _fits(one: Any, how: Shape) -> bool:
    if not 1 <= one.id <= MAX_ID:
        return False
    # No all(…), whose generator takes longer than this: it is done for every single call.
    for number in how.numbers:  # noqa: SIM110
        if not _is_finite(number(one) or _ZERO):
            return False
    return True
