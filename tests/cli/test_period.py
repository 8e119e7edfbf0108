"""Times as a person writes them: which moments they are, and what is said of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb.cli.period import Period, read_period
from voipstudio_cmb.errors import ClientMisuse

NOW = datetime(2026, 3, 29, 12, 30, 15, 999, tzinfo=UTC)
"""The day on which Europe's clocks went forward."""


def period(start: str | None, end: str | None = None, zone: str | None = "UTC") -> Period:
    return read_period(start, end, zone, lambda: NOW)


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts this machine into New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "zone", "first"),
    [
        ("2026-01-31", "UTC", "2026-01-31 00:00:00"),
        ("2026-01-31", "Europe/Paris", "2026-01-31 00:00:00"),
        ("2026-01-01 10:00", "UTC", "2026-01-01 10:00:00"),
        ("2026-01-01T10:00:05", "UTC", "2026-01-01 10:00:05"),
        ("2026-01-01 10:00Z", "Europe/Paris", "2026-01-01 11:00:00"),
        ("2026-01-01 10:00+05:30", "utc", "2026-01-01 04:30:00"),
        ("today", "UTC", "2026-03-29 00:00:00"),
        ("today", "Pacific/Auckland", "2026-03-30 00:00:00"),
        ("yesterday", "Pacific/Auckland", "2026-03-29 00:00:00"),
        ("now", "Europe/London", "2026-03-29 13:30:15"),
        ("24h", "UTC", "2026-03-28 12:30:15"),
        ("24h", "Europe/London", "2026-03-28 12:30:15"),  # an hour less on the clock
        ("7d", "UTC", "2026-03-22 12:30:15"),
        ("2w", "UTC", "2026-03-15 12:30:15"),
        (" today ", "UTC", "2026-03-29 00:00:00"),
    ],
)
def test_a_time_is_that_of_the_zone(text: str, zone: str, first: str) -> None:
    assert [*map(str, period(text, None, zone).filters)] == [f"created_at>={first}"]


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("2026-01-31", "2026-02-01 00:00:00"),
        ("yesterday", "2026-03-29 00:00:00"),
        ("today", "2026-03-30 00:00:00"),
        ("2026-01-31 10:00", "2026-01-31 10:00:00"),
        ("24h", "2026-03-28 12:30:15"),
    ],
)
def test_until_a_day_is_until_its_end(text: str, last: str) -> None:
    assert [*map(str, period(None, text).filters)] == [f"created_at<{last}"]


def test_a_note_says_which_moments_and_which_zone(new_york: None) -> None:
    assert period("yesterday", "yesterday").note == (
        "created_at from 2026-03-28 00:00:00 on and before 2026-03-29 00:00:00, in the zone UTC"
    )
    assert period("24h", None, None).note == (
        "created_at from 2026-03-28 08:30:15 on, in this machine's zone (EDT): "
        "--zone NAME if the account's times are another's"
    )
    assert period("2026-01-31", "2026-02-01 10:00", None).note == (
        "created_at from 2026-01-31 00:00:00 on and before 2026-02-01 10:00:00, "
        "by the account's own clock"
    )
    assert period(None, None, None) == Period((), "")


@pytest.mark.parametrize(
    "text",
    [
        "", "tomorrow", "2026-02-31", "2026-13-01", "26-01-01", "2026-1-1", "01/02/2026", "7", "7m",
        "-7d", "7 d", "2026-01-01 24:00", "2026-01-01 10", "2026-01-01 10:61", "0000-01-01",
        "2026-01-01 10:00+99:00", "999999999w", "\u0667d", "2026-01-01 10:00:00.5",
        HOSTILE, "x" * 999,
    ],
)  # fmt: skip
@pytest.mark.parametrize("last", [True, False])
def test_what_is_no_time_is_refused_in_a_sentence(text: str, last: bool) -> None:
    with pytest.raises(ClientMisuse, match="is no time: write a date") as refused:
        period(*((None, text) if last else (text, None)))
    said = str(refused.value)
    assert said.startswith("--until: " if last else "--from: ")
    assert harmful(said) == []
    assert len(said) < 300


def test_the_ends_of_the_calendar_are_refused_and_not_passed() -> None:
    assert period("0001-01-01", "9999-12-30").filters
    with pytest.raises(ClientMisuse, match="is no time"):
        period(None, "9999-12-31")
    with pytest.raises(ClientMisuse, match="is no time"):
        period("0001-01-01 00:00+10:00")


@pytest.mark.parametrize(
    ("start", "end"),
    [("2026-02-01", "2026-01-31"), ("2026-01-01 10:00", "2026-01-01 10:00"), ("today", "24h")],
)
def test_a_period_that_ends_before_it_begins_is_refused(start: str, end: str) -> None:
    with pytest.raises(ClientMisuse, match="is not after --from"):
        period(start, end)


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Europe/Lodon", "did you mean Europe/London?"),
        ("Europe", "did you mean|write one like"),
        ("../../etc/passwd", "write one like Europe/London|did you mean"),
        ("", "write one like"),
        (HOSTILE, "write one like"),
    ],
)
def test_a_zone_that_there_is_not_is_refused_with_the_nearest(zone: str, hint: str) -> None:
    with pytest.raises(ClientMisuse, match=hint) as refused:
        period("today", None, zone)
    assert harmful(str(refused.value)) == []


def test_without_data_about_zones_that_is_said_and_utc_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nothing(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("voipstudio_cmb.cli.period.ZoneInfo", nothing)
    monkeypatch.setattr("voipstudio_cmb.cli.period.available_timezones", set)
    assert period("today").filters
    with pytest.raises(ClientMisuse, match="install tzdata, or use UTC"):
        period("today", None, "Europe/London")


@given(st.text(max_size=25), st.booleans())
def test_any_text_is_a_time_or_refused(text: str, last: bool) -> None:
    try:
        period(*((None, text) if last else (text, None)))
    except ClientMisuse:
        pass


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("europe/london", "did you mean Europe/London?"),
        ("berlin", "did you mean Europe/Berlin?"),
        ("Europe/Lodon", "did you mean Europe/London?"),
        ("PST", "write one like"),
        ("CEST", "write one like"),
        ("UTC+1", "write one like"),
        ("+02:00", "write one like"),
        ("Europe", "write one like"),
        ("../../etc/passwd", "write one like"),
        (HOSTILE, "write one like"),
    ],
)
def test_a_zone_that_is_none_is_refused_and_another_named_if_it_was_meant(
    zone: str, hint: str
) -> None:
    with pytest.raises(ClientMisuse, match=r"^--zone: there is no zone of that name; ") as refused:
        period("today", None, zone)
    assert hint in str(refused.value)
