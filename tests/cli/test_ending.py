"""The last moments of the command `export`, and the codes that a process ends with."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.fakes.commands import accounts_file, run_process
from voipstudio_cmb.cli import files
from voipstudio_cmb.export.store import disk
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.sandbox import Sandbox

KILLED_AT_ITS_END = """
import os, signal, sys
from voipstudio_cmb.export import Export
from voipstudio_cmb.__main__ import run
Export.end = lambda _: os.kill(os.getpid(), signal.SIGKILL)
sys.argv[1:] = sys.argv[2:]
run()
"""


@pytest.mark.parametrize("many", [False, True])
def test_killed_when_all_is_printed_the_same_command_answers_already(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    command = ["export", "cdrs", "settings", "--to", str(tmp_path / "out")]
    if many:
        for name in "AB":
            monkeypatch.setenv(f"{name}_TOKEN", api.token)
        command += ["--accounts", str(accounts_file(tmp_path, api, "a", "b"))]
    argv = [sys.executable, "-c", KILLED_AT_ITS_END, "-", *command]
    killed = subprocess.run(argv, capture_output=True, check=False, timeout=60)
    assert killed.returncode == -9, killed.stderr
    assert killed.stdout.count(b"\n") == (4 if many else 2)
    asked = api.requests
    again = run(*command)
    assert again.code == 0, again.err
    assert again.err.count("already complete: made by an earlier export") == (4 if many else 2)
    assert again.out.encode() == killed.stdout
    assert api.requests - asked <= 2  # who each account is
    assert run(*command).code == 2


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_interrupted_while_it_tells_the_same_command_answers_already(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type
) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise error

    command = ("export", "cdrs", "--to", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(files, "report", interrupt)
        assert run(*command).code in (130, 143)
    again = run(*command)
    assert again.code == 0
    assert "already complete" in again.err
    assert run(*command).code == 2


def test_a_list_of_files_that_could_not_be_written_can_be_had_again(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    command = ("export", "cdrs", "--to", str(tmp_path))
    assert run_process(*command, shell="> /dev/full").returncode == 1
    again = run(*command)
    assert (again.code, again.out) == (0, f"{tmp_path / 'cdrs.jsonl'}\t300\n")


def test_events_of_a_directory_whose_name_is_no_utf_8_are_valid_json(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    to = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    done = run("export", "cdrs", "--to", to, "--progress", "json")
    assert done.code == 0
    events = [orjson.loads(line) for line in done.err.splitlines()]
    paths = [event["path"] for event in events if "path" in event]
    assert paths == [f"{tmp_path}/\\xff/cdrs.jsonl"] * 2


def test_an_overlapping_run_is_to_be_run_again(api: Sandbox, run: Any, tmp_path: Path) -> None:
    with locked(tmp_path / "cdrs.jsonl"):
        done = run("export", "cdrs", "--to", str(tmp_path))
    assert done.code == 5
    assert "another export is writing" in done.err
    assert "; run the same command again\n" in done.err
    assert run("export", "cdrs", "--to", str(tmp_path)).code == 0


def test_what_can_not_be_read_now_is_exit_5(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("export", "cdrs", "--to", str(tmp_path), "--since", "last")
    assert run(*command).code == 0

    def stale(path: Path, limit: int) -> bytes:
        raise OSError(116, "Stale file handle", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "read_regular", stale)
        for more in ((), ("--dry-run",)):
            done = run(*command, *more)
            assert done.code == 5
            assert "manifest.json'. Nothing was sent" in done.err
    assert run(*command).code == 0


def test_a_process_ends_with_the_code_and_all_of_its_output(api: Sandbox, tmp_path: Path) -> None:
    done = run_process("list", "cdrs", "--all", "--format", "jsonl")
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == 300
    assert run_process("export", "--to", str(tmp_path), "--page-size", "0").returncode == 2
