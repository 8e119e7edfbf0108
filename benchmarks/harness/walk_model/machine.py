"""A state machine whose rules are the steps of a simulation: hypothesis draws and shrinks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from benchmarks.harness.walk_model.client import Outcomes
from benchmarks.harness.walk_model.habits import HELD
from benchmarks.harness.walk_model.scenario import WEIGHTS, Step, simulation_of, temper_of
from benchmarks.harness.walk_model.simulation import Simulation

NUMBERS = st.integers(0, 1023)


class WalkMachine(RuleBasedStateMachine):
    """The rules; a subclass says which `kind` of walks they drive, over which `habits`."""

    kind: str
    habits: Sequence[str]
    outcomes: Outcomes
    simulation: Simulation | None = None

    @initialize(
        temper=NUMBERS, count=st.integers(0, 40), gap=NUMBERS, flags=st.integers(0, 4095),
        sizes=NUMBERS,
    )  # fmt: skip
    def begin(self, temper: int, count: int, gap: int, flags: int, sizes: int) -> None:
        server = temper_of(self.kind, temper, self.habits)
        self.simulation = simulation_of(self.kind, server, count, gap, flags, sizes)

    @property
    def running(self) -> Simulation:
        assert self.simulation is not None
        return self.simulation

    @rule(times=st.integers(1, 4))
    def step(self, times: int) -> None:
        for _ in range(times):
            self.running.step(0, 0)

    @rule(a=NUMBERS, b=NUMBERS)
    def kill(self, a: int, b: int) -> None:
        if a % 8 == 7:  # seldom, or few walks would come to their end
            self.running.kill(a // 8, b)

    def teardown(self) -> None:
        if self.simulation is None:
            return
        try:
            self.simulation.end(len(self.simulation.trace), len(self.simulation.trace))
            for key in self.simulation.outcomes:
                event(" | ".join(key))
            self.outcomes.update(self.simulation.outcomes)
        finally:
            self.simulation.close()


def _rule(step: Step) -> Any:
    def run(machine: WalkMachine, a: int, b: int) -> None:
        step(machine.running, a, b)

    run.__name__ = step.__name__
    return rule(a=NUMBERS, b=NUMBERS)(run)


def machine_of(kind: str, outcomes: Outcomes, habits: Sequence[str] = HELD) -> Any:
    """Makes the machine for one `kind` of walks, which adds to `outcomes` how they ended."""
    others = {
        step.__name__: _rule(step) for step in WEIGHTS if step.__name__ not in vars(WalkMachine)
    }
    fields = {"kind": kind, "habits": habits, "outcomes": outcomes}
    return type("WalkMachine", (WalkMachine,), {**fields, **others})


def run_machine(machine: Any, examples: int, steps: int, **options: Any) -> None:
    """Runs a machine made by `machine_of`; raises the error of the smallest counter-example."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            suppress_health_check=list(HealthCheck),
            **options,
        ),
    )
