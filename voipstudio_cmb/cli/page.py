"""The page of `chart --html`: which charts it has, and the file that it becomes."""

from __future__ import annotations

from pathlib import Path

from voipstudio_cmb.export.store.disk import Disk, write_atomic
from voipstudio_cmb.ext.plotly import BEGINNING, Figure, page

from .tally import HOURS, WEEKDAYS, Tally


def write(path: Path, resource: str, note: str, tally: Tally) -> None:
    """Writes the page of `tally` to `path`, whole or not at all.

    Raises:
        OSError: it can't be written.
    """
    text = page(f"Call Me Back: {resource}", note, figures(tally))
    write_atomic(Disk(), path, text.encode())


def is_another(path: Path) -> bool:
    """Whether there is a file that is not empty, and no page."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(len(BEGINNING)) not in (b"", BEGINNING.encode())


def figures(tally: Tally) -> list[Figure]:
    """The charts of `tally`; of what is not known of any row, there is none."""
    days = tally.all_days()
    answered = [tally.answered[day] for day in days]
    others = [tally.days[day] - tally.answered[day] for day in days]
    week = [*zip(WEEKDAYS, tally.week(), strict=True)]
    known = any(name != "(none)" for name in tally.dispositions)
    by_answer = [("answered", answered), ("not answered", others)]
    over_time = by_answer if known else [("rows", others)]
    found = [
        Figure("Over time", "bars", [day.isoformat() for day in days], over_time),
        Figure("By weekday and hour", "grid", HOURS, week),
        _one("By hour", "bars", tally, "hour"),
        _one("By weekday", "bars", tally, "weekday"),
        _one("By website", "lines", tally, "website"),
    ]
    if known:
        found.append(_one("Length of answered calls", "bars", tally, "length"))
        found.append(_one("Answered share", "share", tally, "disposition"))
    return found


def _one(title: str, kind: str, tally: Tally, by: str) -> Figure:
    counts = tally.counts(by)
    names = [name for name, _ in counts]
    return Figure(title, kind, names, [("rows", [count for _, count in counts])])
