"""Claim: a walk yields every row that is there throughout exactly once, or says that it could not,
whatever comes and goes meanwhile and in whatever order its requests are answered.

A state machine (hypothesis) looks for a counter-example and shrinks it; `--random N` walks N random
cases instead, which is faster, and takes steps away from one that fails. Both drive the model of
the tests. `--only NUMBER` runs a random case alone and prints what happened in it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from benchmarks.harness.walk_model.scenario import KINDS, Plan, plan_of, run, shrunk
from benchmarks.harness.walk_model.simulation import Tally
from tests.benchmarks.test_walk_model import machine


def machines(examples: int, steps: int, seeded: int, kinds: list[str], tally: Tally) -> int:
    """Runs *examples* for all machines together; returns how many machines found a failure."""
    failed = 0
    for kind in kinds:
        try:
            run_state_machine_as_test(
                seed(seeded)(machine(kind, tally)),
                settings=settings(
                    max_examples=max(1, examples // len(kinds)),
                    stateful_step_count=steps,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except Exception:
            failed += 1
            print(f"{kind}: a walk that breaks its contract:")
            traceback.print_exc(limit=-1, file=sys.stdout)
    return failed


def wander(count: int, steps: int, seeded: int, kinds: list[str], tally: Tally) -> int:
    """Runs *count* random cases; returns how many failed, and prints the first few."""
    failed: list[int] = []
    for number in range(seeded, seeded + count):
        plan = plan_of(number, steps, kinds)
        try:
            tally.update(run(plan).tally)
        except Exception as error:
            failed.append(number)
            if len(failed) <= 20:
                print(f"{plan[0][0]}: {error!s:.200} (--only {number})")
    if failed:
        _print_shrunk(plan_of(failed[0], steps, kinds))
    return len(failed)


def _print_shrunk(plan: Plan) -> None:
    try:
        run(shrunk(plan))
    except Exception:
        traceback.print_exc(limit=-1, file=sys.stdout)


def table(tally: Tally) -> str:
    """How walks ended: a line for each server and way to walk."""
    outcomes = [name for name, _ in sum_by(tally, -1).most_common()]
    width = max((len(server) for server, *_ in tally), default=0)
    lines = [f"{'server':<{width}} walk   " + " ".join(f"{name:>16}" for name in outcomes)]
    for server, by in sorted({key[:2] for key in tally}):
        counts = [
            sum(count for key, count in tally.items() if (*key[:2], key[-1]) == (server, by, name))
            for name in outcomes
        ]
        lines.append(
            f"{server:<{width}} {by:<6} " + " ".join(f"{count or '':>16}" for count in counts)
        )
    return "\n".join(lines)


def sum_by(tally: Tally, place: int) -> Counter[str]:
    """The counts by one part of their keys."""
    counts: Counter[str] = Counter()
    for key, count in tally.items():
        counts[key[place]] += count
    return counts


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.model", description=__doc__
    )
    parser.add_argument("--examples", type=int, default=500)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--random", type=int, metavar="N", help="N random cases, no state machine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--only", type=int, metavar="NUMBER", help="one random case, told in full")
    given = parser.parse_args(arguments)
    if given.only is not None:
        _print_shrunk(plan_of(given.only, given.steps, given.kinds))
        return 0
    tally: Tally = Counter()
    began = time.monotonic()
    work, count = (machines, given.examples) if given.random is None else (wander, given.random)
    failed = work(count, given.steps, given.seed, given.kinds, tally)
    print(table(tally))
    for place, name in ((2, "the table was"), (3, "the walk was"), (4, "outcomes")):
        print(f"{name}:", ", ".join(f"{n} {k}" for k, n in sum_by(tally, place).most_common()))
    print(
        f"{count} examples of {given.steps} steps, {tally.total()} walks "
        f"in {time.monotonic() - began:.1f} s; {failed} failed"
    )
    print("the claim does NOT hold" if failed else "the claim holds")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
