"""Claim: a window of 8 makes a walk about 8 times as fast, and at most doubles a keyset walk's
requests.

A page walk of K pages takes at most 5 % longer than ceil((K - 1) / window) + 1 answers of the
server one after the other, and a keyset walk 15 %, with ids that are spread evenly. There a keyset
walk makes at most 1.1 times the K + 1 requests that one after the other would be, and at most
twice as many however the ids are spread.

Over real sockets, against a server that answers each request after the same time however many
there are. An answer's time is measured in the same run, by single requests of the same client.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from array import array
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Literal

import attrs

from benchmarks.harness.tables import Table, elsewhere
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

WINDOWS = (1, 2, 4, 8, 16)
JUDGED = 8
SLOWER = {"page": 1.05, "keyset": 1.15}
EVEN = ("no gaps", "even")
MORE = {True: 1.1, False: 2.0}
SINGLES = 4

By = Literal["page", "keyset"]
WALKS: tuple[By, ...] = ("page", "keyset")


def ideal(pages: int, window: int) -> int:
    """How many answers, one after the other, a walk has to wait for at least."""
    return -(-(pages - 1) // window) + 1


@attrs.frozen(kw_only=True)
class Speed:
    """A line of the first table: a walk's time in answers (the median of its rounds)."""

    by: By
    pages: int
    window: int
    answers: float
    requests: int
    exact: bool

    @property
    def ratio(self) -> float:
        return self.answers / ideal(self.pages, self.window)

    def __str__(self) -> str:
        return (
            f"{self.by:<7} {self.pages:>4} pages  window {self.window:>2}  "
            f"{self.answers:>6.2f} answers  ideal {ideal(self.pages, self.window):>3}  "
            f"ratio {self.ratio:.3f}  {self.requests} requests"
            + ("" if self.exact else "  WRONG ROWS")
        )


@attrs.frozen(kw_only=True)
class Cost:
    """A line of the second table: the most requests that a keyset walk of several took."""

    shape: str
    pages: int
    window: int
    requests: int
    exact: bool

    @property
    def ratio(self) -> float:
        return self.requests / (self.pages + 1)

    def __str__(self) -> str:
        return (
            f"{self.shape:<19} {self.pages:>4} pages  window {self.window:>2}  "
            f"{self.requests:>4} requests  {self.ratio:.2f} x"
            + ("" if self.exact else "  WRONG ROWS")
        )


def failures(speeds: Iterable[Speed], costs: Iterable[Cost]) -> list[str]:
    """What of the claim does not hold."""
    found = []
    for speed in speeds:
        if speed.window == JUDGED and speed.ratio > SLOWER[speed.by]:
            found.append(f"slower than {SLOWER[speed.by]} x the ideal: {speed}")
        if not speed.exact:
            found.append(f"wrong rows: {speed}")
    for cost in costs:
        most = MORE[cost.shape in EVEN]
        if cost.ratio > most:
            found.append(f"more than {most} x the requests: {cost}")
        if not cost.exact:
            found.append(f"wrong rows: {cost}")
    return found


def _summed(gaps: Iterable[int]) -> array[int]:
    return array("q", itertools.accumulate(gaps))


def shapes(rows: int, limit: int, rng: random.Random) -> dict[str, Sequence[int]]:
    """Ways in which the ids of so many *rows* may be spread; *limit* tells where it hurts most."""

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
            yield from [1] * (2 * limit)
            yield from [1000] * (2 * limit)

    return {
        "no gaps": range(1, rows + 1),
        "even": range(7, 7 * rows + 1, 7),
        "random gaps": drawn(itertools.repeat(50)),
        "2**53 wide": array("q", sorted(rng.sample(range(1, 2**53), rows))),
        "long runs": drawn(runs(20 * limit, 10**9)),
        "short runs": drawn(runs(limit, 10**5)),
        "dense by turns": drawn(by_turns()),
        "thinning out": drawn(int(2 ** (20 * n / rows)) for n in range(rows)),
        "denser to the end": drawn(int(2 ** (20 - 20 * n / rows)) for n in range(rows)),
        "one far away": array("q", [*range(1, rows), 2**53]),
    }


def _client(url: str) -> CallMeBackClient:
    return CallMeBackClient("token", base_url=url, config=ClientConfig(retry_budget=0))


async def _singles(client: CallMeBackClient) -> list[float]:
    """Seconds of single requests, each after the one before."""
    found = []
    for _ in range(SINGLES):
        began = time.perf_counter()
        await client.cdrs.count()
        found.append(time.perf_counter() - began)
    return found


async def timed(
    url: str, ids: Sequence[int], by: By, window: int, limit: int
) -> tuple[float, int, bool]:
    """Walks with a client that knows nothing of the server yet.

    Returns the time in answers, the requests, and whether each row came once and in order.
    """
    async with _client(url) as client:
        await client.cdrs.count()  # connects
        singles = await _singles(client)
        before = client.usage.requests
        began = time.perf_counter()
        async with client.cdrs.list(walk=by, window=window, limit=limit) as walk:
            found = [record.id async for record in walk]
        took = time.perf_counter() - began
        requests = client.usage.requests - before
        singles += await _singles(client)
    return took / median(singles), requests, found == list(ids)


async def speed(
    url: str, ids: Sequence[int], by: By, window: int, limit: int, rounds: int
) -> Speed:
    """Walks *rounds* times."""
    walked = [await timed(url, ids, by, window, limit) for _ in range(rounds)]
    return Speed(
        by=by,
        pages=-(-len(ids) // limit),
        window=window,
        answers=median(answers for answers, _, _ in walked),
        requests=max(requests for _, requests, _ in walked),
        exact=all(exact for _, _, exact in walked),
    )


async def cost(
    walks: Iterable[tuple[str, Sequence[int]]], shape: str, window: int, limit: int
) -> Cost:
    """Walks by keyset over each of the collections, of a URL and its ids each."""
    most, exact, pages = 0, True, 0
    for url, ids in walks:
        _, requests, fine = await timed(url, ids, "keyset", window, limit)
        most, exact, pages = max(most, requests), exact and fine, -(-len(ids) // limit)
    return Cost(shape=shape, pages=pages, window=window, requests=most, exact=exact)


async def speeds(
    pages: int, limit: int, windows: Sequence[int], latency: float, rounds: int
) -> list[Speed]:
    """Runs and prints the first table."""
    ids = range(7, 7 * pages * limit + 1, 7)
    found: list[Speed] = []
    with elsewhere({"even": Table(ids, latency=latency)}) as base:
        for by, window in itertools.product(WALKS, windows):
            found.append(await speed(f"{base}even", ids, by, window, limit, rounds))
            print(found[-1], flush=True)
    return found


async def costs(
    pages: int, limit: int, windows: Sequence[int], draws: int, seed: int
) -> list[Cost]:
    """Runs and prints the second table."""
    drawn = [shapes(pages * limit, limit, random.Random(seed + n)) for n in range(draws)]
    tables = {
        f"{number}-{n}": Table(ids)
        for n, spread in enumerate(drawn)
        for number, ids in enumerate(spread.values())
    }
    found: list[Cost] = []
    with elsewhere(tables) as base:
        names = enumerate(drawn[0] if drawn else ())
        for (number, shape), window in itertools.product(names, windows):
            walks = [(f"{base}{number}-{n}", spread[shape]) for n, spread in enumerate(drawn)]
            found.append(await cost(walks, shape, window, limit))
            print(found[-1], flush=True)
    return found


def run(
    pages: int,
    limit: int,
    windows: Sequence[int],
    latency: float,
    rounds: int,
    draws: int,
    seed: int,
) -> list[str]:
    """Runs both tables; returns what of the claim does not hold."""
    began = time.monotonic()
    fast = asyncio.run(speeds(pages, limit, windows, latency, rounds))
    print(f"\nkeyset walks, beside the {pages + 1} requests of one after the other:", flush=True)
    cheap = asyncio.run(costs(pages, limit, windows, draws, seed))
    wrong = failures(fast, cheap)
    print(f"{len(fast) + len(cheap)} lines in {time.monotonic() - began:.0f} s")
    if JUDGED not in windows or not draws:
        print(f"a part of it only: the claim is on a window of {JUDGED}, and on both tables")
    print(*wrong or ["the claim holds"], sep="\n")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.walk_speed", description=__doc__
    )
    parser.add_argument("--pages", type=int, default=100)
    parser.add_argument("--limit", type=int, default=50, help="rows a page")
    parser.add_argument("--windows", type=int, nargs="*", default=list(WINDOWS))
    parser.add_argument("--latency", type=float, default=0.05, help="seconds an answer takes")
    parser.add_argument("--rounds", type=int, default=5, help="walks that a median is taken of")
    parser.add_argument("--draws", type=int, default=5, help="collections of each shape; may be 0")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    return bool(
        run(
            given.pages, given.limit, given.windows, given.latency,
            given.rounds, given.draws, given.seed,
        )
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
