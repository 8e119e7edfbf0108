"""Filters: Python's operators make the API's, and what the API does not know is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from voipstudio_cmb import Filter, where
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.filters import checked, parse


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
    assert checked(None) == ()
    assert checked(one) == (one,)
    assert checked(iter([one])) == (one,)
    wrong: Any
    for wrong in ("id>5", b"x", 5, where("id"), [where("id")], ["id>5"], [{"property": "id"}]):
        with pytest.raises(ClientMisuse, match="filters must be Filter objects"):
            checked(wrong)
