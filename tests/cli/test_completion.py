"""Completion by the Tab key, as the shells ask for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import run_process


def _offered(typed: str, **env: str) -> list[str]:
    """What may come next, as fish asks for it."""
    words = ["voipstudio-cmb", *typed.split(" ")]
    ran = run_process(
        _VOIPSTUDIO_CMB_COMPLETE="fish_complete",
        COMP_WORDS=" ".join(words[:-1]), COMP_CWORD=words[-1], **env,
    )  # fmt: skip
    assert ran.stderr == b""
    offered = [line.split("\t")[0].split(",") for line in ran.stdout.decode().splitlines()]
    return [word or kind for kind, word in offered]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("ex", ["export"]),
        ("c", ["chart", "cdrs", "completion"]),
        ("settings cr", ["create"]),
        ("list v", ["visitors"]),
        ("list cdrs --format js", ["json", "jsonl"]),
        ("export cdrs --format p", ["parquet"]),
        ("export cdrs --compress g", ["gzip"]),
        ("settings create --floating", ["--floating-icon"]),
        ("completion z", ["zsh"]),
        ("ping --profile w", ["work"]),
    ],
)
def test_what_may_come_next(typed: str, offered: list[str], tmp_path: Path) -> None:
    path = tmp_path / "voipstudio" / "config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 1, "profiles": {"work": {"token": "fake"}, "x": {}}}))
    assert _offered(typed, XDG_CONFIG_HOME=str(tmp_path)) == offered


def test_files_are_left_to_the_shell() -> None:
    for typed, kind in (("settings create --json x", "file"), ("export --to x", "dir")):
        assert _offered(typed) == [kind]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(run: Any, shell: str) -> None:
    ran = run("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert "_VOIPSTUDIO_CMB_COMPLETE" in ran.out
    assert f"{shell}_complete" in ran.out


def test_bash_takes_the_script(run: Any) -> None:
    script = run("completion", "bash").out
    checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=True)
    assert checked.stderr == b""


def test_completion_imports_no_aiohttp() -> None:
    code = (
        "import os, sys\n"
        "os.environ |= {'_VOIPSTUDIO_CMB_COMPLETE': 'fish_complete', 'COMP_CWORD': '--na',\n"
        "               'COMP_WORDS': 'voipstudio-cmb settings create'}\n"
        "from voipstudio_cmb.cli.main import main\n"
        "try: main([])\n"
        "except SystemExit: pass\n"
        "print(sorted({'aiohttp', 'cattrs', 'rich'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"
    assert "--name" in ran.stdout
