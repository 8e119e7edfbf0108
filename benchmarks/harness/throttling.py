"""Clients that know no limit, at servers that refuse requests, on virtual time.

`SITUATIONS` names what has to go well, and how well.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from functools import partial

import attrs

from benchmarks.harness.clocks import VirtualLoop
from benchmarks.harness.rate_limits import SERVERS
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.http import Handler, Request, Response, chain
from voipstudio_cmb.middleware.deadline import Deadline
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.retry import Retry
from voipstudio_cmb.middleware.status import check_status
from voipstudio_cmb.retry import Backoff, RetryBudget

OK = Response(status=200, body=b"{}")


@attrs.frozen(kw_only=True)
class Situation:
    """A server, and the clients that use it as fast as they can."""

    server: str = "no limit"
    rate: float | Callable[[float], float] = math.inf
    """The requests a second that it allows, or a function of the seconds since the beginning."""
    period: float = 2.0
    stray: float = 0.0
    """The share of the requests that it refuses without a reason."""
    refusal: Response = attrs.field(factory=lambda: Response(status=429))
    jobs: int = 8
    clients: int = 1
    latency: tuple[float, float] = (0.0, 0.4)
    """Seconds to a response, evenly distributed."""
    way: float = 0.03
    """The most seconds of them that are spent on the way, which is all that a refusal takes."""
    awake: float = 1.0
    """The share of each two minutes in which the clients do anything."""
    settle: float = 60.0
    """Seconds that are not counted."""
    seconds: float = 60.0
    seed: int = 1
    least: float = 0.85
    """The share of the ideal that is wanted."""
    most: float = 1.0
    """The largest share of refusals that is wanted."""

    def allowed(self, at: float) -> float:
        return self.rate(at) if callable(self.rate) else self.rate

    @property
    def ideal(self) -> float:
        """The requests that could have passed in the time that is counted."""
        busy = self.jobs * self.clients / (sum(self.latency) / 2)
        steps = 1000
        times = (self.settle + self.seconds * (n + 0.5) / steps for n in range(steps))
        used = sum(min(busy, self.allowed(at)) for at in times if at % 120.0 < 120.0 * self.awake)
        return used * self.seconds / steps


@attrs.define
class Outcome:
    """What became of the requests in the time that is counted."""

    situation: Situation
    passed: int = 0
    refused: int = 0
    failed: int = 0
    """Calls that ended in an error."""

    @property
    def share(self) -> float:
        """What passed, of the ideal."""
        return self.passed / self.situation.ideal

    @property
    def refusals(self) -> float:
        """The share of the requests that were refused."""
        return self.refused / max(1, self.passed + self.refused)


def simulate(situation: Situation) -> Outcome:
    """Lets the clients work for the situation's time."""
    outcome = Outcome(situation)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_simulated(outcome))
    return outcome


async def _simulated(outcome: Outcome) -> None:
    situation = outcome.situation
    rng = random.Random(situation.seed)
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = began + situation.settle + situation.seconds
    limit = SERVERS.get(situation.server, lambda period: lambda now, rate: True)
    admit = limit(situation.period)

    async def server(request: Request) -> Response:
        low, high = situation.latency
        latency = rng.uniform(low, high)
        way = min(rng.uniform(0, situation.way), latency)
        await asyncio.sleep(way / 2)
        now = loop.time()
        counted = began + situation.settle <= now < end
        passes = rng.random() >= situation.stray
        passes = passes and admit(now, situation.allowed(now - began))
        await asyncio.sleep(latency - way / 2 if passes else way / 2)
        if counted:
            outcome.passed += passes
            outcome.refused += not passes
        return OK if passes else situation.refusal

    async def job(handler: Handler) -> None:
        while True:
            at = (loop.time() - began) % 120.0
            if at >= 120.0 * situation.awake:
                await asyncio.sleep(120.0 - at)
            try:
                await handler(Request(method="GET", path="/x"))
            except CallMeBackError:
                outcome.failed += 1
                await asyncio.sleep(0.01)

    stages = [
        [Deadline(60.0, None), Retry(Backoff(rng=rng.random), RetryBudget()), check_status, Limit()]
        for _ in range(situation.clients)
    ]
    tasks = [
        asyncio.create_task(job(chain(server, client)))
        for client in stages
        for _ in range(situation.jobs)
    ]
    await asyncio.sleep(end - loop.time())
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stepping(before: float, after: float, at: float = 60.0) -> Callable[[float], float]:
    return lambda now: before if now < at else after


def _situations() -> dict[str, Situation]:
    found = {}
    for jobs, latency, seconds in [
        (1, (0.001, 0.003), 20.0), (1, (0.0, 0.4), 600.0), (8, (0.001, 0.003), 4.0),
        (8, (0.02, 0.06), 40.0), (8, (0.0, 0.4), 200.0), (64, (0.02, 0.06), 6.0),
        (64, (0.0, 0.4), 30.0), (64, (0.4, 0.4), 60.0),
    ]:  # fmt: skip
        low, high = (round(1000 * each) for each in latency)
        for stray, least in ((0.002, 0.9), (0.02, 0.6)):
            found[f"no limit, {stray:.1%} strays, {jobs} jobs, {low}-{high} ms"] = Situation(
                stray=stray, jobs=jobs, latency=latency, seconds=seconds, settle=2.0, least=least
            )
    for server in SERVERS:
        limited = Situation(server=server, rate=30.0)
        evolve = partial(attrs.evolve, limited)
        found |= {
            f"{server}, 8 jobs": evolve(seconds=120.0, most=0.01),
            f"{server}, 32 jobs": evolve(jobs=32, seconds=120.0, most=0.025),
            f"{server}, 2 clients": evolve(clients=2, latency=(0.01, 0.03), least=0.8, most=0.06),
            f"{server}, 5 clients": evolve(clients=5, least=0.8, most=0.1),
            f"{server}, 0.2% strays": evolve(jobs=32, stray=0.002, least=0.7, most=0.06),
            f"{server}, 300/s, 64 jobs": evolve(
                rate=300.0, jobs=64, latency=(0.05, 0.15), settle=20.0, seconds=20.0, most=0.04
            ),
            f"{server}, 100/s to 30/s": evolve(
                rate=_stepping(100.0, 30.0), jobs=32, settle=75.0, seconds=45.0, most=0.04
            ),
            f"{server}, 30/s to 100/s": evolve(
                rate=_stepping(30.0, 100.0), jobs=32, settle=75.0, seconds=45.0,
                least=0.8, most=0.04,
            ),
            f"{server}, 30/s lifted": evolve(
                rate=_stepping(30.0, math.inf), jobs=32, settle=75.0, seconds=15.0, least=0.95
            ),
            f"{server}, 5/s lifted": evolve(
                rate=_stepping(5.0, math.inf), latency=(0.005, 0.015), settle=75.0, seconds=2.0,
                least=0.95,
            ),
            f"{server}, quiet nights": evolve(
                latency=(0.01, 0.03), awake=0.5, settle=120.0, seconds=480.0, most=0.04
            ),
        }  # fmt: skip
    return found


SITUATIONS = _situations()
