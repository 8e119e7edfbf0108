"""The command line: in this process, or in one of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from voipstudio_cmb.cli.main import main
from voipstudio_cmb.sandbox import Fault, Sandbox

COMMAND = [sys.executable, "-m", "voipstudio_cmb"]

# Whoever runs the tests in the background may have Ctrl-C switched off for all that they start.
INTERRUPTIBLE = [
    sys.executable,
    "-c",
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
    "from voipstudio_cmb.cli.main import main; sys.exit(main())",
]


class CommandResult(NamedTuple):
    """What a command printed, and its exit code."""

    code: Any
    out: str
    err: str


def run_command(capture: pytest.CaptureFixture[str], *argv: object) -> CommandResult:
    """Runs a command in this process."""
    try:
        code: Any = main([*map(str, argv)])
    except SystemExit as stop:
        code = stop.code
    return CommandResult(code, *capture.readouterr())


def run_process(
    *argv: object, before: str = "", shell: str = "", **env: str
) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in a process of its own, between `before` and `shell` on the shell's line."""
    command = " ".join([before, *COMMAND, *map(str, argv), shell])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, **env}, capture_output=True, check=False, timeout=90,
    )  # fmt: skip


def run_terminal(
    *argv: str, out: bool = False, size: tuple[int, int] = (80, 24), **env: str
) -> CommandResult:
    """Runs a command with a terminal of `size` as standard error, and as standard output if `out`.

    What the terminal shows is the result's `err`, or `out`.
    """
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", **env}
    for name in {"COLUMNS", "LINES", "NO_COLOR"} - set(env):
        environment.pop(name, None)
    with tempfile.TemporaryFile() as file:
        with subprocess.Popen(
            [*COMMAND, *argv], env=environment, stdout=child if out else file, stderr=child
        ) as process:
            os.close(child)
            shown = b""
            with contextlib.suppress(OSError):  # what a terminal says when nobody is there
                while part := os.read(parent, 65536):
                    shown += part
            os.close(parent)
        file.seek(0)
        printed = file.read().decode()
    text = shown.decode().replace("\r\n", "\n")
    return CommandResult(process.returncode, *((text, "") if out else (printed, text)))


@contextlib.contextmanager
def answering(answer: str) -> Iterator[None]:
    """Has somebody at a terminal type `answer` into standard input."""
    parent, child = pty.openpty()
    with open(parent, "wb", buffering=0) as keys, open(child) as terminal:
        keys.write(answer.encode())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", terminal)
            yield


def run_asked(*argv: str, answer: str) -> CommandResult:
    """Runs a command on a terminal, and types `answer` when it asks; what is shown is `out`."""
    parent, child = pty.openpty()
    python, _, code = INTERRUPTIBLE
    own = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"  # whose Ctrl-C reaches it
    command = [python, "-c", own + code, *argv]
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, start_new_session=True
    ) as process:
        os.close(child)
        shown = b""
        with open(parent, "r+b", buffering=0) as screen, contextlib.suppress(OSError):
            while part := screen.read(65536):
                shown += part
                if shown.endswith(b"[y/N]: "):
                    screen.write(answer.encode())
    return CommandResult(process.returncode, shown.decode().replace("\r\n", "\n"), "")


def accounts_file(directory: Path, api: Sandbox, *names: str) -> Path:
    """Writes accounts of a sandbox; the token of `a` is in the variable `A_TOKEN`."""
    path = directory / "accounts.toml"
    path.write_text(
        "\n".join(
            f'[accounts.{name}]\ntoken_env = "{name.upper()}_TOKEN"\nbase_url = "{api.base_url}"'
            for name in names
        )
    )
    return path


def script_bad_row(api: Sandbox) -> None:
    """Makes the second of three settings no object."""
    rows: list[Any] = [{"id": 1}, "\x1b[2Jno row", {"id": 2}]
    path = "/callmeback/settings"
    api.script(Fault(path=path, page=2, body={"data": [], "total": 3}, times=None))
    for direction, data in (("ASC", rows), ("DESC", rows[::-1])):
        api.script(
            Fault(
                path=path,
                when=lambda seen, to=direction: seen.query.get("dir") == to,
                body={"data": data, "total": 3},
                times=None,
            )
        )
