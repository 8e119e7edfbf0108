"""Servers of S3 on loopback, as processes of their own while a block runs."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

BUCKET = "bucket"

_MOTO = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False)
server.start()
sys.stdin.read()
server.stop()
"""


def environment(port: int, key: str = "testing", secret: str = "testing") -> dict[str, str]:
    """What the environment of an export says of a server."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
    }


@contextlib.contextmanager
def moto() -> Iterator[dict[str, str]]:
    """A moto server with a bucket; yields its environment."""
    port = free_port()
    with _running([sys.executable, "-c", _MOTO, str(port)], port):
        url = f"http://127.0.0.1:{port}/{BUCKET}"
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=30):
            yield environment(port)


@contextlib.contextmanager
def rclone(directory: Path, *options: str) -> Iterator[dict[str, str]]:
    """What rclone serves of a directory, with a bucket; yields its environment."""
    program = shutil.which("rclone", path=os.path.dirname(sys.executable))
    assert program is not None, "it is of the extra guides"
    (directory / BUCKET).mkdir()
    port = free_port()
    command = [program, "serve", "s3", "--addr", f"127.0.0.1:{port}", *options, str(directory)]
    with _running([*command, "--config", os.devnull], port):
        yield environment(port)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait_for(port, process)
            yield
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(3000):
        assert process.poll() is None, "it has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")
