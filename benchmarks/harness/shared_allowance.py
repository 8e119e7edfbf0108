"""Processes that share one allowance of requests, and the servers that count them.

The server's is strict: a sliding window of `ALLOWED` requests a second. Each process runs `TASKS`
tasks that ask as fast as they can, or an export.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from benchmarks.harness.peer import RawRequest, Reply
from benchmarks.harness.rate_limits import ITEM, REFUSED, sliding_window
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.export import Account, Exports, Plan
from voipstudio_cmb.ext.redis import RedisRateLimit
from voipstudio_cmb.limits import RateLimit
from voipstudio_cmb.sandbox.journal import Received

ALLOWED = 100
PROCESSES = 4
TASKS = 8
LATENCY = 0.02
BUSY = (0.01, 0.08)
"""For how many seconds at a time a busy loop does something else, and then does not."""

RESOURCES = ("cdrs", "visitors")

_GCRA = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
redis.call('SET', KEYS[1], string.format('%.0f', due + interval), 'EX', 60)
return math.max(0, math.ceil(due - now - most))
"""


class Gcra:
    """The generic cell rate algorithm in Redis: each caller is told when its turn is."""

    def __init__(self, n: int, url: str) -> None:
        self._redis = Redis.from_url(url)
        self._script = self._redis.register_script(_GCRA)
        interval = 1.02e6 / n
        self._numbers = [int(interval), int(max(2, n / 10) * interval)]

    async def acquire(self) -> None:
        await asyncio.sleep(await self._script(keys=["gcra"], args=self._numbers) / 1e6)

    async def aclose(self) -> None:
        await self._redis.aclose()


LIMITERS: dict[str, Callable[[str], Any]] = {
    "fixed share": lambda _: RateLimit(ALLOWED / PROCESSES),
    "plain GCRA": lambda url: Gcra(ALLOWED, url),
    "RedisRateLimit": lambda url: RedisRateLimit(ALLOWED, url=url),
    "leases of 6": lambda url: RedisRateLimit(ALLOWED, url=url, lease=6),
}


class Noted:
    """A limiter that notes when it lets a request leave, by a clock that all processes share."""

    def __init__(self, name: str, url: str) -> None:
        self._limiter = LIMITERS[name](url)
        self.left: list[float] = []

    async def acquire(self) -> None:
        await self._limiter.acquire()
        self.left.append(time.monotonic())

    def hold(self, seconds: float) -> None:
        if hold := getattr(self._limiter, "hold", None):
            hold(seconds)

    async def aclose(self) -> None:
        if close := getattr(self._limiter, "aclose", None):
            await close()


class StrictServer:
    """Answers while the window is not full, and notes when; the time is that of all processes."""

    def __init__(self, seed: int) -> None:
        self.admitted: list[float] = []
        self.refused: list[float] = []
        self._admit = sliding_window(1.0)
        self._rng = random.Random(seed)

    def note(self, journal: Iterable[Received]) -> None:
        """Notes what a sandbox has answered, instead of what was noted."""
        self.admitted = [each.at for each in journal if each.status != 429]
        self.refused = [each.at for each in journal if each.status == 429]

    def respond(self, request: RawRequest) -> Reply:
        now = time.monotonic()
        if not self._admit(now, ALLOWED):
            self.refused.append(now)
            return Reply(parts=(REFUSED,))
        self.admitted.append(now)
        return Reply(parts=(ITEM,), delay=self._rng.uniform(0, LATENCY))


async def _ready(url: str) -> None:
    """Returns when all processes are to begin."""
    async with Redis.from_url(url) as client:
        await client.incr("ready")
        while not await client.get("begin"):
            await asyncio.sleep(0.02)


async def loops(api: str, name: str, redis: str, seconds: float, busy: bool) -> list[float]:
    """Lets tasks ask as fast as they can, once all are ready, for so many seconds.

    Returns when their requests left.
    """
    limiter = Noted(name, redis)
    async with CallMeBackClient("token", base_url=api, limiter=limiter) as client:
        await _ready(redis)
        until = time.monotonic() + seconds
        occupation = asyncio.create_task(_occupy(random.Random(os.getpid()), busy))
        await asyncio.gather(*(_job(client, until) for _ in range(TASKS)))
        occupation.cancel()
    await limiter.aclose()
    return limiter.left


async def _job(client: CallMeBackClient, until: float) -> None:
    while time.monotonic() < until:
        try:
            await client.settings.get(1)
        except CallMeBackError:
            await asyncio.sleep(0.01)


async def _occupy(rng: random.Random, busy: bool) -> None:
    while busy:
        await asyncio.sleep(rng.uniform(*BUSY))
        time.sleep(rng.uniform(*BUSY))  # noqa: ASYNC251  that is what a busy loop is


async def export(
    api: str, token: str, name: str, redis: str, first: int, last: int, page_size: int
) -> int:
    """Exports accounts to Parquet, once all are ready; returns how many files are complete."""
    limiter = Noted(name, redis)
    with tempfile.TemporaryDirectory() as to:
        exports = Exports(
            [Account(f"account-{n:03}", token, base_url=api) for n in range(first, last)],
            Plan(to=Path(to), resources=RESOURCES, format="parquet", page_size=page_size),
            limiter=limiter,
            slots=TASKS,
        )
        await _ready(redis)
        summary = await exports.run()
    await limiter.aclose()
    return sum(job.state == "done" for job in summary.jobs)
