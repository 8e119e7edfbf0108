"""Claim: a shared `RateLimit` uses 97 % of an allowance with 8 jobs and 95 % with 32, and meets not
one 429; and a client that knows no limit finds it: within 60 s at most 1 % of its requests are
429s, and 85 % of the allowance is used.

In real time (but see `--skipping`), against servers that count 60 requests per 2 s in a fixed
window, in a sliding window and by a token bucket, beside aiolimiter's `AsyncLimiter` through the
same client.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.rate_limits import LIMITERS, PERIOD, Cell, measure_cells


def failures(cells: Sequence[Cell]) -> list[str]:
    """What contradicts the claim.

    One job can't use the allowance with such a latency, so nothing is claimed for it.
    """
    wrong = []
    for each in cells:
        if each.limiter == "aiolimiter" or each.jobs == 1:
            continue
        known = each.limiter != "none"
        most, wanted = (0.0, 0.97 if each.jobs == 8 else 0.95) if known else (0.01, 0.85)
        if each.used < wanted:
            wrong.append(f"less than {wanted:.0%} used: {each}")
        if each.refused > most * each.requests:
            wrong.append(f"too many 429s: {each}")
    return wrong


async def measure(
    limiters: Sequence[str], jobs: Sequence[int], seconds: float, settle: float, seed: int
) -> list[Cell]:
    """Measures all limiters with all numbers of jobs, and prints the table."""
    table: list[Cell] = []
    for limiter in limiters:
        # The first period is every limiter's burst, which the allowance does not tell apart.
        warm_up = settle if limiter == "none" else min(PERIOD, seconds)
        for count in jobs:
            cells = await measure_cells(limiter, count, warm_up, seconds, seed)
            print(*cells, sep="\n", flush=True)
            table += cells
    return table


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("limiter", __doc__, "--limiters RateLimit --jobs 8 32")
    command.add("--seconds", 20.0, "seconds counted for a cell")
    command.add("--settle", 60.0, "seconds in which to find an unknown limit")
    command.add("--jobs", [1, 8, 32], "jobs that ask as fast as they can")
    command.add("--limiters", list(LIMITERS), "limiters to measure", choices=LIMITERS)
    command.add("--skipping", False, "skips idle time: for cells of many minutes")
    command.quick("a second a cell")
    given = command.parse(arguments)
    jobs, seconds, settle = given.jobs, given.seconds, given.settle
    if given.quick:
        jobs, seconds, settle = [8], 1.0, 1.0
    began = time.monotonic()
    with asyncio.Runner(loop_factory=HurriedLoop if given.skipping else None) as runner:
        cells = runner.run(measure(given.limiters, jobs, seconds, settle, given.seed))
    print(f"{len(cells)} cells of {seconds:g} s each in {time.monotonic() - began:.0f} s")
    if given.quick:
        return 0
    return bool(conclude(failures(cells)))


if __name__ == "__main__":
    sys.exit(main())
