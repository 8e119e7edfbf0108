"""Times as a person writes them: conditions on `created_at`, and which moments were meant. No I/O.

The API's times have no zone: they are taken for those of the zone that is given, or of this
machine.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, available_timezones

import attrs

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.filters import Filter, where

_DAY = timedelta(days=1)
_UNITS = {"h": timedelta(hours=1), "d": _DAY, "w": timedelta(weeks=1)}
_AGO = re.compile(r"([0-9]{1,9})([hdw])", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(
    rf"({_DATE.pattern})[ T]((?:[01][0-9]|2[0-3]):[0-9]{{2}}(?::[0-9]{{2}})?)"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
_ACCEPTED = (
    "write a date (2026-01-31), a time ('2026-01-31 10:00'), today, yesterday, now, or how long "
    "ago in hours, days or weeks (24h, 7d, 2w)"
)


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)


@attrs.frozen
class Period:
    """When rows were created: from a moment on, and before another."""

    filters: tuple[Filter, ...]
    """A condition for each end that is given."""
    note: str
    """Which moments these are, in which zone; nothing where none is given."""
    first: datetime | None = None
    """The moment from which on; None: from the beginning."""
    last: datetime | None = None
    """The moment before which; None: to the end."""

    def has(self, moment: datetime | None) -> bool:
        """Whether a row that was created at `moment` is in it; None is in one without ends only."""
        if moment is None:
            return self.first is self.last is None
        return (self.first is None or self.first <= moment) and (
            self.last is None or moment < self.last
        )


def read_period(
    start: str | None,
    end: str | None,
    zone: str | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Period:
    """The period from `start` on, until `end`: of a day, its beginning and its end.

    Raises:
        ClientMisuse: one is no time, the end is not after the start, or there is no such `zone`,
            or it is given without either.
    """
    if zone is not None and start is end is None:
        raise ClientMisuse("--zone needs --from or --until: add one, or leave --zone out")
    clock = _Clock(zone, now())
    first = None if start is None else clock.read("--from", start, last=False)
    last = None if end is None else clock.read("--until", end, last=True)
    if first is not None and last is not None and last <= first:
        raise ClientMisuse("--until is not after --from: no row is between them")
    created, filters, words = where("created_at"), list[Filter](), list[str]()
    if first is not None:
        filters.append(created >= _written(first))
        words.append(f"from {_written(first)} on")
    if last is not None:
        filters.append(created < _written(last))
        words.append(f"before {_written(last)}")
    note = f"created_at {' and '.join(words)}, {clock.zone_note()}" if words else ""
    return Period(tuple(filters), note, first, last)


def _written(moment: datetime) -> str:
    return moment.isoformat(" ", "seconds")


class _Clock:
    """Reads times by the calendar of a zone, at the moment `now`."""

    def __init__(self, zone: str | None, now: datetime) -> None:
        self._name, self._zone, self._now = zone, None if zone is None else _zone(zone), now
        self._asked = False

    def read(self, option: str, text: str, *, last: bool) -> datetime:
        """The moment that `text` writes, without a zone; of a day its end, if `last`."""
        text = text.strip()
        try:
            day = self._day(text)
            if day is not None:
                return day + _DAY if last else day
            moment = self._moment(text)
        except (ValueError, OverflowError):  # the 31st of February, or before the year 1
            moment = None
        if moment is None:
            raise ClientMisuse(f"{option}: this is no time: {_ACCEPTED}")
        return moment

    def _day(self, text: str) -> datetime | None:
        if text in ("today", "yesterday"):
            today = datetime.combine(self._here(self._now), time())
            return today if text == "today" else today - _DAY
        return datetime.fromisoformat(text) if _DATE.fullmatch(text) else None

    def _moment(self, text: str) -> datetime | None:
        if text == "now":
            return self._here(self._now)
        if ago := _AGO.fullmatch(text):
            return self._here(self._now - int(ago[1]) * _UNITS[ago[2]])
        if not (found := _TIME.fullmatch(text)):
            return None
        moment = datetime.fromisoformat(f"{found[1]} {found[2]}{found[3] or ''}")
        return moment if found[3] is None else self._here(moment)

    def _here(self, moment: datetime) -> datetime:
        """What the clocks of the zone show at `moment`."""
        self._asked = True
        return moment.astimezone(self._zone).replace(tzinfo=None)

    def zone_note(self) -> str:
        """Which zone's times these are."""
        if self._name is not None:
            return f"in the zone {self._name}"
        if not self._asked:
            return "by the account's own clock"
        own = self._now.astimezone().tzname()
        return f"in this machine's zone ({own}): --zone NAME if the account's times are another's"


def _zone(name: str) -> tzinfo:
    if name.upper() in ("UTC", "Z"):
        return UTC  # which needs no data
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
    if not known:
        raise ClientMisuse("--zone: no zone is known here: install tzdata, or use UTC")
    like = _like(name.casefold(), known)
    hint = f"did you mean {like}?" if like else "write one like Europe/London, or UTC"
    raise ClientMisuse(f"--zone: there is no zone of that name; {hint}")


def _like(folded: str, known: Collection[str]) -> str | None:
    """The zone that was perhaps meant, by its whole name or by its city alone."""
    if len(folded) < 5 or not folded.replace("/", "").isalpha():
        return None  # PST or UTC+1, which are like others and mean none of them
    names = {each.rpartition("/")[2].casefold(): each for each in known}
    names |= {each.casefold(): each for each in known}
    like = difflib.get_close_matches(folded, names, n=1, cutoff=0.75)
    return names[like[0]] if like else None
