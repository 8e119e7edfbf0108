"""The command `export` as its users run it: files, accounts, events, exit codes."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import INTERRUPTIBLE, accounts_file, script_bad_row
from voipstudio_cmb.cli import files
from voipstudio_cmb.sandbox import Fault, Sandbox


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "-"], "exactly one resource"),
        (["--to", "-", "cdrs", "visitors"], "exactly one resource"),
        (["--to", "-", "cdrs", "--format", "csv"], "leave out --format csv"),
        (["--to", "-", "cdrs", "--overwrite"], "leave out --overwrite"),
        (["--to", "-", "cdrs", "--restart"], "leave out --restart"),
        (["--to", "-", "cdrs", "--dry-run"], "leave out --dry-run"),
        (["--to", "-", "cdrs", "--accounts", "x"], "leave out --accounts"),
        (["--to", "a", "--jobs", "0"], "--jobs must be an integer from 1 to 1000"),
        (["--to", "a", "--rate-per-account", "5"], "--rate-per-account needs --accounts"),
        (["--to", "a", "--rate-per-account", "nan", "--accounts", "x"],
         "--rate-per-account must be a finite number"),
        (["--to", "a", "--rate-per-account", "5", "--rate", "5", "--accounts", "x"],
         "--rate and --rate-per-account exclude each other"),
        (["--to", "a", "--accounts", "x", "--sandbox"], "--accounts and --sandbox exclude"),
        (["--to", "a", "--accounts", "x", "--profile", "p"], "--accounts and --profile exclude"),
        (["--to", "a", "--accounts", "nowhere"], "can't be read: No such file"),
        (["--to", "ftp://host/x"], "--to (to=) is a URL (ftp:): exports go to"),
        (["--to", "s3:/bucket/x", "--dry-run"], "has to begin with s3:// (with two slashes)"),
        (["--to", "S3://bucket/x", "--accounts", "x"], "has to begin with s3:// (in lower case)"),
        (["--to", "s3://bucket/x", "--workspace", "s3://bucket/w"], "has to be a local path"),
        (["--to", "gs://bucket/x", "--since", "last", "--format", "sqlite"], "another format"),
        (["--to", "file://x", "--accounts", "x"], "begins with a third slash: write file:///"),
        (["--to", "a", "--workspace", "x"], "--workspace (workspace=) is for an export to a store"),
        (["--to=~/x"], "would be a directory named '~'"),
        (["--to", "a", "--filter", "nonsense"], "not PROPERTY OPERATOR VALUE"),
        (["--to", "a", "--progress", "loud"], "--progress: it is none of auto, "),
        (["--to", "a", "--since", "yesterday"], "--since: it is none of last"),
        (["--to", "a", "--columns", "documented"], "jsonl has no columns"),
        (["--to", "a", "--format", "csv", "--columns", "a,,b"], "one of its names is: separate"),
        (["--to", "a", "--format", "csv", "--columns", "a,=b"], "--columns): '=b' can't be one"),
        (["--to", "a", "--format", "csv", "--columns", ""], "--columns: it is empty"),
        (["--to", ""], "--to: it is empty"),
        (["--to", "a", "--compress", "rar"], "--compress: it is none of gzip, zstd"),
        (["--to", "a", "--compress", "gzip", "--format", "sqlite"], "--compress): sqlite can't be"),
        (["--to", "a", "--csv-null", "x"], "--csv-null): jsonl has a null of its own"),
        (["--to", "a", "--filter-here"], "--filter-here needs --filter"),
        (["--to", "a", "--overlap", "1h"], "--overlap needs --since"),
        (["--to", "a", "--verify"], "--verify needs --since"),
        (["--to", "a", "--since", "last", "--overwrite"], "--since and --overwrite exclude"),
        (["--to", "a", "--sandbox", "--profile", "x"], "--sandbox and --profile exclude"),
        (["--to", "-", "cdrs", "--jobs", "2"], "leave out --jobs"),
        (["--to", "a", "--limit", "5"], "--limit is for `list`: an export brings all rows"),
        (["--to", "a", "--from", "2026-01-01"], "--from is --filter 'created_at>=2026-01-31' here"),
        (["--to", "a", "--since", "2026-01-01"], "none of last; for rows from a day on, --filter"),
        (["--out", "a"], "--out is called --to"),
        (["--to", "a", "--window", "5"], "--window is called --concurrency"),
        (["--to", "a", "--dry-run", "--rate", "0"], "--rate must be a finite number"),
        (["--to", "a", "--rate", "1e-300"], "--rate is no rate that can be kept: 1e-300 requests"),
        (["--to", "a", "--rate-per-account", "1e-300", "--accounts", "x"],
         "--rate-per-account is no rate"),
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


def test_an_incremental_export(api: Sandbox, run: Any, tmp_path: Path) -> None:
    command = ("export", "cdrs", "--to", str(tmp_path), "--since", "last", "--format", "csv")
    assert run(*command).code == 0
    new = [api.data.cdrs.insert()["id"] for _ in range(3)]
    forecast = run(*command, "--dry-run")
    assert forecast.code == 0
    assert [line.split()[:2] for line in forecast.out.splitlines()[1:]] == [["cdrs", "3"]]
    done = run(*command)
    assert done.code == 0
    assert done.out == f"{tmp_path / 'cdrs.0002.csv'}\t3\n"
    with (tmp_path / "cdrs.0002.csv").open(newline="", encoding="utf-8") as file:
        assert [int(row["id"]) for row in csv.DictReader(file)] == new
    done = run(*command)
    assert done.code == 0
    assert "nothing new" in done.err


@pytest.mark.parametrize("options", [
    ["--format", "sqlite"], ["--format", "parquet", "--columns", "documented"],
    ["--compress", "gzip"],
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


@pytest.mark.parametrize("format", ["csv", "sqlite", "parquet"])
def test_a_column_that_no_row_has_is_told(
    api: Sandbox, run: Any, tmp_path: Path, format: str
) -> None:
    command = ["export", "cdrs", "--to", tmp_path, "--format", format, "--columns"]
    done = run(*command, "src,dispositon,name,nope", "--overwrite")
    assert done.code == 0
    assert (
        "cdrs: no row has 'dispositon', so that column is empty: did you mean 'disposition'?; "
        "no row has 'nope', so that column is empty\n"
    ) in done.err
    assert "no row has" not in run(*command, "src,name", "--overwrite").err
    assert "no row has" not in run(*command, "nope", "--overwrite", "--filter", "id>999999999").err


def test_columns_are_chosen(api: Sandbox, run: Any, tmp_path: Path) -> None:
    command = ["export", "cdrs", "--format", "csv", "--columns"]
    assert run(*command, "created_at, agent", "--to", tmp_path).code == 0
    header = (tmp_path / "cdrs.csv").read_text().splitlines()[0]
    assert header == "id,created_at,agent,extra"


# Resuming


@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_an_interrupted_export_says_how_to_resume_it_and_resumes(
    api: Sandbox, run: Any, tmp_path: Path, stop: signal.Signals, code: int
) -> None:
    api.script(Fault(path="/callmeback/cdrs", after=9, delay=60.0, times=None))
    argv = ["export", "cdrs", "--to", str(tmp_path / "a"), "--page-size", "10"]
    with subprocess.Popen(
        [*INTERRUPTIBLE, *argv],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "running, " in line and "running, 0" not in line:
                break
        process.send_signal(stop)
        out, err = process.communicate(timeout=90)
    assert (process.returncode, out) == (code, "")
    assert "no file is left half written; run the same command again to resume" in err
    assert "interrupted: " in err or stop != signal.SIGINT
    assert "Traceback" not in err
    assert not (tmp_path / "a" / "cdrs.jsonl").exists()
    api.clear_faults()
    forecast = run(*argv, "--dry-run").out.split()
    kept = int(forecast[-2])
    assert 0 < kept < 300
    assert int(forecast[-1]) == -(-(300 - kept) // 10) + 2
    done = run(*argv)
    assert done.code == 0
    assert "cdrs: resumes the export started at 20" in done.err
    assert re.search(rf"300 +{kept} ", done.err)


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ({"after": 7, "status": 500}, 5, "run the same command again to resume"),
        ({"after": 7, "status": 401}, 4, "with a valid token to resume"),
        ({"status": 403}, 1, "cdrs: failed: GET /callmeback/cdrs page 1: 403"),
        ({"status": 429, "headers": {"Retry-After": "90"}}, 5, "run the same command again"),
    ],
)
def test_the_exit_code_says_whether_the_same_command_resumes(
    api: Sandbox, run: Any, tmp_path: Path, fault: dict[str, Any], code: int, words: str
) -> None:
    api.script(Fault(path="/callmeback/cdrs", times=None, **fault))
    done = run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "50")
    assert done.code == code
    assert words in done.err.splitlines()[-2]
    api.clear_faults()
    assert run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "50").code == 0


def test_rejected_rows_are_exit_3(api: Sandbox, run: Any, tmp_path: Path) -> None:
    script_bad_row(api)
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
    api.script(Fault(path="/callmeback/cdrs", after=7, status=401))
    assert run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "20").code == 4
    other = run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "30")
    assert other.code == 2
    assert "page_size was 20 and is 30" in other.err
    assert run("export", "cdrs", "--to", tmp_path / "b", "--page-size", "30", "--restart").code == 0


def test_one_wrong_token_or_one_host_that_is_down_is_one_sentence(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ["export", "--to", tmp_path / "a"]
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "wrong")
    labels = "cdrs, visitors, websites, settings, buttons: failed: GET /me: "
    done = run(*argv)
    said, end = done.err.splitlines()
    assert (done.code, done.out, end[-11:]) == (4, "", "exit code 4")
    assert said.startswith(f"{labels}401 Unauthorized; ")
    assert said.endswith("; run the same command again with a valid token")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    drawn = run(*argv)
    assert drawn.err.count("cdrs") == 1  # no bar
    monkeypatch.setenv("VOIPSTUDIO_API_URL", "http://127.0.0.1:9")
    down = run(*argv, "--progress", "none", "--patience", "0")
    assert (down.code, len(down.err.splitlines())) == (5, 1)
    assert down.err.startswith(f"{labels}no connection could be made")


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
    forecast = run(*argv, "--dry-run", "--rate-per-account", "1")
    assert forecast.code == 4
    assert forecast.err.count("rome: failed: GET /me: 401") == forecast.err.count(" 401 ") == 1
    assert "; the token of 'rome' comes from ROME_TOKEN\n" in forecast.err
    assert "; about 4 s at the rate that is set" in forecast.err
    assert not (tmp_path / "out").exists()
    done = run(*argv, "--jobs", "1", "--progress", "json")
    assert done.code == 4
    assert len(done.out.splitlines()) == 4
    assert (tmp_path / "out" / "paris" / "cdrs.jsonl").exists()
    events = [json.loads(line) for line in done.err.splitlines()]
    assert {each["account"] for each in events if each["event"] == "done"} == {"berlin", "paris"}
    assert {each["account"] for each in events if each["event"] == "failed"} == {"rome"}
    assert all("ROME_TOKEN" in each["error"] for each in events if each["event"] == "failed")
    assert [each["event"] for each in events[-2:]] == ["summary", "end"]
    assert (events[-2]["done"], events[-2]["failed"], events[-1]["exit_code"]) == (4, 2, 4)
    asked = len(api.journal)
    again = run(*argv)
    assert again.code == 4
    assert again.err.count("already complete: made by the export started at") == 4
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

    class Noted(files.Exports):
        def __init__(self, *given: Any, **options: Any) -> None:
            made.append(options)
            super().__init__(*given, **options)

    monkeypatch.setattr(files, "Exports", Noted)
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
    assert events("--to", tmp_path / "a")[-2]["message"].startswith("error: ")
    assert events("--sandbox", "settings", "--to", tmp_path / "b")[0]["event"] == "note"
    assert events("--to", tmp_path / "c", "--dry-run")[-1]["event"] == "note"
    for each in done:
        for name in ("rows", "kept", "total", "rate", "left_seconds", "seconds", "exit_code"):
            assert not isinstance(each.get(name), str)


def test_progress_none_leaves_the_summary(api: Sandbox, run: Any, tmp_path: Path) -> None:
    done = run("export", "settings", "--to", tmp_path / "a", "--progress", "none")
    assert done.err.splitlines()[0].startswith("resource  state  rows")
    assert done.err.splitlines()[-2].endswith("1 of 1 files")


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
    for words in ("5 failed for now: run the same command again", "3 finished, but some rows",
                  "--accounts FILE", "--rate-per-account", "--dry-run", "--since"):  # fmt: skip
        assert words in said


def test_an_overlap_is_a_time(api: Sandbox, run: Any, tmp_path: Path) -> None:
    line = ("export", "cdrs", "--to", tmp_path / "a", "--since", "last", "--overlap")
    assert run(*line, "1h").code == 0
    refused = run(*line, "soon")
    assert refused.code == 2
    assert "--overlap) must be a number and s, m, h or d, such as 1h" in refused.err
