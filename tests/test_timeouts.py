"""Bounds of time: as asyncio's own, but many under one timer."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.timeouts import Timeout, Timeouts


def now() -> float:
    return asyncio.get_running_loop().time()


@contextmanager
def ending(timeouts: Timeouts, when: float) -> Iterator[Timeout]:
    """Raises `TimeoutError` where the block was cancelled by its bound, as `asyncio.timeout`."""
    timeout = timeouts.begin(when, asyncio.get_running_loop())
    try:
        yield timeout
    except asyncio.CancelledError as error:
        if not timeout.is_cause():
            raise
        raise TimeoutError from error
    finally:
        timeouts.end(timeout)


async def bounded(timeouts: Timeouts, seconds: float, takes: float) -> float:
    """Sleeps for so long within a bound; gives the time when it ended, below 0 if by that."""
    try:
        with ending(timeouts, now() + seconds):
            await asyncio.sleep(takes)
    except TimeoutError:
        return -now()
    return now()


def watched_timers() -> Callable[[], list[asyncio.TimerHandle]]:
    """Returns a function that gives the timers of `Timeouts` that are set on the running loop."""
    loop: Any = asyncio.get_running_loop()
    call_at, made = loop.call_at, []

    def noted(when: float, callback: Callable[..., Any], *more: Any, **context: Any) -> Any:
        timer = call_at(when, callback, *more, **context)
        if isinstance(getattr(callback, "__self__", None), Timeouts):
            made.append(timer)
        return timer

    loop.call_at = noted
    return lambda: [each for each in made if not each.cancelled() and each.when() > now()]


@virtual
async def test_each_ends_at_its_own_time_and_none_before() -> None:
    timeouts, began = Timeouts(), now()
    asked = [(5.0, 9.0), (1.0, 9.0), (3.0, 2.0), (3.0, 9.0), (9.0, 4.0), (2.5, 9.0), (3.0, 9.0)]
    ended = await asyncio.gather(*(bounded(timeouts, *each) for each in asked))
    expected = [-5.0, -1.0, 2.0, -3.0, 4.0, -2.5, -3.0]
    assert [abs(at) - began for at in ended] == pytest.approx([abs(at) for at in expected])
    assert [at < 0 for at in ended] == [at < 0 for at in expected]
    # As late as those before have rung, not earlier.
    assert await bounded(timeouts, 2.0, 9.0) == pytest.approx(-began - 7.0)


@virtual
async def test_there_is_one_timer_and_none_is_left_when_nothing_runs() -> None:
    rings, timeouts = watched_timers(), Timeouts()
    tasks = [asyncio.create_task(bounded(timeouts, 50.0 + n, 1.0)) for n in range(20)]
    await asyncio.sleep(0)
    assert len(rings()) == 1
    await asyncio.gather(*tasks)
    await asyncio.sleep(60)  # it rings once more, for nobody
    assert not rings()


@virtual
async def test_the_earliest_goes_first_however_late_it_comes() -> None:
    rings, timeouts, began = watched_timers(), Timeouts(), now()
    slow = asyncio.create_task(bounded(timeouts, 50.0, 99.0))
    await asyncio.sleep(1)
    quick = asyncio.create_task(bounded(timeouts, 3.0, 99.0))
    await asyncio.sleep(0)
    assert len(rings()) == 1
    assert await quick == -began - 4.0
    assert await slow == -began - 50.0


@virtual
async def test_one_within_another() -> None:
    timeouts = Timeouts()
    with ending(timeouts, now() + 10) as outer:
        with pytest.raises(TimeoutError), ending(timeouts, now() + 2) as inner:
            await asyncio.sleep(5)
        assert (inner.expired, outer.expired) == (True, False)
        await asyncio.sleep(1)
    with pytest.raises(TimeoutError), ending(timeouts, now() + 2) as outer:
        with ending(timeouts, now() + 5) as inner:
            await asyncio.sleep(9)
    assert (inner.expired, outer.expired) == (False, True)
    when = now() + 2
    with (
        pytest.raises(TimeoutError),
        ending(timeouts, when) as outer,
        ending(timeouts, when) as inner,
    ):
        await asyncio.sleep(9)
    assert (inner.expired, outer.expired) == (True, True)
    await asyncio.sleep(1)  # and no cancellation is left over


@virtual
async def test_a_cancellation_from_elsewhere_stays_one() -> None:
    timeouts = Timeouts()
    task = asyncio.create_task(bounded(timeouts, 5.0, 9.0))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    task = asyncio.create_task(bounded(timeouts, 5.0, 9.0))
    await asyncio.sleep(0)
    timeouts.close()
    task.cancel()  # at the same moment: whoever cancels must see that it was
    with pytest.raises(asyncio.CancelledError):
        await task


@virtual
async def test_an_error_of_its_own_passes_also_when_the_time_is_up() -> None:
    timeouts = Timeouts()
    with pytest.raises(ZeroDivisionError), ending(timeouts, now() + 1):
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            raise ZeroDivisionError from None
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@virtual
async def test_closing_ends_all_and_lets_the_loop_rest() -> None:
    rings, timeouts = watched_timers(), Timeouts()
    tasks = [asyncio.create_task(bounded(timeouts, 50.0, 60.0)) for _ in range(3)]
    await asyncio.sleep(1)
    timeouts.close()
    timeouts.close()
    assert await asyncio.gather(*tasks) == [-now()] * 3
    assert timeouts.guard.closed
    assert not rings()


def test_they_belong_to_one_loop_while_any_is_in_use() -> None:
    timeouts = Timeouts()

    async def use(inner: Any) -> None:
        with ending(timeouts, now() + 5):
            await inner()

    async def elsewhere() -> None:
        await asyncio.to_thread(asyncio.run, use(lambda: asyncio.sleep(0)))

    with pytest.raises(ClientMisuse, match="another event loop"):
        asyncio.run(use(elsewhere))
    asyncio.run(use(lambda: asyncio.sleep(0)))  # one after the other is fine


def test_the_timer_of_a_loop_that_has_ended_is_none_for_the_next() -> None:
    timeouts, ended = Timeouts(), []

    @virtual
    async def use(seconds: float, takes: float) -> None:
        ended.append(await bounded(timeouts, seconds, takes))

    use(5.0, 1.0)
    use(9.0, 99.0)
    assert ended == [1001.0, -1009.0]


class Compared(float):
    """A time that counts how often any was compared with another."""

    comparisons = 0

    def __lt__(self, other: float) -> bool:
        Compared.comparisons += 1
        return float(self) < float(other)

    def __le__(self, other: float) -> bool:
        Compared.comparisons += 1
        return float(self) <= float(other)


@pytest.mark.parametrize("others", [1_000, 10_000])
@virtual
async def test_one_that_expires_costs_the_same_beside_any_number_of_others(others: int) -> None:
    timeouts, began = Timeouts(), now()
    loop = asyncio.get_running_loop()
    beside = [timeouts.begin(Compared(began + 100 + n % 977), loop) for n in range(others)]
    Compared.comparisons = 0
    for n in range(10):
        with pytest.raises(TimeoutError), ending(timeouts, Compared(began + 1 + n)):
            await asyncio.sleep(50)
    # It goes up and down a heap.
    assert Compared.comparisons < 10 * 60
    for each in beside:
        timeouts.end(each)


@virtual
async def test_those_that_have_ended_are_not_kept() -> None:
    timeouts = Timeouts()
    with ending(timeouts, now() + 5):
        gc.collect()
        before = len(gc.get_objects())
        for _ in range(10_000):
            with ending(timeouts, now() + 50):
                pass
        assert len(gc.get_objects()) < before + 400
    with ending(timeouts, now() + 50):
        await asyncio.sleep(20)
