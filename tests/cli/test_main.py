"""The command line as its users run it: what is on stdout, what on stderr, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import voipstudio_cmb
from tests.fakes.commands import INTERRUPTIBLE, run_process, run_terminal
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper


def test_export_writes_files_and_ends_with_a_summary(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    ran = run("export", "--to", str(tmp_path / "out"), "--page-size", "100", "--concurrency", "2")
    assert ran.code == 0
    files = dict(line.split("\t") for line in ran.out.splitlines())
    assert {Path(name).name: int(rows) for name, rows in files.items()}["cdrs.jsonl"] == 300
    assert len(files) == 5
    for name, rows in files.items():
        assert len(Path(name).read_text().splitlines()) == int(rows)
    summary, end = ran.err.splitlines()[-2:]
    assert end == "voipstudio-cmb: export ended with exit code 0"
    total = sum(map(int, files.values()))
    assert summary.startswith(f"{total:,} rows, ")
    for word in ("pages", "requests", "0 retries", " s, ", "5 of 5 files"):
        assert word in summary
    assert "cdrs: done, 300 rows" in ran.err


def test_export_from_the_sandbox_needs_nothing(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN", raising=False)
    ran = run("export", "--sandbox", "--to", str(tmp_path / "out"), "--format", "csv")
    assert ran.code == 0
    rows = {
        Path(line.split("\t")[0]).stem: int(line.split("\t")[1]) for line in ran.out.splitlines()
    }
    assert rows["cdrs"] >= 25_000
    assert rows["visitors"] >= 2_000
    assert min(rows.values()) > 5
    assert "stand-in for the API at http://127.0.0.1" in ran.err


def test_a_failed_resource_is_exit_3_and_all_failed_is_1(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    api.script(Fault(path="/callmeback/cdrs", status=403, times=None))
    ran = run("export", "--to", str(tmp_path / "a"), "cdrs", "visitors")
    assert ran.code == 3
    assert "cdrs: failed: GET /callmeback/cdrs page 1: 403" in ran.err
    assert "1 of 2 files" in ran.err
    assert run("export", "--to", str(tmp_path / "b"), "cdrs").code == 1


def test_a_401_in_the_middle_is_exit_4_and_says_how_to_go_on(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    api.script(Fault(path="/callmeback/cdrs", after=7, status=401))
    ran = run("export", "--to", str(tmp_path / "a"), "cdrs", "--page-size", "50")
    assert ran.code == 4
    assert "1 of 1 not done: run the same command again with a valid token to resume" in ran.err
    assert re.search(r"cdrs +can be resumed +[1-9]\d+ ", ran.err)
    assert not [path for path in (tmp_path / "a").iterdir() if path.name[0] != "."]
    assert ran.out == ""


def test_missing_buttons_are_named(api: Sandbox, run: Any, tmp_path: Path) -> None:
    api.script(Fault(path="/callmeback/buttons", status=404))
    ran = run("export", "--to", str(tmp_path / "a"), "buttons")
    assert ran.code == 0
    assert "buttons: 1 are named and do not exist (ids " in ran.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["export", "--to", "{}/a", "calls"], "RESOURCE: it is none of cdrs, "),
        (["export", "--to", "{}/a", "--format", "xml"], "--format: it is none of jsonl, csv, "),
        (["export", "--to", "{}/a", "--page-size", "0"], "--page-size must be an integer from 1"),
        (
            ["export", "--to", "{}/a", "--concurrency", "0"],
            "--concurrency must be an integer from 1",
        ),
        (["export", "--to", "{}/a", "--rate", "nan"], "--rate must be a finite number above 0"),
        (["export", "--to", "{}/a", "--rate", "0"], "--rate must be a finite number above 0"),
        (["export", "--to", "/proc/x"], "can't be written"),
        (["export"], "--to is missing"),
        (["list", "calls"], "RESOURCE: it is none of cdrs, "),
        (["list", "buttons"], "no collection of buttons: use `get buttons ID`"),
        (["list", "cdrs", "--limit", "0"], "--limit must be an integer of at least 1"),
        (["list", "cdrs", "--page-size", "0"], "--page-size must be an integer from 1"),
        (["list", "cdrs", "--concurrency", "99"], "--concurrency must be an integer from 1 to 64"),
        (["list", "cdrs", "--filter", "nonsense"], "not PROPERTY OPERATOR VALUE"),
        (["list", "cdrs", "--limit", "1", "--all"], "--limit and --all exclude each other"),
        (["get", "settings", "0"], "ID must be an integer from 1"),
        (["get", "settings", "x"], "ID: it must be an integer"),
        (["get", "cdrs", "1"], "it is none of settings, buttons"),
        (["sandbox", "--rate", "nan"], "--rate must be a finite number above 0"),
        (["sandbox", "--port", "99999"], "the sandbox can't be started"),
        (["sandbox", "--rows", "-1"], "--rows must be an integer from 0 to 1000000"),
        (["sandbox", "--rows", f"{10**400}"], "--rows must be an integer from 0 to 1000000"),
        (["sandbox", "--rate", "1e-320"], "--rate is no rate that can be kept"),
        (["sandbox", "--rate", "1e300"], "--rate must be from"),
        (["list", "cdrs", "--rate", "1e-320"], "no rate that can be kept"),
        (["list", "cdrs", "--rate", "1e400"], "--rate must be a finite number above 0"),
        (["list", "cdrs", "--rate", f"{10**400}"], "--rate must be a finite number above 0"),
        (["list", "cdrs", "--limit", "9" * 5000], "--limit: it must be an integer"),
        (["list", "cdrs", "--page-size", f"{10**400}"], "--page-size must be an integer from 1"),
        (["get", "settings", f"{10**400}"], "ID must be an integer from 1"),
        ([], "Usage: voipstudio-cmb [OPTIONS] COMMAND"),
    ],
)
def test_wrong_usage_sends_nothing_and_is_exit_2(
    api: Sandbox, run: Any, tmp_path: Path, argv: list[str], words: str
) -> None:
    ran = run(*(word.format(tmp_path) for word in argv))
    assert ran.code == 2
    assert words in ran.err
    assert ran.out == ""
    assert api.requests == 0


def test_no_token_is_exit_4(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    ran = run("ping")
    assert ran.code == 4
    assert "set VOIPSTUDIO_API_TOKEN" in ran.err


def test_a_token_with_a_line_end_is_refused_unseen(
    run: Any, api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "canary-not-a-token\n")
    ran = run("ping")
    assert ran.code == 2
    assert "strip it" in ran.err
    assert "canary" not in ran.err


def test_a_wrong_token_is_exit_4(run: Any, api: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "wrong")
    assert run("ping").code == 4
    for form in ("csv", "json", "table"):
        listed = run("list", "cdrs", "--format", form)
        assert (listed.code, listed.out) == (4, "")


def test_ping_answers_json(run: Any, api: Sandbox) -> None:
    ran = run("ping")
    assert ran.code == 0
    assert json.loads(ran.out)["response"] == "Pong"
    assert "answered in" in ran.err


def test_profile_names_a_profile_of_the_vendors_file(
    run: Any, api: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "home" / ".config" / "voipstudio" / "config.json"
    path.parent.mkdir(parents=True)
    profile = {"token": api.token, "apiUrl": api.base_url}
    path.write_text(json.dumps({"version": 1, "profiles": {"mine": profile}}))
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN")
    monkeypatch.setenv("VOIPSTUDIO_API_URL", "http://127.0.0.1:1/x")  # not for that profile's token
    assert run("ping", "--profile", "mine").code == 0
    assert run("ping", "--profile", "other").code == 2
    path.unlink()
    ran = run("ping", "--profile", "mine")
    assert (ran.code, ran.out) == (4, "")
    assert "no profile file" in ran.err
    assert api.requests == 2  # the other is GET /me


def test_list_prints_the_first_rows_and_says_that_there_are_more(run: Any, api: Sandbox) -> None:
    ran = run("list", "cdrs", "--limit", "3")
    assert ran.code == 0
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert len(rows) == 3
    assert ran.err == "only the first 3 printed; --limit N or --all for more\n"
    rest = run("list", "cdrs", "--all", "--filter", f"id>{rows[-1]['id']}", "--format", "json")
    assert len(json.loads(rest.out)) == 297
    assert rest.err == ""
    newest = run("list", "cdrs", "--limit", "1", "--sort", "id", "--desc", "--format", "csv")
    found = next(csv.DictReader(io.StringIO(newest.out, newline="")))
    assert int(found["id"]) == json.loads(rest.out)[-1]["id"]
    named = run("list", "settings", "--filter", "name~%", "--filter", "id>=1", "--format", "table")
    assert named.code == 0
    assert named.out.split()[0] == "id"


def test_get_prints_one(run: Any, api: Sandbox) -> None:
    first = json.loads(run("list", "settings", "--limit", "1").out)
    ran = run("get", "settings", str(first["id"]))
    assert ran.code == 0
    assert json.loads(ran.out) == first
    api.script(Fault(path="/callmeback/settings/7", body=b'{"data":{"id":7,"name":"\\ud83d"}}'))
    half = run("get", "settings", "7")  # a surrogate pair, which UTF-8 can't hold
    assert json.loads(half.out) == {"id": 7, "name": "\ud83d"}
    missing = run("get", "buttons", "999999999")
    assert missing.code == 1
    assert "404" in missing.err


def test_the_progress_is_bars_on_a_terminal_and_lines_without_rich(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bars = run("export", "--to", str(tmp_path / "a"))
    assert bars.code == 0
    assert "rows" in bars.err
    assert "cdrs: done" not in bars.err
    assert len(bars.out.splitlines()) == 5
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.rich", None)
    lines = run("export", "--to", str(tmp_path / "b"))
    assert "cdrs: done, 300 rows" in lines.err


def test_no_color_is_honoured_on_a_real_terminal(api: Sandbox, tmp_path: Path) -> None:
    seen = {}
    for name, more in (("colour", {}), ("plain", {"NO_COLOR": "1"})):
        done = run_terminal("export", "--to", str(tmp_path / name), COLUMNS="100", **more)
        assert done.code == 0
        assert len(done.out.splitlines()) == 5
        assert "\x1b" not in done.out
        seen[name] = done.err
    assert "\x1b[3" in seen["colour"]
    assert "\x1b[3" not in seen["plain"]


def test_a_file_for_tls_keys_that_can_not_be_opened_is_named(api: Sandbox) -> None:
    done = run_process("ping", SSLKEYLOGFILE="/nowhere/keys")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"error: SSLKEYLOGFILE names a file which can't be op")
    assert len(done.stderr.splitlines()) == 1


CAMPAIGN = pytest.mark.campaign


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("size", "env"),
    [
        ((80, 24), {"COLUMNS": "0", "LINES": "0"}),
        pytest.param((80, 24), {"COLUMNS": "9" * 10}, marks=CAMPAIGN),
        ((80, 24), {"TERM": "dumb"}),
        pytest.param((80, 24), {"TTY_COMPATIBLE": "0"}, marks=CAMPAIGN),
        pytest.param((0, 0), {}, marks=CAMPAIGN),
        pytest.param((1, 1), {}, marks=CAMPAIGN),
        pytest.param((19, 24), {}, marks=CAMPAIGN),
        pytest.param((80, 24), {"COLUMNS": "7"}, marks=CAMPAIGN),
    ],
    ids=[
        "COLUMNS=0",
        "COLUMNS=99999",
        "TERM=dumb",
        "incompatible",
        "0x0",
        "1x1",
        "19",
        "COLUMNS=7",
    ],
)
def test_odd_terminals_see_all(
    api: Sandbox, tmp_path: Path, size: tuple[int, int], env: dict[str, str]
) -> None:
    done = run_terminal("list", "cdrs", "--limit", "1", out=True, size=size, **env)
    assert done.code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.out)
    assert re.search(r"\bid\b", text)
    assert str(api.data.cdrs.id_at(-1)) in text
    done = run_terminal("export", "cdrs", "--to", str(tmp_path), size=size, **env)
    assert done.code == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.err)
    assert re.search(r"cdrs.*300 rows, done|cdrs: done, 300 rows", text)
    assert re.search(r"cdrs\W+done\W+300\b", text)


def test_an_interrupted_list_does_not_claim_to_be_complete(api: Sandbox) -> None:
    with subprocess.Popen(
        [*INTERRUPTIBLE, "list", "cdrs", "--all", "--rate", "0.01"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        while not api.requests:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 130
    assert err == "interrupted: the output is incomplete\n"


def test_an_empty_list_and_a_total_that_is_too_high_are_said(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    assert run("list", "cdrs", "--filter", "id>999999999").err == "no rows\n"
    with Sandbox(rows=50, temper=Temper(total_offset=7), token=api.token) as liar:
        os.environ["VOIPSTUDIO_API_URL"] = liar.base_url
        ran = run("export", "cdrs", "--to", str(tmp_path / "a"))
    assert ran.code == 0
    assert "the API's total is 57, but after 50 rows its pages are empty" in ran.err


def test_version(run: Any) -> None:
    assert run("--version").out == f"voipstudio-cmb {voipstudio_cmb.__version__}\n"
    assert run_process("--version").stdout.startswith(b"voipstudio-cmb ")


def test_a_reader_that_has_seen_enough_is_no_error(api: Sandbox) -> None:
    ran = run_process("list", "cdrs", "--all", shell="| head -n 1")
    assert len(ran.stdout.splitlines()) == 1
    assert ran.stderr == b""
    assert ran.returncode == 0


def test_a_reader_that_has_gone_does_not_hide_a_failure(api: Sandbox, tmp_path: Path) -> None:
    api.script(Fault(path="/callmeback/visitors", status=403, times=None))
    ran = run_process("export", "visitors", "websites", "--to", tmp_path / "a", shell="| true")
    assert ran.returncode == 3
    assert b"Traceback" not in ran.stderr


def test_a_closed_stdout_is_no_traceback(api: Sandbox) -> None:
    assert b"Traceback" not in run_process("list", "cdrs", shell=">&-").stderr


def test_an_ascii_terminal_is_no_reason_to_fail(api: Sandbox) -> None:
    ran = run_process("list", "cdrs", "--all", PYTHONIOENCODING="ascii")
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 300


def test_the_sandbox_command_serves_until_interrupted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*INTERRUPTIBLE, "sandbox", "--rows", "50", "--rate", "0.5"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        watchdog = threading.Timer(90, process.kill)
        watchdog.start()
        lines = [process.stdout.readline() for _ in range(2)]
        env = dict(line.removeprefix("export ").rstrip().split("=", 1) for line in lines)
        ran = run_process("ping", **env)
        process.send_signal(signal.SIGINT)
        process.communicate()
        watchdog.cancel()
    assert ran.returncode == 0
    assert process.returncode == 130


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from voipstudio_cmb.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiohttp', 'attrs', 'cattrs', 'msgspec', 'rich'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Exit codes: 0 done" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "[]"


def test_ping_says_whose_token_goes_where(
    api: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run("ping", "--profile", "mine")
    assert (refused.code, refused.out, api.requests) == (2, "", 0)
    assert "VOIPSTUDIO_API_TOKEN has a token, and a profile is named too (--profile)" in refused.err
    said = run("ping").err
    assert f"the base URL {api.base_url} from VOIPSTUDIO_API_URL" in said
    monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", "wrong-token")
    code, _, said = run("ping")
    assert code == 4
    assert said.count(f"from VOIPSTUDIO_API_TOKEN, the base URL {api.base_url}") == 2


def test_options_may_stand_before_the_name_of_the_command(run: Any, api: Sandbox) -> None:
    assert "a profile is named too" in run("--profile", "mine", "ping").err
    assert run("--rate", "0", "ping", "--rate", "5").code == 0  # what is nearer counts
    refused = run("--profile", "mine", "sandbox")
    assert (refused.code, refused.out) == (2, "")
    assert "error: `sandbox` takes no --profile" in refused.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("lst cdrs", "there is no such command; did you mean list? (known: export, verify, "),
        ("list cdr", "did you mean cdrs?"),
        ("list cdrs --limt 3", "unrecognized arguments: --limt; did you mean --limit?"),
        ("--limit 3 list cdrs", "an option of a command stands behind the command's name"),
        ("list cdrs --lim 3", "unrecognized arguments: --lim"),
        ("list", "RESOURCE is missing (one of cdrs, "),
    ],
)
def test_what_was_meant_is_named(run: Any, api: Sandbox, argv: str, words: str) -> None:
    ran = run(*argv.split())
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.startswith("Usage: voipstudio-cmb ")
    assert len(ran.err.splitlines()) == 2


def test_without_its_packages_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['click'] = None; from voipstudio_cmb.__main__ import run; run()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "error: the command line takes the extra cli: pip install '.[cli]' in a clone of "
        "voipstudio_cmb\n"
    )
