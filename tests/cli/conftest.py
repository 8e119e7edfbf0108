"""A stand-in that the environment points at, and the command in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import run_command
from voipstudio_cmb.sandbox import Sandbox


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A stand-in in a thread of its own, with the environment pointing at it."""
    with Sandbox(rows=300) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        yield api


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command; returns its code, and what it printed."""
    return lambda *argv: run_command(capsys, *argv)
