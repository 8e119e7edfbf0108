"""Simulations made from numbers: scenarios that can be run again and made shorter."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from benchmarks.harness.walk_model.habits import HELD, tempers_of
from benchmarks.harness.walk_model.simulation import Simulation
from benchmarks.harness.walk_model.temper import TOTALS, Temper
from voipstudio_cmb.query import WalkStrategy

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
    tuple[str, Temper, int, int, int, int], list[tuple[Step, int, int]], tuple[int, int]
]
"""The arguments of `simulation_of`, the steps with their numbers, and those of the end."""


def _wild(number: int) -> Temper:
    draw = random.Random(number)
    some, seldom = draw.choice, (False,) * 7 + (True,)
    return Temper(
        cap=some((0, 0, 2, 5)), rows_cap=some((0, 0, 3)), fixed=some((0, 0, 0, 4)),
        deaf_page=some((False, False, False, True)), order=some(("", "", "newest", "shuffled")),
        filter=some(("", "", "", "ignored")), past=some(("", "404", "last")),
        total=some(tuple(TOTALS)), spoils=some(("", "", "empty", "short", "twice", "404")),
        times=some((1, 2)), compare=some(("",) * 7 + ("text",)), from_zero=some(seldom),
        last_row=some((0,) * 7 + (10,)), weight=some((0,) * 7 + (5,)), varying=some(seldom),
        short_page=some((0,) * 7 + (3,)), later=some((0,) * 7 + (4,)),
        later_by=some(("request", "own")), replicas=some(("",) * 7 + ("random",)),
        cached=some((0,) * 7 + (6,)), writes=some(("", "", "late", "low", "re-used", "opening")),
        deletes=some((True, True, True, False)),
    )  # fmt: skip


def temper_of(kind: str, number: int, habits: Sequence[str] = HELD) -> Temper:
    """The temper with that `number` among those with these `habits`."""
    if kind == "wild":
        return _wild(number)
    known = tempers_of(kind, habits)
    return known[number % len(known)]


def ids_of(temper: Temper, count: int, gap: int) -> tuple[int, ...]:
    """The ids of so many rows; 0 is the plainest `gap`."""
    place, gap = gap // 6, gap % 6
    # Numbers of two digits and of three, of four and of five; or where a comparison goes wrong.
    start = (0, 0, 0, 85, 9_985)[place % 5]
    if temper.edge:
        start = temper.edge - place % 40 * (gap + 1)
    if gap > 2:  # in clusters that lie far apart
        return tuple(1 + start + n + n // 6 * 10 ** (2 * gap) for n in range(count))
    return tuple(range(1 + start, 1 + start + count * (gap + 1), gap + 1))


def simulation_of(
    kind: str, temper: Temper, count: int, gap: int, flags: int, sizes: int
) -> Simulation:
    """Makes a simulation with `count` rows; 0 is the plainest of every number."""
    walks, any_id = KINDS[kind]
    simulation = Simulation(
        temper, walks, ids_of(temper, count, gap), any_id, strict=kind != "wild",
        unchanging=flags % 4 == 3, exhausting=flags // 4 % 8 == 7, login=flags // 32 % 2 == 1,
    )  # fmt: skip
    simulation.choose(flags // 64, sizes)
    return simulation


def scenario_of(
    seed: int, steps: int, kinds: Sequence[str] = tuple(KINDS), habits: Sequence[str] = HELD
) -> Scenario:
    """Makes a random scenario of so many `steps`."""
    draw = random.Random(seed)
    bits = draw.getrandbits
    kind = draw.choice(kinds)
    temper = temper_of(kind, bits(10), habits)
    made = (kind, temper, draw.randrange(41), bits(10), bits(12), bits(10))
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
