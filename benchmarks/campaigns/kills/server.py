"""A sandbox in a process of its own that can say which rows it has had."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
from typing import Any

import attrs

from benchmarks.harness.processes import fork
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Temper
from voipstudio_cmb.sandbox.journal import Received

ROWS = 900


@attrs.frozen
class Server:
    """A sandbox in a process of its own."""

    process: int
    url: str
    _requests: int
    _replies: int

    def ask(self) -> dict[str, Any]:
        """The ids that existed `throughout`, and all `rows` that ever existed, by id."""
        os.write(self._requests, b"?")
        with open(self._replies, "rb", closefd=False) as replies:
            seen: dict[str, Any] = json.loads(replies.readline())
        return seen

    def end(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._requests)
        os.close(self._replies)


def serve(seed: int, temper: Temper, drift: Drift, faults: float) -> Server:
    """Starts a sandbox in which so large a share of the requests meets each of three faults."""
    requests, replies = os.pipe(), os.pipe()
    pipes = requests[0], replies[1]
    process = fork(lambda: asyncio.run(_serve(seed, temper, drift, faults, *pipes)))
    os.close(requests[0])
    os.close(replies[1])
    with open(replies[0], "rb", closefd=False) as lines:
        url = lines.readline().decode().strip()
    return Server(process, url, requests[1], replies[0])


async def _serve(
    seed: int, temper: Temper, drift: Drift, faults: float, requests: int, replies: int
) -> None:
    draw = random.Random(seed)

    def unlucky(_: Received) -> bool:
        return draw.random() < faults

    api = Sandbox(rows=ROWS, seed=seed, temper=temper, drift=drift, latency=(0.0, 0.006))
    for fault in (Fault(status=503), Fault(drop="mid-body"), Fault(drop="before")):
        api.script(attrs.evolve(fault, path="/callmeback", when=unlucky, times=None))
    table = api.data.cdrs
    questions: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    loop.add_reader(requests, lambda: questions.put_nowait(os.read(requests, 1)))
    logging.disable(logging.CRITICAL)  # of connections that the killed leave behind
    async with api:
        with table.watched() as watch:
            os.write(replies, f"{api.base_url}\n".encode())
            while True:
                await questions.get()
                rows = {str(id): table.encoded(id).decode() for id in watch.ever}
                seen = {"throughout": sorted(watch.throughout), "rows": rows}
                left = memoryview(json.dumps(seen).encode() + b"\n")
                while left:
                    left = left[os.write(replies, left) :]
