"""Counts of rows for charts: by day, hour, weekday, website, disposition and length. No I/O.

Rows are those of calls as they are known: members that a row lacks are counted as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from voipstudio_cmb.boundary.text import on_one_line
from voipstudio_cmb.codec.comparison import moment, number

BY = ("day", "hour", "weekday", "website", "disposition")
"""What rows are counted by."""

MEMBERS = ("created_at", "website", "name", "disposition", "duration")
"""The members of a row that are looked at."""

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS = tuple(f"{hour:02}:00" for hour in range(24))

_ABSENT = "(none)"
_MOST_NAMES = 20
_LONGEST_TIME = timedelta(days=3660)
_LENGTHS = {
    10: "under 10 s", 30: "10 to 30 s", 60: "30 to 60 s", 120: "1 to 2 min", 300: "2 to 5 min",
    600: "5 to 10 min", 1200: "10 to 20 min", 1800: "20 to 30 min",
}  # fmt: skip
_LONGEST = "30 min and more"


@attrs.define
class Tally:
    """How many rows there are of each sort."""

    rows: int = 0
    undated: int = 0
    """Rows whose `created_at` is no time; they are in no count by time."""
    days: Counter[date] = attrs.field(factory=Counter)
    times: Counter[tuple[int, int]] = attrs.field(factory=Counter)
    """By weekday, from Monday, and hour."""
    websites: Counter[str] = attrs.field(factory=Counter)
    dispositions: Counter[str] = attrs.field(factory=Counter)
    lengths: Counter[str] = attrs.field(factory=Counter)
    """Of answered calls, how many are how long."""
    answered: Counter[date] = attrs.field(factory=Counter)
    """Of the calls of a day, how many were answered."""

    def add(self, row: Mapping[str, Any], created: datetime | None) -> None:
        """Counts `row`, which was `created` then."""
        self.rows += 1
        disposition = _text(row.get("disposition")).upper() or _ABSENT
        answered = disposition == "ANSWERED"
        self.dispositions[disposition] += 1
        self.websites[_text(row.get("website")) or _text(row.get("name")) or _ABSENT] += 1
        if answered and (seconds := number(row.get("duration"))) is not None:
            fitting = (name for most, name in _LENGTHS.items() if seconds < most)
            self.lengths[next(fitting, _LONGEST)] += 1
        if created is None:
            self.undated += 1
            return
        self.days[created.date()] += 1
        self.answered[created.date()] += answered
        self.times[created.weekday(), created.hour] += 1

    def counts(self, by: str) -> list[tuple[str, int]]:
        """The names and counts of a chart `by` one of `BY`, or by "length", in their order.

        Days, hours and weekdays are there without rows too; websites beyond the first twenty are
        one.
        """
        if by == "day":
            return [(day.isoformat(), self.days[day]) for day in self.all_days()]
        if by == "hour":
            return [(name, sum(row[at] for row in self.week())) for at, name in enumerate(HOURS)]
        if by == "weekday":
            return [*zip(WEEKDAYS, map(sum, self.week()), strict=True)]
        if by == "length":
            return [(name, self.lengths[name]) for name in (*_LENGTHS.values(), _LONGEST)]
        counter = self.websites if by == "website" else self.dispositions
        most = sorted(counter.items(), key=lambda each: (-each[1], each[0]))
        rest = sum(count for _, count in most[_MOST_NAMES:])
        others = [(f"({len(most) - _MOST_NAMES} others)", rest)] if rest else []
        return most[:_MOST_NAMES] + others

    def week(self) -> list[list[int]]:
        """The counts of each hour of each weekday."""
        return [[self.times[day, hour] for hour in range(24)] for day in range(7)]

    def all_days(self) -> list[date]:
        """Each day from the first with a row to the last; of far too many, those with rows."""
        if not self.days:
            return []
        first, last = min(self.days), max(self.days)
        if last - first > _LONGEST_TIME:
            return sorted(self.days)
        return [first + timedelta(days=at) for at in range((last - first).days + 1)]


def created_at(row: Mapping[str, Any]) -> datetime | None:
    """When `row` was created; None if it does not say."""
    return moment(row.get("created_at"))


def _text(value: object) -> str:
    return on_one_line(value) if isinstance(value, str) else "" if value is None else str(value)
