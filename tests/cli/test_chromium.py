"""The page of `chart --html` in a real browser: it draws all charts and asks for nothing else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb.sandbox import Sandbox

pytestmark = pytest.mark.chromium

SHOTS = Path(__file__).parents[2] / ".shots"
"""Where pictures of the page are kept, for people to look at; not in git."""

HEADLESS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--window-size=1000,3200",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=10000",
)  # fmt: skip


def _browse(page: Path, directory: Path, *options: str) -> tuple[str, str]:
    """What Chromium prints of a page: on standard output, and in its log."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is not installed: .ci/run brings it, or leave out -m chromium")
    command = [
        program,
        *HEADLESS,
        f"--user-data-dir={directory / 'profile'}",
        *options,
        page.as_uri(),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return ran.stdout, ran.stderr


def _asked_for(log: Path) -> set[str]:
    """What the page has asked for, by the browser's log of the network.

    Without what the browser asks for itself (its updates), which has no origin, and goes nowhere.
    """
    events = (event.get("params", {}) for event in json.loads(log.read_text())["events"])
    return {
        event["url"]
        for event in events
        if "url" in event and event.get("initiator", "not an origin") != "not an origin"
    }


def test_a_page_is_drawn_without_an_error_or_a_request(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    page, shot, log = tmp_path / "calls.html", SHOTS / "calls.png", tmp_path / "net.json"
    assert run("chart", "cdrs", "--from", "2020-01-01", "--html", page).code == 0
    SHOTS.mkdir(exist_ok=True)
    shot.unlink(missing_ok=True)
    _, said = _browse(page, tmp_path, f"--screenshot={shot}", f"--log-net-log={log}")
    assert "CONSOLE" not in said
    assert _asked_for(log) == set()
    assert shot.stat().st_size > 30_000
    drawn, said = _browse(page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in said
    assert len(re.findall(r'class="main-svg"', drawn)) >= 7
    for title in ("Over time", "By weekday and hour", "By website", "Answered share"):
        assert title in drawn


def test_an_error_on_a_page_and_a_request_are_seen(tmp_path: Path) -> None:
    page, log = tmp_path / "bad.html", tmp_path / "net.json"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>undefined.x</script>")
    _, said = _browse(page, tmp_path, f"--screenshot={tmp_path / 'x.png'}", f"--log-net-log={log}")
    assert "CONSOLE" in said
    assert _asked_for(log) == {"http://127.0.0.1:9/x.png"}
