"""Each block of the README and the guides runs as it stands, in one directory, in its order."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import CommandResult
from tests.guides.documents import ALL, ROOT, Block, Document
from voipstudio_cmb.sandbox import Sandbox

Run = Callable[..., CommandResult]

NEVER_ENDS = ("sandbox", "--follow")

# Other packages warn of what they will leave out some day.
ENGINES = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]


def _commands(block: Block) -> list[str]:
    """The lines that call our command, with what is broken by a backslash joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    found = [re.split(r"  +#", line)[0].strip() for line in lines]
    return [
        line
        for line in found
        if line.startswith("voipstudio-cmb ") and not any(word in line for word in NEVER_ENDS)
    ]


def _run_command(run: Run, line: str, place: str) -> str:
    """Runs a line with its redirection; what a pipe would show is the command's own output."""
    line, _, file = line.partition(" | ")[0].partition(" > ")
    ran = run(*shlex.split(line)[1:])
    assert ran.code == 0, f"{place}: {line}\n{ran.err}"
    if file:
        Path(file.strip()).write_text(ran.out)
    return ran.out


def _run_script(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, block.place, "exec", dont_inherit=True), {"__name__": "__main__"})
    printed = capsys.readouterr()
    assert printed.out, f"{block.place} prints nothing"
    assert not printed.err, f"{block.place}: {printed.err}"


def _run_tests(blocks: list[Block]) -> None:
    """Runs the tests of all `blocks` in one process, as its start takes most of the time."""
    for number, block in enumerate(blocks):
        Path(f"test_{number}.py").write_text(block.text)
    Path("pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q"]
    for name in ("schemathesis", "hypothesispytest", "singer_testing"):  # which users may lack
        command += ["-p", f"no:{name}"]
    path = os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]])
    ran = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert ran.returncode == 0, f"{blocks[0].place} and below: {ran.stdout}{ran.stderr}"


def _alike(text: str) -> str:
    """`text` with all that differs from run to run taken out: numbers, times, and how wide."""
    text = re.sub(r"\d[\d,.:]*", "0", text)
    return re.sub(r"[─ ]+", " ", text).strip()


def _compare_transcript(run: Run, block: Block) -> None:
    """A console: what is printed is what stands there, but for numbers."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.partition("\n")
        ran = run(*shlex.split(line)[1:])
        expected = [_alike(each) for each in shown.splitlines()]
        printed = [
            [_alike(each) for each in text.splitlines()]  # in which order a terminal shows them
            for text in (ran.err + ran.out, ran.out + ran.err)
        ]
        assert expected in printed, f"{block.place}: {printed[0]}"


def _accounts(text: str, api: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes the accounts of `text`, all of them the stand-in's."""
    for variable in re.findall(r'token_env = "(.*)"', text):
        monkeypatch.setenv(variable, api.token)
    text = re.sub(r'base_url = "[^"]*"', "", text)
    text = re.sub(r"(token_env.*)", rf'\1\nbase_url = "{api.base_url}"', text)
    Path("accounts.toml").write_text(text)


@pytest.mark.parametrize(
    ("document", "with_engines"),
    [
        *(pytest.param(each, False, id=each.name) for each in ALL),
        *(
            pytest.param(each, True, id=f"{each.name}, all", marks=ENGINES)
            for each in ALL
            if any(block.needs_engines for block in each.blocks)
        ),
    ],
)
def test_every_block_runs(
    document: Document,
    with_engines: bool,
    api: Sandbox,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))  # it keeps what a pipeline has done
    for id in (77, 82):  # which examples name
        if id not in api.data.settings:
            api.data.settings.insert(id=id, name="Shop")
    do: dict[str, Callable[[Block], Any]] = {
        "python": lambda block: _run_script(block, capsys),
        "sh": lambda block: [_run_command(run, line, block.place) for line in _commands(block)],
        "console": lambda block: _compare_transcript(run, block),
        "bash": lambda block: subprocess.run(["bash", "-n", "-c", block.text], check=True),
    }
    named = [block.text for block in document.blocks if "[accounts." in block.text]
    _accounts("\n".join(named) or '[accounts.shop]\ntoken_env = "SHOP_TOKEN"', api, monkeypatch)
    blocks = [block for block in document.blocks if with_engines or not block.needs_engines]
    tests = [block for block in blocks if "def test_" in block.text]
    for block in blocks:
        if block.language in do and block not in tests:
            do[block.language](block)
    if tests:
        _run_tests(tests)
    for line in re.findall(r"\| `(voipstudio-cmb .*?)`", document.text):  # in a table
        _run_command(run, line.replace("\\|", "|"), document.name)
