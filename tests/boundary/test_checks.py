"""Checks of numbers: what is taken, what is refused, and by which error."""

from __future__ import annotations

import math
import sys
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from voipstudio_cmb.boundary.checks import checked_integer, checked_number
from voipstudio_cmb.errors import ClientMisuse, ConfigError


class Index:
    """An integer of another library, as numpy's are."""

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize("value", [7, Index()])
def test_an_integer_within_its_bounds_is_taken(value: Any) -> None:
    assert checked_integer("n", value, 7, 7) == checked_integer("n", value, 0) == 7


@pytest.mark.parametrize(
    "value",
    [0, 11, True, 5.0, "5", None, 10**400, -(10**400), 10**5000, math.nan, b"5", [5]],
    ids=range(12),
)
def test_anything_else_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"^n must be an integer from 1 to 10, not "):
        checked_integer("n", value, 1, 10)


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(ConfigError, match="n must be an integer of at least 1, not 0"):
        checked_integer("n", 0, 1, error=ConfigError)
    with pytest.raises(ConfigError, match="n must be a finite number above 0"):
        checked_number("n", 0, error=ConfigError)


class Number(float):
    """A number of another library, as numpy's float64 is."""


class Single(Fraction):
    """One that is no float, as numpy's float32 and int64 are."""


ODD = [
    0, -1.0, -0.0, math.inf, -math.inf, math.nan, True, "1", "10e9", None, b"1", [1], 1j,
    Decimal(1), 10**400, -(10**400), 10**5000, float("1e309"), Number("nan"), object(),
]  # fmt: skip


@pytest.mark.parametrize("value", [1, 2.5, 1e-300, 1e300, Number(3), Single(1, 3), sys.maxsize])
def test_a_number_of_any_real_type_is_taken(value: Any) -> None:
    number = checked_number("n", value)
    assert number == pytest.approx(float(value))
    assert type(number) in (int, float)


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_a_number_is_finite_and_above_0(value: Any) -> None:
    assert checked_number("n", 0.5) == 0.5
    with pytest.raises(ClientMisuse, match="n must be a finite number above 0"):
        checked_number("n", value)
