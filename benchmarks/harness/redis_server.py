"""A Redis or Valkey server of one's own, on a loopback port and in a temporary directory."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import attrs
from redis import Redis

from benchmarks.harness.peer import closed_port

_START_WITHIN = 20.0
"""The seconds in which a server has to listen."""


@attrs.define
class RedisServer:
    """A server that can be stopped and started again; nothing of it is kept meanwhile."""

    program: str
    options: tuple[str, ...] = ()
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _directory: str = attrs.field(factory=tempfile.mkdtemp)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts it, at its earlier port if it had one; it listens when this returns."""
        if not self.port:
            with closed_port() as bound:
                self.port = bound.getsockname()[1]
        self._process = subprocess.Popen(
            [
                self.program, "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", self._directory, "--save", "", "--appendonly", "no", *self.options,
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + _START_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > until:
                    self.stop()
                    raise RuntimeError(f"{self.program} does not start") from None
                time.sleep(0.02)

    def client(self) -> Redis:
        """A client of it."""
        return Redis(port=self.port)

    def calls(self, command: str) -> int:
        """How often it was asked for `command`."""
        with self.client() as client:
            stats: Any = client.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {}).get("calls", 0))

    def stop(self) -> None:
        """Ends it, with all that it holds."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Ends it, and removes its directory."""
        self.stop()
        shutil.rmtree(self._directory, ignore_errors=True)


@contextlib.contextmanager
def redis_server(program: str = "redis-server", *options: str) -> Iterator[RedisServer]:
    """Runs `program` with more `options`; yields the server."""
    if shutil.which(program) is None:
        raise FileNotFoundError(f"{program} is not installed: Debian has it in a package")
    server = RedisServer(program, options)
    try:
        server.start()
        yield server
    finally:
        server.remove()
