"""With what each command ends, whatever ends it: the same codes for the same reasons."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import INTERRUPTIBLE, accounts_file
from voipstudio_cmb import ClientConfig
from voipstudio_cmb.cli import clients, files
from voipstudio_cmb.errors import ConnectFailed, NotJSON
from voipstudio_cmb.exit_codes import code_of, combined
from voipstudio_cmb.sandbox import Fault, Sandbox

COMMANDS = (
    "list cdrs",
    "list cdrs --newest",
    "list cdrs --follow",
    "cdrs count",
    "chart cdrs",
    "get settings 7",
    "settings create --name x",
    "settings update 7 8 --name x",
    "settings delete 7 --yes",
    "status",
    "export cdrs settings --to {}/out",
    "export cdrs --to - --progress none",
    "export cdrs --to {}/dry --dry-run",
    "export cdrs --to {}/many --accounts {}/accounts.toml",
)
FAULTS: dict[str, tuple[int, dict[str, Any]]] = {
    "401": (4, {"status": 401}),
    "403": (1, {"status": 403}),
    "404": (1, {"status": 404}),
    "429": (5, {"status": 429, "headers": {"Retry-After": "60"}}),
    "500": (5, {"status": 500}),
    "time-out": (5, {"delay": 0.3}),
    "cut off": (5, {"drop": "before"}),
}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has commands try everything once, and for no long time."""
    config = ClientConfig(attempts=1, timeout=0.1, deadline=0.5, max_retry_after=1)
    for module in (clients, files):
        monkeypatch.setattr(module, "config_of", lambda _: config)


@pytest.mark.usefixtures("impatient")
@pytest.mark.one_in(3)
@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_reason_is_the_same_code_in_every_command(
    api: Sandbox, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str,
    closed_port: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("A_TOKEN", api.token)
    file, words = accounts_file(tmp_path, api, "a"), command.format(tmp_path, tmp_path).split()
    found = {}
    for name, (_, fault) in FAULTS.items():
        api.clear_faults()
        api.script(Fault(**fault, times=None))
        found[name] = run(*words).code
        assert run(*words, "--nonsense").code == 2
    url = f"http://127.0.0.1:{closed_port}/v1.2/voipstudio"
    file.write_text(file.read_text().replace(api.base_url, url))
    monkeypatch.setenv("VOIPSTUDIO_API_URL", url)
    found["refused"] = run(*words).code
    assert found == {name: code for name, (code, _) in FAULTS.items()} | {"refused": 5}


def test_a_stream_that_breaks_off_has_the_code_of_its_reason(api: Sandbox, run: Any) -> None:
    for status, code in ((401, 4), (403, 1)):
        api.clear_faults()
        api.script(Fault(path="/callmeback/cdrs", after=7, status=status, times=None))
        ran = run("export", "cdrs", "--to", "-", "--page-size", "50", "--progress", "none")
        assert (ran.code, ran.out != "") == (code, True)
        assert ran.err.endswith(": the output is incomplete\n")


def test_a_change_whose_outcome_is_not_known_is_5() -> None:
    odd = NotJSON("no JSON", method="POST", sent="yes", retryable=False)
    assert code_of(odd) == 5
    assert code_of(odd.with_context(method="GET")) == 1
    assert code_of(ConnectFailed("no line", method="POST")) == 5


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 1], 3), ([0, 2], 3), ([1, 2], 1), ([2, 2], 2), ([0, 1, 5], 5),
     ([5, 4], 4), ([3, 1], 3), ([], 0)],
)  # fmt: skip
def test_of_several_parts_the_code_is_4_before_5_before_3(codes: list[int], code: int) -> None:
    assert combined(codes) == combined(codes[::-1]) == code


IMPORTING = """
import os, signal, sys
class Interrupts:
    def find_spec(name, *_):
        if name == {!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts)
signal.signal(signal.SIGINT, signal.default_int_handler)
from voipstudio_cmb.__main__ import run
sys.argv[1:] = ["get", "settings", "7"]
run()
"""


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    "module", ["typing", "asyncio", "click", "voipstudio_cmb.cli.commands.get"]
)
def test_ctrl_c_while_modules_are_imported_is_quiet(module: str) -> None:
    argv = [sys.executable, "-c", IMPORTING.format(module)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr.strip() in ("", "interrupted")


@contextlib.contextmanager
def interrupting(api: Sandbox, path: str, number: signal.Signals, *words: str) -> Iterator[Any]:
    """A command that is sent a signal while the API takes its time over `path`."""
    reached = threading.Event()
    api.script(Fault(path=path, delay=60, when=lambda _: reached.set() is None, times=None))
    with subprocess.Popen(
        [*INTERRUPTIBLE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert reached.wait(60)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        yield process.returncode, out, err


@pytest.mark.parametrize(
    ("words", "path", "number", "look"),
    [
        ("settings create --name x", "/callmeback/settings", signal.SIGINT,
         "create: It may have been carried out: look into `voipstudio-cmb settings list`"),
        ("buttons create --name x", "/callmeback/buttons", signal.SIGTERM,
         "create: It may have been carried out: look into the vendor's web pages"),
        ("settings delete 7 --yes", "/callmeback/settings", signal.SIGTERM,
         "settings 7: It may have been carried out: look into `voipstudio-cmb get settings 7`"),
        ("buttons update 7 --name x", "/callmeback/buttons", signal.SIGINT,
         "buttons 7: It may have been carried out: look into `voipstudio-cmb get buttons 7`"),
    ],
)  # fmt: skip
def test_a_change_that_is_interrupted_says_to_look_first(
    api: Sandbox, words: str, path: str, number: signal.Signals, look: str
) -> None:
    with interrupting(api, path, number, *words.split()) as (code, out, err):
        assert (code, out) == (128 + number, "")
        assert err == f"interrupted: {look} before you run this again\n"


def test_what_was_done_before_an_interruption_is_printed(api: Sandbox) -> None:
    first, second, *_ = (str(each) for each in api.data.settings.ids)
    path = f"/callmeback/settings/{second}"
    words = ("settings", "update", first, second, "--name", "x")
    with interrupting(api, path, signal.SIGINT, *words) as (code, out, err):
        assert (code, [row["id"] for row in json.loads(out)]) == (130, [int(first)])
        assert err.startswith(f"interrupted: settings {second}: It may have been carried out")


QUIET = (
    "list cdrs --limit 3 --from 2020-01-01", "list cdrs --filter id>999999999",
    "cdrs count --from 2020-01-01", "chart cdrs --from 2020-01-01", "status",
    "get settings {id}", "settings update {id} --name x", "settings update {id} --name x --dry-run",
    "settings create --name x", "settings delete {id} --yes", "export cdrs --to {tmp}",
    "export cdrs --to {tmp}/dry --metrics {tmp}/x.prom --dry-run",
    "verify {tmp}",
)  # fmt: skip


def test_a_command_that_is_quiet_says_nothing_but_errors(
    api: Sandbox, run: Any, tmp_path: Path
) -> None:
    id = api.data.settings.ids[0]
    for command in QUIET:
        words = command.format(id=id, tmp=tmp_path).split()
        ran = run(*words, "--quiet")
        assert (ran.code, ran.err) == (0, ""), command
        silent = "999" in command or words[0] in ("export", "verify") or "delete" in words
        assert (ran.out == "") == silent
        loud = run("-q", *words, "--verbose")
        assert (loud.code, loud.out) == (2, "")
    assert "--quiet and --verbose exclude each other" in run("-q", "list", "cdrs", "-v").err
    assert run("-q", "get", "settings", str(id)).err.startswith(f"error: settings {id}: GET ")
