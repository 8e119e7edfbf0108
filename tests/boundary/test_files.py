"""Proof that what a user names to read is a regular file of its size, or refused at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.fakes.commands import COMMAND
from voipstudio_cmb.boundary.files import read_regular
from voipstudio_cmb.errors import ConfigError
from voipstudio_cmb.export import read_accounts


def odd_file(path: Path, kind: str) -> Path:
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listening:  # the path of a socket must be short
            listening.bind(path.name)
    elif kind == "too large":
        with path.open("wb") as file:
            file.truncate(3 * 2**30)  # a sparse one
    else:
        path.symlink_to(kind)
    return path


KINDS = ["a FIFO", "a directory", "a socket", "too large", "/dev/zero", "/dev/tty"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_of_that_size_is_refused_at_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = odd_file(tmp_path / "odd", kind)
    with pytest.raises(OSError, match=r"no regular file|larger than") as caught:
        read_regular(path)
    assert caught.value.strerror
    with pytest.raises(ConfigError, match="the accounts file .* can't be read"):
        read_accounts(path)


def test_a_file_may_be_as_large_as_it_may_and_no_larger(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 10)
    assert read_regular(tmp_path / "a", 10) == b"x" * 10
    with pytest.raises(OSError, match="larger than"):
        read_regular(tmp_path / "a", 9)
    with pytest.raises(OSError, match="larger than"):
        read_regular("/proc/self/maps", 9)  # whose size the system does not say


@pytest.mark.parametrize(
    ("named", "kind"),  # each with each other than these is what `read_regular` refuses above
    [("profile", "a FIFO"), ("accounts", "a FIFO"), ("accounts", "too large"),
     ("certificates", "a FIFO"), ("certificates", "/dev/zero")],
)  # fmt: skip
def test_no_command_hangs_at_what_it_is_told_to_read(tmp_path: Path, kind: str, named: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("VOIPSTUDIO")}
    env |= {"XDG_CONFIG_HOME": str(tmp_path), "VOIPSTUDIO_API_URL": "http://127.0.0.1:1/x"}
    odd = odd_file(tmp_path / "odd", kind)
    argv = ["ping"]
    if named == "profile":
        (tmp_path / "voipstudio").mkdir()
        odd.rename(tmp_path / "voipstudio" / "config.json")
    elif named == "accounts":
        argv = ["export", "--to", str(tmp_path / "out"), "--accounts", str(odd)]
    else:
        env |= {"SSL_CERT_FILE": str(odd), "VOIPSTUDIO_API_TOKEN": "fake-token"}
    with subprocess.Popen([*COMMAND, *argv], env=env, stderr=subprocess.PIPE) as process:
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == 2, said
    assert b"can't be read" in said
    assert b"Traceback" not in said


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "[" * 5000 + "]" * 5000, "a = " + "{a=" * 5000,
             "[" * 5000, "a" + ".a" * 50_000 + " = 1", "a = " + "9" * 5000]
)  # fmt: skip
def test_accounts_of_a_strange_shape_are_refused_clearly(tmp_path: Path, text: str) -> None:
    path = tmp_path / "accounts.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="accounts file"):
        read_accounts(path)
