"""Claim: an outage is not answered with a flood, and no POST is made twice.

1,000 calls against a server that is down, or that answers 503, cost at most 1.1 requests a call
and 50 more; of 10,000 POSTs whose outcome is doubtful each is received exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter

from benchmarks.harness.peer import Asked, Reply, dead_port, http, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.retry import Backoff

AT_ONCE = 32


def _client(port: int, rng: random.Random) -> CallMeBackClient:
    # Waits that are next to none: what is counted is requests.
    policy = Backoff(base=0.0005, throttled_base=0.0005, cap=0.001, rng=rng.random)
    return CallMeBackClient(
        "token", base_url=f"http://127.0.0.1:{port}", config=ClientConfig(retry=policy)
    )


async def _calls(client: CallMeBackClient, count: int) -> int:
    """Makes *count* calls, some at once; returns how many ended in a documented error."""
    failed = 0
    left = iter(range(count))

    async def caller() -> None:
        nonlocal failed
        for _ in left:
            try:
                await client.settings.get(1)
            except CallMeBackError:
                failed += 1

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))
    return failed


async def dead_server(calls: int, seed: int) -> tuple[int, int]:
    """Calls to a port where nobody listens: failed calls and requests (attempts to connect)."""
    with dead_port() as port:
        async with _client(port, random.Random(seed)) as client:
            failed = await _calls(client, calls)
            return failed, client.usage.requests


async def failing_server(calls: int, seed: int) -> tuple[int, int]:
    """Calls to a server that answers 503: failed calls and requests that it received."""
    received = 0

    def answer(asked: Asked) -> Reply:
        nonlocal received
        received += 1
        return Reply(parts=(http(b"{}", "503 Service Unavailable"),))

    async with serving(answer) as (_, port), _client(port, random.Random(seed)) as client:
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

    def answer(asked: Asked) -> Reply:
        received[asked.body] += 1
        return _ambiguous(rng)

    left = iter(range(count))

    async def caller(client: CallMeBackClient) -> None:
        for number in left:
            try:
                await client.settings.create(name=f"post {number}")
            except CallMeBackError as error:
                if error.sent == "no":
                    received[f"not sent: {number}".encode()] += 100

    async with serving(answer) as (_, port), _client(port, rng) as client:
        await asyncio.gather(*(caller(client) for _ in range(AT_ONCE)))
    times = Counter(received.values())
    times[0] = count - len(received)
    return +times


def run(calls: int, posts: int, seed: int) -> bool:
    """Runs the campaign and prints its figures; returns whether the claim holds."""
    allowed = 1.1 * calls + 50
    holds = True
    for name, outage in (("dead server", dead_server), ("server with 503", failing_server)):
        began = time.monotonic()
        failed, requests = asyncio.run(outage(calls, seed))
        fine = failed == calls and calls <= requests <= allowed
        holds = holds and fine
        print(
            f"{name:<16} {calls} calls, {failed} failed, {requests} requests "
            f"({requests / calls:.3f} a call; at most {allowed:.0f} allowed) "
            f"in {time.monotonic() - began:.1f} s"
        )
    began = time.monotonic()
    times = asyncio.run(doubtful_posts(posts, seed))
    holds = holds and times == {1: posts}
    said = ", ".join(f"{count} received {often} x" for often, count in sorted(times.items()))
    print(f"{'doubtful POSTs':<16} {posts}: {said} in {time.monotonic() - began:.1f} s")
    print("the claim holds" if holds else "the claim does NOT hold")
    return holds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.outage", description=__doc__
    )
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--posts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    return not run(given.calls, given.posts, given.seed)


if __name__ == "__main__":
    sys.exit(main())
