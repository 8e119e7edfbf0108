"""Claim: a walk over a million rows needs at most 30 MB more memory than one over 10,000.

Each walk, by page and by keyset, is made by a process of its own, against a server in another one:
what is compared is the most memory that it ever held. Its rows are as long as real ones, and each
must have come once and in order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.campaigns.fuzz.__main__ import resident
from benchmarks.campaigns.walk_speed import WALKS, By
from benchmarks.harness.claim import Claim, Measure, Sample
from benchmarks.harness.tables import WHOLE, Table, elsewhere
from voipstudio_cmb import CallMeBackClient

MIB = 2**20
ROWS = (10_000, 1_000_000)
QUICK = (10_000, 100_000)
WINDOW = 8
LIMIT = 500
GROWTH = 30 * 10**6


def spread(rows: int, seed: int) -> Iterator[int]:
    """As many ids, with gaps as they are where other accounts' rows lie between; never a list."""
    draw, last = random.Random(seed).random, 0
    for _ in range(rows):
        last += 1 + int(9 * draw())
        yield last


def peak() -> int:
    """The most bytes of memory that this process ever held."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resident()  # no Linux: this is the most there
    # Not what getrusage says: there a process begins with the most that its parent ever held.
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@attrs.frozen(kw_only=True)
class Walked:
    """A walk by a process of its own: the most *memory* it held, and how much of it *before*."""

    by: By
    rows: int
    before: int
    memory: int
    seconds: float
    requests: int
    exact: bool

    def __str__(self) -> str:
        return (
            f"{self.by:<7} {self.rows:>8} rows  {self.memory / MIB:6.1f} MiB at most "
            f"({self.before / MIB:.1f} before)  {self.rows / self.seconds:>6.0f} rows/s  "
            f"{self.requests} requests" + ("" if self.exact else "  WRONG ROWS")
        )


async def walk(
    url: str, by: By, rows: int, window: int, limit: int, seed: int, collect: bool = False
) -> Walked:
    """Walks in this process; *collect* keeps all records in a list."""
    async with CallMeBackClient("token", base_url=url) as client:
        await client.cdrs.count()
        wanted, exact, before = spread(rows, seed), True, peak()
        began = time.perf_counter()
        async with client.cdrs.list(walk=by, window=window, limit=limit) as records:
            kept = []
            async for record in records:
                exact = exact and record.id == next(wanted, None)
                if collect:
                    kept.append(record)
        took = time.perf_counter() - began
        return Walked(
            by=by,
            rows=rows,
            before=before,
            memory=peak(),
            seconds=took,
            requests=client.usage.requests - 1,
            exact=exact and next(wanted, None) is None,
        )


def walked(
    url: str, by: By, rows: int, window: int, limit: int, seed: int, collect: bool = False
) -> Walked:
    """Walks in a process of its own."""
    asked = (url, by, rows, window, limit, seed, collect)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.campaigns.memory", "--walk", json.dumps(asked)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    return Walked(**json.loads(done.stdout))


def campaign(rows: Iterable[int], window: int, limit: int, seed: int) -> list[Walked]:
    """Walks over a collection of each size, by page and by keyset, and prints what it took."""
    sizes = sorted(rows)
    tables = {str(size): Table(array("q", spread(size, seed)), row=WHOLE) for size in sizes}
    found: list[Walked] = []
    with elsewhere(tables) as base:
        for by in WALKS:
            for size in sizes:
                found.append(walked(f"{base}{size}", by, size, window, limit, seed))
                print(found[-1], flush=True)
    return found


def failures(walks: Sequence[Walked]) -> list[str]:
    """What of the claim does not hold."""
    found = [f"wrong rows: {each}" for each in walks if not each.exact]
    for by in WALKS:
        held = [each.memory for each in walks if each.by == by]
        grown = max(held, default=0) - min(held, default=0)
        if grown > GROWTH:
            found.append(f"{by}: {grown / 1e6:.1f} MB more, and {GROWTH / 1e6:.0f} are allowed")
    return found


def run(rows: Iterable[int], window: int, limit: int, seed: int) -> list[str]:
    """Runs the campaign; returns what of the claim does not hold."""
    began = time.monotonic()
    found = campaign(rows, window, limit, seed)
    for by in WALKS:
        held = [each.memory for each in found if each.by == by]
        print(f"{by:<7} {(held[-1] - held[0]) / MIB:+.1f} MiB")
    wrong = failures(found)
    print(f"{len(found)} walks in {time.monotonic() - began:.0f} s")
    print(*wrong or ["the claim holds"], sep="\n")
    return wrong


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """How much more the longer walk holds, in MB, for each way to walk."""
    sizes = (1_000, 2_000) if quick else ROWS
    tables = {str(size): Table(array("q", spread(size, 1)), row=WHOLE) for size in sizes}
    with elsewhere(tables) as base:

        def measure(by: By, collect: bool) -> Measure:
            def both() -> Sample:
                less, more = (
                    walked(f"{base}{size}", by, size, WINDOW, LIMIT, 1, collect) for size in sizes
                )
                assert less.exact, less
                assert more.exact, more
                return Sample(value=(more.memory - less.memory) / 1e6, wall=more.seconds)

            return both

        yield [
            Claim(
                name=f"memory-by-{by}",
                says=f"memory of {sizes[1]:,} rows over that of {sizes[0]:,}, a walk by {by}",
                unit="MB",
                ours="voipstudio_cmb",
                limit=None,
                target=GROWTH / 1e6,
                contenders={
                    "voipstudio_cmb": measure(by, False),
                    **({"a list": measure(by, True)} if by == "page" else {}),
                },
                digits=1,
            )
            for by in WALKS
        ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.memory", description=__doc__
    )
    parser.add_argument("--rows", type=int, nargs=2, default=list(ROWS))
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--limit", type=int, default=LIMIT, help="rows a page")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK[0]} and {QUICK[1]} rows, in some seconds"
    )
    parser.add_argument("--walk", help=argparse.SUPPRESS)  # what the processes are started with
    given = parser.parse_args(arguments)
    if given.walk:
        print(json.dumps(attrs.asdict(asyncio.run(walk(*json.loads(given.walk))))))
        return 0
    rows = QUICK if given.quick else given.rows
    return bool(run(rows, given.window, given.limit, given.seed))


if __name__ == "__main__":
    sys.exit(main())
