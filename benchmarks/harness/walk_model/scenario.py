"""Simulations made from numbers: scenarios that can be run again and made shorter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from benchmarks.harness.walk_model.server import TEMPERS, TOTALS, Temper
from benchmarks.harness.walk_model.simulation import Simulation
from voipstudio_cmb.query import WalkStrategy

BY_ID = tuple(temper for temper in TEMPERS if temper.by_id)

KINDS: dict[str, tuple[tuple[WalkStrategy, ...], bool]] = {
    "page": (("page", "auto"), False),
    "keyset": (("keyset",), False),
    "any id": (("keyset",), True),
    "wild": (("auto", "page", "keyset"), True),
}
"""The ways to walk, and whether rows may be inserted with any free id.

A wild server has several habits at once. Over it a walk promises only that it ends, that no row
comes twice or from nowhere, and that no task is left over.
"""

Step: TypeAlias = Callable[[Simulation, int, int], None]
WEIGHTS: dict[Step, int] = {
    Simulation.step: 30,
    Simulation.evaluate: 12,
    Simulation.deliver: 12,
    Simulation.fetch: 12,
    Simulation.delete: 8,
    Simulation.insert: 6,
    Simulation.fault: 3,
    Simulation.update: 2,
    Simulation.choose: 2,
    Simulation.expire: 1,
    Simulation.kill: 1,
}
_STEPS = [step for step, weight in WEIGHTS.items() for _ in range(weight)]

Scenario: TypeAlias = tuple[
    tuple[str, int, int, int, int, int], list[tuple[Step, int, int]], tuple[int, int]
]
"""The arguments of `simulation_of`, the steps with their numbers, and those of the end."""


def _wild(number: int) -> Temper:
    draw = random.Random(number)
    some = draw.choice
    return Temper(
        cap=some((0, 0, 2, 5)), rows_cap=some((0, 0, 3)), fixed=some((0, 0, 0, 4)),
        deaf_page=some((False, False, False, True)), order=some(("", "", "newest", "shuffled")),
        filter=some(("", "", "", "ignored")), past=some(("", "404", "last")),
        total=some(tuple(TOTALS)), spoils=some(("", "", "empty", "short", "twice")),
    )  # fmt: skip


def simulation_of(
    kind: str, temper: int, count: int, gap: int, flags: int, sizes: int
) -> Simulation:
    """Makes a simulation with `count` rows; 0 is the plainest of every number."""
    walks, any_id = KINDS[kind]
    known = TEMPERS if kind == "page" else BY_ID
    gap %= 6
    if gap > 2:  # in clusters that lie far apart
        ids = tuple(1 + n + n // 6 * 10 ** (2 * gap) for n in range(count))
    else:
        ids = tuple(range(1, 1 + count * (gap + 1), gap + 1))
    simulation = Simulation(
        _wild(temper) if kind == "wild" else known[temper % len(known)], walks, ids, any_id,
        strict=kind != "wild",
        unchanging=flags % 4 == 3, exhausting=flags // 4 % 8 == 7, login=flags // 32 % 2 == 1,
    )  # fmt: skip
    simulation.choose(flags // 64, sizes)
    return simulation


def scenario_of(seed: int, steps: int, kinds: Sequence[str] = tuple(KINDS)) -> Scenario:
    """Makes a random scenario of so many `steps`."""
    draw = random.Random(seed)
    bits = draw.getrandbits
    made = (draw.choice(kinds), bits(10), draw.randrange(41), bits(10), bits(12), bits(10))
    chosen = draw.choices(_STEPS, k=steps)
    return made, [(step, bits(10), bits(10)) for step in chosen], (bits(31), bits(31))


def run(scenario: Scenario) -> Simulation:
    """Returns the simulation after all steps; an error carries what happened as a note."""
    made, steps, last = scenario
    simulation = simulation_of(*made)
    try:
        for step, a, b in steps:
            step(simulation, a, b)
        simulation.end(*last)
    except Exception as error:
        error.add_note(simulation.describe())
        raise
    finally:
        simulation.close()
    return simulation


def shrunk(scenario: Scenario, within: float = 20.0) -> Scenario:
    """Leaves out rows and steps as long as the scenario still fails."""
    made, steps, last = scenario
    until = time.monotonic() + within

    def fails(*other: Any) -> bool:
        try:
            run(other)
        except Exception:
            return True
        return False

    size = len(steps)
    while size and time.monotonic() < until:
        at = 0
        while at < len(steps):
            left = steps[:at] + steps[at + size :]
            if fails(made, left, last):
                steps = left
            else:
                at += size
        size //= 2
    fewer = ((*made[:2], count, *made[3:]) for count in range(made[2]))
    made = next((other for other in fewer if fails(other, steps, last)), made)
    return made, steps, last if not fails(made, steps, (0, 0)) else (0, 0)
