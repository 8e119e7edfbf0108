"""Cancelled at every single await, a call, a walk and an export end at once and leave nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig, RateLimit
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.sandbox import Fault, Sandbox

AT_ONCE = 5.0
"""Seconds: far below the time-outs of a call, and more than any busy machine stands still."""

JobRunner = Callable[[CallMeBackClient, Path], Coroutine[Any, Any, Any]]


class Steps:
    """Counts how often any task suspends; at the *last*th time it cancels *victim*."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.count = 0
        self.cancelled: float | None = None
        self.victim: asyncio.Task[Any] | None = None

    def factory(self, loop: Any, work: Any, **more: Any) -> asyncio.Task[Any]:
        """A task factory: all that is started from now on is counted."""
        task = asyncio.Task(self._counted(work), loop=loop, **more)
        # Cancelled before its first step, the task throws into the wrapper and not into the work.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _counted(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await _Counted(work, self)

    def one_more(self) -> None:
        self.count += 1
        if self.count == self.last and self.victim is not None:
            self.cancelled = self.victim.get_loop().time()
            self.victim.cancel()


class _Counted:
    def __init__(self, work: Coroutine[Any, Any, Any], steps: Steps) -> None:
        self._work = work
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                waits_for = inner.send(None) if error is None else inner.throw(error)
            except StopIteration as stop:
                return stop.value
            self._steps.one_more()
            error = None
            try:
                yield waits_for
            except BaseException as raised:
                error = raised


async def create(cmb: CallMeBackClient, directory: Path) -> Any:
    return await cmb.settings.create(name="x")


async def walk(cmb: CallMeBackClient, directory: Path) -> Any:
    async with cmb.cdrs.pages(page_size=20, concurrency=3) as pages:
        return [len(page) async for page in pages]


async def bare_walk(cmb: CallMeBackClient, directory: Path) -> Any:
    return [cdr.id async for cdr in cmb.cdrs.list(page_size=20, concurrency=3)]


async def export(cmb: CallMeBackClient, directory: Path) -> Any:
    return await Export(cmb, Plan(to=directory / "out", page_size=40)).run()


@pytest.mark.parametrize(
    ("work", "every"),
    [
        (create, 1), (walk, 1), (bare_walk, 1), (export, 7),
        pytest.param(export, 1, marks=pytest.mark.campaign),
    ],
)  # fmt: skip
async def test_cancelled_at_every_await(work: JobRunner, every: int, tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    last, completed = 1 - every, False
    # In a thread of its own, so that every task of this loop is the client's.
    with Sandbox(rows=100) as api:
        while not completed:
            last += every
            directory = tmp_path / str(last)
            directory.mkdir()
            api.clear_faults()
            api.script(Fault(path="/callmeback", status=429, headers={"Retry-After": "0.01"}))
            config = ClientConfig(connections=2, retry=lambda e, r, n: 0.001)
            async with CallMeBackClient(
                api.token, base_url=api.base_url, config=config, limiter=RateLimit(10_000)
            ) as cmb:
                before = asyncio.all_tasks()
                steps = Steps(last)
                loop.set_task_factory(steps.factory)
                task = steps.victim = loop.create_task(work(cmb, directory))
                loop.set_task_factory(steps.factory)
                await asyncio.wait((task,))
                ended = loop.time()
                loop.set_task_factory(None)
                completed = not task.cancelled()
                if steps.cancelled is not None:
                    assert ended - steps.cancelled < AT_ONCE
                if completed:
                    task.result()
                    assert (
                        steps.count < last + every + 2
                    )  # nothing is left that it was not cancelled at
                for _ in range(3):
                    await asyncio.sleep(0)
                assert asyncio.all_tasks() - before == set()
                # Nothing is held: both connections can be had, and so can the limiter.
                await asyncio.gather(cmb.settings.count(), cmb.settings.count())
                assert loop.time() - ended < AT_ONCE
                if work is export and not completed:
                    assert (await export(cmb, directory)).complete  # goes on where it was
            assert not list(directory.glob("out/.*"))
        assert last > 4
