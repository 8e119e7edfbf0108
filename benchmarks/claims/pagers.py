"""A walk over 100 pages at 50 ms a response, 8 requests in flight: beside the least time that it
can take, and beside the sequential auto-pagers of other clients on the same server.

The least is that of ceil(99 / 8) + 1 responses, one after the other. A response's time is
measured in each round, by single requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed
from benchmarks.harness.tables import Table, tables_elsewhere
from benchmarks.harness.walks import SLOWDOWN, WALKS, By, least_round_trips
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

PAGES = 100
PAGE_SIZE = 50
CONCURRENCY = 8
LATENCY = 0.05
SINGLES = 5


async def _ours(by: By, url: str, ids: Sequence[int]) -> Sample:
    async with CallMeBackClient("t", base_url=url, config=ClientConfig(retry_budget=0)) as cmb:
        await cmb.cdrs.count()  # connects
        before = cmb.usage.requests
        with Timer() as timer:
            async with cmb.cdrs.list(walk=by, concurrency=CONCURRENCY, page_size=PAGE_SIZE) as walk:
                found = [record.id async for record in walk]
        requests = cmb.usage.requests - before
    assert found == list(ids)
    return timer.sample(timer.wall, requests=requests)


async def _least(url: str, ids: Sequence[int]) -> Sample:
    async with CallMeBackClient("t", base_url=url, config=ClientConfig(retry_budget=0)) as cmb:
        await cmb.cdrs.count()
        took = []
        for _ in range(SINGLES):
            began = time.perf_counter()
            await cmb.cdrs.count()
            took.append(time.perf_counter() - began)
    return Sample(value=median(took) * least_round_trips(-(-len(ids) // PAGE_SIZE), CONCURRENCY))


async def _openai(url: str, ids: Sequence[int]) -> Sample:
    from openai import AsyncOpenAI, BaseModel
    from openai._base_client import BasePage, PageInfo
    from openai.pagination import AsyncPage

    class Row(BaseModel):
        id: int

    class Page(AsyncPage[Row]):
        total: int

        def next_page_info(self) -> PageInfo | None:
            number = int(self._options.params["page"])  # type: ignore[index]
            return (
                PageInfo(params={"page": number + 1}) if number * PAGE_SIZE < self.total else None
            )

    assert issubclass(Page, BasePage)
    async with AsyncOpenAI(api_key="t", base_url=url) as client:
        with Timer() as timer:
            pages = client.get_api_list(
                "/callmeback/cdrs",
                model=Row,
                page=Page,
                options={"params": {"page": 1, "limit": PAGE_SIZE}},
            )
            found = [row.id async for row in pages]
    assert found == list(ids)
    return timer.sample(timer.wall)


async def _azure(url: str, ids: Sequence[int]) -> Sample:
    from azure.core import AsyncPipelineClient
    from azure.core.async_paging import AsyncItemPaged
    from azure.core.pipeline.policies import AsyncRetryPolicy
    from azure.core.rest import HttpRequest

    async with AsyncPipelineClient(url, policies=[AsyncRetryPolicy()]) as client:

        async def get_next(number: int | None) -> tuple[int, Any]:
            at = number or 1
            request = HttpRequest("GET", f"{url}/callmeback/cdrs?page={at}&limit={PAGE_SIZE}")
            response = await client.send_request(request)
            return at, response.json()

        async def extract(page: tuple[int, Any]) -> tuple[int | None, AsyncIterator[Any]]:
            async def rows() -> AsyncIterator[Any]:
                for row in page[1]["data"]:
                    yield row

            more = page[0] * PAGE_SIZE < page[1]["total"]
            return (page[0] + 1 if more else None), rows()

        with Timer() as timer:
            found = [row["id"] async for row in AsyncItemPaged(get_next, extract)]
    assert found == list(ids)
    return timer.sample(timer.wall)


PEERS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "openai": (_openai, ("openai",)),
    "azure-core": (_azure, ("azure.core",)),
}


def _measure(work: Callable[..., Any], url: str, ids: Sequence[int]) -> Measure:
    return lambda: asyncio.run(work(url, ids))


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """A claim for each way to walk."""
    pages, latency = (3, 0.0) if quick else (PAGES, LATENCY)
    ids = range(7, 7 * pages * PAGE_SIZE + 1, 7)
    with tables_elsewhere({"even": Table(ids, latency=latency)}) as base:
        url = f"{base}even"
        peers = {
            name: _measure(work, url, ids)
            for name, (work, modules) in PEERS.items()
            if installed(*modules)
        }
        yield [
            Claim(
                name=f"walk-by-{by}",
                says=f"a walk over {pages} pages by {by}, concurrency {CONCURRENCY}",
                unit="s",
                ours="voipstudio_cmb",
                limit="the least",
                target=SLOWDOWN[by],
                contenders={
                    "voipstudio_cmb": _measure(partial(_ours, by), url, ids),
                    "the least": _measure(_least, url, ids),
                    **(peers if by == "page" else {}),
                },
            )
            for by in WALKS
        ]
