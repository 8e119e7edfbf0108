"""When to try again and how long to wait: pure arithmetic."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ConnectFailed,
    ConnectionLost,
    NotJSON,
    RateLimited,
    ServerFault,
    TLSFailed,
    Unauthorized,
    WrongShape,
)
from voipstudio_cmb.http import Call, Request, Response
from voipstudio_cmb.retry import Backoff, RetryBudget, asked_to_wait, repeatable

NOW = 1_700_000_000.0


def saying(retry_after: str) -> Response:
    return Response(status=429, headers={"retry-after": retry_after})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 5.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("Tue, 14 Nov 2023 22:13:30 GMT", 10.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Tue, 14 Nov 2023 22:13:30 -0000", None),
        ("Tue, 14 Nov 2023 23:13:30 +0100", 10.0),
        ("Tuesday, 14-Nov-23 22:13:30 GMT", 10.0),
        ("Tue Nov 14 22:13:30 2023", 10.0),
        ("  Tue Nov 14 22:13:30 2023 ", 10.0),
        ("Wed Nov  1 22:13:30 2023", 0.0),
        ("Fri Dec  1 22:13:20 2023", 17 * 86400.0),
        ("Tue Nov 14 22:13:30", None),
        ("Tue Nov 14 22:13:30 23", None),
        ("Tue Nov 99 22:13:30 2023", None),
        ("Tue Nov 14 99:99:99 2023", None),
        ("Tue Nov 14 :::::::: 2023", None),
        ("   ", None),
        ("+5", None),
        ("-1.5", None),
        ("120, 60", None),
        ("1.", None),
        ("0x10", None),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e999", None),
        ("9" * 400, None),
        ("\u0665", None),
        ("5, 10", None),
        ("120s", None),
        ("soon", None),
        ("Tue, 99 Nov 2023 99:99:99 GMT", None),
        ("Tue, 14 Nov 99999 22:13:30 GMT", None),
    ],
)
def test_retry_after_is_believed_only_where_it_makes_sense(
    text: str, seconds: float | None
) -> None:
    assert asked_to_wait(saying(text), now=lambda: NOW) == seconds


@pytest.mark.parametrize("off", [-3600.0, 0.0, 3600.0, 40 * 86400.0])
@pytest.mark.parametrize(
    "asked",
    [
        "Tue, 14 Nov 2023 22:13:30 GMT",
        "Tuesday, 14-Nov-23 22:13:30 GMT",
        "Tue Nov 14 22:13:30 2023",
    ],
)
@pytest.mark.parametrize("date", ["Tue, 14 Nov 2023 22:13:20 GMT", "Tue Nov 14 22:13:20 2023"])
def test_a_date_is_judged_by_that_of_the_answer(asked: str, date: str, off: float) -> None:
    response = Response(status=429, headers={"retry-after": asked, "date": date})
    assert asked_to_wait(response, now=lambda: NOW + off) == 10.0


@pytest.mark.parametrize("date", ["", "soon", "0", "Tue, 99 Nov 2023 99:99:99 GMT", "\u0665"])
def test_without_a_date_that_can_be_read_our_clock_judges(date: str) -> None:
    asked = "Tue, 14 Nov 2023 22:13:30 GMT"
    response = Response(status=429, headers={"retry-after": asked, "date": date})
    assert asked_to_wait(response, now=lambda: NOW) == 10.0


def test_seconds_need_no_date() -> None:
    headers = {"retry-after": "7", "date": "Tue, 14 Nov 2023 22:13:20 GMT"}
    assert asked_to_wait(Response(status=429, headers=headers), now=lambda: 0.0) == 7.0


def test_no_header_asks_for_nothing() -> None:
    assert asked_to_wait(Response(status=429)) is None


@given(st.text(), st.text())
def test_retry_after_never_raises_and_never_waits_backwards(text: str, date: str) -> None:
    headers = {"retry-after": text, "date": date}
    seconds = asked_to_wait(Response(status=429, headers=headers))
    assert seconds is None or 0 <= seconds < 1e12


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "POST"])
def test_what_was_not_sent_or_was_refused_may_always_be_repeated(method: str) -> None:
    assert repeatable(ConnectFailed("x"), method)
    assert repeatable(RateLimited("x", sent="yes"), method)
    assert repeatable(Unauthorized("x", sent="yes"), method)


@pytest.mark.parametrize(
    ("method", "may"), [("GET", True), ("DELETE", True), ("PATCH", False), ("POST", False)]
)
@pytest.mark.parametrize("error", [ConnectionLost("x", sent="maybe"), ServerFault("x", sent="yes")])
def test_after_a_doubtful_outcome_only_get_and_delete_are_repeated(
    error: CallMeBackError, method: str, may: bool
) -> None:
    assert repeatable(error, method) is may


def delay(error: CallMeBackError, attempts: int = 1, **call: Any) -> float | None:
    request = Request(method="GET", path="/x", call=Call(**call))
    return Backoff(rng=lambda: 1.0)(error, request, attempts)


def fault(**details: Any) -> ServerFault:
    return ServerFault("x", sent="yes", retryable=True, **details)


def test_the_delay_doubles_up_to_the_cap() -> None:
    policy = Backoff(attempts=100, rng=lambda: 1.0)
    request = Request(method="GET", path="/x")
    delays = [policy(fault(), request, n) for n in (1, 2, 3, 4, 8, 99)]
    assert delays == [0.25, 0.5, 1.0, 2.0, 20.0, 20.0]


def test_the_delay_is_fully_jittered() -> None:
    assert Backoff(rng=lambda: 0.0)(fault(), Request(method="GET", path="/x"), 1) == 0.0


def test_throttling_is_not_charged_to_the_attempts() -> None:
    throttled = [delay(RateLimited("x"), attempts=n, throttled=n) for n in (1, 2, 3, 4)]
    assert throttled == [0.0, 0.25, 0.5, 1.0]  # everybody is held at the first
    assert delay(RateLimited("x"), attempts=50, throttled=50) == 20.0
    assert delay(RateLimited("x"), attempts=9000, throttled=9000) == 20.0
    assert delay(fault(), attempts=6, throttled=3) == 1.0
    assert delay(fault(), attempts=7, throttled=3) is None


def test_the_attempts_end() -> None:
    assert [delay(fault(), attempts=n) is None for n in (1, 3, 4, 5)] == [False, False, True, True]
    garbled = [delay(NotJSON("x", sent="yes"), attempts=n) is None for n in (1, 2, 3)]
    assert garbled == [False, False, True]


def test_retry_after_is_a_lower_bound_and_above_the_cap_no_reason_to_sleep() -> None:
    assert Backoff(rng=lambda: 0.0)(
        RateLimited("x", retry_after=5.0), Request(method="GET", path="/x"), 1
    ) == 5.0  # fmt: skip
    assert delay(RateLimited("x", retry_after=5.0), throttled=1) == 5.5
    assert delay(RateLimited("x", retry_after=120.0), throttled=1) == 121.0
    assert delay(RateLimited("x", retry_after=120.1), throttled=1) is None
    assert delay(fault(retry_after=3.0)) == 3.3


@pytest.mark.parametrize("error", [TLSFailed("x"), BadRequest("x"), WrongShape("x")])
def test_what_will_not_get_better_is_not_tried_again(error: CallMeBackError) -> None:
    assert delay(error) is None


def test_a_renewed_token_is_tried_at_once() -> None:
    assert delay(Unauthorized("x", sent="yes")) is None
    assert delay(Unauthorized("x", sent="yes", retryable=True), attempts=99) == 0.0


def test_an_outage_empties_the_budget_and_successes_fill_it() -> None:
    budget = RetryBudget()
    spent = [budget.spend(fault()) for _ in range(100)]
    assert spent.count(14) == 35
    assert spent[35:] == [None] * 65
    budget.earn(14)
    assert budget.spend(fault()) == 14
    for _ in range(1000):
        budget.earn(0)
    assert budget.used == 0
    assert budget.spend(RateLimited("x")) == 5
    assert budget.spend(Unauthorized("x")) == 0
    assert budget.used == 5


@given(st.lists(st.sampled_from(["fault", "throttled", "success"]), max_size=300))
def test_the_budget_stays_within_its_bounds(events: list[str]) -> None:
    budget, owed = RetryBudget(), 0
    for event in events:
        if event == "success":
            budget.earn(owed)
            owed = 0
        else:
            owed += budget.spend(fault() if event == "fault" else RateLimited("x")) or 0
        assert 0 <= budget.used <= budget.capacity
