"""How far an export looks back: a time in one of the forms that callers have it in."""

from __future__ import annotations

import re
from datetime import timedelta

from voipstudio_cmb.boundary.checks import checked_number
from voipstudio_cmb.errors import ClientMisuse

_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?([smhd])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def checked_overlap(overlap: float | str | timedelta) -> float:
    """The seconds that `overlap` stands for: a number of them, a timedelta, or a text like "1h".

    Raises:
        ClientMisuse: it is no time of at least 0 seconds.
    """
    if isinstance(overlap, timedelta):
        overlap = overlap.total_seconds()
    elif isinstance(overlap, str):
        found = _DURATION.fullmatch(overlap)
        if found is None:
            raise ClientMisuse("an overlap is a number and s, m, h or d, as in --overlap 1h")
        overlap = float(found[1]) * _UNITS[found[2]]
    return overlap if overlap == 0 else checked_number("overlap", overlap)
