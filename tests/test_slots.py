"""Places for a few at a time: in turn, none lost, and leaving the line costs the same anywhere."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.fakes.sockets import once, serving
from voipstudio_cmb import CallMeBackClient, ClientConfig, RateLimit
from voipstudio_cmb.auth import login
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.timeouts import Slots


async def test_no_more_than_allowed_and_first_come_first_served() -> None:
    slots, inside, most, order = Slots(3), 0, 0, []

    async def one(number: int) -> None:
        nonlocal inside, most
        async with slots:
            order.append(number)
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*map(one, range(20)))
    assert (most, order) == (3, list(range(20)))
    assert not slots.taken


async def test_whoever_is_cancelled_takes_and_loses_no_slot() -> None:
    draw = random.Random(1)
    for _ in range(200):
        slots, count = Slots(2), 0

        async def one() -> None:
            async with slots:  # noqa: B023 - all of them end within the round
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(one()) for _ in range(8)]
        while not all(task.done() for task in tasks):
            for task in draw.sample(tasks, 2):
                if draw.random() < 0.5:
                    task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        async with slots:
            assert not slots.taken
            async with slots:
                assert slots.taken
                count += 1
        assert count == 1


class Counting(asyncio.Future[Any]):
    """A future that counts with how many others any was compared."""

    compared = 0
    __hash__ = asyncio.Future.__hash__

    def __eq__(self, other: object) -> bool:
        Counting.compared += 1
        return self is other


CALLS = 500


@pytest.mark.parametrize("ends", ["aclose", "cancelled, newest first"])
@pytest.mark.parametrize("waits", ["for a connection", "for its turn", "for a token"])
async def test_ending_many_calls_compares_none_with_all_the_others(
    waits: str, ends: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(Counting, "compared", 0)
    monkeypatch.setattr(loop, "create_future", lambda: Counting(loop=loop))
    limiter = RateLimit(1, per=3600) if waits == "for its turn" else None
    token = login("user@example.com", "secret") if waits == "for a token" else "t"
    async with serving(once(hold=True)) as server:
        config = ClientConfig(deadline=3600, connections=1)
        async with CallMeBackClient(
            token, base_url=server.url, config=config, limiter=limiter
        ) as cmb:
            tasks = [asyncio.create_task(cmb.ping()) for _ in range(CALLS)]
            while not server.requests:
                await asyncio.sleep(0.001)
            if ends == "aclose":
                await cmb.aclose()
            else:
                for task in reversed(tasks):
                    task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            kinds = {type(outcome) for outcome in ended}
            assert kinds == {ClientMisuse if ends == "aclose" else asyncio.CancelledError}
    assert Counting.compared < 10 * CALLS
