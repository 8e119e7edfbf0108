"""A walk over batches for code that is not async: it runs in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, suppress
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, Self

import pyarrow

from voipstudio_cmb.errors import ClientMisuse

from .kinds import Column

_AHEAD = 2
"""So many batches are made before somebody takes them."""


class _Pump:
    """Runs a walk in a thread, a few batches ahead of who takes them. Knows nothing of its reader.

    Whatever happens, an exception is the last in the queue: `StopIteration` if the walk has ended.
    """

    def __init__(self, opening: AbstractAsyncContextManager[Any]) -> None:
        self._opening = opening
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._begun = threading.Event()
        self._found: Any = None
        self._room = asyncio.Semaphore(_AHEAD)
        self._closing = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._pid = os.getpid()
        # A daemon, because Python waits for the others before it ends anything.
        self._thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="batches", daemon=True
        )
        self._thread.start()
        atexit.register(self.close)

    def _run(self) -> None:
        ended: BaseException = StopIteration()
        try:
            asyncio.run(self._walk())
        except asyncio.CancelledError:
            ended = _closed()
        except BaseException as error:
            ended = error.with_traceback(None)
        self._queue.put(ended)
        del ended
        self._begun.set()
        atexit.unregister(self.close)

    async def _walk(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running = asyncio.get_running_loop(), task
        async with self._opening as batches, batches:
            while not self._closing:
                await self._room.acquire()
                batch = await anext(batches, None)
                self._found = batches.schema, batches.columns
                if batch is None:
                    return
                self._queue.put(batch)
                self._begun.set()
        raise asyncio.CancelledError

    def found(self) -> Any:
        """The schema and the columns."""
        self._check_process()
        self._begun.wait()
        return self._found or self.take()  # raises, as it has ended without any

    def take(self) -> Any:
        self._check_process()
        taken = self._queue.get()
        if isinstance(taken, BaseException):
            again = StopIteration() if isinstance(taken, StopIteration) else _closed()
            self._queue.put(again)  # for who asks next
            self._thread.join()
            try:
                raise taken
            finally:
                del taken, again  # or error and frame would keep each other alive
        self._call(self._room.release)
        return taken

    def end(self) -> None:
        """Ends the walk soon."""
        self._closing = True
        if self._running is not None:
            self._call(self._running[1].cancel)

    def close(self) -> None:
        """Ends the walk and returns when it has ended; the batches that are left are dropped."""
        self.end()
        if threading.current_thread() is not self._thread and os.getpid() == self._pid:
            self._thread.join()
        while not self._queue.empty():
            self._queue.get()
        self._queue.put(_closed())

    def _call(self, function: Any) -> None:
        assert self._running is not None
        with suppress(RuntimeError):  # the loop is closed, and nothing runs there any more
            self._running[0].call_soon_threadsafe(function)

    def _check_process(self) -> None:
        if os.getpid() != self._pid:
            raise ClientMisuse("the reader was made before a fork: make one in the new process")


def _closed() -> ClientMisuse:
    return ClientMisuse("this reader was closed, or has failed before: make another")


class Reader:
    """Batches for code that is not async; whatever takes `__arrow_c_stream__` reads it as it is.

    That is DuckDB (`from reader`), `polars.DataFrame(reader)`, `pyarrow.table(reader)`,
    `pandas.DataFrame.from_arrow(reader)`. It is an iterator of `pyarrow.RecordBatch`es as well.
    Rows come once. An error of the walk is raised here; those libraries raise one of theirs with
    its text. Use it with `with`, or `close()` it, where it may not be read to its end.
    """

    def __init__(self, opening: AbstractAsyncContextManager[Any]) -> None:
        self._pump = _Pump(opening)
        # Not waiting: the collector may run anywhere, and whoever it interrupts may hold locks.
        weakref.finalize(self, self._pump.end).atexit = False
        self._streamed = False

    @property
    def schema(self) -> Any:
        """The `pyarrow.Schema`; waits for the first batch, and raises what the walk raises."""
        return self._pump.found()[0]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Those of `Batches.columns`; waits and raises as `schema` does."""
        columns: tuple[Column, ...] = self._pump.found()[1]
        return columns

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return self._pump.take()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface: what has not been read yet.

        Raises ClientMisuse once a stream has been read from: a second query would see the rest of
        the rows, or none, and nobody would notice.
        """
        if self._streamed:
            raise ClientMisuse(
                "the rows of this reader have been read, and they come once: for several queries "
                "read them into a table first (table = pyarrow.table(reader))"
            )
        reader = pyarrow.RecordBatchReader.from_batches(self.schema, self._stream())
        return reader.__arrow_c_stream__(requested_schema)

    def _stream(self) -> Iterator[Any]:
        self._streamed = True  # here and not above: some ask twice before they read
        yield from self

    def close(self) -> None:
        """Ends the walk and returns when it has ended; from then on, reading raises."""
        self._pump.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
