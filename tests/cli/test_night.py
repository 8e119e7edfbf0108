"""An export that nobody watches: lines that get rarer, events that a program reads, silence."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.cli.displays import EventDisplay, LineDisplay, draw_bars, summary_event
from voipstudio_cmb.cli.exit_codes import exit_code
from voipstudio_cmb.cli.progress import JobProgress, ProgressTracker
from voipstudio_cmb.cli.report import report
from voipstudio_cmb.cli.terminal import print_event
from voipstudio_cmb.errors import ConnectFailed, Forbidden
from voipstudio_cmb.export import Job, Summary


def job(state: Any = "running", **more: Any) -> Job:
    return Job(**{"resource": "cdrs", "path": Path("out/cdrs.jsonl"), "state": state, **more})


def test_lines_get_rarer_with_time(capsys: pytest.CaptureFixture[str]) -> None:
    now = [7000.0]
    lines, one = LineDisplay(lambda: now[0]), job()
    printed = []
    for second in range(3 * 3600):
        now[0] = 7000.0 + second
        lines.show([JobProgress(job=one)])
        if capsys.readouterr().err:
            printed.append(second)
    gaps = [after - before for before, after in pairwise(printed)]
    assert gaps == sorted(gaps)
    assert set(gaps) == {10, 30, 60, 300}
    assert len(printed) < 110
    one.state = "done"
    lines.show([JobProgress(job=one)])
    assert capsys.readouterr().err == "cdrs: done, 0 rows\n"  # whenever it is


def test_a_pause_that_the_api_asks_for_shows_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    pauses, now = [30.4], [0.0]
    tracker = ProgressTracker(lambda: now[0], lambda _: pauses[0])
    one, drawn = job(rows=5), []

    class Bars:
        room = 5

        def show(self, bars: Any, line: str) -> None:
            drawn.extend(bars)

    events = EventDisplay(lambda: now[0])
    events.show(tracker.measure([one]))
    now[0] = 3.0
    found = tracker.measure([one])
    LineDisplay(lambda: now[0]).show(found)
    events.show(found)
    draw_bars(Bars(), found)
    line, event = capsys.readouterr().err.splitlines()[1:]
    assert line == "cdrs: running, 5 rows, the API asks to wait 30 s"
    assert json.loads(event)["paused_seconds"] == 30.4
    assert drawn[0][-1].startswith("5 rows, the API asks to wait 30 s")
    pauses[0] = 0.2  # too short to be read
    LineDisplay(lambda: now[0]).show(tracker.measure([one]))
    assert capsys.readouterr().err == "cdrs: running, 5 rows\n"


async def test_a_client_tells_of_the_pause_that_a_429_asks_for() -> None:
    cmb = CallMeBackClient("fake-token")
    assert cmb.pause == 0.0
    cmb._limit.throttle.refused(0.0, 40.0)
    assert 39 < cmb.pause <= 40
    await cmb.aclose()


def test_a_member_has_one_type_in_all_events(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    tracker, events = ProgressTracker(lambda: now[0]), EventDisplay(lambda: now[0])
    jobs = [job(total=99), job(), job("waiting", account="a")]
    for states in (("running",) * 3, ("writing",) * 3, ("done", "failed", "failed")):
        for one, state in zip(jobs, states, strict=True):
            one.state = state  # type: ignore[assignment]
        jobs[1].error = jobs[2].error = ConnectFailed("no line") if "done" in states else None
        jobs[0].made, jobs[0].since = "done" in states, "2026-01-01T00:00:00+00:00"
        for _ in range(3):
            now[0] += 2.5
            jobs[0].rows += 4
            events.show(tracker.measure(jobs))
    print_event("rejected", account="", resource="cdrs", page=1, index=2, reason="no id")
    print_event("note", message="words")
    summary_event(Summary(jobs=jobs, requests=1, retries=0, seconds=7), 5)
    types: dict[str, set[str]] = {}
    for line in capsys.readouterr().err.splitlines():
        for name, value in json.loads(line).items():
            types.setdefault(name, set()).add(type(value).__name__)
    assert {name: found for name, found in types.items() if len(found - {"NoneType"}) != 1} == {}
    assert types["rate"] == {"float", "NoneType"}
    assert types["seconds"] == types["paused_seconds"] == {"float"}


@pytest.mark.parametrize(
    ("jobs", "lines"),
    [
        ([job("done", made=True, rows=3, note="began again")], []),
        ([job("done", made=True, rows=3, rejected=2)], ["cdrs: 2 rows could not be used"]),
        (
            [job("done", made=True), job("failed", resource="settings", error=Forbidden("403"))],
            ["settings: failed: 403", "1 of 2 not done: fix what the errors above say, and run "
             "the same command again"],
        ),
        (
            [job("failed", error=ConnectFailed("no line"))],
            ["cdrs: failed: no line; run the same command again"],
        ),
    ],
)  # fmt: skip
def test_a_quiet_run_says_only_what_is_wrong(
    jobs: list[Job], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    summary = Summary(jobs=jobs, requests=1, retries=0, seconds=1)
    report(summary, exit_code(jobs), lambda _: None, quiet=True)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)
