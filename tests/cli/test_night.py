"""An export that nobody watches: lines that get rarer, events that a program reads, silence."""

from __future__ import annotations

import json
import signal as signals
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.commands import accounts_file
from tests.fakes.exports import names
from tests.fakes.handlers import ScriptedHandler
from tests.fakes.prometheus import parse
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.cli.arguments import Arguments
from voipstudio_cmb.cli.clients import config_of
from voipstudio_cmb.cli.displays import EventDisplay, LineDisplay, draw_bars, summary_event
from voipstudio_cmb.cli.progress import JobProgress, ProgressTracker
from voipstudio_cmb.cli.report import report
from voipstudio_cmb.cli.terminal import print_event
from voipstudio_cmb.errors import ConnectFailed, Forbidden, RateLimited
from voipstudio_cmb.export import Job, Summary
from voipstudio_cmb.export.accounts import account_names
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.http import Request
from voipstudio_cmb.sandbox import Fault, Sandbox


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
    with Sandbox(rows=1) as api:
        api.script(Fault(path="/ping", status=429, headers={"Retry-After": "40"}))
        config = ClientConfig(deadline=5)
        async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
            assert cmb.pause == 0.0
            with pytest.raises(RateLimited):
                await cmb.ping()
            assert 35 < cmb.pause <= 40


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
    summary_event(Summary(jobs=jobs, requests=1, retries=0, seconds=7))
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
            [job("done", note="nothing new"), job("done", resource="visitors", already=True),
             job("failed", resource="settings", error=Forbidden("403"))],
            ["settings: failed: 403", "1 of 3 not done: fix what the errors above say, and run "
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
    report(summary, exit_code(jobs), quiet=True)
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)


# The command


def test_a_quiet_export_prints_nothing_when_all_is_well(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    argv = ("export", "settings", "cdrs", "--to", tmp_path / "a")
    assert run(*argv, "--quiet") == (0, "", "")
    assert len(list((tmp_path / "a").glob("*.jsonl"))) == 2
    assert run("export", "settings", "--sandbox", "-q", "--to", tmp_path / "b") == (0, "", "")
    assert run("export", "settings", "-q", "--to", "-").err == ""
    refused = run(*argv, "--quiet")
    assert (refused.code, refused.out, len(refused.err.splitlines())) == (2, "", 1)
    api.script(Fault(path="/callmeback/cdrs", status=403, times=None))
    failed = run("export", "settings", "cdrs", "--to", tmp_path / "c", "--quiet")
    assert (failed.code, failed.out) == (3, "")
    assert [line.partition(":")[0] for line in failed.err.splitlines()] == [
        "cdrs", "1 of 2 not done"
    ]  # fmt: skip


def test_a_broken_account_makes_no_other_one_tell_of_earlier_nights(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics, to = tmp_path / "x.prom", tmp_path / "shops"
    accounts = accounts_file(tmp_path, api, "a", "b")
    monkeypatch.setenv("A_TOKEN", api.token)
    monkeypatch.setenv("B_TOKEN", "wrong")
    argv = ("export", "cdrs", "--accounts", accounts, "--to", to, "--since", "last")
    for night, name in enumerate(["cdrs.jsonl", "cdrs.0002.jsonl", "cdrs.0003.jsonl"]):
        rows = 3 if night else 300
        for _ in range(3 * bool(night)):
            api.data.cdrs.insert()
        done = run(*argv, "--metrics", metrics)
        assert (done.code, done.out) == (4, f"{to / 'a' / name}\t{rows}\n")
        assert "1 of 2 not done" in done.err
        assert parse(metrics.read_text())["rows", "x", "a", "cdrs"] == rows
    quiet = run(*argv, "-q", "--metrics", metrics)
    assert (quiet.code, quiet.out, len(quiet.err.splitlines())) == (4, "", 2)
    assert parse(metrics.read_text())["rows", "x", "a", "cdrs"] == 0
    assert names(to) == {"a", "b"}


def test_some_accounts_of_a_file_need_no_others_tokens(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = accounts_file(tmp_path, api, "berlin", "paris", "rome")
    for name in ("BERLIN", "ROME"):
        monkeypatch.setenv(f"{name}_TOKEN", api.token)
    argv = ("export", "settings", "--accounts", accounts, "--to", tmp_path / "shops", "--account")
    assert run(*argv, "berlin", "--account", "rome", "--dry-run").code == 0
    assert run(*argv, "berlin", "--account", "rome").code == 0
    assert names(tmp_path / "shops") == {"berlin", "rome"}
    refused = run(*argv, "berln")
    assert (refused.code, "did you mean 'berlin'?" in refused.err) == (2, True)
    assert run("export", "--to", tmp_path, "--account", "rome").code == 2
    assert account_names(accounts) == ["berlin", "paris", "rome"]
    assert account_names(tmp_path / "none") == []


@pytest.mark.parametrize("other", ["--progress=json", "-v"])
def test_quiet_and_the_opposite_exclude_each_other(run: Any, tmp_path: Path, other: str) -> None:
    done = run("export", "--to", tmp_path, "--quiet", other)
    assert done.code == 2
    assert "--quiet and --" in done.err
    assert "exclude each other" in done.err


@pytest.mark.parametrize(("token", "code"), [("", 0), ("wrong", 4)])
def test_every_export_ends_with_its_exit_code(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str, code: int
) -> None:
    if token:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", token)
    for progress in ("lines", "none", "json"):
        argv = ("export", "settings", "--to", tmp_path / progress, "--progress", progress)
        done = run(*argv)
        assert done.code == code
        last = done.err.splitlines()[-1]
        if progress == "json":
            event = json.loads(last)
            assert (event["event"], event["exit_code"]) == ("end", code)
        else:
            assert last == f"voipstudio-cmb: export ended with exit code {code}"
    assert "ended with" not in run(*argv[:-2], "--dry-run").err


def test_an_interrupted_export_ends_with_its_exit_code_and_metrics(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    metrics = tmp_path / "nightly.prom"
    argv = ("export", "settings", "--metrics", metrics, "--to")
    assert run(*argv, tmp_path / "a").code == 0
    first = metrics.read_text()
    monkeypatch.setattr("voipstudio_cmb.export.Export.run_marked", interrupt)
    done = run(*argv, tmp_path / "b")
    assert done.code == 130
    assert done.err.splitlines()[-1] == "voipstudio-cmb: export ended with exit code 130"
    assert '_exit_code{export="nightly"} 130\n' in metrics.read_text()
    assert [line for line in first.splitlines() if "last_success" in line] == [
        line for line in metrics.read_text().splitlines() if "last_success" in line
    ]


def test_metrics_are_of_the_run(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.prom"
    argv = ("export", "settings", "cdrs", "--metrics", path, "--to")
    assert run(*argv, tmp_path / "a").code == 0
    found = parse(path.read_text())
    assert found["rows", "x", "", "cdrs"] == 300
    assert found["requests", "x"] == api.requests
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "a b")
    assert run(*argv, tmp_path / "b").code == 2
    assert parse(path.read_text())["exit_code", "x"] == 2
    asked = api.requests
    for where in (tmp_path / "absent" / "x.prom", tmp_path):
        refused = run("export", "--metrics", where, "--to", tmp_path / "c")
        assert refused.code == 2
        assert "--metrics: " in refused.err
        absent = not where.parent.exists()
        assert ("make its directory first, or leave the option out" in refused.err) is absent
    assert run("export", "cdrs", "--to", "-", "--metrics", path).code == 2
    assert api.requests == asked


def test_metrics_that_cant_be_written_are_exit_1(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("voipstudio_cmb.cli.metrics.write_atomic", full)
    done = run("export", "settings", "--to", tmp_path / "a", "--metrics", tmp_path / "x.prom")
    assert done.code == 1
    assert "error: the metrics can't be written: No space left on device" in done.err
    assert "ended with exit code 1" in done.err.splitlines()[-1]


def test_logs_of_a_command(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.script(Fault(path="/ping", status=503))
    asked = run("ping", "-v")
    assert asked.code == 0
    assert " info: trying again in " in asked.err
    assert api.token not in asked.err
    assert " debug: GET /ping: attempt 1: 200 in " in run("-vv", "ping").err
    monkeypatch.setenv("VOIPSTUDIO_LOG", "debug")
    assert " debug: GET /ping: attempt 1: 200 in " in run("ping").err
    done = run("export", "settings", "--progress", "json", "--to", tmp_path / "a")
    assert {"log", "summary"} < {json.loads(line)["event"] for line in done.err.splitlines()}
    monkeypatch.setenv("VOIPSTUDIO_LOG", "all")
    refused = run("ping")
    assert (refused.code, refused.out) == (2, "")
    assert "VOIPSTUDIO_LOG is none of info, debug" in refused.err


def test_verify_of_an_export(api: Sandbox, run: Any, tmp_path: Path) -> None:
    assert run("export", "settings", "cdrs", "--to", tmp_path).code == 0
    assert run("verify", tmp_path) == (0, "cdrs.jsonl: ok\nsettings.jsonl: ok\n", "2 files: 2 ok\n")
    assert run("verify", tmp_path, "-q") == (0, "", "")
    (tmp_path / "cdrs.jsonl").unlink()
    assert run("verify", tmp_path, "-q") == (1, "cdrs.jsonl: missing\n", "")
    assert run("verify", tmp_path / "absent").code == 2


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_verify_ends_at_once(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str, code: int
) -> None:
    def reading(_: Path) -> Any:
        signals.raise_signal(signals.Signals[signal])
        raise AssertionError("it went on")

    monkeypatch.setattr("voipstudio_cmb.cli.verify.verify", reading)
    before = signals.getsignal(signals.SIGTERM), signals.getsignal(signals.SIGINT)
    assert run("verify", tmp_path).code == code
    assert (signals.getsignal(signals.SIGTERM), signals.getsignal(signals.SIGINT)) == before


def test_a_token_file_of_a_command(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{api.token}\n")
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN")
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN_FILE", str(file))
    assert run("ping", "--profile", "x").code == 2
    assert run("ping").code == 0
    file.write_bytes(b"")
    assert run("ping").code == 2
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
    both = run("ping")
    assert (both.code, both.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(("given", "seconds"), [("90s", 90), ("1h", 3600), ("0", 0), ("0s", 0)])
@virtual
async def test_the_clients_of_an_export_are_patient(
    capsys: pytest.CaptureFixture[str], given: str, seconds: float
) -> None:
    assert config_of(Arguments(patience=given, dry_run=True)) is None
    for quiet in (False, True):
        config = config_of(Arguments(patience=given, dry_run=False, quiet=quiet))
        if not seconds:
            assert config is None
            continue
        assert config is not None
        assert config.patience is not None
        assert config.patience.seconds == seconds
        network = ScriptedHandler([ConnectFailed("no line"), json_response({})])
        await config.elsewhere().patience(Request(method="GET", path="/ping"), network)  # type: ignore[misc]
        told = capsys.readouterr().err.splitlines()
        assert told == [] if quiet else told[1:] == ["the API is back after 1 s"]


def test_an_export_has_15_minutes_of_patience_and_its_accounts_share_it(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Noted(CallMeBackClient):
        def __init__(self, *given: Any, **options: Any) -> None:
            made.append(options["config"].patience)
            super().__init__(*given, **options)

    for module in ("cli.clients", "export.run.exports"):
        monkeypatch.setattr(f"voipstudio_cmb.{module}.CallMeBackClient", Noted)
    assert run("export", "settings", "--to", tmp_path / "a").code == 0
    accounts = accounts_file(tmp_path, api, "a", "b")
    for name in ("A_TOKEN", "B_TOKEN"):
        monkeypatch.setenv(name, api.token)
    argv = ("export", "settings", "--accounts", accounts, "--patience", "1h")
    assert run(*argv, "--to", tmp_path / "b").code == 0
    assert [each.seconds for each in made] == [900, 3600, 3600]
    assert made[1] is made[2]


@pytest.mark.parametrize("wrong", ["15", "-1m", "soon", "1y", ""])
def test_a_patience_is_a_time(run: Any, tmp_path: Path, wrong: str) -> None:
    done = run("export", "--to", tmp_path, "--patience", wrong)
    assert done.code == 2
    said = "must be a number and s, m, h or d, such as 1h" if wrong else ": it is empty"
    assert f"--patience{' ' * bool(wrong)}{said}" in done.err
