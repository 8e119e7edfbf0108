"""The throttle: a limit is found, a refusal without a reason costs little, a pause holds all."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from benchmarks.harness.throttling import SITUATIONS, Situation, simulate
from tests.fakes.handlers import ScriptedHandler, full_chain
from voipstudio_cmb.errors import CallMeBackError, ProtocolFault
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.throttle import AdaptiveThrottle, RateEstimate

GET = {"method": "GET", "path": "/x"}
OK = json_response({})
PAGE = Response(
    status=503,
    headers={"content-type": "text/html"},
    body=b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head></html>",
)
BUSY = json_response({"message": "busy"}, 503)


def now() -> float:
    return asyncio.get_running_loop().time()


SHORT = [
    *(f"no limit, 0.2% strays, {jobs} ms" for jobs in ("1 jobs, 0-400", "64 jobs, 400-400")),
    *(f"sliding window, {what}" for what in (
        "8 jobs", "5 clients", "0.2% strays", "100/s to 30/s", "30/s to 100/s", "5/s lifted",
    )),
]  # fmt: skip
LONG = [name for name in SITUATIONS if name not in SHORT]


@pytest.mark.parametrize(
    "name", [*SHORT, *(pytest.param(name, marks=pytest.mark.campaign) for name in LONG)]
)
def test_in_each_situation_most_of_what_could_pass_does(name: str) -> None:
    done = simulate(SITUATIONS[name])
    assert done.share >= done.situation.least, f"{done.share:.1%} of the ideal"
    assert done.refusals <= done.situation.most, f"{done.refusals:.2%} refused"
    assert done.failed == 0


@pytest.mark.parametrize("refusal", [PAGE, BUSY], ids=["a proxy's page", "JSON"])
def test_a_503_that_is_a_rate_limit_is_found_as_a_429_is(refusal: Response) -> None:
    found = Situation(
        server="sliding window", rate=30.0, refusal=refusal, latency=(0.01, 0.03), settle=60.0
    )
    done = simulate(found)
    assert done.refusals < 0.05
    assert done.share > 0.8


@virtual
async def test_one_call_a_quiet_time_and_one_429_do_not_cripple() -> None:
    limit = Limit()
    network = ScriptedHandler([OK, json_response({}, 429), OK])
    handler = full_chain(network, limit=limit)
    await handler(Request(**GET))
    await asyncio.sleep(12)
    began = now()
    for _ in range(300):
        await handler(Request(**GET))
    assert now() - began < 2.0
    assert limit.throttle.rate == float("inf")


@virtual
async def test_traffic_that_is_not_busy_tells_no_rate() -> None:
    throttle = AdaptiveThrottle()
    for _ in range(100):
        await asyncio.sleep(5)
        throttle.passed()
    for _ in range(5):
        throttle.refused(now(), None)
        await asyncio.sleep(1)
    assert throttle.rate == float("inf")


@virtual
async def test_broken_answers_pause_and_teach_nothing() -> None:
    limit = Limit()
    outcomes: list[Any] = [OK] * 50 + [ProtocolFault("garbled", sent="maybe")] * 3 + [OK]
    handler = full_chain(ScriptedHandler(outcomes * 5), limit=limit)
    paused = 0.0
    for _ in range(300):
        await handler(Request(**GET))
        paused = max(paused, limit.throttle.paused())
        assert limit.throttle.rate == float("inf")
        await asyncio.sleep(0.01)
    assert limit.throttle.refusals


def busy(estimate: RateEstimate, requests: int, rate: float, start: float = 0.0) -> float:
    """Lets so many requests pass at that rate, and returns when the last has."""
    for n in range(requests):
        estimate.passed(start + n / rate)
    return start + requests / rate


def test_a_refusal_is_paused_for_as_ten_requests_last_and_longer_with_each_in_a_row() -> None:
    estimate = RateEstimate()
    at = busy(estimate, 200, rate=100.0)
    pauses = []
    for n in count(1):
        estimate.refused(at, at, None)
        pauses.append(round(estimate.until - at, 2))
        at = estimate.until + 0.001
        if n == 10:
            break
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-2:] == [20.0, 20.0]


def test_a_refusal_that_says_how_long_is_obeyed() -> None:
    estimate = RateEstimate()
    at = busy(estimate, 200, rate=100.0)
    estimate.refused(at, at, 7.0)
    assert estimate.wait(at) == pytest.approx(7.0)
    estimate.refused(at, at, 3.0)
    assert estimate.wait(at) == pytest.approx(7.0)


def test_one_episode_lowers_the_pace_once_however_many_refusals_it_brings() -> None:
    estimate = RateEstimate()
    at = busy(estimate, 200, rate=100.0)
    estimate.refused(at, at, 2.0)
    assert 85 < estimate.pace < 95
    lowered = estimate.pace
    for n in range(20):
        estimate.refused(at - n / 1000, at + 0.1, 2.0)
    assert estimate.pace == lowered


def test_refusals_that_come_densely_lower_the_ceiling_to_what_got_through() -> None:
    estimate = RateEstimate()
    at = busy(estimate, 200, rate=100.0)
    for _ in range(10):
        estimate.refused(at, at, None)
        at = busy(estimate, 5, rate=100.0, start=estimate.until + 0.01)
    assert estimate.ceiling < 80


def test_the_pace_climbs_by_successes_until_it_holds_nobody() -> None:
    estimate = RateEstimate()
    at = busy(estimate, 200, rate=100.0)
    estimate.refused(at, at, None)
    at = busy(estimate, 100, rate=90.0, start=estimate.until)
    assert estimate.pace <= estimate.ceiling
    busy(estimate, 200, rate=100.0, start=at)
    assert estimate.pace == float("inf")


@virtual
async def test_a_pause_holds_everybody_until_the_latest_time_asked_for() -> None:
    throttle, passed = AdaptiveThrottle(), []
    await throttle.wait()
    throttle.pause(5)
    throttle.pause(2)

    async def one() -> None:
        await throttle.wait()
        passed.append(now() - 1000)

    tasks = [asyncio.create_task(one()) for _ in range(8)]
    await asyncio.sleep(3)
    throttle.pause(4)
    await asyncio.wait(tasks)
    assert passed == [7.0] * 8


@virtual
async def test_nothing_is_slowed_until_something_was_refused() -> None:
    throttle = AdaptiveThrottle()
    for _ in range(1000):
        await throttle.wait()
        throttle.passed()
    assert now() == 1000.0
    assert not throttle.refusals
    throttle.refused(now(), 3.0)
    await throttle.wait()
    assert now() == pytest.approx(1003.0)


async def _held(outcomes: list[Response]) -> float:
    """The seconds for which a second caller is held after the first has met `outcomes`."""
    limit = Limit()
    network = ScriptedHandler([*outcomes, OK])
    policy: Any = lambda error, request, attempts: None  # noqa: E731
    handler = full_chain(network, limit=limit, policy=policy)
    for _ in outcomes:
        try:
            await handler(Request(**GET))
        except CallMeBackError:
            pass
    began = now()
    await handler(Request(**GET))
    return now() - began


@pytest.mark.parametrize(
    ("outcomes", "slows"),
    [
        ([PAGE], True),
        ([BUSY], False),
        ([BUSY, OK, BUSY], False),
        ([BUSY, BUSY], True),
        ([BUSY, json_response({}, 500), BUSY], True),
        ([Response(status=503), Response(status=503)], True),
        ([Response(status=503, headers=PAGE.headers, body=b"x" * 100_000)], False),
        ([Response(status=502, headers=PAGE.headers, body=PAGE.body)], False),
        ([json_response({}, 500)] * 3, False),
    ],
)
@virtual
async def test_a_503_slows_everybody_where_it_may_be_a_rate_limit(
    outcomes: list[Response], slows: bool
) -> None:
    assert (await _held(outcomes) > 0) is slows


@virtual
async def test_an_outage_of_503s_holds_nobody_for_long() -> None:
    assert 0 < await _held([BUSY] * 30) <= 1.0
