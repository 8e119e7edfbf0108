"""Walks over a table that changes meanwhile, answered in any order, held to the contract."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings

from benchmarks.harness.walk_model import server
from benchmarks.harness.walk_model.client import Outcomes
from benchmarks.harness.walk_model.excuses import EXCUSES, Circumstances, Excuse, excuse_of
from benchmarks.harness.walk_model.habits import HABITS, HELD, tempers_of
from benchmarks.harness.walk_model.machine import machine_of, run_machine
from benchmarks.harness.walk_model.scenario import KINDS, run, scenario_of
from benchmarks.harness.walk_model.server import ModelServer
from benchmarks.harness.walk_model.temper import Temper
from voipstudio_cmb.guides import read

EXAMPLES = settings.default.max_examples // 2
STEPS = 80


@pytest.mark.hypothesis  # as those with @given are marked
@pytest.mark.parametrize("kind", list(KINDS))
def test_walks_keep_their_contract(kind: str) -> None:
    run_machine(machine_of(kind, Counter()), EXAMPLES, STEPS)


@pytest.mark.parametrize("kind", list(KINDS))
def test_random_walks_keep_their_contract(kind: str) -> None:
    outcomes: Outcomes = Counter()
    for seed in range(4 * EXAMPLES):
        outcomes.update(run(scenario_of(seed, STEPS, [kind])).outcomes)
    # Here and not above: the machine may happen to draw hardly a walk.
    assert any(key[-1] == "complete" for key in outcomes)


def test_a_row_that_comes_behind_a_page_that_came_early_leaves_no_cursor() -> None:
    run(scenario_of(5451, 200, list(KINDS)))


@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda excuse: excuse.name)
def test_a_loss_is_excused_only_in_the_words_of_the_guide(excuse: Excuse) -> None:
    guide = " ".join(read("walking").split())
    assert excuse.words in guide.split("Not guaranteed in a walk by page", 1)[1]


@pytest.mark.parametrize(
    ("came", "deleted", "excused"), [(20, 1, True), (21, 1, False), (20, 0, False)]
)
def test_a_total_that_is_too_low_excuses_a_loss_only_if_just_so_many_rows_came(
    came: int, deleted: int, excused: bool
) -> None:
    met = Circumstances(
        temper=Temper(total="rounded"), strategy="page", page_size=3, inserted=0,
        inserted_before=0, deleted=deleted, came=came, too_low={20},
    )  # fmt: skip
    assert (excuse_of(met) is not None) is excused


def test_each_habit_is_met_by_some_kind_of_walk() -> None:
    tried = {temper for kind in ("page", "keyset") for temper in tempers_of(kind, HELD)}
    assert tried >= {temper for habit in HELD for temper in HABITS[habit]}


def test_a_row_that_the_server_hides_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    ordered = ModelServer.ordered
    monkeypatch.setattr(
        ModelServer, "ordered", lambda *given: [i for i in ordered(*given) if i % 8]
    )
    with pytest.raises(AssertionError, match="lost silently: "):
        for seed in range(100):
            run(scenario_of(seed, STEPS, ["keyset"]))


def test_an_outdated_row_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "content_of", lambda id, _: {"id": id, "title": f"{id}.0"})
    with pytest.raises(AssertionError, match="older than the walk: "):
        for seed in range(100):
            run(scenario_of(seed, STEPS, ["keyset"]))
