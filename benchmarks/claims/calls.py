"""One call over loopback: its CPU time in the client's process, one at a time and 32 in flight.

The limit is a bare `aiohttp` GET whose JSON is read with `await response.json()`. Each contender
asks for the same small resource of the same server, and is a process of its own, as the server is.
Two of them are measured on uvloop, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import msgspec

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed
from benchmarks.harness.processes import call_elsewhere
from benchmarks.harness.tables import tables_elsewhere
from benchmarks.harness.workers import run_jobs
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

CALLS = 2_000
IN_FLIGHT = (1, 32)
CONNECTIONS = 32
PATH = "callmeback/settings/1"

Call = Callable[[], Awaitable[Any]]
Client = Callable[[str], AbstractAsyncContextManager[Call]]


@asynccontextmanager
async def _ours(url: str) -> AsyncIterator[Call]:
    config = ClientConfig(connections=CONNECTIONS)
    async with CallMeBackClient("token", base_url=url, config=config) as cmb:
        yield lambda: cmb.settings.get(1)


def _getting(session: Any, url: str) -> Call:
    async def call() -> Any:
        async with session.get(url + PATH) as response:
            return await response.json()

    return call


@asynccontextmanager
async def _aiohttp(url: str) -> AsyncIterator[Call]:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(
        connector=connector, headers={"X-Auth-Token": "token"}
    ) as session:
        yield _getting(session, url)


@asynccontextmanager
async def _lean_aiohttp(url: str) -> AsyncIterator[Call]:
    """As little as aiohttp can be asked to do: no cookies, no time-out, msgspec for the JSON."""
    import aiohttp

    async with aiohttp.ClientSession(
        headers={"X-Auth-Token": "token"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    ) as session:

        async def call() -> Any:
            response = await session.get(url + PATH, allow_redirects=False)
            return msgspec.json.decode(await response.read())

        yield call


@asynccontextmanager
async def _httpx(url: str) -> AsyncIterator[Call]:
    import httpx2

    async with httpx2.AsyncClient(headers={"X-Auth-Token": "token"}) as client:

        async def call() -> Any:
            response = await client.get(url + PATH)
            return response.raise_for_status().json()

        yield call


@asynccontextmanager
async def _aiohttp_retry(url: str) -> AsyncIterator[Call]:
    from aiohttp_retry import RetryClient

    async with RetryClient(headers={"X-Auth-Token": "token"}) as session:
        yield _getting(session, url)


@asynccontextmanager
async def _azure(url: str) -> AsyncIterator[Call]:
    from azure.core import AsyncPipelineClient
    from azure.core.pipeline.policies import AsyncRetryPolicy, HeadersPolicy, UserAgentPolicy
    from azure.core.rest import HttpRequest

    policies = [HeadersPolicy({"X-Auth-Token": "token"}), UserAgentPolicy(), AsyncRetryPolicy()]
    async with AsyncPipelineClient(url, policies=policies) as client:

        async def call() -> Any:
            response = await client.send_request(HttpRequest("GET", url + PATH))
            response.raise_for_status()
            return response.json()

        yield call


@asynccontextmanager
async def _openai(url: str) -> AsyncIterator[Call]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key="token", base_url=url) as client:
        yield lambda: client.get("/" + PATH, cast_to=object)


CONTENDERS: dict[str, tuple[Client, tuple[str, ...]]] = {
    "voipstudio_cmb": (_ours, ()),
    "aiohttp": (_aiohttp, ()),
    "aiohttp, lean": (_lean_aiohttp, ()),
    "aiohttp_retry": (_aiohttp_retry, ("aiohttp_retry",)),
    "azure-core": (_azure, ("azure.core",)),
    "httpx": (_httpx, ("httpx2",)),
    "openai": (_openai, ("openai",)),
}
ON_UVLOOP = ("voipstudio_cmb", "aiohttp")
"""The contenders that are measured on uvloop's event loop, too."""


async def work_on(client: Client, url: str, calls: int, in_flight: int) -> Sample:
    """Makes the calls; their CPU time is measured."""
    async with client(url) as call:
        await run_jobs(lambda _: call(), 2 * in_flight, in_flight)  # connects
        with Timer() as timer:
            await run_jobs(lambda _: call(), calls, in_flight)
    return timer.sample(1e6 * timer.cpu / calls, calls=calls)


def measured(name: str, url: str, calls: int, in_flight: int, on_uvloop: bool) -> Sample:
    """Makes so many calls by the contender of that name."""
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    if on_uvloop:
        import uvloop

        loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(work_on(CONTENDERS[name][0], url, calls, in_flight))


def measure_of(name: str, url: str, calls: int, in_flight: int, on_uvloop: bool = False) -> Measure:
    """As `measured`, in another process: what one imports is not the collector's for all."""
    given = name, url, calls, in_flight, on_uvloop
    return lambda: Sample(**call_elsewhere(measured, *given))


def _contenders(url: str, calls: int, in_flight: int) -> dict[str, Measure]:
    contenders = {
        name: measure_of(name, url, calls, in_flight)
        for name, (_, modules) in CONTENDERS.items()
        if installed(*modules)
    }
    if installed("uvloop"):
        for name in ON_UVLOOP:
            contenders[f"{name} on uvloop"] = measure_of(name, url, calls, in_flight, True)
    return contenders


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """A claim for each number of calls in flight."""
    calls = 64 if quick else CALLS
    with tables_elsewhere({}) as url:
        yield [
            Claim(
                name=f"calls-{in_flight}",
                says=f"a call, {in_flight} in flight",
                unit="us CPU",
                ours="voipstudio_cmb",
                limit="aiohttp",
                target=1.12,
                digits=0,
                contenders=_contenders(url, calls, in_flight),
            )
            for in_flight in IN_FLIGHT
        ]
