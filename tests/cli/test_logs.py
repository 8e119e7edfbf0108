"""`-v`, `-vv`, `VOIPSTUDIO_LOG`: each step of a client on a line, harmless, and then no more."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.handlers import ScriptedHandler, full_chain
from tests.fakes.secrets import CANARY
from voipstudio_cmb.cli import logs
from voipstudio_cmb.cli.displays import open_display
from voipstudio_cmb.cli.logs import level_of, shown_logs
from voipstudio_cmb.cli.progress import JobProgress, ProgressTracker
from voipstudio_cmb.cli.terminal import print_message, printing_above
from voipstudio_cmb.errors import ConfigError
from voipstudio_cmb.events import log
from voipstudio_cmb.export import Job
from voipstudio_cmb.ext.rich import Bars
from voipstudio_cmb.http import Request, Response

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 "


def refusal(status: int, **headers: str) -> Response:
    """What a server sends that echoes the token and tries to steer a terminal."""
    hostile = {"x-request-id": f"r{status}\x1b[2J\n{CANARY}", "server": CANARY}
    body = json.dumps({"message": f"bad {CANARY} \x1b]0;owned\x07"}).encode()
    return Response(status=status, body=body, headers=hostile | headers)


async def traffic(page: int = 3) -> None:
    responses = [refusal(503), refusal(429, **{"retry-after": "7"}), json_response({"data": []})]
    request = Request(method="GET", path="/callmeback/cdrs", page=page)
    await full_chain(ScriptedHandler(responses))(request)


@virtual
async def test_debug_shows_attempts_waits_statuses_and_request_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_logs(logging.DEBUG):
        await traffic()
    out, err = capsys.readouterr()
    lines = [re.sub(STAMP, "", line, count=1) for line in err.splitlines()]
    assert out == ""
    assert all(re.match(STAMP, line) for line in err.splitlines())
    where = "GET /callmeback/cdrs page 3"
    assert lines[0].startswith(
        f"debug: {where}: attempt 1: 503 ServerFault in 0.000 s, request id r503"
    )
    assert re.match(rf"info: trying again in \d\.\d{{3}} s: {where}: 503 ", lines[1])
    assert lines[2] == "info: all requests wait 7.000 s, after a status of 429"
    assert lines[3].startswith(f"debug: {where}: attempt 2: 429 RateLimited in ")
    assert lines[-2].startswith(f"debug: {where}: attempt 3: 200 in ")
    assert re.fullmatch(rf"debug: {where}: 200 after 3 attempts, .* waiting\)", lines[-1])
    for secret in (CANARY, "\x1b", "\x07"):
        assert secret not in err


@virtual
async def test_info_shows_what_is_waited_for_and_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with shown_logs(logging.INFO):
        await traffic()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert [" attempt " in line for line in lines] == [False] * 3


@virtual
async def test_as_events_they_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_logs(logging.INFO, as_events=True):
        await traffic()
    for line in capsys.readouterr().err.splitlines():
        event = json.loads(line)
        assert datetime.fromisoformat(event["time"])
        assert (event["event"], event["level"], type(event["message"])) == ("log", "info", str)


@virtual
async def test_nothing_is_shown_without_them_and_nothing_stays(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = log.level, log.propagate, list(log.handlers)
    with shown_logs(None):
        await traffic()
    with shown_logs(logging.DEBUG):
        pass
    await traffic()
    assert capsys.readouterr() == ("", "")
    assert (log.level, log.propagate, list(log.handlers)) == before


@pytest.mark.parametrize(
    ("verbosity", "given", "level"),
    [(0, None, None), (0, "", None), (1, None, logging.INFO), (2, "info", logging.DEBUG),
     (5, None, logging.DEBUG), (0, "info", logging.INFO), (0, "DEBUG", logging.DEBUG)],
)  # fmt: skip
def test_the_level(verbosity: int, given: str | None, level: int | None) -> None:
    assert level_of(verbosity, given) == level


def test_a_level_that_is_none_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match="VOIPSTUDIO_LOG is none of info, debug") as caught:
        level_of(0, CANARY)
    assert CANARY not in str(caught.value)


def test_what_nobody_reads_does_not_pile_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    behind = [True]
    monkeypatch.setattr(logs, "log_is_behind", lambda: behind[0])
    with shown_logs(logging.INFO):
        for _ in range(1200):
            log.info("lost")
        behind[0] = False
        log.info("seen")
        log.info("seen too")
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("seen (1,200 lines before this one were not read, and left out)")
    assert second.endswith("seen too")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_display_of_an_export_has_them_above_its_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    one = Job(resource="cdrs", path=Path("cdrs.jsonl"), state="running")
    with open_display("auto", ProgressTracker()) as show:
        show([JobProgress(job=one)])
        print_message("a line")
    before, _, after = stream.getvalue().partition("a line\n")
    assert "cdrs" in before
    assert before.endswith("\x1b[2K")  # what was drawn is erased
    assert "cdrs" in after


def test_lines_stand_above_the_bars() -> None:
    stream: Any = Terminal()
    with Bars(stream, 60, 24) as bars, printing_above(bars.print_above):
        bars.show([("cdrs", 5, 10, "5 rows")], "")
        print_message("[bold]a line\x1b[2J that is longer than the terminal is wide " + "x" * 30)
    drawn = stream.getvalue()
    before, line, after = drawn.partition(
        "[bold]a line\ufffd[2J that is longer than the terminal is wide " + "x" * 30 + "\n"
    )
    assert line
    assert "cdrs" in before  # drawn, erased for the line, and drawn again below it
    assert "cdrs" in after
    assert "\x1b[2K" in before
