"""Walks over a table that changes meanwhile, answered in any order, held to the contract."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from benchmarks.harness.walk_model.scenario import KINDS, case_of, plan_of, run
from benchmarks.harness.walk_model.server import Server
from benchmarks.harness.walk_model.simulation import Case, Tally

EXAMPLES = int(os.environ.get("WALK_EXAMPLES", "80"))
STEPS = int(os.environ.get("WALK_STEPS", "80"))
NUMBERS = st.integers(0, 1023)

KEPT = list(KINDS)


class Walks(RuleBasedStateMachine):
    """The rules; a subclass says what is walked, and how."""

    kind: str
    tally: Tally
    case: Case | None = None

    @initialize(
        temper=NUMBERS, count=st.integers(0, 40), gap=NUMBERS, flags=st.integers(0, 4095),
        sizes=NUMBERS,
    )  # fmt: skip
    def begin(self, temper: int, count: int, gap: int, flags: int, sizes: int) -> None:
        self.case = case_of(self.kind, temper, count, gap, flags, sizes)

    @property
    def on(self) -> Case:
        assert self.case is not None
        return self.case

    @rule(rows=NUMBERS)
    def fetch(self, rows: int) -> None:
        self.on.fetch(rows, 0)

    @rule(times=st.integers(1, 4))
    def step(self, times: int) -> None:
        for _ in range(times):
            self.on.step(0, 0)

    @rule(which=NUMBERS, spoil=NUMBERS)
    def evaluate(self, which: int, spoil: int) -> None:
        self.on.evaluate(which, spoil)

    @rule(which=NUMBERS)
    def deliver(self, which: int) -> None:
        self.on.deliver(which, 0)

    @rule(which=NUMBERS, kind=NUMBERS)
    def fault(self, which: int, kind: int) -> None:
        self.on.fault(which, kind)

    @rule()
    def expire(self) -> None:
        self.on.expire(0, 0)

    @rule(how=NUMBERS, sizes=NUMBERS)
    def choose(self, how: int, sizes: int) -> None:
        self.on.choose(how, sizes)

    @rule(how=NUMBERS)
    def kill(self, how: int) -> None:
        if how % 4 == 0:  # seldom, or few walks would come to their end
            self.on.kill(how // 4, how // 16)

    @rule(how=NUMBERS, id=NUMBERS)
    def insert(self, how: int, id: int) -> None:
        self.on.insert(how, id)

    @rule(how=NUMBERS, place=NUMBERS)
    def delete(self, how: int, place: int) -> None:
        self.on.delete(how, place)

    @rule(place=NUMBERS)
    def update(self, place: int) -> None:
        self.on.update(place, 0)

    def teardown(self) -> None:
        if self.case is None:
            return
        try:
            self.case.end(len(self.case.trace), len(self.case.trace))
            for key in self.case.tally:
                event(" | ".join(key))
            self.tally.update(self.case.tally)
        finally:
            self.case.close()


def machine(kind: str, tally: Tally) -> Any:
    """The machine for walks of this *kind*, which counts their outcomes in *tally*."""
    return type("Walks", (Walks,), {"kind": kind, "tally": tally})


@pytest.mark.parametrize("kind", KEPT)
def test_walks_keep_their_contract(kind: str) -> None:
    tally: Tally = Counter()
    run_state_machine_as_test(
        machine(kind, tally),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert any(key[-1] == "complete" for key in tally)


@pytest.mark.parametrize("kind", KEPT)
def test_random_walks_keep_their_contract(kind: str) -> None:
    for seed in range(5 * EXAMPLES):
        run(plan_of(seed, STEPS, [kind]))


def test_a_row_that_is_never_told_of_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    true = Server.ordered
    monkeypatch.setattr(Server, "ordered", lambda *told: [i for i in true(*told) if i % 8])
    with pytest.raises(AssertionError, match="lost in silence: "):
        for seed in range(100):
            run(plan_of(seed, STEPS, ["keyset"]))


def test_a_row_as_it_was_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.harness.walk_model.server._content",
        lambda id, _: {"id": id, "title": f"{id}.0"},
    )
    with pytest.raises(AssertionError, match="as it was before: "):
        for seed in range(100):
            run(plan_of(seed, STEPS, ["keyset"]))
