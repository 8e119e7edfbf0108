"""The command `guide`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.commands import run_terminal
from voipstudio_cmb.guides import GUIDES, read


def test_without_a_name_it_says_what_each_guide_is_about(run: Any) -> None:
    shown = run("guide")
    assert shown.code == 0
    lines = shown.out.splitlines()
    assert [line.split("`")[1] for line in lines] == [*GUIDES]
    assert all(line.endswith(".") and len(line) < 160 for line in lines)


@pytest.mark.parametrize("name", GUIDES)
def test_in_a_pipe_it_is_the_text_as_it_stands(run: Any, name: str) -> None:
    assert run("guide", name) == (0, read(name), "")


def test_on_a_terminal_it_is_rendered() -> None:
    shown = run_terminal("guide", "errors", out=True, size=(80, 24))
    assert "\x1b[" in shown.out
    assert "```" not in shown.out


def test_another_name_is_refused_with_the_nearest(run: Any) -> None:
    refused = run("guide", "nightli")
    assert refused.code == 2
    assert "did you mean nightly?" in refused.err
