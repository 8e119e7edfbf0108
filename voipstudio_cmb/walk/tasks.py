"""The tasks that walks have started."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from voipstudio_cmb.errors import ClientMisuse

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
    """Cancels `tasks` and waits until they have ended."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


async def result_of(task: asyncio.Task[T]) -> T:
    """The result of `task`, one of a walk's; raises `ClientMisuse` if the client has ended it."""
    # Only waited for: if the consumer is cancelled here, the walk ends the task.
    await asyncio.wait((task,))
    if task.cancelled():
        raise ClientMisuse("the client was closed while this walk was running")
    return task.result()
