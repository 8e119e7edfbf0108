"""Nothing leaves loopback: neither this process nor its children, by no way to open a socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.loopback import NOWHERE
from tests.fakes.commands import run_process
from voipstudio_cmb import CallMeBackClient

RULE = "tests, claims and campaigns never leave loopback: "
ATTEMPTS = """
import asyncio, json, socket, sys, urllib.request
import aiohttp

def udp():
    return socket.socket(type=socket.SOCK_DGRAM)

async def get(url):
    async with aiohttp.ClientSession() as session:
        await session.get(url)

def outcomes(attempts):
    for attempt in attempts:
        try:
            eval(attempt)
        except Exception as error:
            yield f"{type(error).__name__}: {error}"
        else:
            yield ""
"""
ELSEWHERE = (
    "socket.create_connection(('192.0.2.1', 443))",
    "socket.create_connection(('l7api.com', 443))",
    "socket.socket().connect(('192.0.2.1', 443))",
    "socket.socket().connect(('l7api.com', 443))",
    "socket.socket().connect_ex((b'192.0.2.1', 443))",
    "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 443))",
    "socket.socket(socket.AF_INET6).connect(('::ffff:192.0.2.1', 443))",
    "udp().connect(('192.0.2.1', 53))",
    "udp().sendto(b'?', ('192.0.2.1', 53))",
    "udp().sendto(b'?', 0, ('l7api.com', 53))",
    "udp().sendmsg([b'?'], [], 0, ('192.0.2.1', 53))",
    "udp().sendmsg([b'?'], [], 0, ('l7api.com', 53))",
    "socket.getaddrinfo('l7api.com', 443)",
    "socket.getaddrinfo('127.example', 443)",
    "socket.getaddrinfo('localhost.example', 443)",
    "socket.gethostbyname('l7api.com')",
    "socket.gethostbyname_ex('l7api.com')",
    "socket.gethostbyaddr('192.0.2.1')",
    "socket.getnameinfo(('192.0.2.1', 443), 0)",
    "urllib.request.urlopen('http://l7api.com')",
    "asyncio.run(get('http://l7api.com'))",
    "asyncio.run(get('http://192.0.2.1'))",
    "asyncio.run(get('http://[2001:db8::1]'))",
)
ALLOWED = (
    "socket.create_connection(('127.0.0.1', {port})).close()",
    "socket.create_connection(('localhost', {port})).close()",
    "socket.create_connection(('LocalHost', {port})).close()",
    "socket.socket().connect_ex((b'127.0.0.1', {port}))",
    "udp().sendto(b'?', ('127.0.0.2', {port}))",
    "socket.getaddrinfo('::1', {port})",
    "socket.getaddrinfo(None, {port})",
    "socket.socketpair()",
    "socket.socket(socket.AF_UNIX).connect({path!r})",
)


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A port and a path where somebody listens."""
    path = str(tmp_path / "socket")
    with ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(path)
        unix.listen()
        yield {"port": tcp.getsockname()[1], "path": path}


def here(attempts: list[str]) -> list[str]:
    """What each attempt ends with in this process: the text of its error, or nothing."""
    names: dict[str, Any] = {}
    exec(ATTEMPTS, names)
    return list(names["outcomes"](attempts))


def in_a_child(attempts: list[str]) -> list[str]:
    code = f"{ATTEMPTS}\njson.dump(list(outcomes(json.load(sys.stdin))), sys.stdout)"
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(attempts), stdout=subprocess.PIPE,
        text=True, check=True, timeout=60,
    )  # fmt: skip
    return list(json.loads(done.stdout))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("run", [here, in_a_child])
def test_nobody_else_is_spoken_to_and_the_error_says_why(run: Any) -> None:
    found = dict(zip(ELSEWHERE, run(list(ELSEWHERE)), strict=True))
    assert not {how: what for how, what in found.items() if RULE not in what}


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("run", [here, in_a_child])
def test_loopback_and_unix_sockets_are_open(run: Any, listener: dict[str, Any]) -> None:
    attempts = [each.format(**listener) for each in ALLOWED]
    assert run(attempts) == [""] * len(ALLOWED)


async def test_a_client_of_the_vendors_server_fails_at_once() -> None:
    async with CallMeBackClient("token", base_url="https://l7api.com/v1.2/voipstudio") as cmb:
        with pytest.raises(RuntimeError, match=RULE):
            await cmb.settings.get(77)


def test_a_command_without_a_base_url_asks_on_loopback() -> None:
    assert os.environ["VOIPSTUDIO_API_URL"] == NOWHERE
    asked = run_process("ping", VOIPSTUDIO_API_TOKEN="token")
    assert asked.returncode
    assert RULE.encode() not in asked.stderr


@pytest.mark.parametrize(
    "start",
    [
        "subprocess.run([sys.executable, '-c', 'pass'], env={})",
        "subprocess.run([sys.executable, '-I', '-c', 'pass'])",
        "subprocess.run([sys.executable, '-S', '-c', 'pass'])",
        "os.posix_spawn(sys.executable, [sys.executable, '-c', 'pass'], {})",
    ],
)
def test_a_child_is_not_started_without_the_guard(start: str) -> None:
    with pytest.raises(RuntimeError, match="without the guard; keep its PYTHONPATH"):
        eval(start)


@pytest.mark.parametrize("module", ["tests.conftest", "benchmarks.claims", "benchmarks.campaigns"])
def test_whatever_is_started_without_it_puts_it_up(module: str) -> None:
    code = f"import {module}, socket; socket.getaddrinfo('l7api.com', 443)"
    shell = f'env -u PYTHONPATH {sys.executable} -c "{code}"'
    done = subprocess.run(["bash", "-c", shell], stderr=subprocess.PIPE, check=False, timeout=60)
    assert RULE.encode() in done.stderr
