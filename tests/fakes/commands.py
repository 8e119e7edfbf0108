"""The command line for tests: in this process, or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

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


class Ran:
    def __init__(self, capsys: pytest.CaptureFixture[str], *argv: str) -> None:
        try:
            self.code: Any = main(argv)
        except SystemExit as stop:
            self.code = stop.code
        self.out, self.err = capsys.readouterr()


def ran(*argv: object, shell: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; *shell* follows it on the shell's line."""
    command = " ".join([*COMMAND, *map(str, argv), shell])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, **env}, capture_output=True, check=False, timeout=90,
    )  # fmt: skip


def environment(api: Sandbox, **more: str) -> dict[str, str]:
    return {**os.environ, **more}


def with_a_bad_row(api: Sandbox) -> None:
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
