"""Claim: a client that knows no rate limit finds one where there is one, and loses little where
refusals come without a reason: 90 % of the throughput is kept with 0.2 % of them, 60 % with 2 %;
after a limit is lifted it is fast again within 15 s.

On virtual time, through the package's own chain of stages.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import attrs

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.throttling import SITUATIONS, Outcome, simulate


def measure(names: Iterable[str], seed: int) -> dict[str, Outcome]:
    """Simulates each situation, and prints the table."""
    found = {}
    for name in names:
        found[name] = done = simulate(attrs.evolve(SITUATIONS[name], seed=seed))
        print(
            f"{name:<45} {done.share:6.1%} of the ideal {done.refused:6} refused "
            f"({done.refusals:.2%}) {done.failed:4} calls failed",
            flush=True,
        )
    return found


def failures(outcomes: dict[str, Outcome]) -> list[str]:
    """What contradicts the claim."""
    wrong = []
    for name, done in outcomes.items():
        if done.share < done.situation.least:
            wrong.append(f"{name}: {done.share:.1%}, less than {done.situation.least:.0%}")
        if done.refusals > done.situation.most:
            wrong.append(f"{name}: {done.refusals:.2%} refused, over {done.situation.most:.1%}")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("throttle", __doc__, "--only strays")
    command.add("--only", "", "situations whose name contains this", metavar="TEXT")
    given = command.parse(arguments)
    return bool(conclude(failures(measure([n for n in SITUATIONS if given.only in n], given.seed))))


if __name__ == "__main__":
    sys.exit(main())
