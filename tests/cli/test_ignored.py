"""The commands over a server that ignores conditions, an order, or `page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.fakes.commands import run_command
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper


def serve(monkeypatch: pytest.MonkeyPatch, temper: Temper) -> Iterator[Sandbox]:
    with Sandbox(rows=60, temper=temper) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        yield api


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    yield from serve(monkeypatch, Temper(ignore_filter=True, ignore_sort=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--filter", "id>9000000"],
            "the server ignores the condition id>9000000: it sent a row with",
        ),
        (["--filter", "created_at<1990-01-01"], "ignores the condition created_at<1990-01-01"),
        (["--filter", "name~nobody at all"], "ignores the condition name~nobody at all"),
        (["--sort", "id", "--desc", "--limit", "1"], "not sorted by id, descending. List all"),
        (["--desc", "--all"], "not sorted by id, descending"),
    ],
)
@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "table"])
def test_list_prints_nothing_that_contradicts(
    deaf: Sandbox, capfd: Any, options: list[str], words: str, format: str
) -> None:
    ran = run_command(capfd, "list", "cdrs", *options, "--format", format)
    assert (ran.code, ran.out) == (1, "")
    assert words in ran.err


def test_what_still_works_is_said_and_works(deaf: Sandbox, capfd: Any, tmp_path: Path) -> None:
    listed = run_command(capfd, "list", "cdrs", "--all", "--format", "jsonl").out
    buttons = [json.loads(line)["button_id"] for line in listed.splitlines()]
    button = next(each for each in buttons if each != buttons[0])
    named = f"button_id={button}"
    wanted = ["--filter", named]
    for command in (
        ["list", "cdrs", *wanted, "--all"],
        ["export", "cdrs", *wanted, "--to", "-", "--progress", "none"],
    ):
        ran = run_command(capfd, *command)
        assert (ran.code, ran.out) == (1, "")
        assert "--filter-here" in ran.err
        ran = run_command(capfd, *command, "--filter-here")
        assert ran.code == 0
        found = [json.loads(line)["button_id"] for line in ran.out.splitlines()]
        assert found == [button] * buttons.count(button)
    ran = run_command(capfd, "export", "cdrs", *wanted, "--to", tmp_path / "a")
    assert ran.code == 1
    assert f"cdrs: failed: the server ignores the condition {named}" in ran.err
    assert not [path for path in (tmp_path / "a").iterdir() if path.name[0] != "."]
    ran = run_command(capfd, "export", "cdrs", *wanted, "--to", tmp_path / "b", "--filter-here")
    assert ran.code == 0
    assert "total" not in ran.err
    ran = run_command(capfd, "export", "cdrs", *wanted, "--to", tmp_path / "c", "--dry-run")
    assert ran.code == 1
    assert f"ignores the condition {named}" in ran.err


def test_since_last_says_so(deaf: Sandbox, capfd: Any, tmp_path: Path) -> None:
    for _ in range(2):
        ran = run_command(capfd, "export", "cdrs", "--to", tmp_path, "--since", "last")
        assert ran.code == 0
    assert "cdrs: nothing new; the API ignores id>" in ran.err
    assert "totals can be too high" not in ran.err


@pytest.mark.parametrize(
    "condition", ["created_at>yesterday", "created_at>31.12.2025", "created_at<2025-13-01", "id>x"]
)
def test_a_value_that_is_none_is_refused_before_anything_is_sent(
    deaf: Sandbox, capfd: Any, tmp_path: Path, condition: str
) -> None:
    export = ["export", "cdrs", "--to"]
    for command in (["list", "cdrs"], [*export, str(tmp_path / "a")], [*export, "-"]):
        ran = run_command(capfd, *command, "--filter", condition)
        assert (ran.code, ran.out) == (2, "")
        assert f"the filter '{condition}' can't be met" in ran.err
    assert not (tmp_path / "a").exists()
    assert not deaf.requests


@pytest.mark.parametrize(
    ("temper", "words"),
    [
        (
            Temper(ignore_page=True),
            "the server seems to ignore `page`. This does not pass by itself",
        ),
        (Temper(ignore_filter=True, empty_pages={2}), "page 2 stays empty, and page 3 is not"),
    ],
    ids=["page", "empty"],
)
def test_what_can_not_pass_by_itself_is_exit_1_however_often(
    monkeypatch: pytest.MonkeyPatch, capfd: Any, tmp_path: Path, temper: Temper, words: str
) -> None:
    deaf = attrs.evolve(temper, ignore_filter=True)
    for _ in serve(monkeypatch, deaf):
        for _ in range(2):
            command = ["export", "cdrs", "--page-size", "10", "--to", tmp_path]
            ran = run_command(capfd, *command)
            assert ran.code == 1
            assert words in ran.err
            assert "run the same command again to resume" not in ran.err
            assert "can be resumed" not in ran.err
        if temper.ignore_page:
            assert run_command(capfd, *command, "--page-size", "1000").code in (0, 2)


def test_a_refusal_in_the_middle_is_exit_1(api: Sandbox, run: Any, tmp_path: Path) -> None:
    api.script(Fault(path="/callmeback/cdrs", after=7, status=403, times=None))
    for _ in range(2):
        ran = run("export", "--to", str(tmp_path), "cdrs", "--page-size", "50")
        assert ran.code == 1
    api.clear_faults()
    assert run("export", "--to", str(tmp_path), "cdrs", "--page-size", "50").code == 0
