"""Checks of values that a caller passes: one wording, and one idea of what a number is."""

from __future__ import annotations

import math
import operator
import os
import re
from datetime import timedelta
from numbers import Real

from voipstudio_cmb.errors import ClientMisuse


def described(value: object) -> str:
    """What an error says of a `value` that can't be used: a number, else no more than its type.

    Whatever else it is, it may be a token in the wrong place, and would be quoted back into a log.
    """
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):  # of many digits, none can be written
        return repr(value) if value.bit_length() < 128 else "an integer of so many digits"
    if isinstance(value, float):
        return repr(float(value))
    return "an empty string" if value == "" else f"a value of the type {type(value).__name__}"


_HARMLESS = "(?s)[-+0-9 .,:/TZ]{0,40}|.{0,15}"
"""What is no token in the wrong place: a number or a time of any kind, or too short."""


def is_quotable(value: object) -> bool:
    """Whether an error may quote a `value` that can't be used."""
    return not isinstance(value, str) or re.fullmatch(_HARMLESS, value) is not None


def quoted_path(path: str | os.PathLike[str], otherwise: str = "that path") -> str:
    """What an error says of a `path` that can't be used: itself, or `otherwise`.

    What neither exists nor names a directory that does may be a token in the wrong place.
    """
    text = os.fspath(path)
    above = os.path.dirname(text)
    known = os.path.lexists(text) or (above != "" and os.path.isdir(above))
    return repr(text) if known or is_quotable(text) else otherwise


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
        raise error(f"{name} must be an integer {allowed}, not {described(value)}")
    return number


def checked_number(name: str, value: object, *, error: type[ClientMisuse] = ClientMisuse) -> float:
    """The finite number above 0 that the argument called `name` stands for.

    Raises:
        ClientMisuse: `value` is no such number; another class of `error` if it is given.
    """
    try:
        # Of any type that is a real number (numpy's too), but not bool and no text of one.
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else None
    except (OverflowError, ValueError):
        number = None
    if number is None or not math.isfinite(number) or number <= 0:
        raise error(f"{name} must be a finite number above 0, not {described(value)}")
    return value if type(value) is int else number


_DURATION = r"(?a)(\d{1,9}(?:\.\d{1,9})?) ?([smhd])"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def checked_duration(name: str, value: float | str | timedelta) -> float:
    """The seconds that the argument called `name` stands for, 0 or more.

    A number of them, a timedelta, or a text like "1h".

    Raises:
        ClientMisuse: `value` is no such time.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    elif isinstance(value, str):
        found = re.fullmatch(_DURATION, value)
        if found is None and value != "0":
            raise ClientMisuse(f"{name} must be a number and s, m, h or d, such as 1h")
        value = 0 if found is None else float(found[1]) * _UNITS[found[2]]
    return value if value == 0 else checked_number(name, value)
