"""One allowance for several processes, on virtual time and with a keeper in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from benchmarks.harness.clocks import VirtualLoop, virtual
from tests.fakes.keeper import FakeLimit, Keeper
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, ConnectFailed
from voipstudio_cmb.exit_codes import RESUMABLE, code_of
from voipstudio_cmb.ext.shared import Ask, SharedLimit
from voipstudio_cmb.ext.shared.line import Grant, Line
from voipstudio_cmb.http import LEAVES
from voipstudio_cmb.limits import RateLimit


def now() -> float:
    return asyncio.get_running_loop().time() - 1000


def stall(seconds: float) -> None:
    """The loop is busy for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.stall(seconds)


async def take(limit: SharedLimit, times: int, left: list[float]) -> None:
    for _ in range(times):
        await limit.acquire()
        left.append(now())


def most_in_any(seconds: float, left: Sequence[float]) -> int:
    """How many of `left` were in the fullest window of so many seconds."""
    times = sorted(left)
    return max(sum(at - seconds + 1e-9 < other <= at for other in times) for at in times)


async def stalls(rng: random.Random, most: float) -> None:
    """Keeps the loop busy now and then."""
    while most:
        await asyncio.sleep(rng.uniform(0, most))
        stall(rng.uniform(0, most))


@pytest.mark.parametrize("lease", [1, 5])
@given(n=st.integers(1, 20), most=st.sampled_from([0.0, 0.01, 0.08]), seed=st.integers(0, 999))
def test_no_window_sees_more_than_n_leave(lease: int, n: int, most: float, seed: int) -> None:
    rng, left = random.Random(seed), []

    async def job() -> None:
        keeper = Keeper(n)
        keeper.there = keeper.back = lambda: rng.uniform(0, 0.015) * (rng.random() < 0.7)
        busy = asyncio.create_task(stalls(rng, most))
        limits = [FakeLimit(keeper, n, lease=lease) for _ in range(3)]
        await asyncio.gather(*(take(limit, n + 2, left) for limit in limits for _ in range(2)))
        busy.cancel()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(job())
    assert len(left) == 6 * (n + 2)
    assert most_in_any(1.0, left) <= n


@virtual
async def test_processes_together_use_nearly_all_of_it_with_one_question_a_grant() -> None:
    keeper, left = Keeper(100), []
    limits = [FakeLimit(keeper, 100) for _ in range(4)]
    await asyncio.gather(*(take(limit, 50, left) for limit in limits for _ in range(8)))
    assert 0.97 < len(left) / max(left) / 100 <= 0.99
    assert len(keeper.asked) < 1.1 * len(left)


@virtual
async def test_leases_need_a_fifth_of_the_questions() -> None:
    keeper, left = Keeper(100), []
    limits = [FakeLimit(keeper, 100, lease=5) for _ in range(4)]
    await asyncio.gather(*(take(limit, 50, left) for limit in limits for _ in range(8)))
    assert 0.93 < len(left) / max(left) / 100 <= 0.99
    assert len(keeper.asked) < 0.25 * len(left)


@virtual
async def test_a_grant_that_comes_back_late_is_given_back_and_not_used() -> None:
    keeper, left = Keeper(1, per=10.0), []
    delays = iter([0.3, 0.1])  # a fiftieth of the period is 0.2 s
    keeper.back = lambda: next(delays, 0.0)
    limit = FakeLimit(keeper, 1, per=10.0)
    await take(limit, 2, left)
    # The next one counts from when the first was used, and not from when it was made.
    assert left == pytest.approx([0.4, 0.4 + 10.2], abs=1e-6)


@virtual
async def test_a_request_that_leaves_late_counts_from_when_it_left() -> None:
    keeper, left = Keeper(1, per=10.0), []
    delays = iter([0.1])
    keeper.back = lambda: next(delays, 0.0)
    limit, other = FakeLimit(keeper, 1, per=10.0), FakeLimit(keeper, 1, per=10.0)
    await limit.acquire()
    leaves = LEAVES.get()
    assert leaves is not None
    waiting = asyncio.create_task(take(other, 1, left))
    await asyncio.sleep(3.0)  # until there is a connection
    leaves()
    await waiting
    assert left == pytest.approx([0.1 + 3.0 + 10.2], abs=0.01)


@virtual
async def test_a_grant_is_not_used_by_a_caller_that_wakes_up_late() -> None:
    keeper, left = Keeper(1, per=10.0), []
    loop, stalled = asyncio.get_running_loop(), iter([0.3])

    def back() -> float:  # the loop is busy just after the grant was handed to the caller
        loop.call_soon(loop.call_soon, lambda: stall(next(stalled, 0.0)))
        return 0.0

    keeper.back = back
    await take(FakeLimit(keeper, 1, per=10.0), 1, left)
    assert left == pytest.approx([0.3])
    assert [len(question.unused) for question in keeper.asked] == [0, 1]


@virtual
async def test_all_who_share_it_are_held_when_one_is_told_to_hold() -> None:
    keeper, left = Keeper(100), []
    one, other = FakeLimit(keeper, 100), FakeLimit(keeper, 100)
    await take(other, 1, left)
    one.hold(3.0)
    one.hold(3.0)
    await asyncio.sleep(0.001)
    assert len(keeper.asked) == 2
    await take(other, 2, left)
    assert left == pytest.approx([0.0, 3.0, 3.0], abs=1e-3)


@virtual
async def test_a_cancelled_caller_leaks_no_grant() -> None:
    keeper, left = Keeper(1, per=10.0), []
    keeper.there = keeper.back = lambda: 0.05
    limit, other = FakeLimit(keeper, 1, per=10.0), FakeLimit(keeper, 1, per=10.0)
    for waits in (0.01, 0.07):  # before the question is answered, and before the answer is here
        waiting = asyncio.create_task(limit.acquire())
        await asyncio.sleep(waits)
        waiting.cancel()
        await asyncio.wait((waiting,))
        await asyncio.sleep(0.3)
    await take(other, 1, left)
    assert left[0] < 1.0


@virtual
async def test_a_grant_for_a_cancelled_caller_goes_to_the_next() -> None:
    keeper, left = Keeper(1, per=10.0), []
    keeper.back = lambda: 0.05
    limit = FakeLimit(keeper, 1, per=10.0)
    first = asyncio.create_task(limit.acquire())
    second = asyncio.create_task(take(limit, 1, left))
    await asyncio.sleep(0.01)
    first.cancel()
    await asyncio.wait((first, second))
    assert left == pytest.approx([0.05])


@virtual
async def test_a_caller_that_is_cancelled_in_the_moment_of_its_grant_gives_it_back() -> None:
    given_back: list[Grant] = []
    line = Line(given_back.append, left=lambda: None)
    waiting = asyncio.create_task(line.turn(line.join(first=False)))
    await asyncio.sleep(0)
    grant = Grant("name", 0.0)
    assert line.give(grant)
    waiting.cancel()
    await asyncio.wait((waiting,))
    assert waiting.cancelled()
    assert given_back == [grant]


@virtual
async def test_a_process_that_dies_holds_nothing() -> None:
    keeper, left = Keeper(1, per=10.0), []
    limit = FakeLimit(keeper, 1, per=10.0)
    await take(limit, 1, left)
    answer = await keeper.ask(Ask(process="dying", number=1, count=1))
    assert answer.wait == pytest.approx(10.2)
    await take(limit, 2, left)
    assert left == pytest.approx([0.0, 11.2, 21.4], abs=1e-3)


@virtual
async def test_without_a_fallback_callers_fail_and_may_try_again() -> None:
    keeper = Keeper(100)
    keeper.away = True
    limit = FakeLimit(keeper, 100)
    errors = await asyncio.gather(*(limit.acquire() for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in errors] == [ConnectFailed] * 3
    assert len({*map(id, errors)}) == 3
    for error in errors:
        assert isinstance(error, CallMeBackError)
        assert (error.retryable, error.sent, code_of(error)) == (True, "no", RESUMABLE)
    keeper.away = False
    await limit.acquire()


@virtual
async def test_a_keeper_that_never_answers_is_away() -> None:
    keeper = Keeper(100)
    keeper.there = lambda: 1e6
    limit = FakeLimit(keeper, 100)
    with pytest.raises(
        ConnectFailed, match="is away: nothing was sent, as it gave no answer within 2 s"
    ):
        await limit.acquire()
    assert now() == pytest.approx(4.0)


@virtual
async def test_the_fallback_paces_after_a_silent_period_and_until_the_keeper_is_back() -> None:
    keeper, left = Keeper(100), []
    limits = [FakeLimit(keeper, 100, fallback=RateLimit(25)) for _ in range(4)]
    jobs = [asyncio.create_task(take(limit, 10_000, left)) for limit in limits]
    await asyncio.sleep(2)
    keeper.away = True
    await asyncio.sleep(4)
    keeper.away = False
    await asyncio.sleep(10)
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)
    assert most_in_any(1.0, left) <= 100
    assert not [at for at in left if 2.02 < at < 3.01]  # nobody knows what was granted last
    fallen_back = [at for at in left if 3.1 < at < 6.0]
    assert 0.9 < len(fallen_back) / 2.9 / 100 <= 1.02
    begins_again = min(at for at in left if at > 6.6)
    assert begins_again > 7.5
    assert sum(begins_again < at < begins_again + 4 for at in left) > 0.96 * 400


@virtual
async def test_a_short_outage_costs_no_more_than_its_time() -> None:
    keeper, left = Keeper(100), []
    limit = FakeLimit(keeper, 100, fallback=RateLimit(25))
    await take(limit, 1, left)
    keeper.away = True
    waiting = asyncio.create_task(take(limit, 1, left))
    await asyncio.sleep(0.3)
    keeper.away = False
    await waiting
    assert left[1] < 0.6


@virtual
async def test_a_refusal_of_the_keeper_is_no_reason_to_go_on_without_it() -> None:
    keeper = Keeper(100)

    async def refuse(_: object) -> Any:
        raise ClientMisuse("wrong password")

    keeper.ask = refuse  # type: ignore[method-assign]
    limit = FakeLimit(keeper, 100, fallback=RateLimit(25))
    with pytest.raises(ClientMisuse, match="wrong password"):
        await limit.acquire()


@virtual
async def test_a_keeper_too_far_away_is_an_error_that_says_what_to_do() -> None:
    keeper = Keeper(100)
    keeper.back = lambda: 0.03
    with pytest.raises(ConnectFailed, match="more than 20 ms late.*ten times as many requests"):
        await FakeLimit(keeper, 100).acquire()


@virtual
async def test_closing_it_lets_nobody_wait_for_ever() -> None:
    keeper = Keeper(1, per=10.0)
    async with FakeLimit(keeper, 1, per=10.0) as limit:
        await limit.acquire()
        waiting = asyncio.create_task(limit.acquire())
        await asyncio.sleep(1)
    with pytest.raises(ClientMisuse, match="was closed while callers waited"):
        await waiting


def test_it_moves_to_a_new_loop() -> None:
    limit = FakeLimit(Keeper(100), 100)
    for _ in range(2):
        asyncio.run(limit.acquire())


@pytest.mark.parametrize("value", [0, -1, float("nan"), True, "60", None])
def test_its_numbers_are_checked(value: Any) -> None:
    with pytest.raises(ClientMisuse, match="FakeLimit: n must be a finite number above 0"):
        FakeLimit(Keeper(1), value)
    with pytest.raises(ClientMisuse, match="FakeLimit: per must be a finite number above 0"):
        FakeLimit(Keeper(1), 60, per=value)
    with pytest.raises(ClientMisuse, match="FakeLimit: lease must be an integer from 1 to 64"):
        FakeLimit(Keeper(1), 60, lease=value)


def test_a_fallback_is_a_limiter() -> None:
    with pytest.raises(ClientMisuse, match="fallback must be a limiter"):
        FakeLimit(Keeper(1), 60, fallback=25)
