"""Charts in a terminal: what is counted, and how it is drawn."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb.cli.bars import bars_text
from voipstudio_cmb.cli.table import width
from voipstudio_cmb.cli.tally import BY, Tally, created_at


class Stream(io.StringIO):
    encoding = "utf-8"


class Ascii(io.StringIO):
    encoding = "ascii"


def tally(*rows: dict[str, Any]) -> Tally:
    made = Tally()
    for row in rows:
        made.add(row, created_at(row))
    return made


CALLS = [
    {"created_at": "2026-03-02 09:10:00", "name": "Shop", "disposition": "ANSWERED",
     "duration": 45},
    {"created_at": "2026-03-02 09:50:00", "name": "Shop", "disposition": "answered",
     "duration": "9"},
    {"created_at": "2026-03-05 23:59:59", "name": "東京", "disposition": "BUSY", "duration": 3},
    {"created_at": "0000-00-00 00:00:00", "name": None, "disposition": None, "duration": None},
    {},
]  # fmt: skip


def test_rows_are_counted_by_each_sort() -> None:
    counted = tally(*CALLS)
    assert (counted.rows, counted.undated) == (5, 2)
    assert counted.counts("day") == [
        ("2026-03-02", 2), ("2026-03-03", 0), ("2026-03-04", 0), ("2026-03-05", 1)
    ]  # fmt: skip
    hours = dict(counted.counts("hour"))
    assert (len(hours), hours["09:00"], hours["23:00"], sum(hours.values())) == (24, 2, 1, 3)
    assert " ".join(dict(counted.counts("weekday"))) == "Mon Tue Wed Thu Fri Sat Sun"
    assert dict(counted.counts("weekday"))["Mon"] == 2
    assert counted.counts("website") == [("(none)", 2), ("Shop", 2), ("東京", 1)]
    assert counted.counts("disposition") == [("(none)", 2), ("ANSWERED", 2), ("BUSY", 1)]
    lengths = dict(counted.counts("length"))
    assert (lengths["under 10 s"], lengths["30 to 60 s"], sum(lengths.values())) == (1, 1, 2)


def test_nothing_is_counted_of_nothing() -> None:
    assert [Tally().counts(by) for by in ("day", "website", "disposition")] == [[], [], []]
    assert bars_text([], Stream(), 80) == ""
    assert bars_text([("Mon", 0)], Stream(), 80) == "Mon  0\n"


def test_a_day_that_is_centuries_away_draws_no_line_for_each_between() -> None:
    counted = tally(*({"created_at": f"{year} 00:00:00"} for year in ("0001-01-01", "9999-12-31")))
    assert counted.counts("day") == [("0001-01-01", 1), ("9999-12-31", 1)]


def test_many_websites_are_cut_to_twenty_and_the_others() -> None:
    counted = tally(*({"name": f"shop {at}"} for at in range(30)), {"name": "shop 7"})
    counts = counted.counts("website")
    assert counts[0] == ("shop 7", 2)
    assert counts[-1] == ("(10 others)", 10)
    assert len(counts) == 21


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("by", BY)
def test_bars_end_with_the_terminal_and_figures_are_aligned(by: str, columns: int) -> None:
    calls = [{**call, "name": f"{call.get('name')} é"} for call in CALLS * 700]
    counts = tally(*calls).counts(by)
    lines = bars_text(counts, Stream(), columns, shares=by == "website").splitlines()
    assert max(map(width, lines)) == columns
    if by != "website":  # whose shares are figures too
        figures = [f"{count:,}" for _, count in counts]
        ends = {
            line.rindex(figure) + len(figure) for line, figure in zip(lines, figures, strict=True)
        }
        assert len(ends) == 1


def test_bars_are_as_long_as_the_counts() -> None:
    text = bars_text([("a", 1000), ("b", 500), ("c", 1), ("d", 0)], Stream(), 29)
    assert text.splitlines() == [
        "a  1,000  " + "█" * 19,
        "b    500  █████████▌",
        "c      1  ▏",
        "d      0",
    ]
    text = bars_text([("a", 1000), ("é", 1)], Ascii(), 24)
    assert text.splitlines() == ["a     1,000  " + "#" * 11, "\\xe9      1  #"]
    text = bars_text([("a", 3), ("b", 1)], Stream(), 40, shares=True)
    assert [line[:12] for line in text.splitlines()] == ["a  3   75%  ", "b  1   25%  "]


def test_no_name_steers_the_terminal() -> None:
    counted = tally({"name": HOSTILE, "disposition": HOSTILE})
    for by in ("website", "disposition"):
        text = bars_text(counted.counts(by), Stream(), 10)
        assert harmful(text.replace("\n", "")) == []
        assert len(text.splitlines()) == 1
