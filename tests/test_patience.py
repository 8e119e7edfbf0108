"""An API that is away: reads wait and one at a time tries, until it is back or patience ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.handlers import full_chain
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ConnectionLost,
    NotFound,
    RateLimited,
    RequestTimeout,
    ServerFault,
    TLSFailed,
)
from voipstudio_cmb.http import Call, Handler, Request, Response
from voipstudio_cmb.patience import Patience
from voipstudio_cmb.retry import Backoff, RetryBudget


def now() -> float:
    return asyncio.get_running_loop().time()


class Api:
    """Is away from second `begin` to second `end`; notes when it was asked, and by how many."""

    def __init__(self, begin: float, end: float, failure: Any = None) -> None:
        self.zero = now()
        self.begin, self.end = begin, end
        self.failure = failure or ConnectFailed("no line")
        self.times: list[float] = []
        self.at_once = self.most = 0
        self.broken: set[str] = set()

    async def __call__(self, request: Request) -> Response:
        passed = now() - self.zero
        self.times.append(passed)
        self.at_once += 1
        away = self.begin <= passed < self.end
        if away and passed > self.begin + 5:
            self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0.1)
        finally:
            self.at_once -= 1
        if away or request.path in self.broken:
            if isinstance(self.failure, Response):
                return self.failure
            raise self.failure.with_context()
        return json_response({"data": []})

    def chain(self, patience: Patience, **more: Any) -> Handler:
        """A client's chain, with a policy of two attempts."""
        return full_chain(self, patience=patience, policy=Backoff(attempts=2), **more)


def get(path: str = "/callmeback/cdrs") -> Request:
    return Request(method="GET", path=path)


async def reads(handler: Handler, seconds: float, path: str = "/callmeback/cdrs") -> int:
    """One request after the other for so many seconds; how many were answered."""
    until, answered = now() + seconds, 0
    while now() < until:
        await handler(get(path))
        answered += 1
        await asyncio.sleep(1)
    return answered


FAILURES = [
    ConnectFailed("no line"), ConnectionLost("gone", sent="maybe"),
    RequestTimeout("late", phase="attempt"), Response(status=502), Response(status=503),
    Response(status=504), Response(status=521),
]  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
@virtual
async def test_an_outage_of_14_minutes_costs_nobody_a_call_and_is_not_hammered(
    failure: Any,
) -> None:
    told: list[str] = []
    api = Api(10, 850, failure)
    handler = api.chain(Patience(900, told.append))
    await asyncio.gather(*(reads(handler, 1000) for _ in range(20)))
    assert api.most == 1  # of twenty, one tries
    tries = [time for time in api.times if 20 < time < 850]
    assert len(tries) <= 2 * 840 / 30 + 10
    assert min(time for time in api.times if time > 850) < 882
    assert len(told) == 2
    assert told[0].startswith("the API is away (")
    assert told[1].startswith("the API is back after ")


@virtual
async def test_what_is_away_instead_of_the_api_is_named() -> None:
    told: list[str] = []
    keeper = ConnectFailed("the Redis server is away: nothing was sent", peer="the Redis server")
    handler = Api(0, 100, keeper).chain(Patience(900, told.append))
    await handler(get())
    first, last = told
    assert first == "the Redis server is away: nothing was sent: tries go on for 900 s"
    assert last.startswith("the Redis server is back after ")
    with pytest.raises(ConnectFailed, match="; the Redis server was away for 10 s"):
        await Api(0, 5000, keeper).chain(Patience(10))(get())


@virtual
async def test_an_outage_leaves_the_budget_for_retries_as_it_was() -> None:
    api, budget = Api(0, 800), RetryBudget()
    handler = api.chain(Patience(900), budget=budget)
    await asyncio.gather(*(handler(get()) for _ in range(3)))
    assert budget.used == 0


@virtual
async def test_after_15_minutes_all_fail_at_once_and_later_calls_do_not_wait() -> None:
    api = Api(0, 5000)
    handler = api.chain(Patience(900))
    results = await asyncio.gather(*(handler(get()) for _ in range(20)), return_exceptions=True)
    assert {type(result) for result in results} == {ConnectFailed}
    assert all("the API was away for 900 s" in str(result) for result in results)
    assert len({id(result) for result in results}) == 20
    assert all(getattr(result, "retryable", False) for result in results)
    assert 900 <= now() - api.zero < 905
    for _ in range(3):
        began = now()
        with pytest.raises(ConnectFailed):
            await handler(get())
        assert now() - began < 3
    api.end = 0
    await handler(get())
    api.end = now() - api.zero + 100  # and a new outage is outlasted
    assert await reads(handler, 200)


@virtual
async def test_an_outage_at_the_start_is_outlasted_too() -> None:
    api = Api(0, 300)
    handler = api.chain(Patience(900))
    await handler(Request(method="GET", path="/me", call=Call(deadline=now() + 15)))
    assert 300 <= now() - api.zero < 340


@virtual
async def test_a_call_with_a_deadline_that_was_answered_does_not_wait() -> None:
    api = Api(0, 300, Response(status=503))
    handler = api.chain(Patience(900))
    with pytest.raises(ServerFault):
        await handler(Request(method="GET", path="/me", call=Call(deadline=now() + 15)))
    assert now() - api.zero < 15


@virtual
async def test_what_only_one_resource_answers_is_no_outage() -> None:
    api = Api(0, 0, Response(status=503))
    api.broken = {"/callmeback/visitors"}
    handler = api.chain(Patience(900))
    others = [asyncio.ensure_future(reads(handler, 100)) for _ in range(3)]
    with pytest.raises(ServerFault):
        await handler(get("/callmeback/visitors"))
    assert now() - api.zero < 60
    assert min(await asyncio.gather(*others)) > 60


@pytest.mark.parametrize(
    "failure",
    [TLSFailed("certificate"), NotFound("404", status=404), ClientMisuse("wrong"),
     RateLimited("429", status=429, retry_after=1000), Response(status=500)],
    ids=repr,
)  # fmt: skip
@virtual
async def test_other_failures_do_not_wait(failure: Any) -> None:
    api = Api(0, 5000, failure)
    with pytest.raises(CallMeBackError):
        await api.chain(Patience(900))(get())
    assert now() - api.zero < 70


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
@virtual
async def test_what_writes_does_not_wait(method: str) -> None:
    api = Api(0, 5000)
    with pytest.raises(ConnectFailed):
        await api.chain(Patience(900))(Request(method=method, path="/callmeback/settings"))
    assert now() - api.zero < 70


@virtual
async def test_a_cancellation_ends_it_at_once_and_leaves_the_turn_to_the_next() -> None:
    api = Api(0, 300)
    handler = api.chain(Patience(900))
    waiting = [asyncio.ensure_future(handler(get())) for _ in range(3)]
    await asyncio.sleep(100)
    began = now()
    for task in waiting[:2]:
        task.cancel()
    await asyncio.wait(waiting[:2])
    assert now() == began
    assert (await waiting[2]).status == 200


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), "15m", None])
def test_it_is_a_number_of_seconds(seconds: Any) -> None:
    with pytest.raises(ClientMisuse, match="patience must be a finite number"):
        Patience(seconds)
