"""Commands that run out of memory: one line, no traceback, and an exit code that says what next."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb.cli.commands import export, list
from voipstudio_cmb.sandbox import Sandbox

LIMITED = """
import resource, sys
import voipstudio_cmb.export, voipstudio_cmb.cli.displays, voipstudio_cmb.cli.files
from voipstudio_cmb.cli.main import main
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


def test_an_export_in_too_little_memory_fails_with_a_line_and_is_run_again(
    monkeypatch: pytest.MonkeyPatch, run: Any, tmp_path: Path
) -> None:
    with Sandbox(rows=20_000) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        argv = ["export", "cdrs", "--to", str(tmp_path / "out"), "--patience", "0"]
        argv += ["--page-size", "10000", "--progress", "none"]
        child = subprocess.run(
            [sys.executable, "-c", LIMITED, "15000000", *argv],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert child.returncode == 5, child.stderr
        assert "Traceback" not in child.stderr
        assert child.stderr.count("cdrs: failed: ") == 1
        done = run(*argv)
    assert done.code == 0
    assert len((tmp_path / "out" / "cdrs.jsonl").read_bytes().splitlines()) == 20_000


FROM = """
from voipstudio_cmb.__main__ import _command
_command()
import pyarrow
print(pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize(("asked", "used"), [(None, "system"), ("mimalloc", "mimalloc")])
def test_pyarrow_takes_memory_from_the_system_if_no_variable_says_otherwise(
    asked: str | None, used: str
) -> None:
    name = "ARROW_DEFAULT_MEMORY_POOL"
    environment = {key: value for key, value in os.environ.items() if key != name}
    if asked is not None:
        environment[name] = asked
    child = subprocess.run(
        [sys.executable, "-c", FROM], env=environment, capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == [used]


SHORT = [
    MemoryError(),
    RuntimeError("can't start new thread"),
    ImportError("x.so: failed to map segment from shared object"),
    ExceptionGroup("", [MemoryError(), ExceptionGroup("", [MemoryError("x")])]),
]


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_memory_that_is_short_elsewhere_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, run: Any, error: Exception
) -> None:
    async def fails(_: object) -> int:
        raise error

    monkeypatch.setattr(export.COMMAND, "run", fails)
    monkeypatch.setattr(list.COMMAND, "run", fails)
    for argv, code, more in (
        (["export", "--to", "x"], 5, ": no file is left half written; run the same command again"),
        (["export", "--to", "-", "cdrs"], 1, ": the output is incomplete"),
        (["export", "--to", "x", "--dry-run"], 1, ""),
        (["list", "cdrs"], 1, ": the output is incomplete"),
    ):
        ended = run(*argv)
        assert (ended.code, ended.out) == (code, "")
        assert ended.err.startswith(f"error: not enough memory{more}")
        assert ended.err.count("\n") == 1


def test_what_is_no_lack_of_memory_is_raised(monkeypatch: pytest.MonkeyPatch, run: Any) -> None:
    async def fails(_: object) -> int:
        raise ExceptionGroup("", [MemoryError(), RuntimeError("a bug")])

    monkeypatch.setattr(list.COMMAND, "run", fails)
    with pytest.raises(ExceptionGroup):
        run("list", "cdrs")


def test_a_command_that_has_ended_is_not_undone_by_the_end_of_its_threads(
    monkeypatch: pytest.MonkeyPatch, run: Any
) -> None:
    async def ends(_: object) -> int:
        return 3

    real = asyncio.run

    def without_threads(coroutine: Any) -> None:
        real(coroutine)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(list.COMMAND, "run", ends)
    monkeypatch.setattr(asyncio, "run", without_threads)
    assert run("list", "cdrs").code == 3


def test_what_the_loop_says_of_short_memory_is_left_to_the_command(
    monkeypatch: pytest.MonkeyPatch, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def complains(_: object) -> int:
        for error in (MemoryError(), ValueError("a bug")):
            asyncio.get_running_loop().call_exception_handler({"message": "x", "exception": error})
        raise MemoryError

    monkeypatch.setattr(list.COMMAND, "run", complains)
    assert run("list", "cdrs").code == 1
    assert [each.exc_info[0] for each in caplog.records if each.exc_info] == [ValueError]
    caplog.clear()
