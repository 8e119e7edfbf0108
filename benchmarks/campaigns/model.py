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
from itertools import product

from hypothesis import seed as seeded

from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.walk_model.client import RESUMED, Outcomes
from benchmarks.harness.walk_model.habits import HABITS, HELD, habit_of
from benchmarks.harness.walk_model.machine import machine_of, run_machine
from benchmarks.harness.walk_model.scenario import KINDS, Scenario, run, scenario_of, shrunk
from benchmarks.harness.walk_model.temper import HONEST
from voipstudio_cmb.errors import WalkError

MOST_ERRORS = 0.01
"""The largest share of walks over an honest server that may end in an error."""


def run_machines(
    examples: int, steps: int, seed: int, kinds: list[str], habits: list[str], outcomes: Outcomes
) -> list[str]:
    """Runs so many examples for all machines together; returns what they found."""
    failures = []
    for kind in kinds:
        machine = seeded(seed)(machine_of(kind, outcomes, habits))
        each = max(1, examples // len(kinds))
        try:
            run_machine(machine, each, steps, deadline=None, database=None)
        except Exception:
            failures.append(f"{kind}: a walk that breaks its contract")
            traceback.print_exc(limit=-1, file=sys.stdout)
    return failures


def run_scenarios(
    count: int, steps: int, seed: int, kinds: list[str], habits: list[str], outcomes: Outcomes
) -> list[str]:
    """Runs so many random scenarios, and prints the first that failed, shrunk."""
    failures: dict[int, str] = {}
    for number in range(seed, seed + count):
        scenario = scenario_of(number, steps, kinds, habits)
        try:
            outcomes.update(run(scenario).outcomes)
        except Exception as error:
            failures[number] = _line(number, scenario, error)
    if failures:
        print_shrunk(scenario_of(next(iter(failures)), steps, kinds, habits))
    return list(failures.values())


def _line(number: int, scenario: Scenario, error: Exception) -> str:
    kind, temper = scenario[0][:2]
    return f"{kind}, {habit_of(str(temper))} ({temper}): {error!s:.100} (--only {number})"


def print_shrunk(scenario: Scenario) -> None:
    """Prints what happens in the scenario that is left when it is made shorter, if it fails."""
    try:
        run(shrunk(scenario))
    except Exception:
        traceback.print_exc(limit=-1, file=sys.stdout)


EARLY = ("ended early", "cursor refused", "ClientMisuse")
"""Walks that the consumer ended, or that never began."""

DRIFT = tuple(kind.__name__ for kind in (WalkError, *WalkError.__subclasses__()))


def table(outcomes: Outcomes) -> str:
    """How walks ended: a line for each habit and way to walk, in parts of a hundred."""
    ended = Counter({key: n for key, n in outcomes.items() if key[-1] not in EARLY})
    ends = [name for name, _ in sum_by(ended, -1).most_common()]
    habits = [*HABITS, habit_of("")]
    width = max(map(len, habits))
    lines = [f"{'habit':<{width}} walk    walks " + " ".join(f"{name:>12}" for name in ends)]
    for habit, by in product(habits, ("auto", "page", "keyset")):
        counts: Counter[str] = Counter()
        for key, count in ended.items():
            if key[1] == by and habit_of(key[0]) == habit:
                counts[key[-1]] += count
        if walks := counts.total():
            shares = (f"{100 * counts[name] / walks:.1f}" if counts[name] else "" for name in ends)
            cells = (
                f"{share:>{max(12, len(name))}}" for share, name in zip(shares, ends, strict=True)
            )
            lines.append(f"{habit:<{width}} {by:<6} {walks:>6} " + " ".join(cells))
    return "\n".join(lines)


def costly(outcomes: Outcomes) -> list[str]:
    """What contradicts that errors over an honest server are few, though its rows come and go.

    That is said of walks in the order of ids, if those that were resumed had kept their rows.
    """
    walks = errors = 0
    for (temper, _, _, part, outcome), count in outcomes.items():
        if (
            temper == str(HONEST)
            and part in ("in one part", RESUMED[True])
            and outcome not in EARLY
        ):
            walks += count
            errors += count if outcome in DRIFT else 0
    if errors <= max(2, walks * MOST_ERRORS):  # of a few walks one is more than its share
        return []
    return [f"{errors} of {walks} walks over an honest server ended in an error"]


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
    command.add("--habit", list(HELD), "habits of the servers", choices=list(HABITS))
    command.add("--only", None, "shrinks random scenario N and prints it", type=int, metavar="N")
    given = command.parse(arguments)
    if given.only is not None:
        print_shrunk(scenario_of(given.only, given.steps, given.kinds, given.habit))
        return 0
    outcomes: Outcomes = Counter()
    began = time.monotonic()
    work, count = (run_scenarios, given.random) if given.random else (run_machines, given.examples)
    failures = work(count, given.steps, given.seed, given.kinds, given.habit, outcomes)
    failures += costly(outcomes)
    print(table(outcomes))
    for place, name in ((2, "the table was"), (3, "the walk was"), (4, "outcomes")):
        print(f"{name}: {counted(sum_by(outcomes, place))}")
    took = time.monotonic() - began
    print(f"{count} examples of {given.steps} steps, {outcomes.total()} walks in {took:.1f} s")
    return bool(conclude(failures))


if __name__ == "__main__":
    sys.exit(main())
