"""Claim: a shared `RateLimit` uses 97 % of an allowance with 8 jobs and 95 % with 32, and meets not
one 429; and a client that knows no limit finds it: within 60 s at most 1 % of its requests are
429s, and 85 % of the allowance is used.

In real time (but see `--skipping`), against servers that count 60 requests per 2 s in a fixed
window, in a sliding window and by a token bucket, beside aiolimiter's `AsyncLimiter` through the
same client.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, redirect_stdout
from functools import partial
from io import StringIO

import attrs

from benchmarks.harness.claim import Claim, Sample, Timer, installed
from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.peer import Asked, Connection, Reply, http, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.limits import Limiter, RateLimit

ALLOWED = 60
PERIOD = 2.0
LATENCY = 0.4
ITEM = http(b'{"data": {"id": 1}, "links": {}}')
REFUSED = http(b'{"message": "Too many requests"}', "429 Too Many Requests")


def fixed_window() -> Callable[[float], bool]:
    """Admits so many requests in each period of the clock."""
    window, count = -math.inf, 0

    def admit(now: float) -> bool:
        nonlocal window, count
        if now // PERIOD != window:
            window, count = now // PERIOD, 0
        count += 1
        return count <= ALLOWED

    return admit


def sliding_window() -> Callable[[float], bool]:
    """Admits so many requests in any period."""
    passed: deque[float] = deque(maxlen=ALLOWED)

    def admit(now: float) -> bool:
        if len(passed) == ALLOWED and now - passed[0] < PERIOD:
            return False
        passed.append(now)
        return True

    return admit


def token_bucket() -> Callable[[float], bool]:
    """Admits what a bucket of so many tokens, filled evenly, has left."""
    tokens, at = float(ALLOWED), 0.0

    def admit(now: float) -> bool:
        nonlocal tokens, at
        tokens = (
            min(ALLOWED, tokens + (now - at) * ALLOWED / PERIOD) if tokens < ALLOWED else tokens
        )
        at = now
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
    """One row of the table."""

    server: str
    limiter: str
    jobs: int
    jittered: bool
    requests: int
    refused: int
    used: float

    def __str__(self) -> str:
        share = self.refused / self.requests if self.requests else 0.0
        return (
            f"{self.server:<15} {self.limiter:<11} {self.jobs:>3} jobs  "
            f"{'jitter' if self.jittered else '':<7} {self.requests:>6} requests  "
            f"{self.refused:>5} x 429 ({share:.2%})  {self.used:6.1%} used"
        )


def failures(cells: Sequence[Cell]) -> list[str]:
    """What of the claim does not hold in *cells*.

    One job can't use the allowance with such a latency, so nothing is claimed for it.
    """
    found = []
    for each in cells:
        if each.limiter == "aiolimiter" or each.jobs == 1:
            continue
        known = each.limiter != "none"
        most, wanted = (0.0, 0.97 if each.jobs == 8 else 0.95) if known else (0.01, 0.85)
        if each.used < wanted:
            found.append(f"less than {wanted:.0%} used: {each}")
        if each.refused > most * each.requests:
            found.append(f"too many 429s: {each}")
    return found


def _limiter(name: str) -> Limiter | None:
    if name == "RateLimit":
        return RateLimit(ALLOWED, per=PERIOD)
    if name == "aiolimiter":
        from aiolimiter import AsyncLimiter  # only who asks for the comparison needs it

        return AsyncLimiter(ALLOWED, PERIOD)
    return None


async def cell(
    server: str, limiter: str, jobs: int, jittered: bool, warm_up: float, seconds: float, seed: int
) -> Cell:
    """Lets *jobs* ask as fast as they can, and counts for *seconds* after the *warm_up*.

    A limiter that knows the rate must not meet a 429 in the warm-up either.
    """
    rng = random.Random(f"{seed} {server} {limiter} {jobs} {jittered}")
    admit, counts, loop = SERVERS[server](), Counts(), asyncio.get_running_loop()

    def answer(asked: Asked) -> Reply:
        if not admit(loop.time()):
            counts.refused += 1
            return Reply(parts=(REFUSED,))
        counts.admitted += 1
        return Reply(parts=(ITEM,), delay=rng.uniform(0, LATENCY))

    async def job(client: CallMeBackClient) -> None:
        while True:
            try:
                await client.settings.get(1)
            except CallMeBackError:
                await asyncio.sleep(0.01)

    async with AsyncExitStack() as stack:
        _, port = await stack.enter_async_context(serving(answer, Late if jittered else Connection))
        client = await stack.enter_async_context(
            CallMeBackClient(
                "token",
                base_url=f"http://127.0.0.1:{port}",
                config=ClientConfig(connections=max(jobs, 32)),
                limiter=_limiter(limiter),
            )
        )
        tasks = [asyncio.create_task(job(client)) for _ in range(jobs)]
        await asyncio.sleep(warm_up)
        if limiter == "none":
            counts.admitted = counts.refused = 0
        began, before = loop.time(), counts.admitted
        await asyncio.sleep(seconds)
        took, requests, refused = loop.time() - began, counts.requests, counts.refused
        used = (counts.admitted - before) / (ALLOWED / PERIOD * took)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Cell(
        server=server, limiter=limiter, jobs=jobs, jittered=jittered,
        requests=requests, refused=refused, used=used,
    )  # fmt: skip


async def campaign(
    limiters: Sequence[str], jobs: Sequence[int], seconds: float, settle: float, seed: int
) -> list[Cell]:
    """All cells; those that differ in server and jitter only run at the same time."""
    cells: list[Cell] = []
    for limiter in limiters:
        for count in jobs:
            # The first period is every limiter's burst, which the allowance does not tell apart.
            warm_up = settle if limiter == "none" else min(PERIOD, seconds)
            found = await asyncio.gather(
                *(
                    cell(server, limiter, count, jittered, warm_up, seconds, seed)
                    for server in SERVERS
                    for jittered in (False, True)
                )
            )
            cells += sorted(found, key=lambda each: each.jittered)
            print(*cells[-len(found) :], sep="\n", flush=True)
    return cells


def run(
    limiters: Sequence[str],
    jobs: Sequence[int],
    seconds: float,
    settle: float,
    seed: int,
    skipping: bool = False,
) -> list[str]:
    """Runs the campaign and prints its table; returns what of the claim does not hold."""
    began = time.monotonic()
    with asyncio.Runner(loop_factory=HurriedLoop if skipping else None) as runner:
        cells = runner.run(campaign(limiters, jobs, seconds, settle, seed))
    wrong = failures(cells)
    print(f"{len(cells)} cells of {seconds:g} s each in {time.monotonic() - began:.0f} s")
    print(*wrong or ["the claim holds"], sep="\n")
    return wrong


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """The least that is used of an allowance on any of the servers, and all the 429s."""
    seconds = 0.5 if quick else 10.0
    names = [
        name for name in LIMITERS if name != "none" and (name != "aiolimiter" or installed(name))
    ]
    found = []
    for jobs, target in ((8, 0.97), (32, 0.95)):
        refused: dict[str, list[Sample]] = {name: [] for name in names}

        def used(name: str, jobs: int, refused: dict[str, list[Sample]]) -> Sample:
            loop = HurriedLoop if quick else None
            with (
                redirect_stdout(StringIO()),
                Timer() as timer,
                asyncio.Runner(loop_factory=loop) as runner,
            ):
                cells = runner.run(campaign([name], [jobs], seconds, 0.0, 1))
            refused[name].append(timer.sample(float(sum(each.refused for each in cells))))
            return timer.sample(min(each.used for each in cells))

        what = f"{jobs} jobs, three kinds of servers with and without jitter"
        found += [
            Claim(
                name=f"allowance-{jobs}",
                says=f"allowance used by {what}",
                unit="of it",
                ours="RateLimit",
                limit=None,
                target=target,
                bound="at least",
                contenders={name: partial(used, name, jobs, refused) for name in names},
                digits=3,
            ),
            Claim(
                name=f"refusals-{jobs}",
                says=f"429s for {what}",
                unit="429s",
                ours="RateLimit",
                limit=None,
                target=0,
                contenders={name: partial(refused[name].pop, 0) for name in names},
                digits=0,
            ),
        ]
    yield found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.limiter", description=__doc__
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds counted for a cell")
    parser.add_argument("--settle", type=float, default=60.0, help="seconds to find the limit in")
    parser.add_argument("--jobs", type=int, nargs="*", default=[1, 8, 32])
    parser.add_argument("--limiters", nargs="*", default=list(LIMITERS), choices=LIMITERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a second a cell: proves nothing")
    parser.add_argument(
        "--skipping", action="store_true", help="skip idle time: for cells of many minutes"
    )
    given = parser.parse_args(arguments)
    if given.quick:
        run(given.limiters, [8], 1.0, 1.0, given.seed)
        return 0
    failed = run(
        given.limiters, given.jobs, given.seconds, given.settle, given.seed, given.skipping
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
