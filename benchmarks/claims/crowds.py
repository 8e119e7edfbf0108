"""What one of many costs, beside one of few: a time-out that expires, a waiter of a limiter that is
cancelled, an account of an export, and a call where far more are made than there are connections.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.claims.calls import CALLS, measure_of
from benchmarks.harness.claim import Claim, Measure, Sample, Timer
from benchmarks.harness.processes import sandbox_elsewhere
from benchmarks.harness.tables import tables_elsewhere
from voipstudio_cmb.export import Account, Exports, Plan
from voipstudio_cmb.limits import RateLimit
from voipstudio_cmb.timeouts import Timeouts

EXPIRING, WAITING, ACCOUNTS, IN_FLIGHT = 10_000, 40_000, 5_000, 1_000
FEW = 100

Counted = Callable[[int], Sample]
"""Measures what one of so many costs."""


async def _expired(count: int) -> Sample:
    """So many calls whose time-outs expire one after the other."""
    timeouts = Timeouts()
    loop = asyncio.get_running_loop()
    now = loop.time()

    async def call(number: int) -> None:
        timeout = timeouts.begin(now + 0.5 + 1e-4 * number, loop)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            assert timeout.is_cause()
        finally:
            timeouts.end(timeout)

    tasks = [asyncio.create_task(call(number)) for number in range(count)]
    await asyncio.sleep(0)
    with Timer() as timer:
        await asyncio.gather(*tasks)
    return timer.sample(1e6 * timer.cpu / count)


async def _waiting(count: int) -> Sample:
    """So many tasks that wait for a limiter, all cancelled."""
    limit = RateLimit(1, per=3600)
    tasks = [asyncio.create_task(limit.acquire()) for _ in range(count + 1)]
    while not tasks[0].done():
        await asyncio.sleep(0)
    return await _cancelled(tasks)


def _uncollected(count: int) -> Sample:
    """As `_waiting`, without what Python's collector takes to look through so many tasks."""
    gc.disable()
    try:
        return asyncio.run(_waiting(count))
    finally:
        gc.enable()


async def _waiting_for_futures(count: int) -> Sample:
    """So many tasks that do nothing but wait, all cancelled."""

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    tasks = [asyncio.create_task(wait()) for _ in range(count)]
    await asyncio.sleep(0)
    return await _cancelled(tasks)


async def _cancelled(tasks: Sequence[asyncio.Task[None]]) -> Sample:
    with Timer() as timer:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return timer.sample(1e6 * timer.cpu / len(tasks))


async def _exported(url: str, token: str, count: int) -> Sample:
    """So many accounts whose websites are exported."""
    accounts = [Account(f"account-{n}", token, base_url=url) for n in range(count)]
    with tempfile.TemporaryDirectory() as to, Timer() as timer:
        summary = await Exports(accounts, Plan(to=Path(to), resources="websites")).run()
    assert summary.complete
    return timer.sample(1e3 * timer.cpu / count)


def _claim(
    name: str,
    says: str,
    unit: str,
    target: float,
    few: int,
    many: int,
    what: Counted,
    others: Mapping[str, Measure] = {},
) -> Claim:
    return Claim(
        name=name,
        says=says,
        unit=unit,
        ours=f"{many:,}",
        limit=f"{few:,}",
        target=target,
        digits=1,
        contenders={f"{count:,}": partial(what, count) for count in (few, many)} | {**others},
    )


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """One for each kind of crowd."""
    less = 100 if quick else 1
    many = [most // less for most in (EXPIRING, WAITING, ACCOUNTS)]
    few = [FEW // less, 10 * FEW // less, FEW // less]
    calls, in_flight = (64, 8) if quick else (CALLS, IN_FLIGHT)
    with sandbox_elsewhere(10, 1) as (url, token), tables_elsewhere({}) as tables:
        yield [
            _claim(
                "growth-of-timeouts", "a time-out that expires beside others", "us CPU", 2,
                few[0], many[0], lambda count: asyncio.run(_expired(count)),
            ),
            _claim(
                "growth-of-waiters", "a waiter of a limiter, cancelled with all", "us CPU", 2,
                few[1], many[1], lambda count: asyncio.run(_waiting(count)),
                {
                    f"{count:,} without Python's collector": partial(_uncollected, count)
                    for count in (few[1], many[1])
                }
                | {
                    f"{count:,} that only wait": partial(
                        lambda count: asyncio.run(_waiting_for_futures(count)), count
                    )
                    for count in (few[1], many[1])
                },
            ),
            _claim(
                "growth-of-accounts", "an account of an export of many", "ms CPU", 1.1,
                few[2], many[2], lambda count: asyncio.run(_exported(url, token, count)),
            ),
            Claim(
                name="calls-1000",
                says=f"a call, {IN_FLIGHT:,} in flight over 32 connections",
                unit="us CPU",
                ours="voipstudio_cmb",
                limit="aiohttp",
                target=1.15,
                digits=0,
                contenders={
                    name: measure_of(name, tables, calls, in_flight)
                    for name in ("voipstudio_cmb", "aiohttp")
                },
            ),
        ]  # fmt: skip
