"""The command `export` as its users run it: streams, forecasts, accounts, events, exit codes."""

from __future__ import annotations

import csv
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_main import COMMAND, INTERRUPTIBLE, Ran, environment
from voipstudio_cmb.cli import export as exporting
from voipstudio_cmb.sandbox import Fault, Sandbox


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A stand-in in a thread of its own, with the environment pointing at it."""
    with Sandbox(rows=300) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        yield api


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    return lambda *argv: Ran(capsys, *map(str, argv))


def ran(*argv: object, shell: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; *shell* follows it on the shell's line."""
    command = " ".join([*COMMAND, *map(str, argv), shell])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, **env}, capture_output=True, check=False, timeout=90,
    )  # fmt: skip


def accounts_file(tmp_path: Path, api: Sandbox, *names: str) -> Path:
    path = tmp_path / "accounts.toml"
    path.write_text(
        "\n".join(
            f'[accounts.{name}]\ntoken_env = "{name.upper()}_TOKEN"\nbase_url = "{api.base_url}"'
            for name in names
        )
    )
    return path


def with_a_bad_row(api: Sandbox) -> None:
    rows: list[Any] = [{"id": 1}, "\x1b[2Jno row", {"id": 2}]
    path = "/callmeback/settings"
    api.script(Fault(path=path, page=2, body={"data": [], "total": 3}, times=None))
    for direction, data in (("ASC", rows), ("DESC", rows[::-1])):
        api.script(
            Fault(
                path=path,
                when=lambda seen, to=direction: seen.query.get("dir") == to,
                body={"data": data, "total": 3},
                times=None,
            )
        )


# The stream


def test_the_rows_of_one_resource_go_to_standard_output(api: Sandbox, tmp_path: Path) -> None:
    ran("export", "cdrs", "visitors", "buttons", "--to", tmp_path)
    for resource in ("cdrs", "visitors", "buttons"):
        done = ran("export", resource, "--to", "-", "--page-size", 50, "--progress", "none")
        assert done.returncode == 0
        assert done.stderr == b""
        assert done.stdout == (tmp_path / f"{resource}.jsonl").read_bytes()
    some = ran("export", "cdrs", "--to", "-", "--filter", "'id<=100010'")
    assert 0 < len(some.stdout.splitlines()) < 20


def test_a_stream_is_sent_a_page_at_a_time_and_waits_for_its_reader(api: Sandbox) -> None:
    with subprocess.Popen(
        [*INTERRUPTIBLE, "export", "cdrs", "--to", "-", "--page-size", "10", "--progress", "none"],
        env=environment(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 90)[0]
        until = time.monotonic() + 90
        while time.monotonic() < until:  # the pipe fills, and nothing more is asked for
            asked = api.requests
            time.sleep(0.3)
            if asked == api.requests:
                break
        # All rows fit into the buffers of few systems: 300 rows are more than 64 KiB.
        assert api.requests < 40
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=90) == 130  # though nobody reads on
        _, err = process.communicate()
    assert err == b"interrupted: the output is incomplete\n"


def test_rejected_rows_of_a_stream_are_named_and_exit_3(api: Sandbox) -> None:
    with_a_bad_row(api)
    done = ran("export", "settings", "--to", "-")
    assert done.returncode == 3
    assert done.stdout == b'{"id":1}\n{"id":2}\n'
    said = b"settings: page 1, row 2: rejected, it is no object but a string\n"
    assert done.stderr.count(b"rejected") == done.stderr.count(said) == 1
    done = ran("export", "settings", "--to", "-", "--progress", "json")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert {"event": "rejected", "account": "", "resource": "settings", "page": 1, "index": 2,
            "reason": "it is no object but a string"} in events  # fmt: skip


def test_an_error_after_some_rows_is_exit_1_and_one_before_is_its_own(api: Sandbox) -> None:
    fault = api.script(Fault(path="/callmeback/cdrs", after=5, status=403, times=None))
    done = ran("export", "cdrs", "--to", "-", "--page-size", 50)
    assert done.returncode == 1
    assert 0 < len(done.stdout.splitlines()) < 300
    assert b"page 1: 403 Scripted 403; " in done.stderr
    assert done.stderr.endswith(b": the output is incomplete\n")
    assert fault.applied
    api.clear_faults()
    done = ran("export", "cdrs", "--to", "-", VOIPSTUDIO_API_TOKEN="wrong")
    assert (done.returncode, done.stdout) == (4, b"")


def test_a_reader_of_a_stream_that_has_seen_enough_is_no_error(api: Sandbox) -> None:
    done = ran("export", "cdrs", "--to", "-", "--progress", "none", shell="| head -n 1")
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, b"")


def test_a_full_disk_behind_a_stream_is_exit_1(api: Sandbox) -> None:
    done = ran("export", "cdrs", "--to", "-", "--progress", "none", shell="> /dev/full")
    assert done.returncode == 1
    assert done.stderr == b"error: the output can't be written: No space left on device\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "-"], "exactly one resource"),
        (["--to", "-", "cdrs", "visitors"], "exactly one resource"),
        (["--to", "-", "cdrs", "--format", "csv"], "no --format csv"),
        (["--to", "-", "cdrs", "--overwrite"], "no --overwrite"),
        (["--to", "-", "cdrs", "--restart"], "no --restart"),
        (["--to", "-", "cdrs", "--dry-run"], "no --dry-run"),
        (["--to", "-", "cdrs", "--accounts", "x"], "no --accounts"),
        (["--to", "a", "--jobs", "0"], "--jobs must be at least 1"),
        (["--to", "a", "--rate-per-account", "5"], "goes with --accounts"),
        (["--to", "a", "--rate-per-account", "nan", "--accounts", "x"],
         "--rate-per-account must be a finite number"),
        (["--to", "a", "--rate-per-account", "5", "--rate", "5", "--accounts", "x"], "choose one"),
        (["--to", "a", "--accounts", "x", "--sandbox"], "leave --profile and --sandbox away"),
        (["--to", "a", "--accounts", "x", "--profile", "p"], "leave --profile and --sandbox away"),
        (["--to", "a", "--accounts", "nowhere"], "can't be read: No such file"),
        (["--to", "a", "--filter", "nonsense"], "not PROPERTY OPERATOR VALUE"),
        (["--to", "a", "--progress", "loud"], "invalid choice: 'loud'"),
        (["--to", "a", "--since", "yesterday"], "invalid choice: 'yesterday'"),
        (["--to", "a", "--dry-run", "--rate", "0"], "--rate must be a finite number"),
    ],
)  # fmt: skip
def test_wrong_usage_sends_nothing_and_is_exit_2(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    argv: list[str], words: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    done = run("export", *argv)
    assert done.code == 2
    assert words in done.err
    assert done.out == ""
    assert api.requests == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", [["--compress", "gzip"], ["--since", "last"]])
def test_what_a_stream_does_not_have_is_refused(api: Sandbox, run: Any, option: list[str]) -> None:
    done = run("export", "--to", "-", "cdrs", *option)
    assert done.code == 2
    assert f"no {option[0]}" in done.err
    assert api.requests == 0


def test_an_incremental_export(api: Sandbox, run: Any, tmp_path: Path) -> None:
    command = ("export", "cdrs", "--to", str(tmp_path), "--since", "last", "--format", "csv")
    assert run(*command).code == 0
    new = [api.data.cdrs.insert()["id"] for _ in range(3)]
    foreseen = run(*command, "--dry-run")
    assert foreseen.code == 0
    assert [line.split()[:2] for line in foreseen.out.splitlines()[1:]] == [["cdrs", "3"]]
    done = run(*command)
    assert done.code == 0
    assert done.out == f"{tmp_path / 'cdrs.0002.csv'}\t3\n"
    with (tmp_path / "cdrs.0002.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row["id"]) for row in csv.DictReader(file)] == new
    done = run(*command)
    assert done.code == 0
    assert "nothing new" in done.err


@pytest.mark.parametrize("options", [
    ["--format", "sqlite"], ["--format", "parquet"], ["--compress", "gzip"],
    ["--format", "csv", "--csv-null", "NULL", "--compress", "zstd"],
])  # fmt: skip
def test_every_format_by_its_name(
    api: Sandbox, run: Any, tmp_path: Path, options: list[str]
) -> None:
    done = run("export", "cdrs", "--to", str(tmp_path), *options)
    assert done.code == 0
    path, rows = done.out.split()
    assert int(rows) == len(api.data.cdrs)
    assert Path(path).stat().st_size > 0


# Going on


@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_an_interrupted_export_says_that_the_same_command_goes_on_and_it_does(
    api: Sandbox, tmp_path: Path, stop: signal.Signals, code: int
) -> None:
    api.script(Fault(path="/callmeback/cdrs", after=9, delay=60.0, times=None))
    argv = ["export", "cdrs", "--to", str(tmp_path / "a"), "--page-size", "10"]
    with subprocess.Popen(
        [*INTERRUPTIBLE, *argv],
        env=environment(api), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "running, " in line and "running, 0" not in line:
                break
        process.send_signal(stop)
        out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (code, "")
    assert "no file is left half written, and the same command goes on where it stopped" in err
    api.clear_faults()
    foreseen = ran(*argv, "--dry-run")
    kept = int(foreseen.stdout.split()[-2])
    assert 0 < kept < 300
    assert int(foreseen.stdout.split()[-1]) == -(-(300 - kept) // 10) + 2
    done = ran(*argv)
    assert done.returncode == 0
    assert b"cdrs: goes on with the export begun at 20" in done.stderr
    assert f"300   {kept}".encode() in done.stderr


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"after": 4, "status": 500}, 5, "run the same command again to go on"),
        ({"after": 4, "status": 401}, 4, "with a valid token, to go on"),
        ({"status": 403}, 1, "mend what the errors above say"),
        ({"status": 429, "headers": {"Retry-After": "90"}}, 5, "run the same command again"),
    ],
)
def test_the_exit_code_says_whether_the_same_command_goes_on(
    api: Sandbox, run: Any, tmp_path: Path, fault: dict[str, Any], code: int, words: str
) -> None:
    api.script(Fault(path="/callmeback/cdrs", times=None, **fault))
    done = run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "50")
    assert done.code == code
    assert words in done.err.splitlines()[-1]
    api.clear_faults()
    assert run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "50").code == 0


def test_rejected_rows_are_exit_3(api: Sandbox, run: Any, tmp_path: Path) -> None:
    with_a_bad_row(api)
    done = run("export", "settings", "--to", tmp_path / "a")
    assert done.code == 3
    assert "settings: 1 rows could not be used" in done.err
    assert (tmp_path / "a" / "settings.rejects.jsonl").exists()


def test_filters_and_restart_reach_the_export(api: Sandbox, run: Any, tmp_path: Path) -> None:
    argv = ["export", "cdrs", "--to", tmp_path / "a", "--filter", "id>100100"]
    assert run(*argv, "--filter", "id<=100200").code == 0
    written = (tmp_path / "a" / "cdrs.jsonl").read_text().splitlines()
    ids = [json.loads(line)["id"] for line in written]
    assert ids
    assert all(100100 < id <= 100200 for id in ids)
    api.script(Fault(path="/callmeback/cdrs", after=4, status=401))
    assert run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "20").code == 4
    other = run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "30")
    assert other.code == 2
    assert "page_size was 20 and is 30" in other.err
    assert run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "30", "--restart").code == 0


# The forecast


def test_a_dry_run_counts_and_writes_nothing(api: Sandbox, run: Any, tmp_path: Path) -> None:
    done = run("export", "--to", tmp_path / "a" / "b", "--dry-run", "--page-size", "100")
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()[1:]}
    assert rows["cdrs"] == ["300", "5"]
    assert rows["buttons"] == ["unknown", "until", "read", "unknown"]
    assert "one for each button; the rate is unlimited" in done.err
    assert list(tmp_path.iterdir()) == []
    assert {seen.method for seen in api.journal} == {"GET"}
    assert api.requests == 5
    assert "about 15 requests" in done.err
    paced = run("export", "--to", tmp_path / "a", "--dry-run", "--page-size", "100", "--rate", "2")
    assert "; about 8 s at the rate that is allowed; nothing was written" in paced.err
    some = run("export", "cdrs", "--to", tmp_path / "a", "--dry-run", "--filter", "id<100010")
    assert 0 < int(some.out.split()[-2]) < 10


def test_a_dry_run_needs_about_what_it_says(api: Sandbox, run: Any, tmp_path: Path) -> None:
    argv = ["export", "cdrs", "visitors", "--to", tmp_path / "a", "--page-size", "20"]
    said = int(run(*argv, "--dry-run").err.split("about ")[1].split()[0])
    before = api.requests
    assert run(*argv).code == 0
    assert said == pytest.approx(api.requests - before, rel=0.25)
    again = run(*argv, "--overwrite", "--dry-run")
    assert again.code == 0


def test_a_dry_run_refuses_what_the_run_would(api: Sandbox, run: Any, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "cdrs.jsonl").write_text("precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o755)
    for to, words in (
        (tmp_path / "full", "exists: choose another directory"),
        (tmp_path / "file", "can't be written"),
        (tmp_path / "file" / "below", "can't be "),
        (tmp_path / "dangling", "can't be written"),
    ):
        done = run("export", "--to", to, "--dry-run")
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert run("export", "--to", to).code == 2
    assert api.requests == 0
    assert not (tmp_path / "nowhere").exists()
    api.script(Fault(path="/callmeback/cdrs", after=4, status=401))
    assert run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "20").code == 4
    api.script(Fault(path="/me", body={"data": {"id": 999}}, times=None))
    for more in ([], ["--dry-run"]):
        done = run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "20", *more)
        assert done.code == 2
        assert "is another account's" in done.err


def test_a_dry_run_that_can_not_count_says_why(api: Sandbox, run: Any, tmp_path: Path) -> None:
    api.script(Fault(path="/callmeback/cdrs", status=403, times=None))
    done = run("export", "cdrs", "visitors", "--to", tmp_path / "a", "--dry-run")
    assert done.code == 3
    assert "cdrs: failed: GET /callmeback/cdrs" in done.err
    assert "cdrs      failed" in done.out


# Many accounts


def test_accounts_are_exported_into_directories_of_their_names(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = accounts_file(tmp_path, api, "berlin", "paris", "rome")
    monkeypatch.setenv("BERLIN_TOKEN", api.token)
    monkeypatch.setenv("ROME_TOKEN", "wrong")
    argv = ["export", "cdrs", "buttons", "--accounts", path, "--to", tmp_path / "out"]
    done = run(*argv)
    assert done.code == 4
    assert "variables that are not set: PARIS_TOKEN" in done.err
    assert api.requests == 0
    monkeypatch.setenv("PARIS_TOKEN", api.token)
    foreseen = run(*argv, "--dry-run", "--rate-per-account", "1")
    assert foreseen.code == 4
    assert "rome/cdrs: failed: GET /me: 401" in foreseen.err
    assert "; about 4 s at the rate that is allowed" in foreseen.err
    assert not (tmp_path / "out").exists()
    done = run(*argv, "--jobs", "1", "--progress", "json")
    assert done.code == 4
    assert len(done.out.splitlines()) == 4
    assert (tmp_path / "out" / "paris" / "cdrs.jsonl").exists()
    events = [json.loads(line) for line in done.err.splitlines()]
    assert {each["account"] for each in events if each["event"] == "done"} == {"berlin", "paris"}
    assert {each["account"] for each in events if each["event"] == "failed"} == {"rome"}
    assert events[-1]["event"] == "summary"
    assert (events[-1]["done"], events[-1]["failed"], events[-1]["exit_code"]) == (4, 2, 4)
    asked = len(api.journal)
    again = run(*argv)
    assert again.code == 4
    assert again.err.count("already complete, by the export begun at") == 4
    assert {received.path for received in api.journal[asked:]} <= {
        "/me", "/callmeback/settings", "/callmeback/websites"
    }  # fmt: skip
    monkeypatch.setenv("ROME_TOKEN", api.token)
    whole = run(*argv)
    assert whole.code == 0
    assert len(whole.out.splitlines()) == 6
    assert not list((tmp_path / "out").glob("*/.*"))
    assert run(*argv).code == 2


def test_a_rate_is_one_for_all_accounts_or_one_for_each(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    class Noted(exporting.Exports):
        def __init__(self, *given: Any, **options: Any) -> None:
            made.append(options)
            super().__init__(*given, **options)

    monkeypatch.setattr(exporting, "Exports", Noted)
    monkeypatch.setenv("A_TOKEN", api.token)
    path = accounts_file(tmp_path, api, "a")
    for options in (["--rate", "70"], ["--rate-per-account", "80", "--jobs", "3"]):
        argv = ["--accounts", path, "--to", tmp_path / options[0], *options]
        assert run("export", "settings", *argv).code == 0
    assert (made[0]["limiter"].n, made[0]["rate"], made[0]["slots"]) == (70, None, 8)
    assert (made[1]["limiter"], made[1]["rate"], made[1]["slots"]) == (None, 80, 3)


# Events, and what is shown


def test_with_json_all_of_standard_error_is_json(api: Sandbox, run: Any, tmp_path: Path) -> None:
    def events(*argv: object) -> list[dict[str, Any]]:
        done = run("export", "--progress", "json", *argv)
        return [json.loads(line) for line in done.err.splitlines()]

    done = events("--to", tmp_path / "a")
    assert [each["event"] for each in done].count("start") == 5
    assert [each["event"] for each in done].count("done") == 5
    assert done[-1]["exit_code"] == 0
    assert events("--to", tmp_path / "a")[-1]["message"].startswith("error: ")
    assert events("--sandbox", "settings", "--to", tmp_path / "b")[0]["event"] == "note"
    assert events("--to", tmp_path / "c", "--dry-run")[-1]["event"] == "note"
    for each in done:
        for name in ("rows", "kept", "total", "rate", "left_seconds", "seconds", "exit_code"):
            assert not isinstance(each.get(name), str)


def test_progress_none_leaves_the_summary(api: Sandbox, run: Any, tmp_path: Path) -> None:
    done = run("export", "settings", "--to", tmp_path / "a", "--progress", "none")
    assert done.err.splitlines()[0].startswith("resource  state  rows")
    assert done.err.splitlines()[-1].endswith("1 of 1 files")


def test_help_of_the_export_is_quick_and_lists_the_exit_codes() -> None:
    code = (
        "import sys\n"
        "from voipstudio_cmb.cli.main import main\n"
        "try: main(['export', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiohttp', 'attrs', 'msgspec', 'rich', 'asyncio.runners', 'tomllib'}"
        " & set(sys.modules) - {'asyncio.runners'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    said = " ".join(done.stdout.split())
    for words in ("5 failed for now: the same command goes on", "3 what is done is whole",
                  "--accounts FILE", "--rate-per-account", "--dry-run", "--since"):  # fmt: skip
        assert words in said
