"""Writes the columns of many rows, which are found while they are written."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from voipstudio_cmb.errors import ClientMisuse

from .kinds import Kind
from .schema import Census, Schema
from .split import Splitter

Columns = list[Sequence[Any]]
"""The cells of some rows, by column."""

CHUNK = 256
"""The rows read at once: what they become is still in the processor's caches."""

GUESS_STEP = 64
"""One in so many parts of the rows says which columns there are."""

_CHUNK_BYTES = 1 << 22
_PART = 16  # rows that are taken and measured together


class Sampled(Iterable[bytes]):
    """Rows of which some can be had without reading all."""

    @abstractmethod
    def some(self) -> Iterable[bytes]:
        """One in `GUESS_STEP` of the rows or so, from the first to the last."""


def chunks(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The `rows`, as many at a time as are split at once."""
    left, chunk, size = iter(rows), list[bytes](), 0
    while part := [*islice(left, min(_PART, CHUNK))]:
        chunk += part
        size += sum(map(len, part))
        if len(chunk) >= CHUNK or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def write_columns(
    rows: Iterable[bytes],
    census: Callable[[], Census],
    values: Container[Kind],
    write: Callable[[Schema, Iterator[Columns]], None],
    discard: Callable[[], object] | None,
) -> int:
    """Has `write` write the columns of `rows`, some rows at a time; returns `Splitter.altered`.

    Which columns there are is guessed from some of the rows. If all rows tell otherwise, `discard`
    is called, and they are written once more; without it, they are counted before.
    """
    if iter(rows) is rows:
        raise ClientMisuse("rows are iterated over more than once: give a list, not an iterator")
    counted, schema = census(), _guess(rows, census())
    splitter = Splitter(schema, values=values, census=counted)
    split = map(splitter.split, chunks(rows))
    if discard is None:
        deque(split, maxlen=0)
    else:
        late = list[bool]()
        write(schema, _until_late(split, schema, counted, late))
        if not late and counted.schema() == schema:
            return splitter.altered
        discard()
    splitter = Splitter(counted.schema(), values=values)
    write(splitter.schema, map(splitter.split, chunks(rows)))
    return splitter.altered


def _guess(rows: Iterable[bytes], census: Census) -> Schema:
    """The columns of rows from the first to the last: members come and go with the years."""
    splitter = Splitter(census.schema(), census=census)
    if isinstance(rows, Sampled):
        some = chunks(rows.some())
    else:
        some = islice(chunks(rows), 0, None, GUESS_STEP)
    deque(map(splitter.split, some), maxlen=0)
    return census.schema()


def _until_late(
    split: Iterable[Columns], schema: Schema, counted: Census, late: list[bool]
) -> Iterator[Columns]:
    """What has been `split`, until `counted` has further columns: then `late`, and only counted."""
    known = 0
    for columns in split:
        if not late and len(counted.sorts) > known:
            known = len(counted.sorts)
            if not {*counted.schema().names} <= {*schema.names}:
                late.append(True)
        if not late:
            yield columns
