"""An allowance of requests: servers that enforce it, and clients that are measured against it.

The servers count 60 requests per 2 s in a fixed window, in a sliding window and by a token bucket.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import Callable

import attrs

from benchmarks.harness.peer import Connection, RawRequest, Reply, http, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.limits import Limiter, RateLimit

ALLOWED = 60
PERIOD = 2.0
LATENCY = 0.4
ITEM = http(b'{"data": {"id": 1}, "links": {}}')
REFUSED = http(b'{"message": "Too many requests"}', "429 Too Many Requests")


Admit = Callable[[float, float], bool]
"""`(now, requests a second that are allowed now)` -> whether one more is admitted."""


def fixed_window(period: float) -> Admit:
    """Admits so many requests in each period of the clock."""
    window, count = -math.inf, 0

    def admit(now: float, rate: float) -> bool:
        nonlocal window, count
        if now // period != window:
            window, count = now // period, 0
        count += 1
        return count <= rate * period

    return admit


def sliding_window(period: float) -> Admit:
    """Admits so many requests in any period."""
    passed: deque[float] = deque()

    def admit(now: float, rate: float) -> bool:
        while passed and now - passed[0] >= period:
            passed.popleft()
        if len(passed) >= rate * period:
            return False
        passed.append(now)
        return True

    return admit


def token_bucket(period: float) -> Admit:
    """Admits what a bucket has left that holds a period's tokens and is filled evenly."""
    tokens, at = math.inf, 0.0

    def admit(now: float, rate: float) -> bool:
        nonlocal tokens, at
        tokens, at = min(rate * period, tokens + (now - at) * rate), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return admit


SERVERS = {
    "fixed window": fixed_window,
    "sliding window": sliding_window,
    "token bucket": token_bucket,
}
LIMITERS = ("RateLimit", "aiolimiter", "none")


@attrs.define
class Counts:
    """What a server has admitted and refused since it began to count."""

    admitted: int = 0
    refused: int = 0

    @property
    def requests(self) -> int:
        return self.admitted + self.refused


class Late(Connection):
    """A connection on which requests take a while to arrive."""

    jitter = 0.03
    rng = random.Random(0)

    def data_received(self, data: bytes) -> None:
        self._loop.call_later(self.rng.uniform(0, self.jitter), super().data_received, data)


@attrs.frozen(kw_only=True)
class Cell:
    """One line of the table: a limiter at a server."""

    server: str
    limiter: str
    jobs: int
    jittered: bool
    requests: int
    refused: int
    used: float
    """The share of the allowance."""

    def __str__(self) -> str:
        share = self.refused / self.requests if self.requests else 0.0
        return (
            f"{self.server:<15} {self.limiter:<11} {self.jobs:>3} jobs  "
            f"{'jitter' if self.jittered else '':<7} {self.requests:>6} requests  "
            f"{self.refused:>5} x 429 ({share:.2%})  {self.used:6.1%} used"
        )


def _limiter(name: str) -> Limiter | None:
    if name == "RateLimit":
        return RateLimit(ALLOWED, per=PERIOD)
    if name == "aiolimiter":
        from aiolimiter import AsyncLimiter  # only who asks for the comparison needs it

        return AsyncLimiter(ALLOWED, PERIOD)
    return None


class Meter:
    """A server whose allowance some jobs use as fast as they can, counted."""

    def __init__(self, server: str, rng: random.Random) -> None:
        self.counts = Counts()
        self._admit = SERVERS[server](PERIOD)
        self._rng = rng
        self.now = asyncio.get_running_loop().time

    def respond(self, request: RawRequest) -> Reply:
        if not self._admit(self.now(), ALLOWED / PERIOD):
            self.counts.refused += 1
            return Reply(parts=(REFUSED,))
        self.counts.admitted += 1
        return Reply(parts=(ITEM,), delay=self._rng.uniform(0, LATENCY))

    async def job(self, client: CallMeBackClient) -> None:
        """Makes one call after the other."""
        while True:
            try:
                await client.settings.get(1)
            except CallMeBackError:
                await asyncio.sleep(0.01)

    async def used(self, seconds: float) -> float:
        """The share of the allowance that is used in the next `seconds`."""
        began, before = self.now(), self.counts.admitted
        await asyncio.sleep(seconds)
        admitted = self.counts.admitted - before
        return admitted / (ALLOWED / PERIOD * (self.now() - began))


async def measure_cell(
    server: str, limiter: str, jobs: int, jittered: bool, warm_up: float, seconds: float, seed: int
) -> Cell:
    """Lets so many jobs ask as fast as they can, and counts for `seconds` after the `warm_up`.

    A limiter that knows the rate must not meet a 429 in the warm-up either.
    """
    meter = Meter(server, random.Random(f"{seed} {server} {limiter} {jobs} {jittered}"))
    async with (
        serving(meter.respond, Late if jittered else Connection) as (_, port),
        CallMeBackClient(
            "token",
            base_url=f"http://127.0.0.1:{port}",
            config=ClientConfig(connections=max(jobs, 32)),
            limiter=_limiter(limiter),
        ) as client,
    ):
        tasks = [asyncio.create_task(meter.job(client)) for _ in range(jobs)]
        await asyncio.sleep(warm_up)
        if limiter == "none":
            meter.counts = Counts()
        used = await meter.used(seconds)
        counts = attrs.evolve(meter.counts)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Cell(
        server=server,
        limiter=limiter,
        jobs=jobs,
        jittered=jittered,
        requests=counts.requests,
        refused=counts.refused,
        used=used,
    )


async def measure_cells(
    limiter: str, jobs: int, warm_up: float, seconds: float, seed: int
) -> list[Cell]:
    """Measures a limiter at all servers at the same time, with and without jitter."""
    cells = await asyncio.gather(
        *(
            measure_cell(server, limiter, jobs, jittered, warm_up, seconds, seed)
            for jittered in (False, True)
            for server in SERVERS
        )
    )
    return list(cells)
