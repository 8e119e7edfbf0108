"""Writes the columns of many rows, which are found while they are written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from voipstudio_cmb.errors import ClientMisuse

from .kinds import Kind
from .schema import Census, Schema
from .split import Splitter

CHUNK = 256
"""The rows read at once: what they become is still in the processor's caches."""

_CHUNK_BYTES = 1 << 22
_PART = 16  # rows that are taken and measured together


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
    write: Callable[[Schema, Iterator[list[Sequence[Any]]]], None],
    discard: Callable[[], object] | None,
) -> int:
    """Has `write` write the columns of `rows`, some rows at a time; returns `Splitter.altered`.

    Which columns there are is guessed from the first rows. If all rows tell otherwise, `discard` is
    called, and they are written once more; without it, they are counted before.
    """
    if iter(rows) is rows:
        raise ClientMisuse("rows are iterated over more than once: give a list, not an iterator")
    counted, schema = census(), _guess(rows, census())
    splitter = Splitter(schema, values=values, census=counted)
    if discard is None:
        deque(map(splitter.split, chunks(rows)), maxlen=0)
    else:
        write(schema, map(splitter.split, chunks(rows)))
        if counted.schema() == schema:
            return splitter.altered
        discard()
    splitter = Splitter(counted.schema(), values=values)
    write(splitter.schema, map(splitter.split, chunks(rows)))
    return splitter.altered


def _guess(rows: Iterable[bytes], census: Census) -> Schema:
    for row in next(chunks(rows), ()):
        census.see(row)
    return census.schema()
