"""Claim: a walk yields every row that exists throughout exactly once, or says that it could not,
whatever rows come and go and in whatever order the responses arrive.

A state machine (hypothesis) looks for a counter-example and shrinks it; `--random N` runs N random
scenarios instead, which is faster, and takes steps away from one that fails.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter

from hypothesis import seed as seeded

from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.walk_model.client import Outcomes
from benchmarks.harness.walk_model.machine import machine_of, run_machine
from benchmarks.harness.walk_model.scenario import KINDS, Scenario, run, scenario_of, shrunk


def run_machines(
    examples: int, steps: int, seed: int, kinds: list[str], outcomes: Outcomes
) -> list[str]:
    """Runs so many examples for all machines together; returns what they found."""
    failures = []
    for kind in kinds:
        machine = seeded(seed)(machine_of(kind, outcomes))
        each = max(1, examples // len(kinds))
        try:
            run_machine(machine, each, steps, deadline=None, database=None)
        except Exception:
            failures.append(f"{kind}: a walk that breaks its contract")
            traceback.print_exc(limit=-1, file=sys.stdout)
    return failures


def run_scenarios(
    count: int, steps: int, seed: int, kinds: list[str], outcomes: Outcomes
) -> list[str]:
    """Runs so many random scenarios, and prints the first that failed, shrunk."""
    failures: dict[int, str] = {}
    for number in range(seed, seed + count):
        scenario = scenario_of(number, steps, kinds)
        try:
            outcomes.update(run(scenario).outcomes)
        except Exception as error:
            failures[number] = f"{scenario[0][0]}: {error!s:.200} (--only {number})"
    if failures:
        print_shrunk(scenario_of(next(iter(failures)), steps, kinds))
    return list(failures.values())


def print_shrunk(scenario: Scenario) -> None:
    """Prints what happens in the scenario that is left when it is made shorter, if it fails."""
    try:
        run(shrunk(scenario))
    except Exception:
        traceback.print_exc(limit=-1, file=sys.stdout)


def table(outcomes: Outcomes) -> str:
    """How walks ended: a line for each server and way to walk."""
    ends = [name for name, _ in sum_by(outcomes, -1).most_common()]
    width = max((len(server) for server, *_ in outcomes), default=0)
    lines = [f"{'server':<{width}} walk   " + " ".join(f"{name:>16}" for name in ends)]
    for server, by in sorted({key[:2] for key in outcomes}):
        row = Counter({key: n for key, n in outcomes.items() if key[:2] == (server, by)})
        counts = sum_by(row, -1)
        lines.append(
            f"{server:<{width}} {by:<6} " + " ".join(f"{counts[name] or '':>16}" for name in ends)
        )
    return "\n".join(lines)


def sum_by(outcomes: Outcomes, place: int) -> Counter[str]:
    """The counts by one part of their keys."""
    counts: Counter[str] = Counter()
    for key, count in outcomes.items():
        counts[key[place]] += count
    return counts


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("model", __doc__, "--examples 2000 --steps 200")
    command.add("--examples", 500, "examples for all machines together")
    command.add("--steps", 200, "steps of an example")
    command.add("--random", 0, "N random scenarios, no state machine", metavar="N")
    command.add("--kinds", list(KINDS), "kinds of walks", choices=list(KINDS))
    command.add("--only", None, "shrinks random scenario N and prints it", type=int, metavar="N")
    given = command.parse(arguments)
    if given.only is not None:
        print_shrunk(scenario_of(given.only, given.steps, given.kinds))
        return 0
    outcomes: Outcomes = Counter()
    began = time.monotonic()
    work, count = (run_scenarios, given.random) if given.random else (run_machines, given.examples)
    failures = work(count, given.steps, given.seed, given.kinds, outcomes)
    print(table(outcomes))
    for place, name in ((2, "the table was"), (3, "the walk was"), (4, "outcomes")):
        print(f"{name}: {counted(sum_by(outcomes, place))}")
    took = time.monotonic() - began
    print(f"{count} examples of {given.steps} steps, {outcomes.total()} walks in {took:.1f} s")
    return bool(conclude(failures))


if __name__ == "__main__":
    sys.exit(main())
