"""Claim: a client that works at full speed for hours keeps no more memory than it began with.

Against a sandbox in a child process, of whose requests 1 % meet a fault, whose tokens expire every
few seconds, and which is killed and started again. Calls, walks, changes and cancelled calls are
mixed. The claim is at most 4 MiB an hour, by least squares over the last half of the run, which
takes 40 minutes to be told; and, of any run, that no task, no file descriptor and no objects are
left over.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence

import attrs

from benchmarks.campaigns.soak.server import Servers, servers
from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.memory import MIB, resident
from benchmarks.harness.peer import closed_port
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.auth import login
from voipstudio_cmb.errors import CallMeBackError

SLOPE = 4.0
"""MiB an hour, at most."""
TELLING = 40.0
"""Minutes from which on the slope is judged: before, an allocator's steps are all there is."""
OBJECTS = 2_000
"""Objects more in the last quarter of a run than in the second: what the collector tracks."""
WORKERS = 8
RESTARTS = 30.0
"""Seconds from one restart of the server to the next."""


@attrs.define
class Soak:
    """What was measured."""

    seconds: list[float] = attrs.field(factory=list)
    held: list[float] = attrs.field(factory=list)
    """MiB of memory at those seconds."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    objects: list[int] = attrs.field(factory=list)
    """What the collector tracks after a collection, at a quarter, half and all of the run."""
    tasks: int = 0
    """Tasks left over."""
    descriptors: int = 0
    """File descriptors left over."""
    restarts: int = 0
    requests: int = 0

    @property
    def slope(self) -> float:
        """MiB an hour, by least squares over the last half."""
        half = len(self.seconds) // 2
        return 3600 * slope(self.seconds[half:], self.held[half:])


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """How much `ys` rise for each 1 of `xs`, by least squares."""
    if len(xs) < 2:
        return 0.0
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    over = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return over / sum((x - mean_x) ** 2 for x in xs)


async def _one(cmb: CallMeBackClient, draw: random.Random) -> None:
    """One piece of work."""
    kind = draw.randrange(100)
    if kind < 60:
        await cmb.settings.list(limit=1).collect()
    elif kind < 75:
        await cmb.cdrs.count()
    elif kind < 85:
        by = draw.choice(("auto", "page"))
        await cmb.cdrs.list(
            walk=by, page_size=50, concurrency=4, limit=draw.randrange(500)
        ).collect()
    elif kind < 90:
        async for _ in cmb.cdrs.pages(page_size=20):
            break
    elif kind < 95:
        made = await cmb.settings.create(name="soak")
        await cmb.settings.update(made.id, name="soaked")
        await cmb.settings.delete(made.id)
    else:
        call = asyncio.ensure_future(cmb.cdrs.list(page_size=20).collect())
        await asyncio.sleep(draw.uniform(0, 0.02))
        call.cancel()
        await asyncio.wait((call,))
        if not call.cancelled():
            call.result()


async def _work(cmb: CallMeBackClient, draw: random.Random, until: float, soak: Soak) -> None:
    while time.monotonic() < until:
        try:
            await _one(cmb, draw)
        except CallMeBackError as error:
            soak.outcomes[type(error).__name__] += 1
        else:
            soak.outcomes["done"] += 1


async def _restart(running: Servers, until: float, every: float) -> None:
    while time.monotonic() + every < until:
        await asyncio.sleep(every)
        running.kill()
        await asyncio.sleep(0.2)
        running.start()


def _tracked() -> int:
    gc.collect()
    return len(gc.get_objects())


async def _watch(soak: Soak, cmb: CallMeBackClient, began: float, seconds: float) -> None:
    marks = [seconds / 4, seconds / 2]
    told = 60.0
    while (now := time.monotonic() - began) < seconds:
        await asyncio.sleep(min(1.0, seconds - now))
        soak.seconds.append(time.monotonic() - began)
        soak.held.append(resident() / MIB)
        if marks and soak.seconds[-1] >= marks[0]:
            marks.pop(0)
            soak.objects.append(_tracked())
        if soak.seconds[-1] >= told:
            told += 60.0
            print(
                f"{soak.seconds[-1] / 60:5.1f} min: {cmb.usage.requests:,} requests, "
                f"{soak.held[-1]:.1f} MiB",
                flush=True,
            )


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def soaked(minutes: float, seed: int, every: float = RESTARTS) -> Soak:
    """Runs for so many minutes."""
    soak, draw = Soak(), random.Random(seed)
    with closed_port() as bound:
        port = bound.getsockname()[1]
    with servers(port, seed) as running:
        before, open_before = asyncio.all_tasks(), _descriptors()
        config = ClientConfig(deadline=30.0, retry_budget=100_000, attempts=8)
        source = login("soak@example.invalid", "not-a-password")
        async with CallMeBackClient(source, base_url=running.url, config=config) as cmb:
            await cmb.cdrs.count()  # once it is up
            began = time.monotonic()
            until = began + 60 * minutes
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(_work(cmb, random.Random(draw.random()), until, soak))
                group.create_task(_restart(running, until, every))
                group.create_task(_watch(soak, cmb, began, 60 * minutes))
            soak.requests, soak.restarts = cmb.usage.requests, running.started - 1
            soak.objects.append(_tracked())
        await asyncio.sleep(0.1)
        soak.tasks = len(asyncio.all_tasks() - before)
        soak.descriptors = _descriptors() - open_before
    return soak


def failures(soak: Soak, minutes: float) -> list[str]:
    """What contradicts the claim."""
    wrong = []
    if minutes >= TELLING and soak.slope > SLOPE:
        wrong.append(f"{soak.slope:.1f} MiB an hour more, and {SLOPE:g} are allowed")
    if soak.objects[-1] - soak.objects[0] > OBJECTS:
        wrong.append(f"objects: {soak.objects}, and {OBJECTS} more are allowed")
    if soak.tasks or soak.descriptors:
        wrong.append(f"left over: {soak.tasks} tasks, {soak.descriptors} file descriptors")
    if not soak.outcomes["done"]:
        wrong.append("nothing was done")
    return wrong


def run(minutes: float, seed: int, every: float = RESTARTS) -> list[str]:
    """Runs the campaign and prints its figures; returns what contradicts the claim."""
    soak = asyncio.run(soaked(minutes, seed, every))
    seconds = soak.seconds[-1]
    print(f"{soak.requests:,} requests in {seconds:.0f} s ({soak.requests / seconds:.0f}/s), "
          f"{soak.restarts} restarts; {counted(soak.outcomes)}")  # fmt: skip
    judged = "" if minutes >= TELLING else " (too short to be judged)"
    print(f"memory: {soak.held[0]:.1f} to {soak.held[-1]:.1f} MiB, {soak.slope:+.2f} MiB an hour "
          f"over the last half{judged}")  # fmt: skip
    print(f"objects: {soak.objects}; left over: {soak.tasks} tasks, {soak.descriptors} descriptors")
    return conclude(failures(soak, minutes))


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("soak", __doc__, "--minutes 40")
    command.add("--minutes", TELLING, "how long")
    command.add("--every", RESTARTS, "seconds from one restart of the server to the next")
    given = command.parse(arguments)
    return bool(run(given.minutes, given.seed, given.every))


if __name__ == "__main__":
    sys.exit(main())
