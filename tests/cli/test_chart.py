"""Charts in a terminal: what is counted, and how it is drawn."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import run_terminal
from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb.cli.bars import bars_text
from voipstudio_cmb.cli.table import width
from voipstudio_cmb.cli.tally import BY, Tally, created_at
from voipstudio_cmb.sandbox import Sandbox


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


def recent(api: Sandbox) -> int:
    """Adds calls of today; returns how many calls there are."""
    for at in range(5):
        api.data.cdrs.insert(created_at=f"{datetime.now():%Y-%m-%d} 00:00:0{at}")
    return len(api.data.cdrs)


def test_a_chart_is_of_the_last_thirty_days_unless_another_time_is_given(
    api: Sandbox, run: Any
) -> None:
    recent(api)
    done = run("chart", "cdrs")
    assert done.code == 0
    assert re.fullmatch(r"[0-9-]{10}  5  █{65}\n", done.out)
    assert re.match(r"5 cdrs; created_at from .* on, in this machine's zone \(", done.err)
    done = run("chart", "cdrs", "--by", "weekday", "--from", "2024-01-01", "--until", "2025-06-30")
    assert len(done.out.splitlines()) == 7
    count = int(done.err.split()[0])
    assert sum(int(line.split()[1].replace(",", "")) for line in done.out.splitlines()) == count


@pytest.mark.parametrize("by", BY)
def test_of_no_rows_no_bars_are_drawn(api: Sandbox, run: Any, by: str) -> None:
    done = run("chart", "cdrs", "--by", by, "--until", "1999-12-31", "--zone", "UTC")
    assert (done.code, done.out) == (0, "")
    assert done.err == "no rows; created_at before 2000-01-01 00:00:00, in the zone UTC\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_chart_fits_its_terminal(api: Sandbox, columns: int) -> None:
    words = ["chart", "cdrs", "--by", "website", "--from", "2020-01-01", "--zone", "UTC"]
    done = run_terminal(*words, out=True, size=(columns, 24))
    assert done.code == 0
    assert max(map(width, done.out.splitlines()[:-2])) == columns
    assert done.out.splitlines()[-1].startswith("300 cdrs; created_at from 2020-01-01")


def test_a_chart_of_exports_is_that_of_the_api(api: Sandbox, run: Any, tmp_path: Path) -> None:
    assert run("export", "cdrs", "--to", tmp_path, "--format", "csv").code == 0
    words = ["--by", "disposition", "--from", "2024-06-01", "--until", "2024-12-31"]
    of_files = run("chart", "cdrs", "--files", tmp_path, *words)
    requests = api.requests
    of_api = run("chart", "cdrs", *words)
    assert (of_files.code, of_files.out) == (0, of_api.out)
    assert of_files.out.count("█") > 50
    assert run("chart", "cdrs", "--files", tmp_path / "cdrs.csv").err.startswith("300 cdrs")
    assert api.requests > requests


def test_a_page_is_written_whole(api: Sandbox, run: Any, tmp_path: Path) -> None:
    path = tmp_path / "calls.html"
    for _ in range(2):  # a later one replaces it
        done = run("chart", "cdrs", "--from", "2024-01-01", "--html", path)
        assert (done.code, done.out) == (0, "")
        assert done.err.endswith(f"; written to {path}\n")
    assert path.read_text().endswith("</html>\n")
    assert [*tmp_path.glob("calls*"), *tmp_path.glob(".calls*")] == [path]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--html", "/nowhere/at/all.html"], "is in no directory that exists"),
        (["--html", "/"], "is no regular file"),
        (["--html", "x.html", "--by", "day"], "exclude each other"),
        (["--files", "x", "--filter", "id>1"], "exclude each other"),
        (["--files", "/nowhere"], "does not exist"),
        (["--files", "s3://bucket/x"], "--files reads files of this machine: copy"),
        (["--files", "x", "--filter-here"], "--files and --filter-here exclude each other"),
        (["--files", "x", "-v"], "--files and --verbose exclude each other"),
        (["--files", ""], "--files: it is empty"),
        (["--files", ".", "--zone", "UTC"], "--zone needs --from or --until"),
        (["--by", "wekday"], "did you mean weekday?"),
        (["--from", "soon"], "is no time"),
    ],
)
def test_what_can_not_be_drawn_is_refused(
    api: Sandbox, run: Any, words: list[str], said: str
) -> None:
    done = run("chart", "cdrs", *words)
    assert (done.code, done.out, api.requests) == (2, "", 0)
    assert said in done.err


def test_without_its_package_no_page_is_begun(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "voipstudio_cmb.cli.page", raising=False)
    monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.plotly", None)
    done = run("chart", "cdrs", "--html", tmp_path / "x.html")
    assert (done.code, api.requests) == (2, 0)
    assert "--html takes the extra chart: pip install '.[chart]'" in done.err


def test_a_page_never_takes_the_place_of_a_device_or_of_a_link(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    pipe, file, link = tmp_path / "pipe", tmp_path / "calls.html", tmp_path / "link.html"
    os.mkfifo(pipe)
    refused = run("chart", "cdrs", "--html", pipe)
    assert (refused.code, refused.out) == (2, "")
    assert "is no regular file" in refused.err
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert api.requests == 0
    link.symlink_to(file)
    assert run("chart", "cdrs", "--from", "2024-01-01", "--html", link).code == 0
    assert link.is_symlink()
    assert file.read_text().endswith("</html>\n")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "calls.html", "link.html"}


def test_a_page_never_takes_the_place_of_another_file(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    refused = run("chart", "cdrs", "--html", path)
    assert (refused.code, refused.out, api.requests) == (2, "", 0)
    assert "exists and is no page of a chart" in refused.err
    assert path.read_text() == "precious"


def test_options_before_the_command_exclude_others_too(api: Sandbox, run: Any) -> None:
    done = run("--profile", "x", "chart", "cdrs", "--files", ".")
    assert (done.code, done.out, api.requests) == (2, "", 0)
    assert "--files and --profile exclude each other" in done.err
