"""What a row costs in a walk over a thousand rows, and in one over a million: processor time and
requests.

In pages of ten rows, so that the few requests that every walk begins with do not count for more
than what is claimed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.campaigns.walk_speed import WALKS, By
from benchmarks.harness.claim import Claim, Measure, Sample, Timer
from benchmarks.harness.tables import WHOLE, Table, elsewhere
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig

SIZES = (1_000, 10_000, 100_000, 1_000_000)
LIMIT = 10
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
                async with cmb.cdrs.list(walk=by, limit=LIMIT) as walk:
                    async for record in walk:
                        assert record.id > last
                        last, count = record.id, count + 1
                assert count == rows
        requests = cmb.usage.requests - before
    each = rows * times
    return timer.sample(1e6 * timer.cpu / each), timer.sample(1000 * requests / each)


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """Time and requests, for each way to walk."""
    sizes = (100, 200) if quick else SIZES
    tables = {str(size): Table(range(7, 7 * size + 1, 7), row=WHOLE) for size in sizes}
    with elsewhere(tables) as base:

        def measures(by: By) -> tuple[dict[str, Measure], dict[str, Measure]]:
            """Of time, and of the requests that were made meanwhile."""
            counted: dict[str, list[Sample]] = {}

            def timed(size: int) -> Sample:
                times = 1 if quick else -(-AT_LEAST // size)
                time, requests = asyncio.run(_walked(by, f"{base}{size}", size, times))
                counted.setdefault(f"{size:,} rows", []).append(requests)
                return time

            names = {f"{size:,} rows": size for size in sizes}
            return (
                {name: lambda size=size: timed(size) for name, size in names.items()},  # type: ignore[misc]
                {name: lambda name=name: counted[name].pop(0) for name in names},  # type: ignore[misc]
            )

        found = []
        for by in WALKS:
            for what, unit, contenders in zip(
                ("time", "requests"),
                ("us CPU a row", "requests for 1,000"),
                measures(by),
                strict=True,
            ):
                found.append(
                    Claim(
                        name=f"growth-of-{what}-by-{by}",
                        says=f"{what} a row, a walk by {by}",
                        unit=unit,
                        ours=f"{sizes[-1]:,} rows",
                        limit=f"{sizes[0]:,} rows",
                        target=TARGET,
                        contenders=contenders,
                        digits=1,
                    )
                )
        yield found
