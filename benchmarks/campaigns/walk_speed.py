"""Claim: 8 page requests in flight make a walk about 8 times as fast, and at most double the
requests of a keyset walk.

With ids that are spread evenly, a page walk of K pages takes at most 5 % longer than
ceil((K - 1) / concurrency) + 1 responses of the server one after the other, and a keyset walk 15 %.
There a keyset walk makes at most 1.1 times the K + 1 requests of a sequential one; with ids spread
in any other way, at most twice as many.

Over real sockets, against a server that responds to each request after the same time however many
there are. A response's time is measured in the same run, by single requests of the same client.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from array import array
from collections.abc import Iterable, Sequence
from statistics import median

import attrs

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.tables import Table, tables_elsewhere
from benchmarks.harness.walks import SLOWDOWN, WALKS, By, least_round_trips
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

CONCURRENCY = (1, 2, 4, 8, 16)
JUDGED = 8
EVEN = ("no gaps", "even")
MORE = {True: 1.1, False: 2.0}
SINGLES = 4


@attrs.frozen(kw_only=True)
class Speed:
    """A line of the first table: the median of a walk's rounds."""

    by: By
    pages: int
    concurrency: int
    responses: float
    """The time, in response times of a single request."""
    requests: int
    exact: bool

    @property
    def ratio(self) -> float:
        return self.responses / self.least

    @property
    def least(self) -> int:
        return least_round_trips(self.pages, self.concurrency)

    def __str__(self) -> str:
        return (
            f"{self.by:<7} {self.pages:>4} pages  concurrency {self.concurrency:>2}  "
            f"{self.responses:>6.2f} responses  least {self.least:>3}  "
            f"ratio {self.ratio:.3f}  {self.requests} requests"
            + ("" if self.exact else "  WRONG ROWS")
        )


@attrs.frozen(kw_only=True)
class Cost:
    """A line of the second table: the most requests that a keyset walk of several took."""

    shape: str
    pages: int
    concurrency: int
    requests: int
    exact: bool

    @property
    def ratio(self) -> float:
        return self.requests / (self.pages + 1)

    def __str__(self) -> str:
        return (
            f"{self.shape:<19} {self.pages:>4} pages  concurrency {self.concurrency:>2}  "
            f"{self.requests:>4} requests  {self.ratio:.2f} x"
            + ("" if self.exact else "  WRONG ROWS")
        )


def failures(speeds: Iterable[Speed], costs: Iterable[Cost]) -> list[str]:
    """What contradicts the claim."""
    lines = []
    for speed in speeds:
        if speed.concurrency == JUDGED and speed.ratio > SLOWDOWN[speed.by]:
            lines.append(f"slower than {SLOWDOWN[speed.by]} x the least: {speed}")
        if not speed.exact:
            lines.append(f"wrong rows: {speed}")
    for cost in costs:
        most = MORE[cost.shape in EVEN]
        if cost.ratio > most:
            lines.append(f"more than {most} x the requests: {cost}")
        if not cost.exact:
            lines.append(f"wrong rows: {cost}")
    return lines


def _summed(gaps: Iterable[int]) -> array[int]:
    return array("q", itertools.accumulate(gaps))


def shapes(rows: int, page_size: int, rng: random.Random) -> dict[str, Sequence[int]]:
    """Ways to spread the ids of so many rows; the worst depend on the page size."""

    def drawn(widths: Iterable[int]) -> array[int]:
        return _summed(rng.randint(1, width) for width in itertools.islice(widths, rows))

    def runs(longest: int, far: int) -> Iterable[int]:
        """Runs of neighbours, and a long way to the next one."""
        while True:
            yield from [1] * rng.randint(1, longest)
            yield far

    def by_turns() -> Iterable[int]:
        """Two pages that are dense, two that are not."""
        while True:
            yield from [1] * (2 * page_size)
            yield from [1000] * (2 * page_size)

    return {
        "no gaps": range(1, rows + 1),
        "even": range(7, 7 * rows + 1, 7),
        "random gaps": drawn(itertools.repeat(50)),
        "2**53 wide": array("q", sorted(rng.sample(range(1, 2**53), rows))),
        "long runs": drawn(runs(20 * page_size, 10**9)),
        "short runs": drawn(runs(page_size, 10**5)),
        "dense by turns": drawn(by_turns()),
        "thinning out": drawn(int(2 ** (20 * n / rows)) for n in range(rows)),
        "denser to the end": drawn(int(2 ** (20 - 20 * n / rows)) for n in range(rows)),
        "one far away": array("q", [*range(1, rows), 2**53]),
    }


def _client(url: str) -> CallMeBackClient:
    return CallMeBackClient("token", base_url=url, config=ClientConfig(retry_budget=0))


async def _singles(client: CallMeBackClient) -> list[float]:
    """Seconds of single requests, each after the one before."""
    seconds = []
    for _ in range(SINGLES):
        began = time.perf_counter()
        await client.cdrs.count()
        seconds.append(time.perf_counter() - began)
    return seconds


async def timed(
    url: str, ids: Sequence[int], by: By, concurrency: int, page_size: int
) -> tuple[float, int, bool]:
    """Walks with a client that knows nothing of the server yet.

    Returns the time in response times, the requests, and whether each row came once and in order.
    """
    async with _client(url) as client:
        await client.cdrs.count()  # connects
        singles = await _singles(client)
        before = client.usage.requests
        began = time.perf_counter()
        async with client.cdrs.list(walk=by, concurrency=concurrency, page_size=page_size) as walk:
            received = [record.id async for record in walk]
        took = time.perf_counter() - began
        requests = client.usage.requests - before
        singles += await _singles(client)
    return took / median(singles), requests, received == list(ids)


async def speed(
    url: str, ids: Sequence[int], by: By, concurrency: int, page_size: int, rounds: int
) -> Speed:
    """Walks so many times."""
    walked = [await timed(url, ids, by, concurrency, page_size) for _ in range(rounds)]
    return Speed(
        by=by,
        pages=-(-len(ids) // page_size),
        concurrency=concurrency,
        responses=median(responses for responses, _, _ in walked),
        requests=max(requests for _, requests, _ in walked),
        exact=all(exact for _, _, exact in walked),
    )


async def cost(
    walks: Iterable[tuple[str, Sequence[int]]], shape: str, concurrency: int, page_size: int
) -> Cost:
    """Walks by keyset over each of the collections, of a URL and its ids each."""
    most, exact, pages = 0, True, 0
    for url, ids in walks:
        _, requests, fine = await timed(url, ids, "keyset", concurrency, page_size)
        most, exact, pages = max(most, requests), exact and fine, -(-len(ids) // page_size)
    return Cost(shape=shape, pages=pages, concurrency=concurrency, requests=most, exact=exact)


async def speeds(
    pages: int, page_size: int, concurrencies: Sequence[int], latency: float, rounds: int
) -> list[Speed]:
    """Runs and prints the first table."""
    ids = range(7, 7 * pages * page_size + 1, 7)
    lines: list[Speed] = []
    with tables_elsewhere({"even": Table(ids, latency=latency)}) as base:
        for by, concurrency in itertools.product(WALKS, concurrencies):
            lines.append(await speed(f"{base}even", ids, by, concurrency, page_size, rounds))
            print(lines[-1], flush=True)
    return lines


async def costs(
    pages: int, page_size: int, concurrencies: Sequence[int], draws: int, seed: int
) -> list[Cost]:
    """Runs and prints the second table."""
    drawn = [shapes(pages * page_size, page_size, random.Random(seed + n)) for n in range(draws)]
    tables = {
        f"{number}-{n}": Table(ids)
        for n, spread in enumerate(drawn)
        for number, ids in enumerate(spread.values())
    }
    lines: list[Cost] = []
    with tables_elsewhere(tables) as base:
        names = enumerate(drawn[0] if drawn else ())
        for (number, shape), concurrency in itertools.product(names, concurrencies):
            walks = [(f"{base}{number}-{n}", spread[shape]) for n, spread in enumerate(drawn)]
            lines.append(await cost(walks, shape, concurrency, page_size))
            print(lines[-1], flush=True)
    return lines


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("walk_speed", __doc__, "--concurrency 8 --draws 1")
    command.add("--pages", 100, "pages of the collection")
    command.add("--page-size", 50, "rows a page")
    command.add("--concurrency", list(CONCURRENCY), "page requests in flight")
    command.add("--latency", 0.05, "seconds until a response")
    command.add("--rounds", 5, "walks that a median is taken of")
    command.add("--draws", 5, "collections of each shape; may be 0")
    given = command.parse(arguments)
    began = time.monotonic()
    size = given.pages, given.page_size, given.concurrency
    fast = asyncio.run(speeds(*size, given.latency, given.rounds))
    print(f"\nkeyset walks, beside the {given.pages + 1} requests of a sequential one:", flush=True)
    cheap = asyncio.run(costs(*size, given.draws, given.seed))
    print(f"{len(fast) + len(cheap)} lines in {time.monotonic() - began:.0f} s")
    if JUDGED not in given.concurrency or not given.draws:
        print(f"a part of it only: the claim is on a concurrency of {JUDGED}, and on both tables")
    return bool(conclude(failures(fast, cheap)))


if __name__ == "__main__":
    sys.exit(main())
