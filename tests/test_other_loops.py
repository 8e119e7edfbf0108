"""One client, one event loop, one process: whoever else uses it is told so, and harms nobody."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient, RateLimit
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.sandbox import Sandbox
from voipstudio_cmb.walk import Walk

Use = Callable[[CallMeBackClient, Path], Awaitable[Any]]
OfWalk = Callable[[Walk[Any]], Awaitable[Any]]
AT_ONCE = 20.0
"""Seconds: more than any busy machine stands still; what hangs would hang for ever."""


async def enters(cmb: CallMeBackClient, directory: Path) -> None:
    async with cmb:
        raise AssertionError("it was let in")


async def iterates(cmb: CallMeBackClient, directory: Path) -> None:
    async for _ in cmb.cdrs.list(page_size=10):
        raise AssertionError("there was a row")


async def exports(cmb: CallMeBackClient, directory: Path) -> None:
    await Export(cmb, Plan(to=directory)).run()


USES: dict[str, Use] = {
    "aclose": lambda cmb, _: cmb.aclose(),
    "async with": enters,
    "ping": lambda cmb, _: cmb.ping(),
    "identity": lambda cmb, _: cmb.identity(),
    "get": lambda cmb, _: cmb.settings.get(1),
    "create": lambda cmb, _: cmb.settings.create(name="x"),
    "delete": lambda cmb, _: cmb.settings.delete(1),
    "count": lambda cmb, _: cmb.cdrs.count(),
    "list": iterates,
    "collect": lambda cmb, _: cmb.cdrs.list().collect(),
    "first": lambda cmb, _: cmb.cdrs.pages(walk="page").first(),
    "with_options": lambda cmb, _: cmb.with_options(attempts=1).ping(),
    "export": exports,
}


async def ends_by_with(walk: Walk[Any]) -> None:
    async with walk:
        pass


OF_WALKS: dict[str, OfWalk] = {
    "aclose": lambda walk: walk.aclose(),
    "async with": ends_by_with,
    "anext": lambda walk: anext(walk),
    "collect": lambda walk: walk.collect(),
    "first": lambda walk: walk.first(),
}


async def elsewhere(use: Callable[[], Awaitable[Any]]) -> BaseException | None:
    """Awaits what `use` gives on a loop of another thread; returns what it raised."""

    async def told() -> BaseException | None:
        try:
            await use()
        except BaseException as error:
            return error
        return None

    async with asyncio.timeout(AT_ONCE):
        return await asyncio.to_thread(asyncio.run, told())


@pytest.mark.parametrize("use", USES)
async def test_another_loop_is_refused_and_the_owner_unharmed(use: str, tmp_path: Path) -> None:
    with Sandbox(rows=400, latency=0.005) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            await cmb.ping()
            walk = cmb.cdrs.list(page_size=20, concurrency=4)
            begun = [await anext(walk)]
            calls = [asyncio.create_task(cmb.settings.count()) for _ in range(5)]
            await asyncio.sleep(0)
            error = await elsewhere(lambda: USES[use](cmb, tmp_path))
            assert type(error) is ClientMisuse
            assert "another event loop" in str(error)
            assert len(set(await asyncio.gather(*calls))) == 1
            assert len(begun + [row async for row in walk]) == 400
            assert not list(tmp_path.iterdir())
        with pytest.raises(ClientMisuse, match="closed"):
            await cmb.ping()


@pytest.mark.parametrize("use", ["aclose", "async with"])
async def test_a_client_that_waits_for_its_first_token_is_not_closed_elsewhere(use: str) -> None:
    fetching = asyncio.get_running_loop().create_future()

    async def provider() -> str:
        token: str = await fetching
        return token

    with Sandbox(rows=10) as api:
        async with CallMeBackClient(provider, base_url=api.base_url) as cmb:
            call = asyncio.create_task(cmb.cdrs.count())
            await asyncio.sleep(0.01)
            error = await elsewhere(lambda: USES[use](cmb, Path()))
            assert type(error) is ClientMisuse
            fetching.set_result(api.token)
            assert await call == 10


@pytest.mark.one_in(2)
@pytest.mark.parametrize("walk", ["keyset", "page"])
@pytest.mark.parametrize("alive", [True, False], ids=["by a task", "by one that has ended"])
@pytest.mark.parametrize("use", OF_WALKS)
async def test_a_walk_is_iterated_and_ended_where_it_began(
    use: str, alive: bool, walk: Any
) -> None:
    with Sandbox(rows=400, latency=0.005) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            cdrs = cmb.cdrs.list(page_size=20, concurrency=4, walk=walk)
            if alive:
                await anext(cdrs)
            else:
                await asyncio.create_task(anext(cdrs))  # type: ignore[arg-type]
            error = await elsewhere(lambda: OF_WALKS[use](cdrs))
            assert type(error) is ClientMisuse
            if alive:
                assert len([cdr async for cdr in cdrs]) == 399
            else:
                await cdrs.aclose()


async def call(use: Use, cmb: CallMeBackClient, directory: Path) -> None:
    async with asyncio.timeout(AT_ONCE):
        await use(cmb, directory)


@pytest.mark.parametrize("use", [use for use in USES if use not in ("aclose", "async with")])
def test_a_client_whose_loop_is_closed_can_be_closed_and_not_used(use: str, tmp_path: Path) -> None:
    with Sandbox(rows=10) as api:
        cmb = CallMeBackClient(api.token, base_url=api.base_url)
        asyncio.run(call(USES["ping"], cmb, tmp_path))
        with pytest.raises(ClientMisuse, match="loop that has been closed: make one"):
            asyncio.run(call(USES[use], cmb, tmp_path))
        asyncio.run(call(USES["aclose"], cmb, tmp_path))
        with pytest.raises(ClientMisuse, match="the client is closed"):
            asyncio.run(call(USES[use], cmb, tmp_path))
    assert not list(tmp_path.iterdir())


def run_and_abandon(*work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Runs it for a moment on a loop that is then closed without ending it."""
    loop = asyncio.new_event_loop()
    tasks: list[Any] = [loop.create_task(each()) for each in work]
    loop.run_until_complete(asyncio.sleep(0.1))
    loop.close()
    assert not any(task.done() for task in tasks)
    left: set[Any] = asyncio.all_tasks(loop)
    for task in left:
        task._log_destroy_pending = False  # asyncio would be right to complain


def test_what_a_closed_loop_has_left_unfinished_keeps_nobody_waiting(tmp_path: Path) -> None:
    with Sandbox(rows=400, latency=60) as api:
        cmb = CallMeBackClient(api.token, base_url=api.base_url)
        walk = cmb.cdrs.list(page_size=20, concurrency=4, walk="page")

        async def iterates() -> None:
            await anext(walk)

        run_and_abandon(cmb.ping, iterates)

        async def ends() -> None:
            with pytest.raises(ClientMisuse):
                await cmb.ping()
            with pytest.raises(ClientMisuse):
                await walk.aclose()
            await cmb.aclose()

        asyncio.run(asyncio.wait_for(ends(), AT_ONCE))


def test_a_limiter_follows_to_another_loop_once_its_own_is_closed() -> None:
    limit = RateLimit(20)

    async def waits() -> None:
        while True:
            await limit.acquire()

    run_and_abandon(waits)
    asyncio.run(asyncio.wait_for(limit.acquire(), AT_ONCE))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("use", ["aclose", "async with", "ping", "list", "export"])
async def test_a_forked_child_is_refused_and_the_parent_unharmed(use: str, tmp_path: Path) -> None:
    with Sandbox(rows=400) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            await cmb.ping()
            child = os.fork()
            if not child:
                code = 1
                try:
                    asyncio._set_running_loop(None)
                    asyncio.run(call(USES[use], cmb, tmp_path))
                except ClientMisuse as error:
                    code = 0 if "before a fork" in str(error) else 2
                finally:
                    os._exit(code)
            _, status = os.waitpid(child, 0)  # noqa: ASYNC222 - it ends at once
            assert os.waitstatus_to_exitcode(status) == 0
            assert await cmb.cdrs.count() == 400
