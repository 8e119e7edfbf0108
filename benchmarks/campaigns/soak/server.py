"""A sandbox in a process of its own that fails now and then, and whose tokens expire."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from benchmarks.harness.processes import ROOT
from voipstudio_cmb.sandbox import Fault, Sandbox
from voipstudio_cmb.sandbox.journal import Received

SHARE = 0.01
"""Requests that meet a fault."""
EXPIRES = 5.0
"""Seconds for which a token is valid."""
ROWS = 500

LATE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n"
FAULTS = (
    Fault(times=None, drop="before"),
    Fault(times=None, drop="after"),
    Fault(times=None, drop="mid-body"),
    Fault(times=None, status=500),
    Fault(times=None, status=503, headers={"Retry-After": "0.02"}),
    Fault(times=None, status=429, headers={"Retry-After": "0.02"}),
    Fault(times=None, status=200, body=b"<html>maintenance</html>"),
    Fault(times=None, raw=LATE),
)


class Servers:
    """Sandboxes on one port, one after the other."""

    def __init__(self, port: int, seed: int) -> None:
        self.url = f"http://127.0.0.1:{port}/v1.2/voipstudio"
        self.started = 0
        self._port, self._seed = port, seed
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the next one; it responds a little later."""
        self.started += 1
        command = [sys.executable, "-m", __name__, str(self._port), str(self._seed + self.started)]
        self._process = subprocess.Popen(command, cwd=ROOT)

    def kill(self) -> None:
        """Kills the one that runs, with all its connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def servers(port: int, seed: int) -> Iterator[Servers]:
    """Yields the servers, of which the first is running."""
    made = Servers(port, seed)
    made.start()
    try:
        yield made
    finally:
        made.kill()


async def _serve(port: int, seed: int) -> None:
    draw = random.Random(seed)

    def hit(received: Received) -> bool:
        return draw.random() < SHARE / len(FAULTS)

    async with Sandbox(port=port, rows=ROWS, seed=seed) as api:
        for fault in FAULTS:
            api.script(attrs.evolve(fault, when=hit))
        while True:
            await asyncio.sleep(EXPIRES)
            api.token = draw.randbytes(20).hex()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
