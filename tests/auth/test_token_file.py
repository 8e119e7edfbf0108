"""A token in a file, as Docker and systemd pass secrets: its text is nowhere but in requests."""

from __future__ import annotations

import asyncio
import json
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.auth.profile import Environment, resolve
from voipstudio_cmb.errors import ConfigError, Unauthorized
from voipstudio_cmb.sandbox import Sandbox

CANARY = "canary-not-a-token"
VARIABLE = "VOIPSTUDIO_API_TOKEN_FILE"


def shown(error: BaseException) -> str:
    """All that a crash reporter would print of *error*, with the locals of the package's frames."""
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    package = [frame for frame in report.stack if "voipstudio_cmb" in frame.filename]
    return "".join([*report.format(), *(str(frame.locals) for frame in package)])


@pytest.mark.parametrize(
    "content",
    [CANARY.encode(), f"{CANARY}\n".encode(), f" \r\n{CANARY}\t\r\n\n".encode(),
     f"{CANARY}\n".encode("utf-8-sig"), CANARY.encode("utf-16")],
)  # fmt: skip
async def test_the_token_is_the_files_only_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with Sandbox(rows=1, token=CANARY) as api:
        env = {VARIABLE: str(file), "VOIPSTUDIO_API_URL": api.base_url, "HOME": str(tmp_path)}
        async with CallMeBackClient.from_env(env=env) as cmb:
            await cmb.ping()
            assert f"from {VARIABLE}, the base URL" in cmb.source
            assert CANARY not in cmb.source + repr(vars(cmb))


Make = Callable[[Path], Path]


def _holds(content: bytes) -> Make:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path, "can't be read .No such file"),
        (lambda path: path.parent, "can't be read .it is no regular file"),
        (_fifo, "can't be read .it is no regular file"),
        (lambda path: path / "\0", "can't be read: fix its path"),
        (_holds(CANARY.encode() * 10_000), "can't be read .it is larger than 64 KiB"),
        (_holds(b""), "is empty"),
        (_holds(b" \r\n"), "is empty"),
        (_holds(f"{CANARY}\n{CANARY}\n".encode()), "has several lines"),
        (_holds(f"{CANARY}\r{CANARY}".encode()), "has several lines"),
        (_holds(CANARY.encode() + b"\xff\xfe\x80"), "is no text"),
        (_holds(CANARY.encode() + b"\x00\x07"), "white space, control or non-ASCII"),
        (_holds(f"token: {CANARY}".encode()), "white space, control or non-ASCII"),
    ],
)
def test_a_file_that_cant_be_used_says_why_and_shows_nothing_of_it(
    tmp_path: Path, make: Make, words: str
) -> None:
    file = make(tmp_path / "secret")
    env = {VARIABLE: str(file), "HOME": str(tmp_path)}
    with pytest.raises(ConfigError, match=f"{VARIABLE}.*{words}") as caught:
        resolve(None, Environment(env))
    assert CANARY not in shown(caught.value)


def test_a_token_in_the_place_of_the_path_is_not_quoted() -> None:
    with pytest.raises(ConfigError, match="can't be read") as caught:
        CallMeBackClient.from_env(env={VARIABLE: CANARY})
    assert CANARY not in shown(caught.value)


def test_two_tokens_are_refused(tmp_path: Path) -> None:
    env = {VARIABLE: str(tmp_path / "absent"), "VOIPSTUDIO_API_TOKEN": CANARY}
    with pytest.raises(ConfigError, match=f"VOIPSTUDIO_API_TOKEN and {VARIABLE} are both set"):
        resolve(None, Environment(env))


async def test_a_token_that_was_rotated_is_read_again_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("fake-old")
    with Sandbox(rows=1, token="fake-old") as api:
        env = {VARIABLE: str(file), "VOIPSTUDIO_API_URL": api.base_url, "HOME": str(tmp_path)}
        async with CallMeBackClient.from_env(env=env) as cmb:
            await cmb.ping()
            api.token = "fake-new"
            file.write_text("fake-new\n")
            await asyncio.gather(*(cmb.ping() for _ in range(5)))
            assert 7 <= api.requests <= 11
            await cmb.ping()
            before, api.token = api.requests, "fake-newest"
            # What is in the file is no other, or none at all: nothing is sent again.
            for content in ("fake-new", "", "two\nlines", "white space"):
                file.write_text(content)
                with pytest.raises(Unauthorized):
                    await cmb.ping()
            file.unlink()
            with pytest.raises(Unauthorized):
                await cmb.ping()
            assert api.requests == before + 5


async def test_a_profile_that_logged_in_again_is_read_again_after_a_401(tmp_path: Path) -> None:
    file = tmp_path / ".config" / "voipstudio" / "config.json"
    file.parent.mkdir(parents=True)

    def write(token: str, url: str) -> None:
        profile = {"token": token, "apiUrl": url}
        file.write_text(json.dumps({"current": "office", "profiles": {"office": profile}}))

    with Sandbox(rows=1, token="fake-old") as api:
        write("fake-old", api.base_url)
        async with CallMeBackClient.from_env(env={"HOME": str(tmp_path)}) as cmb:
            for token in ("fake-old", "fake-new", "fake-newest"):
                api.token = token
                write(token, api.base_url)
                await cmb.ping()
            assert api.requests == 5
            # Another account's URL, nothing, and no file: no other token is sent to this one.
            api.token = "fake-next"
            write("fake-next", "https://api.example/v1.2/voipstudio")
            with pytest.raises(Unauthorized):
                await cmb.ping()
            file.write_text("{}")
            with pytest.raises(Unauthorized):
                await cmb.ping()
            file.unlink()
            with pytest.raises(Unauthorized):
                await cmb.ping()
            assert api.requests == 8
