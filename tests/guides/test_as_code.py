"""What `as-code.md` gives to pipelines is read as they read it, and its commands are ours."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes.commands import CommandResult
from tests.guides.documents import guide
from voipstudio_cmb.exit_codes import CHANGES

Run = Callable[..., CommandResult]

GITHUB, GITLAB = (
    yaml.safe_load(block.text) for block in guide("as-code").blocks if block.language == "yaml"
)
STEPS = GITHUB["jobs"]["widgets"]["steps"]


def scripts() -> Iterator[str]:
    """All that a shell is given, a line at a time."""
    for step in STEPS:
        yield from step.get("run", "").splitlines()
    for job in GITLAB.values():
        yield from job.get("script", []) + job.get("before_script", [])


COMMANDS = [line for line in scripts() if line.startswith("voipstudio-cmb ")]


def test_each_command_is_one_of_ours(
    api: object, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("widgets.toml").write_text(run("settings", "pull").out)
    assert len(COMMANDS) == 6
    for line in COMMANDS:
        assert run(*shlex.split(line.partition(" || ")[0])[1:]).code == 0, line


@pytest.mark.parametrize(("code", "passes"), [(0, True), (CHANGES, True), (1, False), (2, False)])
def test_a_plan_with_changes_is_no_failure(code: int, passes: bool) -> None:
    [line] = [step["run"] for step in STEPS if "settings plan" in step.get("run", "")]
    ours = f"voipstudio-cmb() {{ return {code}; }}; {line}"
    assert (subprocess.run(["bash", "-ec", ours], check=False).returncode == 0) is passes
    assert GITLAB["plan"]["allow_failure"]["exit_codes"] == CHANGES


def _git(*argv: str) -> str:
    options = [
        "-c",
        "init.defaultBranch=main",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@example.com",
    ]
    ran = subprocess.run(["git", *options, *argv], check=True, capture_output=True, text=True)
    return ran.stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of a repository with a document, as a runner has it; returns the repository."""
    bare = tmp_path / "bare"
    _git("init", "--bare", "-q", str(bare))
    _git("clone", "-q", str(bare), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    Path("widgets.toml").write_text("old\n")
    _git("add", ".")
    _git("commit", "-qm", "Widgets")
    _git("push", "-q", "origin", "HEAD:main")
    return bare


@pytest.mark.parametrize("code", [0, 5])
@pytest.mark.parametrize("wrote", [True, False])
def test_ids_are_pushed_whatever_came_of_the_apply(
    clone: Path, monkeypatch: pytest.MonkeyPatch, code: int, wrote: bool
) -> None:
    monkeypatch.setenv("CI_COMMIT_BRANCH", "main")
    edit = "echo new > widgets.toml; " if wrote else ""
    lines = [re.sub(r"^git remote .*", ":", line) for line in GITLAB["apply"]["script"]]
    ours = f"voipstudio-cmb() {{ {edit}return {code}; }}\n" + "\n".join(lines)
    ran = subprocess.run(["bash", "-ec", ours.replace("-o ci.skip ", "")], check=False)
    assert ran.returncode == code
    shown = _git("--git-dir", str(clone), "show", "main:widgets.toml")
    assert shown == ("new\n" if wrote else "old\n")


@pytest.mark.parametrize("wrote", [True, False])
def test_github_pushes_ids_after_each_apply(clone: Path, wrote: bool) -> None:
    [step] = [step for step in STEPS if "git push" in step.get("run", "")]
    assert step["if"].startswith("always()")
    if wrote:
        Path("widgets.toml").write_text("new\n")
    _git("branch", "-q", "--set-upstream-to=origin/main")
    subprocess.run(["bash", "-ec", step["run"]], check=True, capture_output=True)
    shown = _git("--git-dir", str(clone), "show", "main:widgets.toml")
    assert shown == ("new\n" if wrote else "old\n")


def test_what_a_step_waits_for_is_an_event_of_the_workflow() -> None:
    events: Any = GITHUB[True]  # YAML takes `on` for a truth
    named = {event for step in STEPS for event in re.findall(r"'(\w+)'", step.get("if", ""))}
    assert named == set(events)
