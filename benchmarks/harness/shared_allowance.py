"""Processes that share one allowance of requests, and the servers that count them.

The server's is strict: a sliding window of `ALLOWED` requests a second. Each process runs `TASKS`
tasks that ask as fast as they can, or an export.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
from distributed import Scheduler, Worker
from distributed.worker import _worker_cvar
from redis.asyncio import Redis

from benchmarks.harness.peer import RawRequest, Reply
from benchmarks.harness.rate_limits import ITEM, REFUSED, sliding_window
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.export import Account, Exports, Plan
from voipstudio_cmb.ext.dask import SchedulerRateLimit
from voipstudio_cmb.ext.dask.rate import Keeper
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
    "Dask": lambda _: SchedulerRateLimit(ALLOWED),
}


class Noted:
    """A limiter that notes when it lets a request leave, by a clock that all processes share."""

    def __init__(self, name: str, url: str) -> None:
        self._limiter = LIMITERS[name](url)
        self._waiting, self._since = 0, 0.0
        self.left: list[float] = []
        self.wanted: list[tuple[float, float]] = []
        """From when until when anybody waited."""

    async def acquire(self) -> None:
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting += 1
        try:
            await self._limiter.acquire()
            self.left.append(time.monotonic())
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.wanted.append((self._since, time.monotonic()))

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


def serve_first() -> None:
    """Has this session run before all others on the machine, and servers first; it takes root."""
    Path("/proc/self/autogroup").write_text("-20")
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


async def _ready(url: str) -> None:
    """Returns when all processes are to begin."""
    if os.sched_getscheduler(0) == os.SCHED_FIFO:  # the servers would be on machines of their own
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    async with Redis.from_url(url) as client:
        await client.incr("ready")
        while not await client.get("begin"):
            await asyncio.sleep(0.02)


async def scheduler(url: str) -> None:
    """Is a scheduler of Dask that keeps an allowance, until it is killed; Redis tells where."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as own:
        await Keeper().start(own)
        async with Redis.from_url(url) as client:
            await client.set("scheduler", own.address)
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def limiting(name: str, redis: str) -> AsyncIterator[Noted]:
    """The limiter of this process, which is a worker of Dask if that is needed."""
    async with contextlib.AsyncExitStack() as stack:
        if name == "Dask":
            await stack.enter_async_context(_worker(redis))
        limiter = Noted(name, redis)
        stack.push_async_callback(limiter.aclose)
        yield limiter


@contextlib.asynccontextmanager
async def _worker(redis: str) -> AsyncIterator[None]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    async with Redis.from_url(redis) as client:
        while not (address := await client.get("scheduler")):
            await asyncio.sleep(0.02)
    with tempfile.TemporaryDirectory() as scratch:
        options: dict[str, Any] = {"nthreads": 1, "dashboard": False, "local_directory": scratch}
        async with Worker(address.decode(), **options) as own:
            _worker_cvar.set(own)  # as where Dask runs a task
            yield


async def loops(api: str, name: str, redis: str, seconds: float, busy: bool) -> list[float]:
    """Lets tasks ask as fast as they can, once all are ready, for so many seconds.

    Returns when their requests left.
    """
    async with (
        limiting(name, redis) as limiter,
        CallMeBackClient("token", base_url=api, limiter=limiter) as client,
    ):
        await _ready(redis)
        until = time.monotonic() + seconds
        occupation = asyncio.create_task(_occupy(random.Random(os.getpid()), busy))
        await asyncio.gather(*(_job(client, until) for _ in range(TASKS)))
        occupation.cancel()
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


@attrs.frozen
class Exported:
    """What a process has exported."""

    files: int
    """Those that are complete."""
    wanted: list[tuple[float, float]]
    """From when until when anything waited for the allowance."""


async def export(
    api: str, token: str, name: str, redis: str, first: int, last: int, page_size: int
) -> Exported:
    """Exports accounts to Parquet, once all are ready."""
    with tempfile.TemporaryDirectory() as to:
        plan = Plan(to=Path(to), resources=RESOURCES, format="parquet", page_size=page_size)
        plan.sink.check(Path(to))  # loads what would be loaded before the first request
        accounts = [Account(f"account-{n:03}", token, base_url=api) for n in range(first, last)]
        async with limiting(name, redis) as limiter:
            exports = Exports(accounts, plan, limiter=limiter, slots=TASKS)
            await _ready(redis)
            summary = await exports.run()
    return Exported(sum(job.state == "done" for job in summary.jobs), limiter.wanted)
