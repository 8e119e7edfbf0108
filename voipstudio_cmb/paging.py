"""Walks over a collection: pages asked for a few at a time, records yielded in order.

How a page walk knows where a collection ends, given that a server may cap or ignore `limit`, may
ignore `page`, and may claim a wrong `total`:

* Pages 1 and 2 are asked for together. Page 2 shows whether the server honours `page` at all, and
  for a small collection it is the empty page that ends it.
* From then on a sliding window of requests is kept in flight and yielded in order. `total` is a
  hint for how far to reach ahead, never a reason to stop.
* A first page that is shorter than asked sets the limit for the others: a server that caps `limit`
  may still count its pages by the one asked for.
* Only an empty page ends a collection: a short page does not. If the highest `total` so far says
  that there is more, the empty page is asked for once again first, and the
  one after it too: rows there mean that the server left some out (`IncompleteWalk`). If there are
  none, what is missing is the total's error: it counts rows that come and go.
* A page that brings nothing but ids seen before is the end if the total is reached (the server
  answers everything at once, or its last page again), and `PageDrift` if it is not.
* An id is yielded once.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Sequence,
)
from contextlib import aclosing
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import attrs

from .errors import ClientMisuse, IncompleteWalk, PageDrift
from .models import Page, Record

T = TypeVar("T")
R = TypeVar("R", bound=Record)


class Tasks:
    """The tasks that walks have started; whoever owns it can end them all and wait for that."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts *work* as a task that is kept until it has ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Taken note of: an error of a page that nobody came to ask for is nobody's error.
            task.exception()

    async def aclose(self) -> None:
        """Cancels what is running and returns when it has ended."""
        await end(self._running)


async def end(tasks: Sequence[asyncio.Task[Any]] | set[asyncio.Task[Any]]) -> None:
    """Cancels *tasks* and waits until they have ended."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


class Seen:
    """The ids that a walk has yielded: 8 bytes each while they ascend, a set once they do not."""

    def __init__(self) -> None:
        self._ascending: array[int] = array("q")
        self._set: set[int] | None = None

    def fresh(self, records: Sequence[R]) -> Sequence[R]:
        """Those of *records* not seen before, which they are from now on."""
        ids = [record.id for record in records]
        if self._set is None:
            last = self._ascending[-1] if self._ascending else 0
            if all(map(int.__lt__, [last, *ids], ids)):
                self._ascending.extend(ids)
                return records
            self._set = set(self._ascending)
        new: dict[int, R] = {}
        for record in records:
            if record.id not in self._set:
                new.setdefault(record.id, record)
        self._set.update(new)
        return records if len(new) == len(records) else list(new.values())

    def __len__(self) -> int:
        return len(self._ascending) if self._set is None else len(self._set)


@attrs.define(kw_only=True)
class Progress:
    """How far a walk has come.

    *seen* records have been received and found new, *pages* with records, by *requests* calls;
    *total* is what the server last claimed, or None.
    """

    seen: int = 0
    pages: int = 0
    requests: int = 0
    total: int | None = None


FetchPage = Callable[[int, int], Coroutine[Any, Any, Page[R]]]
"""`(number, limit) -> page`."""


class _Window(Generic[R]):
    """Page requests in flight, oldest first."""

    def __init__(self, fetch: Callable[[int], Coroutine[Any, Any, Page[R]]], tasks: Tasks) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._flying: deque[asyncio.Task[Page[R]]] = deque()
        self._asked = 0

    def reach(self, last: int, width: int) -> None:
        """Asks for further pages while fewer than *width* are in flight, none beyond *last*."""
        while len(self._flying) < width and self._asked < last:
            self._asked += 1
            self._flying.append(self._tasks.start(self._fetch(self._asked)))

    async def next(self) -> Page[R]:
        """The next page, in order."""
        task = self._flying[0]
        # Only waited for: if the consumer is cancelled here, the window is ended by the walk.
        await asyncio.wait((task,))
        self._flying.popleft()
        if task.cancelled():
            raise ClientMisuse("the client was closed while this walk was running")
        return task.result()

    async def restart(self) -> None:
        """Drops what is in flight, to be asked for again."""
        self._asked -= len(self._flying)
        await self.aclose()
        self._flying.clear()

    async def aclose(self) -> None:
        """Ends what is in flight."""
        await end(self._flying)


async def walk_pages(
    fetch: FetchPage[R], *, limit: int, window: int, tasks: Tasks, progress: Progress
) -> AsyncGenerator[Page[R]]:
    """The pages of a collection from the first to the end, in order, each id once.

    *fetch* gets one page by its number and its limit; up to *window* of them are in flight at once.

    Raises:
        PageDrift: a page repeats earlier ones although the total says that there are more rows.
        IncompleteWalk: a page stays empty although there are rows after it.
    """

    async def ask(number: int) -> Page[R]:
        progress.requests += 1
        return await fetch(number, limit)

    seen = Seen()
    flights = _Window(ask, tasks)
    # No wider until page 2 shows that the server honours `page`.
    reach, width = 2, min(window, 2)
    number = highest = 0
    try:
        while True:
            flights.reach(reach, width)
            page = await flights.next()
            number += 1
            if not page.records and highest > len(seen):
                page = await _confirmed_end(ask, number)
            if page.total is not None:
                progress.total = page.total
                highest = max(highest, page.total)
            if not page.records:
                if number > 1 or highest == 0:
                    return
                page = await _confirmed_end(ask, number)
                if not page.records:
                    return
            records = seen.fresh(page.records)
            progress.seen = len(seen)
            if not records:
                if highest and highest <= progress.seen:
                    return
                raise PageDrift(
                    "this page repeats rows of earlier ones, so the server seems to ignore `page`: "
                    f"{progress.seen} rows came, the total is {progress.total}",
                    evidence=f"page {number} holds {len(page.records)} rows, none of them new",
                    sent="yes",
                )
            progress.pages += 1
            if number == 1 and len(records) < limit and progress.total != len(records):
                # The server caps `limit`, and may still count its pages by the one asked for.
                limit = len(records)
                await flights.restart()
            if number >= 2:
                reach, width = number + _ahead(progress, limit, window), window
            yield page if records is page.records else attrs.evolve(page, records=records)
    finally:
        await flights.aclose()


async def _confirmed_end(
    ask: Callable[[int], Coroutine[Any, Any, Page[R]]], number: int
) -> Page[R]:
    """Page *number*, which was empty though there should be more rows, asked for once again.

    Raises:
        IncompleteWalk: it stays empty, and the page after it is not.
    """
    page = await ask(number)
    if not page.records and (await ask(number + 1)).records:
        raise IncompleteWalk(
            f"page {number} is empty, asked for twice, and page {number + 1} is not: "
            "the server has left out rows. Walk again later",
            sent="yes",
        )
    return page


def _ahead(progress: Progress, size: int, window: int) -> int:
    """How many pages of *size* rows beyond the present one are worth asking for now.

    Up to the one after the page that reaches the total, which should be the empty one; if there is
    no total or it has proved too low, as many as the window takes.
    """
    if progress.total is None or progress.total < progress.seen:
        return window
    return -(-(progress.total - progress.seen) // size) + 1


async def flat(pages: AsyncGenerator[Page[R]]) -> AsyncGenerator[R]:
    """The records of *pages*, one by one."""
    async with aclosing(pages):
        async for page in pages:
            for record in page.records:
                yield record


class Walk(AsyncIterator[T]):
    """A walk over a collection, begun by iterating over it.

    `async for` gives its items in order. It owns the requests that it has in flight: they end when
    the iteration does, at the latest when the client closes; `async with` a walk (or `aclosing`)
    ends them at once also where the iteration is left early. One task can iterate over it, once.
    """

    def __init__(self, items: Callable[[Progress], AsyncGenerator[T]]) -> None:
        self.progress = Progress()
        self._make = items
        self._items: AsyncGenerator[T] | None = None
        self._consumer: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        return f"<Walk {self.progress}>"

    def _begun(self) -> AsyncGenerator[T]:
        consumer = asyncio.current_task()
        if self._items is None:
            self._items, self._consumer = self._make(self.progress), consumer
        elif consumer is not self._consumer:
            raise ClientMisuse(
                "another task iterates over this walk already: call list() once for each task"
            )
        return self._items

    def __aiter__(self) -> AsyncIterator[T]:
        if getattr(self._items, "ag_frame", self) is None:  # exhausted or closed
            raise ClientMisuse("this walk has ended: call list() or pages() again for another")
        # The generator itself, because a method of our own would cost a coroutine a record.
        return self._begun()

    def __anext__(self) -> Awaitable[T]:
        return self._begun().__anext__()

    async def collect(self, max: int | None = None) -> list[T]:
        """The items as a list: all of them, or the first *max*."""
        if max is not None and (isinstance(max, bool) or not isinstance(max, int) or max < 0):
            raise ClientMisuse(f"collect: max must be an integer of at least 0, not {max!r}")
        found: list[T] = []
        async with self:
            if max == 0:
                return found
            async for item in self:
                found.append(item)
                if len(found) == max:
                    break
        return found

    async def first(self) -> T | None:
        """The first item, or None if there is none."""
        return next(iter(await self.collect(max=1)), None)

    async def aclose(self) -> None:
        """Ends the walk; its requests in flight are cancelled and waited for."""
        if self._items is None:
            self._items, self._consumer = self._make(self.progress), asyncio.current_task()
        try:
            await self._items.aclose()
        except RuntimeError:
            raise ClientMisuse(
                "another task waits for this walk's next item: end that task, or close the client"
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
