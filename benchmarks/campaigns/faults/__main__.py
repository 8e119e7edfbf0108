"""Claim: whatever goes wrong on the wire, a walk loses, doubles and reorders no row, a POST is
executed at most once, every failure is a documented exception that is right about what happened,
and what could succeed within its attempts does.

Each schedule is a client of its own, one to four operations and a fault for a random share of their
requests, all drawn from one number. Nobody can tell an unsolicited response that crosses the next
request from that one's own: a schedule in which it happens is counted, not judged.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from benchmarks.campaigns.faults.operations import Result
from benchmarks.campaigns.faults.schedule import Schedule
from benchmarks.campaigns.faults.server import ScheduleServer
from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.peer import RawRequest, Reply, closed_port, serving


async def campaign(
    seeds: range, most_concurrent: int, each: Callable[[Result], None], stop_at: float
) -> None:
    """Runs the schedules one after the other, until `stop_at` at the latest."""
    servers: dict[str, ScheduleServer] = {}

    def respond(request: RawRequest) -> Reply:
        seed, _, path = request.path.lstrip("/").partition("/")
        server = servers.get(seed)  # None: a request whose schedule has ended
        return Reply(end="close") if server is None else server.respond(request, f"/{path}")

    with closed_port() as dead:
        async with serving(respond) as (_, live):
            for seed in seeds:
                schedule = Schedule(seed, most_concurrent)
                servers = {str(seed): schedule.server}
                each(await schedule.run(live, dead.getsockname()[1]))
                if time.monotonic() > stop_at:
                    break


def run(
    schedules: int,
    seed: int,
    most_concurrent: int = 16,
    only: int | None = None,
    seconds: float = 3600.0,
) -> list[str]:
    """Runs the campaign and prints what came of it; returns what was wrong in which schedule."""
    seeds = range(only, only + 1) if only is not None else range(seed, seed + schedules)
    total = Result(seeds.start)
    failures: list[str] = []
    done = 0

    def each(result: Result) -> None:
        nonlocal done
        done += 1
        total.add(result)
        if only is not None or result.wrong:
            print(*(f"    {line}" for line in result.log), sep="\n", flush=True)
        if result.wrong:
            what = f"schedule {result.seed} is wrong (--only {result.seed}):"
            failures.append("\n  ".join([what, *result.wrong]))

    began = time.monotonic()
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(campaign(seeds, most_concurrent, each, began + seconds))
    took = time.monotonic() - began
    print(
        f"{done} schedules from {seeds.start}, {total.requests} requests, "
        f"{total.rows} rows in {took:.1f} s ({done / took:.0f} schedules/s)"
    )
    print("outcomes:", counted(total.outcomes))
    print("met:", counted(total.kinds))
    print(f"wrong: {len(failures)}")
    return conclude(failures)


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("faults", __doc__, "--schedules 20000 --seed 1")
    command.add("--schedules", 10_000, "schedules, numbered from the seed on")
    command.add("--concurrency", 16, "the most page requests that a walk has in flight")
    command.add(
        "--only", None, "runs schedule N alone and prints what it did", type=int, metavar="N"
    )
    command.add("--seconds", 3600.0, "stops after the schedule in which they are over")
    given = command.parse(arguments)
    concurrency = given.concurrency
    return bool(run(given.schedules, given.seed, concurrency, given.only, given.seconds))


if __name__ == "__main__":
    sys.exit(main())
