"""The command `list`: which rows it prints, where it begins, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from typing import Any

import pytest

from tests.fakes.commands import INTERRUPTIBLE, run_terminal
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper


def ids(text: str) -> list[int]:
    return [int(line.split()[0]) for line in text.splitlines() if re.match(r" *[0-9]+ ", line)]


@pytest.mark.parametrize(("columns", "last"), [(80, "disposition"), (120, "agent")])
def test_a_terminal_shows_the_newest_calls_first(api: Sandbox, columns: int, last: str) -> None:
    done = run_terminal("list", "cdrs", "--limit", "5", out=True, size=(columns, 24))
    assert done.code == 0
    assert ids(done.out) == [*api.data.cdrs.ids][-1:-6:-1]
    lines = done.out.splitlines()
    shown = re.sub(r"\x1b\[\d*m", "", lines[0]).split()
    assert shown[:6] == ["id", "created_at", "src", "dst", "duration", "disposition"]
    assert max(map(len, lines[1:6])) <= columns
    assert lines[6].startswith("left out: calldate (same as created_at), ")
    assert lines[7] == "only the newest 5 printed; --limit N or --all for more"


def test_other_orders_and_pipes_begin_at_the_beginning(api: Sandbox, run: Any) -> None:
    first = [*api.data.cdrs.ids][:5]
    assert ids(run_terminal("list", "cdrs", "--sort", "id", "--limit", "5", out=True).out) == first
    rows = run("list", "cdrs", "--limit", "5").out.splitlines()
    assert [json.loads(row)["id"] for row in rows] == first
    rows = run("list", "settings", "--newest", "--limit", "2").out.splitlines()
    assert [json.loads(row)["id"] for row in rows] == [*api.data.settings.ids][-1:-3:-1]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("temper", [Temper(ignore_sort=True), Temper(refuse_sort=True)], ids=str)
def test_an_api_that_does_not_sort_still_shows_rows(
    monkeypatch: pytest.MonkeyPatch, temper: Temper
) -> None:
    with Sandbox(rows=30, temper=temper) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        done = run_terminal("list", "cdrs", "--limit", "5", out=True, size=(300, 24))
        assert done.code == 0
        assert len(ids(done.out)) == 5
        assert "not the newest, because the API does not sort" in done.out
        assert "only the first 5 printed" in done.out
        asked = run_terminal("list", "cdrs", "--limit", "5", "--newest", out=True)
        assert asked.code == 1


def test_a_period_is_filtered_by_and_said(api: Sandbox, run: Any) -> None:
    times = [api.data.cdrs.get(id)["created_at"] for id in api.data.cdrs.ids]
    wanted = [time for time in times if time.startswith("2025-06")]
    done = run(
        "list", "cdrs", "--all", "--from", "2025-06-01", "--until", "2025-06-30", "--zone", "UTC"
    )
    assert [json.loads(row)["created_at"] for row in done.out.splitlines()] == wanted
    assert done.err == (
        "created_at from 2025-06-01 00:00:00 on and before 2025-07-01 00:00:00, in the zone UTC\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--from", "tomorrow"], "--from: this is no time"),
        (["--until", "2026-02-31"], "--until: this is no time"),
        (["--from", "today", "--zone", "Europe/Lodon"], "did you mean Europe/London?"),
        (["--from", "2026-02-01", "--until", "2026-01-01"], "is not after --from"),
        (["--columns", "id,,src"], "one is empty"),
        (["--columns", ""], "--columns: it is empty"),
        (["--newest", "--all"], "--newest and --all exclude each other"),
        (["--newest", "--sort", "id"], "--newest and --sort exclude each other"),
        (["--follow", "--all"], "--follow and --all exclude each other"),
        (["--follow", "--until", "today"], "--follow and --until exclude each other"),
        (["--follow", "--format", "json"], "use --format jsonl"),
        (["--follow", "--filter-here"], "--follow and --filter-here exclude each other"),
        (["--follow", "--page-size", "5"], "--follow and --page-size exclude each other"),
        (["--follow", "--concurrency", "5"], "--follow and --concurrency exclude each other"),
        (["--interval", "5"], "--interval needs --follow: add it, or leave --interval out"),
        (["--filter-here"], "--filter-here needs --filter or --from or --until"),
        (["--zone", "UTC"], "--zone needs --from or --until"),
        (["--profile", ""], "--profile: it is empty"),
        (["--filter", "nonsense"], "--filter: a filter is not PROPERTY OPERATOR VALUE"),
        (["--follow", "--interval", "0"], "--interval must be from 1 to 86400 seconds"),
        (["--follow", "--interval", "nan"], "--interval must be from 1 to 86400 seconds"),
        (["--format", "tvs"], "did you mean tsv?"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_sent(
    api: Sandbox, run: Any, words: list[str], said: str
) -> None:
    done = run("list", "cdrs", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert api.requests == 0


def test_a_column_that_no_row_has_is_refused(api: Sandbox, run: Any) -> None:
    done = run("list", "cdrs", "--columns", "id,durration")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: --columns: no row has 'durration'; did you mean 'duration'?\n"


@pytest.mark.parametrize("format", ["csv", "table", "jsonl"])
def test_what_came_before_an_error_is_printed(api: Sandbox, run: Any, format: str) -> None:
    api.script(Fault(path="/callmeback/cdrs", after=5, times=None, status=403))
    done = run("list", "cdrs", "--all", "--page-size", "50", "--format", format)
    assert done.code == 1
    assert len(done.out.splitlines()) >= 50
    assert "403" in done.err


@pytest.mark.one_in(3)
@pytest.mark.parametrize("format", ["jsonl", "csv", "table"])
def test_following_prints_the_newest_and_what_comes_and_ends_quietly(
    api: Sandbox, format: str
) -> None:
    command = [*INTERRUPTIBLE, "list", "cdrs", "--follow", "--limit", "3", "--interval", "1"]
    command += ["--columns", "id,src", "--format", format]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        heads = 0 if format == "jsonl" else 1
        lines = [process.stdout.readline() for _ in range(3 + heads)]
        row = api.data.cdrs.insert()
        lines.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == (b"", b"", 130)
    newest = [*api.data.cdrs.ids][-4:]
    found = [int(re.search(rb"[0-9]+", line)[0]) for line in lines[heads:]]  # type: ignore[index]
    assert found == newest
    assert newest[-1] == row["id"]
