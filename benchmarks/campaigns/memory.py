"""Claim: a walk over a million rows needs at most 30 MB more memory than one over 10,000.

Each walk, by page and by keyset, is made by a process of its own, against a server in another one:
what is compared is the most memory that it ever held. Its rows are as long as real ones, and each
must come once and in order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.memory import MIB
from benchmarks.harness.tables import tables_elsewhere
from benchmarks.harness.walk_memory import (
    CONCURRENCY,
    GROWTH,
    PAGE_SIZE,
    SIZES,
    MeasuredWalk,
    tables_of,
    walk_elsewhere,
)
from benchmarks.harness.walks import WALKS

QUICK = (10_000, 100_000)


def measure(
    sizes: Iterable[int], concurrency: int, page_size: int, seed: int
) -> list[MeasuredWalk]:
    """Walks over a collection of each size, by page and by keyset, and prints what it took."""
    walks: list[MeasuredWalk] = []
    with tables_elsewhere(tables_of(sizes, seed)) as base:
        for by in WALKS:
            for size in sorted(sizes):
                url = f"{base}{size}"
                walks.append(walk_elsewhere(url, by, size, concurrency, page_size, seed))
                print(walks[-1], flush=True)
            grown = walks[-1].memory - walks[-len(tuple(sizes))].memory
            print(f"{by:<7} {grown / MIB:+.1f} MiB")
    return walks


def failures(walks: Sequence[MeasuredWalk]) -> list[str]:
    """What contradicts the claim."""
    wrong = [f"wrong rows: {each}" for each in walks if not each.exact]
    for by in WALKS:
        held = [each.memory for each in walks if each.by == by]
        grown = max(held, default=0) - min(held, default=0)
        if grown > GROWTH:
            wrong.append(f"{by}: {grown / 1e6:.1f} MB more, and {GROWTH / 1e6:.0f} are allowed")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("memory", __doc__, "--rows 10000 5000000")
    command.add("--rows", list(SIZES), "rows of the two collections", nargs=2)
    command.add("--concurrency", CONCURRENCY, "page requests in flight")
    command.add("--page-size", PAGE_SIZE, "rows a page")
    command.quick(f"{QUICK[0]} and {QUICK[1]} rows")
    given = command.parse(arguments)
    began = time.monotonic()
    sizes = QUICK if given.quick else given.rows
    walks = measure(sizes, given.concurrency, given.page_size, given.seed)
    print(f"{len(walks)} walks in {time.monotonic() - began:.0f} s")
    return bool(conclude(failures(walks)))


if __name__ == "__main__":
    sys.exit(main())
