"""The tasks that walks have started, and a sliding window of page requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import R

T = TypeVar("T")


class Tasks:
    """The tasks that walks have started; whoever owns it can end them all and wait for that."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Starts `work` as a task that is kept until it has ended."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            # Retrieved, or asyncio would report the error of a page that nobody waits for.
            task.exception()

    async def aclose(self) -> None:
        """Cancels what is running and returns when it has ended."""
        await cancel_all(self._running)


async def cancel_all(tasks: Sequence[asyncio.Task[Any]] | set[asyncio.Task[Any]]) -> None:
    """Cancels `tasks` and waits until they have ended, which those of a closed loop have.

    Raises:
        ClientMisuse: they run on another event loop; they are left alone.
    """
    running = [task for task in tasks if not task.done() and not task.get_loop().is_closed()]
    for task in running:
        _check_loop(task)
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


async def result_of(task: asyncio.Task[T]) -> T:
    """The result of `task`, one of a walk's; raises `ClientMisuse` if the client has ended it."""
    _check_loop(task)
    # Only waited for: if the consumer is cancelled here, the walk ends the task.
    await asyncio.wait((task,))
    if task.cancelled():
        raise ClientMisuse("the client was closed while this walk was running")
    return task.result()


def _check_loop(task: asyncio.Task[Any]) -> None:
    if task.get_loop() is not asyncio.get_running_loop():
        raise ClientMisuse(
            "this walk runs on another event loop: iterate over it, and end it, where it began"
        )


class PageWindow(Generic[R]):
    """Page requests in flight, oldest first; those up to page `asked` have been made."""

    def __init__(self, start: Callable[[int], asyncio.Task[Page[R]]]) -> None:
        self._start = start
        self._flying: deque[asyncio.Task[Page[R]]] = deque()
        self.asked = 0

    def reach(self, last: int, width: int) -> None:
        """Asks for further pages while fewer than `width` are in flight, none beyond `last`."""
        while len(self._flying) < width and self.asked < last:
            self.asked += 1
            self._flying.append(self._start(self.asked))

    async def next(self) -> Page[R]:
        page = await result_of(self._flying[0])
        self._flying.popleft()
        return page

    async def restart(self) -> None:
        """Drops what is in flight, to be asked for again."""
        self.asked -= len(self._flying)
        await self.aclose()

    async def aclose(self) -> None:
        tasks = list(self._flying)
        self._flying.clear()
        await cancel_all(tasks)
