"""Nothing outlives its use: what a call or a walk has held is gone without the collector's help.

A circle of references holds rows, and headers with the token in them, until the collector runs.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any

import aiohttp
import pytest

import voipstudio_cmb
from benchmarks.harness.peer import closed_port, url_of
from tests.fakes.clients import client
from tests.fakes.secrets import CANARY
from tests.fakes.sockets import Script, once, reply, resets, serving
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import CallMeBackError, ServerFault
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.models import Cdr, Page, Rows
from voipstudio_cmb.sandbox import Fault, Sandbox
from voipstudio_cmb.walk import Walk

OURS = str(Path(voipstudio_cmb.__file__).parent)
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True, scope="module")
def nothing_older_is_looked_at() -> None:
    """Spares the collector, which runs often here, what other tests have left."""
    gc.collect()
    gc.freeze()


@contextmanager
def collector_off() -> Iterator[list[Any]]:
    """Yields a list that holds, after the block, what only the collector would have freed."""
    left: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def ours(left: list[Any]) -> list[str]:
    """What of `left` is of this package, is a frame of it, or holds the token."""
    found = []
    for each in left:
        code = getattr(each, "f_code", None) or getattr(each, "cr_code", None)
        sandbox = code is not None and "/sandbox/" in code.co_filename
        if isinstance(each, FrameType | CoroutineType) and not sandbox:
            found += [repr(each)] if code.co_filename.startswith(OURS) else []
        elif type(each).__module__.startswith("voipstudio_cmb."):
            found += [repr(each)] if ".sandbox." not in type(each).__module__ else []
        elif any(isinstance(held, str) and CANARY in held for held in gc.get_referents(each)):
            found.append(f"the token in {type(each).__name__}")
    return found


def alive() -> list[str]:
    """The pages and rows that exist."""
    return [type(each).__name__ for each in gc.get_objects() if isinstance(each, Page | Rows | Cdr)]


async def settled() -> None:
    """Lets connections and tasks that are ending end."""
    await asyncio.sleep(0.02)


FAULTS: dict[str, Script] = {
    "FIN": once(),
    "RST": resets,
    "a cut body": once(HEAD + b"Content-Length: 99\r\n\r\n{"),
    "a cut chunk": once(CHUNKED + b"9\r\n{"),
    "a late broken chunk": once(CHUNKED + b"2\r\n{}\r\n", b"zz\r\n", hold=True),
    "no HTTP": once(b"<html>\r\n\r\n"),
    "no response": once(hold=True),
    "no body": once(HEAD + b"Content-Length: 99\r\n\r\n{", hold=True),
    "500": once(reply(b"{}", "500 Failing")),
    "a redirect": once(reply(b"", "302 Found", "Location: http://127.0.0.1:1/")),
    "no JSON": once(reply(b"<html>")),
    "another shape": once(reply(b"[]")),
    "a body that is too large": once(reply(b"0" * 2_000)),
    "gzip that is none": once(reply(b"garbage" * 9, "200 OK", "Content-Encoding: gzip")),
    "another encoding": once(reply(b"garbage", "200 OK", "Content-Encoding: x-foo")),
}
LOST = ("FIN", "RST", "a cut body", "a cut chunk", "a late broken chunk", "gzip that is none")


async def failed(call: Callable[[], Awaitable[Any]], times: int) -> None:
    """Awaits what fails, each in a task of its own, as callers do."""
    for _ in range(times):
        with suppress(CallMeBackError, aiohttp.ClientError, TimeoutError):
            await asyncio.ensure_future(call())
    await settled()


@pytest.mark.one_in(4)
@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_call_that_fails_leaves_nothing_behind(fault: str, attempts: int) -> None:
    config: dict[str, Any] = {"max_body": 1_000, "timeout": 0.05 if fault in (
        "no response", "no body") else 30.0}  # fmt: skip
    config["retry"] = lambda error, request, n: 0.0 if n < attempts else None
    async with serving(FAULTS[fault]) as server, client(server.url, **config) as cmb:
        await failed(cmb.ping, 1)
        with collector_off() as left:
            await failed(cmb.ping, 1)
        assert ours(left) == []


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_connection_leaves_no_more_than_with_aiohttp_alone(fault: str) -> None:
    async with serving(FAULTS[fault]) as server:
        async with client(server.url, retry=lambda e, r, n: None) as cmb:
            await failed(cmb.ping, 1)
            with collector_off() as left:
                await failed(cmb.ping, 5)
        timeout = aiohttp.ClientTimeout(total=0.1)
        async with aiohttp.ClientSession(timeout=timeout) as session:

            async def bare() -> None:
                async with session.request("POST", server.url) as response:
                    await response.read()

            await failed(bare, 1)
            with collector_off() as more:
                await failed(bare, 5)
    assert len(left) <= len(more)


@pytest.mark.parametrize("fault", ["no response", "no body"])
async def test_a_call_that_is_cancelled_or_closed_leaves_nothing_behind(fault: str) -> None:
    for close in (False, True):
        with collector_off() as left:
            async with serving(FAULTS[fault]) as server, client(server.url) as cmb:
                for _ in range(1 if close else 3):
                    seen = len(server.requests)
                    task = asyncio.create_task(cmb.ping())
                    while len(server.requests) == seen:
                        await asyncio.sleep(0.001)
                    if close:
                        await cmb.aclose()
                    else:
                        task.cancel()
                    with suppress(asyncio.CancelledError, CallMeBackError):
                        await task
                    del task
                await settled()
        assert ours(left) == []


async def test_a_refused_connection_leaves_nothing_behind() -> None:
    with closed_port() as port:
        async with client(url_of(port)) as cmb:
            await failed(cmb.ping, 1)
            with collector_off() as left:
                await failed(cmb.ping, 3)
    assert ours(left) == []


async def exhausted(walk: Walk[Any]) -> None:
    async for _ in walk:
        pass


async def broken_off(walk: Walk[Any]) -> None:
    async for _ in walk:
        break


async def ended_early(walk: Walk[Any]) -> None:
    async with walk:
        await broken_off(walk)


async def cancelled(walk: Walk[Any]) -> None:
    task = asyncio.create_task(exhausted(walk))
    while walk.progress.pages < 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))


async def failing(walk: Walk[Any]) -> None:
    with pytest.raises(ServerFault):
        await asyncio.create_task(exhausted(walk))


ENDS = (exhausted, broken_off, ended_early, cancelled, failing)


@pytest.fixture(scope="module")
def rows_400() -> Iterator[Sandbox]:
    with Sandbox(rows=400, latency=0.001) as api:
        yield api


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("kind", ["list", "pages", "raw_pages"])
@pytest.mark.parametrize("by", ["keyset", "page"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_walk_leaves_nothing_behind_however_it_ends(
    rows_400: Sandbox,
    end: Callable[[Walk[Any]], Awaitable[None]],
    by: Any,
    kind: str,
    concurrency: int,
) -> None:
    api, config = rows_400, ClientConfig(attempts=1)
    options: dict[str, Any] = {"reject": lambda rows: None} if kind == "raw_pages" else {}
    api.clear_faults()
    async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
        await cmb.cdrs.list(page_size=100).collect()
        with collector_off() as left:
            if end is failing:
                api.script(Fault(path="/callmeback/cdrs", after=6, times=None, status=500))
            pages = getattr(cmb.cdrs, kind)
            await end(pages(page_size=20, concurrency=concurrency, walk=by, **options))
            await settled()
        assert ours(left) == []
        del left
        assert alive() == []


@pytest.mark.parametrize("by", ["keyset", "page"])
async def test_an_error_of_a_walk_that_is_kept_keeps_no_rows(by: Any) -> None:
    with Sandbox(rows=400) as api:
        api.script(Fault(path="/callmeback/cdrs", after=6, times=None, status=500))
        config = ClientConfig(attempts=1)
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:

            async def collects() -> None:
                await cmb.cdrs.list(page_size=20, concurrency=4, walk=by).collect()

            with pytest.raises(ServerFault) as caught:
                async for _ in cmb.cdrs.pages(page_size=20, concurrency=4, walk=by):
                    del _
            await settled()
            assert caught.value.__traceback__ is not None
            assert alive() == []


@pytest.mark.parametrize("fault", [None, Fault(path="/callmeback/cdrs", after=6, status=500)])
async def test_an_export_leaves_nothing_behind(fault: Fault | None, tmp_path: Path) -> None:
    with Sandbox(rows=400) as api:
        config = ClientConfig(attempts=1)
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
            await Export(cmb, Plan(to=tmp_path / "first", page_size=20)).run()
            with collector_off() as left:
                if fault is not None:
                    api.script(fault)
                plan = Plan(to=tmp_path / "second", page_size=20)
                summary = await Export(cmb, plan).run()
                assert summary.complete is (fault is None)
                del summary
                await settled()
            assert ours(left) == []
            del left
            assert alive() == []
