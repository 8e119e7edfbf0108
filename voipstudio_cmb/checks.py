"""Checks of numbers that a caller passes: one wording, and one idea of what a number is."""

from __future__ import annotations

import math
import operator

from .errors import ClientMisuse


def checked_integer(
    name: str,
    value: object,
    low: int,
    high: int | None = None,
    *,
    error: type[ClientMisuse] = ClientMisuse,
) -> int:
    """The integer that the argument called `name` stands for, from `low` to `high`.

    Accepts anything with `__index__` (numpy's integers too), but not bool, a float or a string.

    Raises:
        ClientMisuse: `value` is no such integer; another class of `error` if it is given.
    """
    try:
        number = operator.index(value) if not isinstance(value, bool) else None  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise error(f"{name} must be an integer {allowed}, not {value!r}")
    return number


def checked_number(name: str, value: object, *, error: type[ClientMisuse] = ClientMisuse) -> float:
    """The finite number above 0 that the argument called `name` stands for.

    Raises:
        ClientMisuse: `value` is no such number; another class of `error` if it is given.
    """
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type,operator]
        raise error(f"{name} must be a finite number above 0, not {value!r}")
    return value  # type: ignore[return-value]
