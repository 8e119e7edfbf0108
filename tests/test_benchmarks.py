"""The campaigns still run, and what they claim holds in a small share of each: nothing on time."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import accounts, bounds, exports, faults, fuzz, limiter, memory, outage, walks
from benchmarks.__main__ import CAMPAIGNS, TOPICS
from benchmarks.claims import Claim, Result, Sample, measured, table, written
from benchmarks.hurry import HurriedLoop
from benchmarks.peer import Asked, Reply, http
from benchmarks.table import WHOLE, Table, elsewhere
from voipstudio_cmb.retry import RetryBudget


def hurried(work: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        return runner.run(work())


def test_2000_fault_schedules_have_no_wrong_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = faults.run(2_000, seed=1)
    said = capsys.readouterr().out
    assert wrong == 0, said
    assert all(f"{kind.name} " in said for kind in faults.KINDS)


def test_a_wrong_outcome_is_found_and_can_be_run_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voipstudio_cmb.retry.repeatable", lambda error, method: True)
    assert faults.run(100, seed=1) > 0
    said = capsys.readouterr().out
    seed = int(said.partition("--only ")[2].partition(")")[0])
    assert faults.run(1, seed=1, only=seed) == 1
    assert "sent again after" in capsys.readouterr().out


def test_an_outage_is_no_flood_and_no_post_is_made_twice() -> None:
    assert outage.run(calls=1_000, posts=500, seed=1)


def test_a_flood_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryBudget, "spend", lambda budget, error: 0)
    assert not outage.run(calls=200, posts=10, seed=1)


def test_no_payload_gets_past_the_documented_exceptions() -> None:
    assert not fuzz.fuzz_payloads(3_000, seed=2).wrong


def test_what_is_changed_on_the_way_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "to_dict", lambda record: {"id": record.id})
    assert fuzz.fuzz_payloads(300, seed=2).wrong


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (1, 1.0), (0.0, -0.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([1], [1.0])],
)
def test_the_comparison_is_strict(one: Any, other: Any) -> None:
    assert fuzz.same(one, one)
    assert not fuzz.same(one, other)


def test_no_answer_gets_past_the_documented_exceptions() -> None:
    # On skipped time, and with half a second of slack: no machine is too slow for the time-outs.
    assert not hurried(lambda: fuzz.fuzz_bytes(400, seed=2, timeout=5.0)).wrong


def test_a_bomb_ends_as_too_large() -> None:
    packed = bounds.bomb(40 * bounds.MIB)
    reply = Reply(parts=(http(packed, "200 OK", "Content-Encoding: gzip"),))
    outcome, _, _ = asyncio.run(bounds.too_large(reply))
    assert outcome == "TooLarge"


def test_faulty_calls_end_in_documented_errors() -> None:
    late, outcomes = asyncio.run(bounds.overruns(100, seed=2, at_once=50))
    assert len(late) == outcomes.total() == 100


@pytest.mark.parametrize("server", limiter.SERVERS)
@pytest.mark.parametrize("name", ["RateLimit", "none"])
def test_a_cell_of_the_limiters_table_counts(server: str, name: str) -> None:
    # An hour of requests would pass on skipped time as fast as these ten seconds.
    found = hurried(lambda: limiter.cell(server, name, 8, True, 2.0, 10.0, seed=1))
    assert found.requests > 200
    assert found.refused == 0 or name == "none"
    assert f"{server} " in str(found)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_a_campaign_tells_what_it_claims(name: str) -> None:
    assert (importlib.import_module(f"benchmarks.{name}").__doc__ or "").startswith("Claim: ")
    told = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"benchmarks.{name}", "--help"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--seed" in told.stdout


def test_the_limiters_claim_is_judged() -> None:
    def cells(refused: int, used: float) -> list[limiter.Cell]:
        return [
            limiter.Cell(
                server="sliding window", limiter=name, jobs=jobs, jittered=False,
                requests=1000, refused=refused, used=used,
            )
            for name in limiter.LIMITERS
            for jobs in (1, 8, 32)
        ]  # fmt: skip

    assert limiter.failures(cells(0, 0.971)) == []
    assert len(limiter.failures(cells(1, 0.971))) == 2
    assert len(limiter.failures(cells(11, 0.971))) == 4
    assert len(limiter.failures(cells(0, 0.96))) == 1
    assert len(limiter.failures(cells(0, 0.84))) == 4


@pytest.mark.parametrize("ids", [range(3, 60, 3), [], [5], [1, 2, 40, 41, 2**53]])
@pytest.mark.parametrize("low", [0, 2, 5, 40])
@pytest.mark.parametrize("high", [1, 5, 41, 2**53])
@pytest.mark.parametrize("way", ["ASC", "DESC"])
def test_the_table_is_exact(ids: list[int], low: int, high: int, way: str) -> None:
    conditions = [
        {"property": "id", "operator": "gt", "value": low},
        {"property": "id", "operator": "lte", "value": high},
    ]
    among = sorted((id for id in ids if low < id <= high), reverse=way == "DESC")
    for size in (1, 3, 50):
        for number in range(1, len(among) // size + 3):
            query = {
                "page": str(number), "limit": str(size), "sort": "id", "dir": way,
                "filter": json.dumps(conditions),
            }  # fmt: skip
            asked = Asked(method="GET", path="/", query=query, body=b"", connection={})
            answer = json.loads(Table(ids).answer(asked).parts[0].partition(b"\r\n\r\n")[2])
            assert answer["total"] == len(among)
            wanted = among[(number - 1) * size : number * size]
            assert [row["id"] for row in answer["data"]] == wanted


def test_the_tables_of_walks_count(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = walks.run(4, 5, [1, 8], 0.0, 1, 1, seed=1)
    assert "wrong rows" not in " ".join(wrong)
    said = capsys.readouterr().out
    assert "page " in said
    assert all(shape in said for shape in walks.shapes(20, 5, random.Random(1)))


def test_the_claim_on_walks_is_judged() -> None:
    def speed(answers: float, window: int = 8, exact: bool = True) -> walks.Speed:
        return walks.Speed(
            by="page", pages=100, window=window, answers=answers, requests=101, exact=exact
        )

    def cost(shape: str, requests: int, exact: bool = True) -> walks.Cost:
        return walks.Cost(shape=shape, pages=99, window=8, requests=requests, exact=exact)

    assert walks.ideal(100, 8) == 14
    assert walks.failures([speed(14.6), speed(50, window=2)], []) == []
    assert len(walks.failures([speed(14.8), speed(14.0, exact=False)], [])) == 2
    assert walks.failures([], [cost("even", 110), cost("long runs", 200)]) == []
    assert len(walks.failures([], [cost("even", 111), cost("long runs", 201)])) == 2
    assert len(walks.failures([], [cost("even", 100, exact=False)])) == 1


@pytest.mark.parametrize("by", walks.WALKS)
def test_a_walk_in_a_process_of_its_own_is_measured(by: walks.By) -> None:
    ids = list(memory.spread(400, seed=3))
    with elsewhere({"rows": Table(ids, row=WHOLE)}) as base:
        found = memory.walked(f"{base}rows", by, 400, window=8, limit=50, seed=3)
        wrong = memory.walked(f"{base}rows", by, 401, window=8, limit=50, seed=3)
    assert found.exact
    assert not wrong.exact
    assert found.requests >= 9
    assert found.memory >= found.before > memory.MIB


def test_the_claim_on_memory_is_judged() -> None:
    def walked(rows: int, mb: int, exact: bool = True) -> memory.Walked:
        return memory.Walked(
            by="page", rows=rows, before=0, memory=mb * 10**6, seconds=1.0, requests=1,
            exact=exact,
        )  # fmt: skip

    assert memory.failures([walked(1, 40), walked(2, 70)]) == []
    assert len(memory.failures([walked(1, 40), walked(2, 71)])) == 1
    assert len(memory.failures([walked(1, 40, exact=False)])) == 1


def test_50_accounts_are_exported_in_little_memory_and_started_fairly() -> None:
    found = accounts.exported(rows=60, accounts=50, slots=4, seed=1)
    assert accounts.failures(found, 50) == []
    assert found.done == found.jobs == 200
    assert found.memory >= found.before > memory.MIB


def test_the_claim_on_accounts_is_judged() -> None:
    def exported(**more: Any) -> accounts.Exported:
        fine = {"jobs": 4, "done": 4, "rows": 9, "requests": 9, "seconds": 1.0, "before": 1,
                "memory": 300 * 10**6, "order": [0, 1, 0, 1]}  # fmt: skip
        return accounts.Exported(**fine | more)

    assert accounts.failures(exported(), 2) == []
    for wrong in ({"done": 3}, {"memory": 300 * 10**6 + 1}, {"order": [0, 0, 1, 1]}):
        assert len(accounts.failures(exported(**wrong), 2)) == 1


def test_a_million_rows_are_exported_in_bounded_memory() -> None:
    assert exports.run(2_000, ["jsonl", "parquet"]) == []


def test_killed_exports_are_identical() -> None:
    command = [sys.executable, "-m", "benchmarks.kills", "--kills", "3", "--formats", "jsonl"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines()[-1] == "the claim holds"


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_measured(topic: str) -> None:
    with importlib.import_module(f"benchmarks.{topic}").claims(True) as claims:
        results = [measured(claim, 1) for claim in claims]
    assert results
    for result in results:
        assert result.claim.ours in result.samples
        assert all(len(samples) == 1 for samples in result.samples.values())
        assert result.cells()[0] == result.claim.says
        json.dumps(result.plain())


def claim(**more: Any) -> Claim:
    told: dict[str, Any] = {
        "name": "n", "says": "what", "unit": "s", "ours": "us", "limit": "it", "target": 1.5,
        "contenders": {},
    }  # fmt: skip
    return Claim(**told | more)


def result(us: list[float], it: list[float], **more: Any) -> Result:
    samples = {"us": us, "it": it, "peer": [10.0] * len(us)}
    found = {name: [Sample(value=value) for value in values] for name, values in samples.items()}
    return Result(claim=claim(**more), samples=found)


def test_a_ratio_is_of_one_round_and_the_middle_one_counts() -> None:
    found = result([2.0, 30.0, 3.0], [2.0, 10.0, 1.0])
    assert found.ratios("us") == [1.0, 3.0, 3.0]
    assert found.ratio == 3.0
    assert not found.holds
    assert found.cells() == [
        "what", "3.00 s", "it 2.00", "3.00", "1.00 to 3.00", "<= 1.5", "NO",
        "peer 10.00 (5.00 x)",
    ]  # fmt: skip
    assert result([3.0], [2.0]).holds
    assert result([2.0], [1.0], bound="at least").holds
    assert not result([1.0], [1.0], bound="at least").holds
    assert result([1.5], [9.0], limit=None).holds
    assert not result([1.6], [9.0], limit=None).holds


def test_rounds_are_interleaved_and_begin_with_another_contender_each_time() -> None:
    met = []

    def measure(name: str) -> Callable[[], Sample]:
        def one() -> Sample:
            met.append(name)
            return Sample(value=1.0)

        return one

    contenders = {name: measure(name) for name in ("us", "it", "peer")}
    found = measured(claim(contenders=contenders), 4)
    assert "".join(name[0] for name in met) == "uipipupuiuip"
    assert all(len(samples) == 4 for samples in found.samples.values())
    with pytest.raises(SystemExit, match=r"it can't be measured: install '\.\[bench\]'"):
        measured(claim(contenders={"us": measure("us")}), 1)


def test_the_table_and_the_file_hold_all_claims(tmp_path: Path) -> None:
    found = [result([1.0, 2.0], [1.0, 1.0]), result([1.0], [4.0], says="another")]
    lines = table(found).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("| claim   | ours")
    assert lines[3].startswith("| another | 1.00 s | it 4.00 | 0.25")
    written(tmp_path / "claims.json", found, 2)
    told = json.loads((tmp_path / "claims.json").read_text())
    assert [each["ratio"] for each in told["claims"]] == [1.5, 0.25]
    assert told["claims"][0]["samples"]["us"][1]["value"] == 2.0
    assert told["machine"]["packages"]["aiohttp"]
