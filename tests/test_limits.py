"""Pacing: no window sees more than is allowed, first come first served."""

from __future__ import annotations

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from benchmarks.harness.clocks import VirtualLoop, virtual
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.http import LEAVES
from voipstudio_cmb.limits import RateLimit


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "60", None])
def test_a_rate_is_a_finite_number_above_0(value: Any) -> None:
    with pytest.raises(ClientMisuse, match="n must be a finite number above 0"):
        RateLimit(value)
    with pytest.raises(ClientMisuse, match="per must be a finite number above 0"):
        RateLimit(60, per=value)


@given(
    st.integers(1, 200),
    st.floats(0.1, 100),
    st.lists(st.floats(0, 5), min_size=1, max_size=300),
)
def test_no_window_of_the_period_sees_more_than_n(n: int, per: float, gaps: list[float]) -> None:
    grants: list[float] = []

    async def job() -> None:
        limit = RateLimit(n, per)
        for gap in gaps:
            await asyncio.sleep(gap * per / n)
            await limit.acquire()
            grants.append(now())

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(job())
    for end in range(len(grants)):
        window = [g for g in grants[: end + 1] if g > grants[end] - per * 0.999]
        assert len(window) <= n


@given(
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), min_size=1, max_size=200),
)
def test_a_request_counts_from_when_it_leaves(n: int, jobs: list[tuple[float, float]]) -> None:
    left: list[float] = []

    async def job(limit: RateLimit, connecting: float) -> None:
        await limit.acquire()
        await asyncio.sleep(connecting)
        leaves = LEAVES.get()
        assert leaves is not None
        leaves()
        left.append(now())

    async def all_jobs() -> None:
        limit = RateLimit(n)
        async with asyncio.TaskGroup() as tasks:
            for gap, connecting in jobs:
                await asyncio.sleep(gap / n)
                tasks.create_task(job(limit, connecting))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(all_jobs())
    for end, last in enumerate(left):
        assert sum(last - 0.999 < each for each in left[: end + 1]) <= n


@pytest.mark.parametrize(
    ("n", "per", "jobs"), [(60, 2.0, 1), (60, 2.0, 8), (60, 2.0, 32), (5, 1, 3)]
)
@virtual
async def test_jobs_together_use_nearly_all_of_the_allowance(n: int, per: float, jobs: int) -> None:
    limit = RateLimit(n, per)
    grants: list[float] = []

    async def job() -> None:
        while now() < 1000 + 20 * per:
            await limit.acquire()
            grants.append(now())

    await asyncio.gather(*(job() for _ in range(jobs)))
    used = len([g for g in grants if g <= 1000 + 20 * per]) / (20 * n)
    assert 0.96 <= used <= 1.0


@virtual
async def test_it_is_first_come_first_served() -> None:
    limit, order = RateLimit(10), []

    async def one(number: int) -> None:
        await limit.acquire()
        order.append(number)

    await asyncio.gather(*(one(number) for number in range(32)))
    assert order == list(range(32))


@virtual
async def test_whoever_is_cancelled_as_its_turn_comes_passes_it_on() -> None:
    limit = RateLimit(1, per=10)
    await limit.acquire()
    first, second = (asyncio.create_task(limit.acquire()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)  # it has given its turn to the second, who has not seen that
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    assert first.cancelled()
    assert second.cancelled()
    await asyncio.wait_for(limit.acquire(), 20)


@virtual
async def test_a_cancelled_waiter_costs_nobody_a_turn() -> None:
    limit, granted = RateLimit(1, per=1 / 1.02), []

    async def one(number: int) -> None:
        await limit.acquire()
        granted.append((number, now() - 1000))

    tasks = [asyncio.create_task(one(number)) for number in range(4)]
    await asyncio.sleep(0.5)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert [(number, round(at, 6)) for number, at in granted] == [(0, 0.0), (2, 1.0), (3, 2.0)]


def test_it_moves_to_a_new_loop_but_not_away_from_waiters() -> None:
    limit = RateLimit(1, per=10)
    asyncio.run(limit.acquire())

    async def held() -> None:
        waiting = asyncio.create_task(limit.acquire())
        await asyncio.sleep(0.1)
        other = asyncio.new_event_loop()
        try:
            with pytest.raises(ClientMisuse, match="another event loop"):
                await asyncio.to_thread(other.run_until_complete, limit.acquire())
        finally:
            other.close()
            waiting.cancel()
            await asyncio.wait((waiting,))

    asyncio.run(held())


def test_it_says_what_it_is() -> None:
    assert repr(RateLimit(60, per=2.0)) == "RateLimit(60, per=2.0)"


@pytest.mark.parametrize(
    ("n", "per"), [(1e-320, 1.0), (1e-300, 1e300), (1, 1e300), (5e-324, 1e-300), (1e300, 1e-300)]
)
def test_a_rate_that_no_clock_can_keep_is_refused(n: float, per: float) -> None:
    with pytest.raises(ClientMisuse, match="no rate that can be kept|must be a finite number"):
        RateLimit(n, per=per)


@virtual
async def test_a_rate_without_end_holds_nobody() -> None:
    limit = RateLimit(1e300)
    began = asyncio.get_running_loop().time()
    for _ in range(2000):
        await limit.acquire()
    assert asyncio.get_running_loop().time() - began < 0.01
