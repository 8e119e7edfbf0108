"""What a person sees: each command in a terminal of 80 and of 120 columns, as tmux shows it.

The texts that are expected are in tests/data/tmux. Where one has to change, look at what the
failing test has written beside it, and keep that.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from voipstudio_cmb.sandbox import Sandbox

pytestmark = pytest.mark.tmux

EXPECTED = Path(__file__).parents[1] / "data" / "tmux"

COMMANDS = (
    "",
    "list cdrs --limit 5",
    "list visitors --newest --limit 3",
    "websites list",
    "settings list --limit 3",
    "cdrs list --limit 2 --columns id,created_at,src,dst --format csv",
    "cdrs list --from 2025-06-01 --until yesterday --limit 1",
    "cdrs count --from 2025-01-01",
    "chart cdrs --by website --from 2020-01-01",
    "chart cdrs --by weekday --until 1999-12-31",
    "status",
    "settings create --name Shop --no-floating-icon",
    "settings update 1 --name Shop --dry-run",
    "settings delete 999999 --yes",
    "get settings 999999",
    "export cdrs settings buttons --to out",
    "export cdrs --to out",
    "export cdrs --to dry --dry-run",
    "verify out",
    "list cdrs --frmat csv",
    "settings create --nme x",
    "list calls",
    "cdrs list --help",
)


def _shown(directory: Path, columns: int) -> str:
    """The whole screen of a terminal of so many columns, in which all commands have run."""
    script, tmux = directory / "script", ["tmux", "-S", directory / "socket", "-f", "/dev/null"]
    lines = ["exec 2>&1", f"cd {shlex.quote(str(directory))}", "stty -echo"]
    for words in COMMANDS:
        lines.append(f"echo {shlex.quote(f'$ voipstudio-cmb {words}')}")
        lines.append(f'{sys.executable} -m voipstudio_cmb {words}; echo "[exit code $?]"')
    ended = f"tmux -S {directory / 'socket'}"
    lines.append(f"{ended} capture-pane -p -S - > screen; {ended} wait-for -S ended")
    script.write_text("\n".join(lines))
    begin = ["set", "-g", "history-limit", "9999", ";", "set", "-g", "default-terminal", "screen"]
    size = ["-x", str(columns), "-y", "40"]
    start = [*tmux, *begin, ";", "new-session", "-d", *size, f"sh {script}; sleep 60"]
    try:
        # Not the process's own environment, in which readline puts a size without Python's knowing.
        subprocess.run(start, check=True, env={**os.environ})
        subprocess.run([*tmux, "wait-for", "ended"], check=True, timeout=90)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    return (directory / "screen").read_text()


def _steady(screen: str) -> str:
    """`screen` without what differs from run to run: times, ports and the day."""
    text = re.sub(r"127\.0\.0\.1:\d{5}\b", "127.0.0.1:12345", screen.rstrip())
    text = re.sub(r"\b\d+\.\d+( s\b|$)", r"#.#\1", text, flags=re.MULTILINE)
    text = re.sub(r"before 20\d\d-\d\d-\d\d", "before 20##-##-##", text)
    text = re.sub(r'("seconds": |"time": ")[^\s"]+', r"\1#", text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("columns", [80, 120])
def test_each_command_looks_as_it_did(
    columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("tmux") is None:
        pytest.fail("tmux is not installed: .ci/run brings it, or leave out -m tmux")
    for name in ("COLUMNS", "LINES", "NO_COLOR", "XDG_CONFIG_HOME", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    more = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(tmp_path)}
    with Sandbox(rows=300) as api:
        more |= {"VOIPSTUDIO_API_TOKEN": api.token, "VOIPSTUDIO_API_URL": api.base_url}
        for name, value in more.items():
            monkeypatch.setenv(name, value)
        screen = _steady(_shown(tmp_path, columns))
    wanted = EXPECTED / f"{columns}.txt"
    found = wanted.with_suffix(".new")
    if not wanted.exists() or screen != wanted.read_text():
        found.write_text(screen)
        assert screen == (wanted.read_text() if wanted.exists() else ""), f"look at {found}"
    found.unlink(missing_ok=True)
