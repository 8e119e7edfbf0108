"""Checks of numbers: what is taken, what is refused, and by which error."""

from __future__ import annotations

import math
from typing import Any

import pytest

from voipstudio_cmb.checks import checked_integer, checked_number
from voipstudio_cmb.errors import ClientMisuse, ConfigError


class Index:
    """An integer of another library, as numpy's are."""

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize("value", [7, Index()])
def test_an_integer_within_its_bounds_is_taken(value: Any) -> None:
    assert checked_integer("n", value, 7, 7) == checked_integer("n", value, 0) == 7


@pytest.mark.parametrize("value", [0, 11, True, 5.0, "5", None])
def test_anything_else_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"^n must be an integer from 1 to 10, not "):
        checked_integer("n", value, 1, 10)


def test_the_caller_chooses_the_error() -> None:
    with pytest.raises(ConfigError, match="n must be an integer of at least 1, not 0"):
        checked_integer("n", 0, 1, error=ConfigError)
    with pytest.raises(ConfigError, match="n must be a finite number above 0"):
        checked_number("n", 0, error=ConfigError)


@pytest.mark.parametrize("value", [0, -1.0, math.inf, math.nan, True, "1", None])
def test_a_number_is_finite_and_above_0(value: Any) -> None:
    assert checked_number("n", 0.5) == 0.5
    with pytest.raises(ClientMisuse, match="n must be a finite number above 0"):
        checked_number("n", value)
