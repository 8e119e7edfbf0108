"""What a row costs in a walk over a thousand rows, and in one over a million: processor time and
requests.

In pages of ten rows, so that the few requests that every walk begins with do not count for more
than what is claimed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from benchmarks.harness.claim import Claim, Sample, Timer
from benchmarks.harness.tables import LONG, Table, tables_elsewhere
from benchmarks.harness.walks import WALKS, By
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

SIZES = (1_000, 10_000, 100_000, 1_000_000)
PAGE_SIZE = 10
TARGET = 1.1
AT_LEAST = 50_000
"""Rows a measurement: a small collection is walked over as often as it takes."""


async def _walked(by: By, url: str, rows: int, times: int) -> tuple[Sample, Sample]:
    async with CallMeBackClient("t", base_url=url, config=ClientConfig(retry_budget=0)) as cmb:
        await cmb.cdrs.count()
        before = cmb.usage.requests
        with Timer() as timer:
            for _ in range(times):
                last = count = 0
                async with cmb.cdrs.list(walk=by, page_size=PAGE_SIZE) as walk:
                    async for record in walk:
                        assert record.id > last
                        last, count = record.id, count + 1
                assert count == rows
        requests = cmb.usage.requests - before
    each = rows * times
    return timer.sample(1e6 * timer.cpu / each), timer.sample(1000 * requests / each)


def _claims(by: By, base: str, sizes: Sequence[int], quick: bool) -> list[Claim]:
    """Time, and the requests of the same walks."""
    requests: dict[int, list[Sample]] = {size: [] for size in sizes}

    def timed(size: int) -> Sample:
        times = 1 if quick else -(-AT_LEAST // size)
        time, count = asyncio.run(_walked(by, f"{base}{size}", size, times))
        requests[size].append(count)
        return time

    def counted(size: int) -> Sample:
        return requests[size].pop(0)

    measured = (("time", "us CPU a row", timed), ("requests", "requests for 1,000", counted))
    return [
        Claim(
            name=f"growth-of-{what}-by-{by}",
            says=f"{what} a row, a walk by {by}",
            unit=unit,
            ours=f"{sizes[-1]:,} rows",
            limit=f"{sizes[0]:,} rows",
            target=TARGET,
            contenders={f"{size:,} rows": partial(measure, size) for size in sizes},
            digits=1,
        )
        for what, unit, measure in measured
    ]


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """Time and requests, for each way to walk."""
    sizes = (100, 200) if quick else SIZES
    tables = {str(size): Table(range(7, 7 * size + 1, 7), row=LONG) for size in sizes}
    with tables_elsewhere(tables) as base:
        yield [claim for by in WALKS for claim in _claims(by, base, sizes, quick)]
