"""Claim: an outage is not met with a flood of requests, and no POST is made twice.

1,000 calls against a server that is down, or that responds 503, cost at most 1.1 requests a call
and 50 more; each of 10,000 POSTs with a doubtful outcome is received exactly once.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.peer import RawRequest, Reply, closed_port, http, serving
from benchmarks.harness.workers import run_jobs
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.retry import Backoff

AT_ONCE = 32
T = TypeVar("T")


def _client(port: int, rng: random.Random) -> CallMeBackClient:
    # Waits that are next to none: what is counted is requests.
    policy = Backoff(base=0.0005, cap=0.001, rng=rng.random)
    return CallMeBackClient(
        "token", base_url=f"http://127.0.0.1:{port}", config=ClientConfig(retry=policy)
    )


async def _calls(client: CallMeBackClient, count: int) -> int:
    """Makes so many calls, some at once; returns how many ended in a documented error."""
    failed = 0

    async def call(_: int) -> None:
        nonlocal failed
        try:
            await client.settings.get(1)
        except CallMeBackError:
            failed += 1

    await run_jobs(call, count, AT_ONCE)
    return failed


async def dead_server(calls: int, seed: int) -> tuple[int, int]:
    """Calls to a port where nobody listens: failed calls and requests (attempts to connect)."""
    with closed_port() as bound:
        async with _client(bound.getsockname()[1], random.Random(seed)) as client:
            failed = await _calls(client, calls)
            return failed, client.usage.requests


async def failing_server(calls: int, seed: int) -> tuple[int, int]:
    """Calls to a server that responds 503: failed calls and requests that it received."""
    received = 0

    def respond(request: RawRequest) -> Reply:
        nonlocal received
        received += 1
        return Reply(parts=(http(b"{}", "503 Service Unavailable"),))

    async with serving(respond) as (_, port), _client(port, random.Random(seed)) as client:
        failed = await _calls(client, calls)
    return failed, received


def _ambiguous(rng: random.Random) -> Reply:
    """What leaves it open whether the POST was carried out."""
    made = http(b'{"data": {"id": 1}, "links": {}}', "201 Created")
    return rng.choice(
        (
            Reply(end="close"),
            Reply(end="reset"),
            Reply(parts=(made[:30],), end="close"),
            Reply(parts=(made[:-5],), end="close"),
            Reply(parts=(http(b"{}", "500 Failing"),)),
            Reply(parts=(http(b"{}", "502 Failing"),)),
            Reply(parts=(http(b"{}", "503 Failing"),)),
            Reply(parts=(http(b"{}", "504 Failing"),)),
            Reply(parts=(http(b"<html>", "200 OK"),)),
            Reply(parts=(http(b"", "201 Created"),)),
            Reply(parts=(made,)),
        )
    )


async def doubtful_posts(count: int, seed: int) -> Counter[int]:
    """POSTs that meet ambiguous faults: how many were received how often."""
    rng = random.Random(seed)
    received: Counter[bytes] = Counter()

    def respond(request: RawRequest) -> Reply:
        received[request.body] += 1
        return _ambiguous(rng)

    async def post(number: int) -> None:
        try:
            await client.settings.create(name=f"post {number}")
        except CallMeBackError as error:
            if error.sent == "no":
                received[f"not sent: {number}".encode()] += 100

    async with serving(respond) as (_, port), _client(port, rng) as client:
        await run_jobs(post, count, AT_ONCE)
    times = Counter(received.values())
    times[0] = count - len(received)
    return +times


def _hurried(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` without the pauses that a client makes after several 503s."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(work)


def run(calls: int, posts: int, seed: int) -> list[str]:
    """Runs the campaign and prints its figures; returns what contradicts the claim."""
    allowed, failures = 1.1 * calls + 50, []
    for name, outage in (("dead server", dead_server), ("server with 503", failing_server)):
        began = time.monotonic()
        failed, requests = _hurried(outage(calls, seed))
        line = (
            f"{name:<16} {calls} calls, {failed} failed, {requests} requests "
            f"({requests / calls:.3f} a call; at most {allowed:.0f} allowed)"
        )
        print(f"{line} in {time.monotonic() - began:.1f} s")
        if failed != calls or not calls <= requests <= allowed:
            failures.append(line)
    began = time.monotonic()
    times = _hurried(doubtful_posts(posts, seed))
    received = ", ".join(f"{count} received {often} x" for often, count in sorted(times.items()))
    line = f"{'doubtful POSTs':<16} {posts}: {received}"
    print(f"{line} in {time.monotonic() - began:.1f} s")
    return conclude(failures if times == {1: posts} else [*failures, line])


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("outage", __doc__, "--calls 1000 --posts 10000")
    command.add("--calls", 1_000, "calls to each of the servers that are out")
    command.add("--posts", 10_000, "POSTs that meet an ambiguous fault")
    given = command.parse(arguments)
    return bool(run(given.calls, given.posts, given.seed))


if __name__ == "__main__":
    sys.exit(main())
