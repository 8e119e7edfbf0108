"""A collection as Arrow's record batches: a walk that gives so many rows at a time as columns.

Extra: `arrow`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
import pyarrow

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.codec.rows import as_rows
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.models import Page, Record, Row
from voipstudio_cmb.walk import Walk, WalkState

from .absent import absent_columns
from .arrow import VALUES, arrow_schema, record_batch
from .kinds import Column
from .reader import Reader
from .schema import Census, Chosen, Schema, checked_columns
from .split import Splitter
from .write import CHUNK, chunks

_log = logging.getLogger("voipstudio_cmb")

_MOST_BYTES = 1 << 30
"""Of the rows of a batch: Arrow counts the bytes of a text column in 31 bits."""


@attrs.define(eq=False)
class _Builder:
    """Makes batches of `size` rows. The first one's rows say which columns there are."""

    record: type[Record]
    chosen: Chosen
    known: tuple[Column, ...]
    size: int
    schema: Any = None
    columns: tuple[Column, ...] = ()
    last: int = 0
    """The id of the row that was added last."""
    _splitter: Splitter | None = attrs.field(init=False, default=None)
    _splits: Any = attrs.field(init=False, default=None)
    """The schema of what is split: until the first batch is made, a guess from its first rows."""
    _first: list[bytes] = attrs.field(init=False, factory=list)
    _rows: list[bytes] = attrs.field(init=False, factory=list)
    _made: list[Any] = attrs.field(init=False, factory=list)
    _held: int = attrs.field(init=False, default=0)
    _bytes: int = attrs.field(init=False, default=0)

    def add(self, ids: Sequence[int], rows: Sequence[bytes]) -> int:
        """Adds some of `rows`, as far as there is room for them, and returns their number."""
        taken = rows[: min(self.size - self._held, CHUNK)]
        self._rows += taken
        self._held += len(taken)
        self._bytes += sum(map(len, taken))
        self.last = ids[len(taken) - 1]
        if len(self._rows) >= CHUNK:
            self._split()
        return len(taken)

    @property
    def is_full(self) -> bool:
        return self._held >= self.size or self._bytes >= _MOST_BYTES

    async def take(self) -> Any:
        """The batch of what was added; None if that is nothing."""
        splitter = self._split()
        if self.schema is None:
            await self._settle(splitter)
        table = pyarrow.Table.from_batches(self._made, self.schema).combine_chunks()
        self._made, self._held, self._bytes = [], 0, 0
        return next(iter(table.to_batches()), None)

    @property
    def altered(self) -> int:
        return self._splitter.altered if self._splitter else 0

    def _census(self) -> Census:
        return Census(self.record, self.chosen, self.known)

    def _split(self) -> Splitter:
        rows, self._rows = self._rows, []
        if self._splitter is None:
            guessed = self._census()
            for row in rows:
                guessed.see(row)
            self._use(guessed.schema(), self._census())
        assert self._splitter is not None
        if self.schema is None:
            self._first += rows
        if rows:
            self._made.append(record_batch(self._splitter.split(rows), self._splits))
        return self._splitter

    def _use(self, schema: Schema, census: Census | None) -> Splitter:
        self._made, self._splits = [], arrow_schema(schema)
        self._splitter = Splitter(schema, values=VALUES, census=census)
        return self._splitter

    async def _settle(self, splitter: Splitter) -> None:
        """Splits the first batch's rows again, if all of them tell of other columns."""
        assert splitter.census is not None
        schema, rows, splitter.census, self._first = splitter.census.schema(), self._first, None, []
        if absent := absent_columns(self.chosen, self.record, rows):
            _log.warning("batches(), in its first batch: %s", absent)
        if schema != splitter.schema:
            splitter = self._use(schema, None)
            for chunk in chunks(rows):
                await asyncio.sleep(0)
                self._made.append(record_batch(splitter.split(chunk), self._splits))
        self.schema, self.columns = self._splits, schema.columns


async def _batches(
    pages: Callable[[WalkState], AsyncGenerator[Page[Row]]], builder: _Builder, state: WalkState
) -> AsyncGenerator[Any]:
    """The batches of the rows of `pages`; before an error, the rows that came before it."""
    inner = WalkState(progress=state.progress)
    failure: CallMeBackError | None = None

    async def taken() -> Any:
        if (batch := await builder.take()) is not None and inner.cursor is not None:
            # Now: of the pages before the one that came last, no walk knows its place any more.
            text = inner.cursor(builder.last)
            state.last, state.cursor = builder.last, lambda last: text
        return batch

    try:
        async with aclosing(pages(inner)) as walk:
            try:
                async for page in walk:
                    rows, at = as_rows(page.records), 0
                    lines = [line[:-1] for line in BytesIO(rows.lines())]
                    while at < len(lines):
                        at += builder.add(rows.ids[at:], lines[at:])
                        if builder.is_full:
                            yield await taken()
                        await asyncio.sleep(0)  # others shall not wait for more than some rows
                    del page, rows, lines  # or they would live as long as an error that comes next
            except CallMeBackError as error:
                failure = error
        if (batch := await taken()) is not None:
            yield batch
            del batch
        if failure is not None:
            raise failure
    except GeneratorExit:
        raise  # it was left on purpose
    except BaseException:
        state.interrupted = True
        raise
    finally:
        del failure, taken  # or error and frame would keep each other alive


class Batches(Walk[Any]):
    """A walk that gives `pyarrow.RecordBatch`es, so many rows in each but the last.

    If a page fails for good, the rows of all pages before it come first, in a batch with less.
    """

    def __init__(
        self,
        pages: Callable[[WalkState], AsyncGenerator[Page[Row]]],
        record: type[Record],
        elsewhere: Callable[[], AbstractAsyncContextManager[Batches]],
        *,
        size: int,
        columns: Chosen,
        known: Iterable[Column],
        began: str | None = None,
        asked: Callable[[], Mapping[str, object]] = dict,
    ) -> None:
        self._builder = _Builder(
            record,
            checked_columns(columns),
            tuple(known),
            checked_integer("size", size, 1, None),
        )
        super().__init__(partial(_batches, pages, self._builder), began, asked)
        self._elsewhere = elsewhere

    @property
    def schema(self) -> Any:
        """The `pyarrow.Schema` of all batches, which the rows of the first one say.

        What a later row has for which there is no column, or does not fit its column, is in
        `extra`.

        Raises:
            ClientMisuse: the first batch has not come yet.
        """
        if self._builder.schema is None:
            raise ClientMisuse(
                "the columns are found in the rows: ask for the schema once the first batch has "
                "come, or for that of await read_all(), or of to_reader(), which waits for it"
            )
        return self._builder.schema

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of all batches, without `extra`; none before the first batch has come."""
        return self._builder.columns

    @property
    def altered(self) -> int:
        """How many texts had half a surrogate pair, which was replaced by U+FFFD."""
        return self._builder.altered

    async def read_all(self) -> Any:
        """All rows as a `pyarrow.Table`; raises as the iteration does."""
        batches = await self.collect()
        return pyarrow.Table.from_batches(batches, self.schema)

    if not TYPE_CHECKING:  # type checkers refuse it where it does not exist

        def __arrow_c_stream__(self, requested_schema: object = None) -> NoReturn:
            raise ClientMisuse(
                "code that is not async reads a reader: write `with "
                "cmb.cdrs.batches().to_reader() as calls:`, and pass `calls`"
            )

    def to_reader(self) -> Reader:
        """The same walk for code that is not async: DuckDB, polars, pandas, pyarrow, dlt.

        It begins at once, in a thread with an event loop and a client of its own: with the same
        token, configuration, middlewares and limiter, which are used there from now on. At most two
        batches are made before somebody reads them. Close the reader, or let go of it, to end it.

        Raises:
            ClientMisuse: this walk has begun already; or the client sends through an aiohttp
                session that was passed in, which no other loop can use.
        """
        if self._items is not None:
            raise ClientMisuse("this walk has begun: call batches() again for a reader")
        return Reader(self._elsewhere())
