"""What is shown of jobs while they run, what is said of them in the end, and the exit codes."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb.cli.displays import (
    EventDisplay,
    LineDisplay,
    draw_bars,
    duration,
    open_display,
    summary_event,
    totals,
)
from voipstudio_cmb.cli.progress import JobProgress, ProgressTracker, RateMeter
from voipstudio_cmb.cli.report import failures, print_files, report
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ExportError,
    FilterIgnored,
    Forbidden,
    IncompleteWalk,
    NotFound,
    NotJSON,
    NoToken,
    PageDrift,
    RateLimited,
    RequestTimeout,
    TLSFailed,
    Unauthorized,
    WrongShape,
)
from voipstudio_cmb.export import Job, Summary
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.ext.rich import Bars

ESCAPE = "\x1b]0;owned\x07\x1b[2J"


class Clock:
    def __init__(self) -> None:
        self.now = 5000.0

    def __call__(self) -> float:
        return self.now


def job(resource: str = "cdrs", **more: Any) -> Job:
    made = more.get("state") == "done"
    return Job(resource=resource, path=Path("out") / f"{resource}.jsonl", made=made, **more)


def failed(error: CallMeBackError, **more: Any) -> Job:
    return job(state="failed", error=error, **more)


def because(cause: Exception) -> CallMeBackError:
    error = ExportError("the buttons are known from settings, which could not be read")
    error.__cause__ = cause
    return error


DONE = job(state="done", rows=5)
CAN_RESUME = failed(ExportError("disk full"), resumable=True)
PASSES = failed(ConnectFailed("no line"))
REFUSED = failed(Forbidden("403"))
UNAUTHORISED = failed(Unauthorized("401"))
MISUSED = failed(ClientMisuse("exists"))
REJECTED = job(state="done", rows=5, rejected=1)


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([DONE], 0),
        ([DONE, job(state="done", missing=[7], already=True)], 0),
        ([REFUSED], 1),
        ([REFUSED, MISUSED], 1),
        ([MISUSED, MISUSED], 2),
        ([REJECTED], 3),
        ([REJECTED, DONE], 3),
        ([DONE, REFUSED], 3),
        ([DONE, MISUSED], 3),
        ([UNAUTHORISED], 4),
        ([failed(NoToken("none"))], 4),
        ([failed(because(Unauthorized("401")))], 4),
        ([failed(Unauthorized("401"), resumable=True)], 4),
        ([CAN_RESUME], 5),
        ([PASSES], 5),
        ([failed(because(ConnectFailed("no line")))], 5),
        ([CAN_RESUME, UNAUTHORISED, DONE], 4),
        ([PASSES, UNAUTHORISED], 4),
        ([CAN_RESUME, REFUSED, REJECTED, DONE], 5),
        ([REFUSED, PASSES], 5),
        ([REFUSED, REJECTED], 3),
        # What the same command would meet again is no 5, though something is kept.
        ([failed(Forbidden("403"), resumable=True)], 1),
        ([failed(Forbidden("403"), resumable=True), DONE], 3),
        ([failed(because(NotFound("404")), resumable=True)], 1),
        ([failed(FilterIgnored("x"), resumable=True)], 1),
        ([failed(PageDrift("x", retryable=False), resumable=True)], 1),
        ([failed(IncompleteWalk("x"), resumable=True)], 1),
        ([failed(WrongShape("x"), resumable=True)], 1),
        ([failed(TLSFailed("x"), resumable=True)], 1),
        ([failed(because(FileExistsError("x")), resumable=True)], 1),
        # And what passes is, though nothing is.
        ([failed(PageDrift("x"))], 5),
        ([failed(NotJSON("x"))], 5),
        ([failed(RateLimited("429", retryable=False))], 5),
        ([failed(RequestTimeout("a pause", retryable=False))], 5),
    ],
)
def test_the_exit_code_is_4_before_5_before_3_and_1(jobs: list[Job], code: int) -> None:
    for order in itertools.permutations(jobs):
        assert exit_code(order) == code


def told(capsys: pytest.CaptureFixture[str], *jobs: Job) -> Any:
    for each in jobs:
        each.seconds = 2.0
    summary = Summary(jobs=jobs, requests=12, retries=1, seconds=3.21)
    code = exit_code(jobs)
    assert asyncio.run(print_files(jobs))
    report(summary, code)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_table_has_what_there_is_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    jobs = [
        job(account="berlin", state="done", rows=12_000, kept=2_000, pages=24, since="2026-01-01",
            rejected=3, altered=2),
        job("visitors", account="berlin", state="done", rows=7, kept=7, already=True),
        failed(ExportError("No space left"), account="berlin", resumable=True, rows=5_000),
        job("buttons", account="paris", state="failed", error=Forbidden("403")),
        job("settings", account="paris", state="done", rows=1, missing=[4, 5],
            note="its checkpoint was damaged: started again"),
    ]  # fmt: skip
    code, out, err = told(capsys, *jobs)
    assert code == 5
    assert out == "out/cdrs.jsonl\t12000\nout/visitors.jsonl\t7\nout/settings.jsonl\t1\n"
    for line in (
        "account resource state rows kept rejected altered missing seconds rows/s",
        "berlin cdrs done 12,000 2,000 3 2 2.0 5,000",
        "berlin visitors already complete 7 7 2.0",
        "berlin cdrs can be resumed 5,000 2.0 2,500",
        "paris buttons failed 0 2.0",
        "paris settings done 1 2 2.0 0",
        "berlin/cdrs: resumes the export started at 2026-01-01",
        "berlin/cdrs: 3 rows could not be used",
        "berlin/visitors: already complete: made by an earlier export",
        "berlin/cdrs: failed: No space left",
        "paris/settings: its checkpoint was damaged: started again",
        "paris/settings: 2 are named and do not exist (ids 4, 5)",
        "12,008 rows, 24 pages, 12 requests, 1 retries, 3.2 s, 3 of 5 files",
        "2 of 5 not done: run the same command again to resume",
    ):
        assert line in [" ".join(said.split()) for said in err.splitlines()], line


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (UNAUTHORISED, "not done: run the same command again with a valid token"),
        (REFUSED, "fix what the errors above say"),
    ],
)
def test_it_ends_with_what_to_do(capsys: pytest.CaptureFixture[str], one: Job, words: str) -> None:
    assert words in told(capsys, DONE, one)[2].splitlines()[-1]
    assert "not done" not in told(capsys, DONE)[2]


def test_one_reason_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def full(resource: str, account: str) -> Job:
        one = job(resource, account=account, state="failed")
        one.error = ExportError(f"{str(one.path)!r} can't be written: No space left on device")
        return one

    def expired(resource: str, account: str) -> Job:
        path = f"/callmeback/{resource}"
        error = Unauthorized("401 expired", method="GET", path=path, request_id=f"r-{resource}")
        error.message += f"; request {error.request_id}"
        return job(resource, account=account, state="failed", error=error)

    disks = [full(resource, "paris") for resource in ("cdrs", "visitors")]
    tokens = [expired(resource, "rome") for resource in ("cdrs", "visitors")]
    other = job("settings", account="rome", state="failed", error=Forbidden("403"))
    assert failures([*disks, *tokens, other, job(account="rome", state="done")]) == [
        "paris: failed: 'out/cdrs.jsonl' can't be written: No space left on device",
        "rome/cdrs, rome/visitors: failed: 401 expired; request r-cdrs",
        "rome/settings: failed: 403",
    ]
    many = [failed(ConnectFailed("no line"), account=f"a{n}") for n in range(50)]
    assert failures(many) == ["a0, a1, a2, a3, a4, a5, a6, a7 and 42 more: failed: no line"]
    closed = [failed(ClientMisuse(f"the export directory 'all/{name}' can't be written"))
              for name in "ab"]  # fmt: skip
    for one, name in zip(closed, "ab", strict=True):
        one.account, one.path = name, Path("all") / name / "cdrs.jsonl"
    assert failures(closed) == ["a, b: failed: the export directory 'all/a' can't be written"]
    _, _, err = told(capsys, *many)
    assert err == failures(many)[0] + "; run the same command again\n"
    _, _, err = told(capsys, *many, DONE)
    assert err.count("no line") == 1


def test_v14_no_name_or_error_steers_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = failed(Forbidden(f"403 {ESCAPE}\nfake: done, 9 rows \u202e"), account=ESCAPE)
    tracker = ProgressTracker(Clock())
    err = ""
    for terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda terminal=terminal: terminal)
        for mode in ("lines", "json", "auto"):
            with open_display(mode, tracker) as show:
                show(tracker.measure([hostile]))
                hostile.state = "running"
                show(tracker.measure([hostile]))
                hostile.state = "failed"
        err += told(capsys, hostile)[2]
    assert "owned" in err
    for sequence in ("\x1b]", "\x1b[2J", "\x07", "\u202e", "\nfake"):
        assert sequence not in err


def test_rates_are_of_the_last_seconds_and_of_what_was_fetched() -> None:
    clock = Clock()
    tracker = ProgressTracker(clock)
    one = job(total=10_000)
    assert tracker.measure([one])[0].rate is None
    one.state, one.rows, one.kept = "running", 4_000, 4_000  # left by an earlier run
    assert tracker.measure([one])[0].rate is None
    for _ in range(200):
        clock.now += 0.1
        one.rows += 10
        found = tracker.measure([one])[0]
    assert one.rows == 6_000
    assert found.rate == pytest.approx(100, rel=0.1)
    assert found.seconds_left == pytest.approx(40, rel=0.1)
    for _ in range(120):  # slower now: what was before counts no more
        clock.now += 0.1
        one.rows += 1
        found = tracker.measure([one])[0]
    assert found.rate == pytest.approx(10, rel=0.1)
    clock.now += 1
    one.rows, one.kept = 5, 0  # started again
    assert tracker.measure([one])[0].rate is None
    one.total = 3  # a total that is wrong tells no time
    clock.now += 1
    one.rows = 9
    assert tracker.measure([one])[0].seconds_left is None


def test_a_rate_keeps_few_samples() -> None:
    meter = RateMeter()
    for number in range(20_000):
        meter.add(number / 100, number)
    assert len(meter.samples) < 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (90, "2 min"), (3600, "1 h 0 min"), (7300, "2 h 2 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def run_of(
    jobs: list[Job], clock: Clock, shown: Any, tracker: ProgressTracker, seconds: int
) -> None:
    for _ in range(seconds * 10):
        clock.now += 0.1
        for one in jobs:
            one.rows += 10
        shown.show(tracker.measure(jobs))


def test_lines_say_what_changes_and_now_and_then_how_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    tracker, lines, one = ProgressTracker(clock), LineDisplay(clock), job(total=5_000)
    lines.show(tracker.measure([one]))
    assert capsys.readouterr().err == ""
    one.state = "running"
    run_of([one], clock, lines, tracker, 35)
    one.state = "done"
    run_of([one], clock, lines, tracker, 6)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("cdrs: running, ")
    assert 3 <= len(said) - 2 <= 4
    assert said[-2] in [f"cdrs: running, {n:,} of 5,000 rows, 100 rows/s, {s} s left"
                        for n in range(2900, 3200, 10) for s in range(18, 22)]  # fmt: skip
    assert said[-1] == "cdrs: done, 3,510 rows"


def test_of_hundreds_of_jobs_the_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    tracker, lines = ProgressTracker(clock), LineDisplay(clock)
    jobs = [job(account=f"a{i}") for i in range(200)]
    for one in jobs[:8]:
        one.state = "running"
    run_of(jobs[:8] + jobs[8:], clock, lines, tracker, 10)
    said = capsys.readouterr().err.splitlines()
    assert len(said) <= 6
    assert said[-1].startswith("0 of 200 jobs done, 8 running, ")
    jobs[0].state, jobs[1].state, jobs[1].pages = "done", "failed", 1
    lines.show(tracker.measure(jobs))
    assert capsys.readouterr().err.splitlines()[0] == "a0/cdrs: done, 1,000 rows"
    assert totals(tracker.measure(jobs)).startswith("1 of 200 jobs done, 6 running, 1 failed")


def test_bars_of_hundreds_of_jobs_are_those_that_run_and_one_for_all() -> None:
    class Terminal:
        room = 5

        def __init__(self) -> None:
            self.drawn: Any = None

        def show(self, bars: Any, line: str) -> None:
            self.drawn = bars, line

    terminal = Terminal()
    tracker = ProgressTracker(Clock())
    idle = [job(state="waiting"), job(state="failed"), job(state="done", total=5)]
    draw_bars(terminal, tracker.measure(idle))
    assert [bar[3] for bar in terminal.drawn[0]] == ["0 rows, done"]  # the others would pulse
    jobs = [job(account=f"a{i}", state="running" if i < 7 else "done") for i in range(200)]
    draw_bars(terminal, tracker.measure(jobs))
    bars, line = terminal.drawn
    assert [bar[0] for bar in bars] == [f"a{i}/cdrs" for i in range(5)]
    assert line.startswith("193 of 200 jobs done, 7 running")
    draw_bars(terminal, tracker.measure(jobs[5:9]))
    bars, line = terminal.drawn
    assert (len(bars), line) == (4, "")


def test_bars_come_and_go_on_a_terminal() -> None:
    stream = io.StringIO()
    with Bars(stream, 80, 24) as bars:
        bars.show([("a", 1, 2, "[bold]x"), ("b", 1, None, "y")], "")
        assert bars.room == 21
        bars.resize(200, 2)
        assert bars.room == 1
        bars.show([("b", 3, 3, "y" * 150)], "the total")
    assert "y" * 150 in stream.getvalue()
    drawn = stream.getvalue()
    assert "the total" in drawn
    assert "y" in drawn
    assert "[bold]x" not in drawn


def test_events_are_objects_with_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    tracker, events = ProgressTracker(clock), EventDisplay(clock)
    one = job(account="berlin", total=1_000)
    other = failed(ConnectFailed("no\nline"), rejected=2)
    events.show(tracker.measure([one]))
    one.state = "running"
    run_of([one], clock, events, tracker, 5)
    one.state = "done"
    events.show(tracker.measure([one, other]))
    events.show(tracker.measure([one, other]))
    summary_event(Summary(jobs=[one, other], requests=4, retries=1, seconds=2.0))
    out, err = capsys.readouterr()
    assert out == ""
    found = [json.loads(line) for line in err.splitlines()]
    for each in found:
        assert datetime.fromisoformat(each.pop("time")).utcoffset() == timedelta(0)
    assert [each["event"] for each in found] == [
        "start", "progress", "progress", "done", "start", "failed", "summary",
    ]  # fmt: skip
    assert found[0] == {
        "event": "start", "account": "berlin", "resource": "cdrs", "path": "out/cdrs.jsonl",
    }  # fmt: skip
    progress = found[1]
    assert (progress["state"], progress["total"], progress["kept"]) == ("running", 1000, 0)
    assert progress["rate"] == pytest.approx(100, rel=0.1)
    assert progress["left_seconds"] == pytest.approx((1000 - progress["rows"]) / 100, rel=0.1)
    assert found[3]["rows"] == 500
    assert (found[5]["kind"], found[5]["retryable"], found[5]["resumable"]) == (
        "ConnectFailed", True, False,
    )  # fmt: skip
    assert found[6] == {
        "event": "summary", "jobs": 2, "done": 1, "failed": 1, "can_be_resumed": 0, "rows": 500,
        "rejected": 2, "requests": 4, "retries": 1, "seconds": 2.0,
    }  # fmt: skip


def test_none_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with open_display("none", ProgressTracker()) as show:
        show([JobProgress(job=DONE)])
    assert capsys.readouterr() == ("", "")
