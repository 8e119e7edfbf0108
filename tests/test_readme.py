"""The README's snippets run as they stand, against the stand-in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from voipstudio_cmb.sandbox import Sandbox

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(TOML,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.partition("  #")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("voipstudio-cmb")
]


def _run(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    with Sandbox(rows=400) as api:
        # The settings that examples name.
        for id in (77, 78):
            if id not in api.data.settings:
                api.data.settings.insert(id=id, name="Shop")
        # Its accounts, all of them the stand-in's.
        accounts = re.sub(r'base_url = "[^"]*"', "", TOML)
        accounts = re.sub(r"(token_env.*)", rf'\1\nbase_url = "{api.base_url}"', accounts)
        (directory / "accounts.toml").write_text(accounts)
        env = {
            **os.environ,
            **dict.fromkeys(re.findall(r'token_env = "(.*)"', TOML), api.token),
            "VOIPSTUDIO_API_TOKEN": api.token,
            "VOIPSTUDIO_API_URL": api.base_url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]]),
        }
        return subprocess.run(
            command,
            cwd=directory,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
        )


@pytest.mark.parametrize("snippet", SNIPPETS, ids=range(len(SNIPPETS)))
def test_a_snippet_runs(snippet: str, tmp_path: Path) -> None:
    if "def test_" in snippet:
        (tmp_path / "test_snippet.py").write_text(snippet)
        (tmp_path / "pytest.ini").write_text(
            "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        )
        command = [sys.executable, "-W", "error", "-m", "pytest", "-q"]
        for name in ("schemathesis", "hypothesispytest", "singer_testing"):  # which users may lack
            command += ["-p", f"no:{name}"]
        ran = _run(command, tmp_path)
        assert "1 passed" in ran.stdout, ran.stdout + ran.stderr
    else:
        ran = _run([sys.executable, "-W", "error", "-c", snippet], tmp_path)
        assert ran.stdout
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(command: str, tmp_path: Path) -> None:
    words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]
    assert words[0] == "voipstudio-cmb"
    ran = _run([sys.executable, "-m", "voipstudio_cmb", *words[1:]], tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout or "delete" in command


def test_the_example_is_short_and_the_sections_stand_in_order() -> None:
    body = SNIPPETS[0].split("async def main")[1].split("asyncio.run")[0]
    assert len([line for line in SNIPPETS[0].splitlines() if line.strip()]) <= 15
    assert "from_env" in body
    assert re.findall(r"^## (.*)", README, re.MULTILINE) == [
        "Two lines",
        "An example",
        "Operations",
        "Walking and filtering",
        "Errors and retries",
        "Exporting",
        "What it costs",
        "Testing your own code",
        "Configuration",
        "What is guaranteed, and what is not known",
    ]
    assert len(COMMANDS) == 13
