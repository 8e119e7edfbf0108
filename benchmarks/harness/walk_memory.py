"""A walk in a process of its own, and the most memory that it holds."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from benchmarks.harness.memory import MIB, peak
from benchmarks.harness.processes import call_elsewhere
from benchmarks.harness.tables import LONG, Table
from benchmarks.harness.walks import By
from voipstudio_cmb import CallMeBackClient

SIZES = (10_000, 1_000_000)
CONCURRENCY = 8
PAGE_SIZE = 500
GROWTH = 30 * 10**6
"""The bytes that the longer walk may hold beyond what the shorter one holds."""


def spread_ids(rows: int, seed: int) -> Iterator[int]:
    """So many ids, with gaps as other accounts' rows leave them; never a list."""
    draw, last = random.Random(seed).random, 0
    for _ in range(rows):
        last += 1 + int(9 * draw())
        yield last


def tables_of(sizes: Iterable[int], seed: int) -> Mapping[str, Table]:
    """A collection of each size, by its size."""
    return {str(size): Table(array("q", spread_ids(size, seed)), row=LONG) for size in sizes}


@attrs.frozen(kw_only=True)
class MeasuredWalk:
    """A walk and the memory of its process, in bytes."""

    by: By
    rows: int
    before: int
    """What the process held at most before the walk."""
    memory: int
    """What it held at most."""
    seconds: float
    requests: int
    exact: bool
    """Whether each row came once and in order."""

    def __str__(self) -> str:
        return (
            f"{self.by:<7} {self.rows:>8} rows  {self.memory / MIB:6.1f} MiB at most "
            f"({self.before / MIB:.1f} before)  {self.rows / self.seconds:>6.0f} rows/s  "
            f"{self.requests} requests" + ("" if self.exact else "  WRONG ROWS")
        )


async def walk(
    url: str, by: By, rows: int, concurrency: int, page_size: int, seed: int, collect: bool = False
) -> MeasuredWalk:
    """Walks in this process; `collect` keeps all records in a list."""
    async with CallMeBackClient("token", base_url=url) as client:
        await client.cdrs.count()
        expected, exact, before = spread_ids(rows, seed), True, peak()
        began = time.perf_counter()
        async with client.cdrs.list(
            walk=by, concurrency=concurrency, page_size=page_size
        ) as records:
            collected = []
            async for record in records:
                exact = exact and record.id == next(expected, None)
                if collect:
                    collected.append(record)
        took = time.perf_counter() - began
        return MeasuredWalk(
            by=by,
            rows=rows,
            before=before,
            memory=peak(),
            seconds=took,
            requests=client.usage.requests - 1,
            exact=exact and next(expected, None) is None,
        )


def walk_elsewhere(*given: Any) -> MeasuredWalk:
    """Walks as `walk` does, in a process of its own."""
    return MeasuredWalk(**call_elsewhere(walk, *given))
