"""The campaigns still run, and what they claim holds in a small share of each: nothing on time."""

from __future__ import annotations

import asyncio
import importlib
import random
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from benchmarks.campaigns import (
    CAMPAIGNS,
    accounts,
    chains,
    exports,
    limiter,
    memory,
    model,
    outage,
    timeouts,
    walk_speed,
)
from benchmarks.campaigns.faults import __main__ as faults
from benchmarks.campaigns.faults.kinds import KINDS
from benchmarks.campaigns.fuzz.columns import fuzz_columns
from benchmarks.campaigns.fuzz.payloads import fuzz_payloads, same
from benchmarks.campaigns.fuzz.responses import fuzz_responses
from benchmarks.campaigns.soak import __main__ as soak
from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.memory import MIB
from benchmarks.harness.peer import Reply, http
from benchmarks.harness.rate_limits import LIMITERS, Cell
from benchmarks.harness.walk_memory import MeasuredWalk
from benchmarks.harness.walk_model.client import RESUMED, Outcomes
from benchmarks.harness.walk_model.temper import HONEST
from voipstudio_cmb.models import Record
from voipstudio_cmb.retry import RetryBudget

pytestmark = pytest.mark.campaign  # they test what proves, and not the package


def test_fault_schedules_have_no_wrong_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = faults.run(100, seed=1)
    printed = capsys.readouterr().out
    assert wrong == [], printed
    assert all(f"{kind.name} " in printed for kind in KINDS)


def test_a_wrong_outcome_is_found_and_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voipstudio_cmb.retry.repeatable", lambda error, method: True)
    assert faults.run(100, seed=1)
    printed = capsys.readouterr().out
    seed = int(printed.partition("--only ")[2].partition(")")[0])
    assert len(faults.run(1, seed=1, only=seed)) == 1
    assert "resent after" in capsys.readouterr().out


def test_an_outage_is_no_flood_and_no_post_is_made_twice() -> None:
    assert outage.run(calls=200, posts=100, seed=1) == []


def test_a_flood_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryBudget, "spend", lambda budget, error: 0)
    assert outage.run(calls=200, posts=10, seed=1)


def test_no_payload_gets_past_the_documented_exceptions() -> None:
    assert not fuzz_payloads(1_000, seed=2).wrong


def test_what_is_changed_on_the_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Record, "to_dict", lambda record: {"id": record.id})
    assert fuzz_payloads(300, seed=2).wrong


@pytest.mark.parametrize("chunks", [60, 1_000])
def test_a_row_has_the_same_cells_whatever_rows_come_with_it(chunks: int) -> None:
    assert not fuzz_columns(chunks, seed=2).wrong


def test_a_cell_that_depends_on_how_it_was_read_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voipstudio_cmb.columns.split.MISFIT", None)
    assert fuzz_columns(60, seed=2).wrong


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1], [1.0])],
)
def test_the_comparison_is_strict(one: Any, other: Any) -> None:
    assert same(one, one)
    assert not same(one, other)


def test_no_response_gets_past_the_documented_exceptions() -> None:
    # On skipped time, and with half a second of slack: no machine is too slow for the time-outs.
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        assert not runner.run(fuzz_responses(200, seed=2, timeout=5.0)).wrong


def test_a_bomb_ends_as_too_large() -> None:
    packed = timeouts.bomb(40 * MIB)
    reply = Reply(parts=(http(packed, "200 OK", "Content-Encoding: gzip"),))
    outcome, _, _ = asyncio.run(timeouts.too_large(reply))
    assert outcome == "TooLarge"


def test_faulty_calls_end_in_documented_errors() -> None:
    late, outcomes = asyncio.run(timeouts.overruns(100, seed=2, at_once=50))
    assert len(late) == outcomes.total() == 100


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_says_what_it_proves(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"benchmarks.campaigns.{name}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"benchmarks.campaigns.{name}.__main__")
    claim = (module.__doc__ or "").split("\n\n")[0]
    assert claim.startswith("Claim: ")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit):
        module.main()
    shown = capsys.readouterr().out
    assert claim in shown
    assert "--seed" in shown
    assert f"example:\n  python -m benchmarks.campaigns.{name} " in shown


def test_the_limiters_claim_is_judged() -> None:
    def cells(refused: int, used: float) -> list[Cell]:
        return [
            Cell(
                server="sliding window", limiter=name, jobs=jobs, jittered=False,
                requests=1000, refused=refused, used=used,
            )
            for name in LIMITERS
            for jobs in (1, 8, 32)
        ]  # fmt: skip

    assert limiter.failures(cells(0, 0.971)) == []
    assert len(limiter.failures(cells(1, 0.971))) == 2
    assert len(limiter.failures(cells(11, 0.971))) == 4
    assert len(limiter.failures(cells(0, 0.96))) == 1
    assert len(limiter.failures(cells(0, 0.84))) == 4


def test_the_tables_of_walks_count(capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--pages", "4", "--page-size", "5", "--concurrency", "1", "8", "--latency", "0"]
    walk_speed.main([*size, "--rounds", "1", "--draws", "1"])
    printed = capsys.readouterr().out
    assert "wrong rows" not in printed
    assert "page " in printed
    assert all(shape in printed for shape in walk_speed.shapes(20, 5, random.Random(1)))


def test_the_claim_on_walks_is_judged() -> None:
    def speed(responses: float, concurrency: int = 8, exact: bool = True) -> walk_speed.Speed:
        return walk_speed.Speed(
            by="page",
            pages=100,
            concurrency=concurrency,
            responses=responses,
            requests=101,
            exact=exact,
        )

    def cost(shape: str, requests: int, exact: bool = True) -> walk_speed.Cost:
        return walk_speed.Cost(shape=shape, pages=99, concurrency=8, requests=requests, exact=exact)

    assert walk_speed.failures([speed(14.6), speed(50, concurrency=2)], []) == []
    assert len(walk_speed.failures([speed(14.8), speed(14.0, exact=False)], [])) == 2
    assert walk_speed.failures([], [cost("even", 110), cost("long runs", 200)]) == []
    assert len(walk_speed.failures([], [cost("even", 111), cost("long runs", 201)])) == 2
    assert len(walk_speed.failures([], [cost("even", 100, exact=False)])) == 1


def test_the_claim_on_memory_is_judged() -> None:
    def walked(rows: int, mb: int, exact: bool = True) -> MeasuredWalk:
        return MeasuredWalk(
            by="page", rows=rows, before=0, memory=mb * 10**6, seconds=1.0, requests=1,
            exact=exact,
        )  # fmt: skip

    assert memory.failures([walked(1, 40), walked(2, 70)]) == []
    assert len(memory.failures([walked(1, 40), walked(2, 71)])) == 1
    assert len(memory.failures([walked(1, 40, exact=False)])) == 1


def test_50_accounts_are_exported_in_little_memory_and_started_fairly() -> None:
    done = accounts.export_elsewhere(rows=60, accounts=50, slots=4, seed=1)
    assert accounts.failures(done, 50, slots=4) == []
    assert done.done == done.jobs == len(done.order) == 200
    assert done.memory >= done.before > MIB


def test_the_claim_on_accounts_is_judged() -> None:
    def exported(**more: Any) -> accounts.AccountsExport:
        fine = {"jobs": 4, "done": 4, "rows": 9, "requests": 9, "seconds": 1.0, "before": 1,
                "memory": 300 * 10**6, "order": [0, 1, 0, 1]}  # fmt: skip
        return accounts.AccountsExport(**fine | more)

    assert accounts.failures(exported(), 2, slots=1) == []
    for wrong in ({"done": 3}, {"memory": 300 * 10**6 + 1}, {"order": [0, 0, 1, 1]}):
        assert len(accounts.failures(exported(**wrong), 2, slots=1)) == 1


def test_a_million_rows_are_exported_in_bounded_memory() -> None:
    assert exports.run(2_000, ["jsonl", "parquet"]) == []


def test_killed_exports_are_identical() -> None:
    command = [sys.executable, "-m", "benchmarks.campaigns.kills"]
    command += ["--kills", "3", "--formats", "jsonl"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "the claim holds"


def test_chains_of_nights_bring_every_row_once() -> None:
    assert chains.run(5, seed=1) == []


def test_a_soaked_client_leaves_nothing_over() -> None:
    # Of its checks those of the structure; memory and objects take longer to tell.
    done = asyncio.run(soak.soaked(minutes=0.05, seed=1, every=1.0))
    assert (done.tasks, done.descriptors) == (0, 0)
    assert done.outcomes["done"]
    assert done.restarts >= 1


def test_the_claim_on_the_soak_is_judged() -> None:
    def ran(growth: float, **more: Any) -> soak.Soak:
        minutes = [60.0 * n for n in range(41)]
        fine = {"outcomes": Counter(done=1), "objects": [100, 90, 110]}
        held = [50 + 20 * (n < 9) + growth * n / 60 for n in range(41)]
        return soak.Soak(seconds=minutes, held=held, **fine | more)

    assert soak.failures(ran(3.9), 40) == soak.failures(ran(99), 39) == []
    assert ran(3.9).slope == pytest.approx(3.9)
    assert len(soak.failures(ran(4.1), 40)) == 1
    wrong: tuple[dict[str, Any], ...] = (
        {"tasks": 1}, {"descriptors": 1}, {"objects": [1, 2, 9_999]}, {"outcomes": Counter()},
    )  # fmt: skip
    for each in wrong:
        assert len(soak.failures(ran(0, **each), 1)) == 1


def test_errors_over_an_honest_server_have_to_be_few() -> None:
    walk = (str(HONEST), "page", "deleting", "in one part")
    outcomes: Outcomes = Counter({(*walk, "complete"): 197, (*walk, "PageDrift"): 2})
    assert model.costly(outcomes) == []
    resumed = (str(HONEST), "page", "deleting", "resumed")
    outcomes.update({(*resumed, "PageDrift"): 9})  # it knows no more than how many rows came
    assert model.costly(outcomes) == []
    outcomes[*walk[:3], RESUMED[True], "PageDrift"] += 1
    assert model.costly(outcomes) == ["3 of 200 walks over an honest server ended in an error"]
