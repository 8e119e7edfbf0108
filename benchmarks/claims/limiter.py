"""What is used of an allowance by jobs that share a limiter, and the 429s that they meet.

The least that is used on any of three kinds of servers, with and without jitter, and all 429s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.harness.claim import Claim, Sample, Timer, installed
from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.rate_limits import PERIOD, measure_cells

TARGETS = {8: 0.97, 32: 0.95}
NAMES = ("RateLimit", "aiolimiter")


def _used(name: str, jobs: int, quick: bool, refused: dict[str, list[Sample]]) -> Sample:
    """Measures the allowance that is used; the 429s are added to `refused`."""
    seconds, loop = (0.5, HurriedLoop) if quick else (10.0, None)
    warm_up = min(PERIOD, seconds)
    with Timer() as timer, asyncio.Runner(loop_factory=loop) as runner:
        cells = runner.run(measure_cells(name, jobs, warm_up, seconds, 1))
    refused[name].append(timer.sample(float(sum(each.refused for each in cells))))
    return timer.sample(min(each.used for each in cells))


def _claims(jobs: int, target: float, quick: bool) -> list[Claim]:
    names = [name for name in NAMES if name != "aiolimiter" or installed(name)]
    refused: dict[str, list[Sample]] = {name: [] for name in names}
    what = f"{jobs} jobs, three kinds of servers with and without jitter"
    return [
        Claim(
            name=f"allowance-{jobs}",
            says=f"allowance used by {what}",
            unit="of it",
            ours="RateLimit",
            limit=None,
            target=target,
            bound="at least",
            contenders={name: partial(_used, name, jobs, quick, refused) for name in names},
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


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """Two claims for each number of jobs."""
    yield [claim for jobs, target in TARGETS.items() for claim in _claims(jobs, target, quick)]
