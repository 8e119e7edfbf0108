"""Filters: Python's operators make the API's, and what the API does not know is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from voipstudio_cmb import Filter, where
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.filters import parse
from voipstudio_cmb.query import checked_filters


def test_operators() -> None:
    assert (where("id") > 5) == Filter("id", "gt", 5)
    assert (where("id") >= 5) == Filter("id", "gte", 5)
    assert (where("id") < 5) == Filter("id", "lt", 5)
    assert (where("id") <= 5) == Filter("id", "lte", 5)
    assert (where("id") == 5) == Filter("id", "eq", 5)
    assert where("name").like("%x%") == Filter("name", "like", "%x%")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("x", "x"),
        (5, 5),
        (5.5, 5.5),
        (True, True),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5), "2026-01-02 03:04:05"),
    ],
)
def test_values_are_written_as_the_api_writes_them(value: Any, written: Any) -> None:
    assert Filter("x", "eq", value).value == written


@pytest.mark.parametrize(
    "value",
    [None, [], b"x", float("nan"), Decimal("inf"), datetime(2026, 1, 1, tzinfo=UTC), object()],
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(ClientMisuse, match="a filter can't"):
        Filter("x", "eq", value)


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_property_has_a_name(name: Any) -> None:
    with pytest.raises(ClientMisuse, match="needs the name of a property"):
        where(name)
    with pytest.raises(ClientMisuse, match="needs the name of a property"):
        Filter(name, "eq", 1)


def test_conditions_are_not_joined_by_python() -> None:
    for wrong in (
        lambda: (where("id") > 1) and (where("id") < 9),
        lambda: (where("id") > 1) & (where("id") < 9),
        lambda: (where("id") > 1) | (where("id") < 9),
        lambda: 1 < where("id") < 9,
        lambda: not (where("id") > 1),
    ):
        with pytest.raises(ClientMisuse, match="list them, as in filters="):
            wrong()


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(ClientMisuse, match="half a surrogate pair"):
        Filter("name", "eq", "\ud800")


def test_between_and_not_equal_are_refused_with_a_way_out() -> None:
    with pytest.raises(ClientMisuse, match="write two conditions, gte and lte"):
        Filter("x", "between", 1)  # type: ignore[arg-type]
    with pytest.raises(ClientMisuse, match=r"unknown filter operator \(known"):
        Filter("x", "ne", 1)  # type: ignore[arg-type]
    with pytest.raises(ClientMisuse, match="not equal"):
        where("x") != 1  # noqa: B015 - the comparison is the test


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id>100", Filter("id", "gt", 100)),
        ("id >= -5", Filter("id", "gte", -5)),
        ("created_at<2026-01-01 00:00:00", Filter("created_at", "lt", "2026-01-01 00:00:00")),
        ("name~%a=b%", Filter("name", "like", "%a=b%")),
        ("ddi=0044", Filter("ddi", "eq", "0044")),
        ("x<=", Filter("x", "lte", "")),
    ],
)
def test_a_filter_can_be_written_as_text(text: str, expected: Filter) -> None:
    assert parse(text) == expected


def test_a_text_that_is_no_filter_is_refused() -> None:
    for text in ("", "id", "=5", "id!5", "a b>5"):
        with pytest.raises(ClientMisuse, match="not PROPERTY OPERATOR VALUE"):
            parse(text)


def test_filters_are_copied_and_checked() -> None:
    one = where("id") > 5
    assert checked_filters(None) == ()
    assert checked_filters(one) == (one,)
    assert checked_filters(iter([one])) == (one,)
    wrong: Any
    for wrong in ("id>5", b"x", 5, where("id"), [where("id")], ["id>5"], [{"property": "id"}]):
        with pytest.raises(ClientMisuse, match="filters must be Filter objects"):
            checked_filters(wrong)
    with pytest.raises(ClientMisuse, match="not dict"):
        checked_filters({"id": 1})  # type: ignore[arg-type]


WRONG = [
    ("created_at>yesterday", "a time"),
    ("created_at>31.12.2025", "a time"),
    ("created_at>2025-13-01", "a time"),
    ("created_at=2025-02-30", "a time"),
    ("created_at<=2025-12", "a time"),
    ("created_at<20251201", "a time"),
    ("created_at<2025-12-01T10:00:00Z", "a time without a zone"),
    ("created_at<2025-12-01 10:00:00+01:00", "a time without a zone"),
    ("created_at<2025-12-01 25:00:00", "a time"),
    ("created_at<2025-12-01x", "a time"),
    ("created_at=", "a time"),
    ("id>abc", "an integer"),
    ("id>1,000", "an integer"),
    ("id>1.5", "an integer"),
    ("id=", "an integer"),
    ("button_id=0x10", "an integer"),
    ("ddi=+44 20", "an integer"),
    ("ddi_e164=none", "an integer"),
    ("floating_icon=yes", "a boolean"),
    ("floating_icon=2", "a boolean"),
    ("show_to_allowed_countries_only=", "a boolean"),
    ("max_call_rate>12,5", "a decimal"),
    ("max_call_rate>$5", "a decimal"),
    ("max_call_rate>nan", "a decimal"),
]


@pytest.mark.parametrize(("text", "kind"), WRONG)
def test_a_value_that_is_none_of_its_field_is_refused(text: str, kind: str) -> None:
    name = text.split("=")[0].split(">")[0].split("<")[0]
    with pytest.raises(
        ClientMisuse, match=rf"^the filter '.*' can't be met: {name} is {kind}"
    ) as e:
        parse(text)
    assert f"'{text}'" in str(e.value)
    assert "write one like" in str(e.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_at", "yesterday"), ("created_at", 2025), ("created_at", True),
        ("created_at", 1.5), ("created_at", ""), ("id", "x"), ("id", True), ("id", 1.0),
        ("id", date(2026, 1, 1)),
        ("id", Decimal("1.5")), ("floating_icon", "true"), ("floating_icon", 2),
        ("floating_icon", 0.5), ("max_call_rate", True), ("max_call_rate", "a lot"),
    ],
)  # fmt: skip
def test_so_it_is_in_python(name: str, value: Any) -> None:
    for make in (
        lambda: Filter(name, "gte", value),
        lambda: where(name) == value,
        lambda: where(name) < value,
    ):
        with pytest.raises(ClientMisuse, match=f"{name} is an? .*: write one like"):
            make()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("created_at>2026-01-31", "2026-01-31"),
        ("created_at>2026-01-31 08:30", "2026-01-31 08:30"),
        ("created_at>2026-01-31 08:30:00", "2026-01-31 08:30:00"),
        ("created_at>2026-01-31T08:30:00.5", "2026-01-31T08:30:00.5"),
        ("created_at>2024-02-29", "2024-02-29"),
        ("created_at>0000-00-00", "0000-00-00"),
        ("created_at~2026-01", "2026-01"),
        ("id=5", 5),
        ("ddi=0044", "0044"),
        ("ddi=+442012345678", "+442012345678"),
        ("id~55", 55),
        ("floating_icon=true", True),
        ("floating_icon=False", False),
        ("floating_icon=1", "1"),
        ("max_call_rate>=0.15", "0.15"),
        ("max_call_rate>=100", 100),
        ("name=5", "5"),
        ("culture=5", 5),
        ("culture=en", "en"),
        ("anything>yesterday", "yesterday"),
        ("calldate>2026", 2026),
    ],
)
def test_what_fits_is_sent_as_it_is_compared(text: str, value: Any) -> None:
    sent = parse(text).value
    assert (sent, type(sent)) == (value, type(value))
