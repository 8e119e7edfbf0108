"""Every topic can be measured in small, and the machinery of claims judges right."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import __main__ as command
from benchmarks.campaigns import CAMPAIGNS
from benchmarks.claims import TOPICS
from benchmarks.harness.claim import Claim, Result, Sample, measured, plain, table
from benchmarks.harness.picture import picture


def test_the_help_names_all_topics_and_campaigns(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line[:4] == "    "]
    assert {*TOPICS, *CAMPAIGNS} <= {words[0] for words in lines if words}


def test_an_unknown_topic_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["calls", "colours"])
    assert "no such topic: colours" in capsys.readouterr().err


@pytest.mark.campaign
@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_measured(topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")  # the peers take no file without a certificate
    with importlib.import_module(f"benchmarks.claims.{topic}").claims(True) as claims:
        results = [measured(claim, 1) for claim in claims]
    assert results
    for result in results:
        assert result.claim.ours in result.samples
        assert all(len(samples) == 1 for samples in result.samples.values())
        assert result.cells()[0] == result.claim.says
        json.dumps(result.plain())


def claim(**more: Any) -> Claim:
    options: dict[str, Any] = {
        "name": "n", "says": "what", "unit": "s", "ours": "us", "limit": "it", "target": 1.5,
        "contenders": {},
    }  # fmt: skip
    return Claim(**options | more)


def result(us: list[float], it: list[float], **more: Any) -> Result:
    samples = {"us": us, "it": it, "peer": [10.0] * len(us)}
    rounds = {name: [Sample(value=value) for value in values] for name, values in samples.items()}
    return Result(claim=claim(**more), samples=rounds)


def test_a_ratio_is_of_one_round_and_the_middle_one_counts() -> None:
    results = result([2.0, 30.0, 3.0], [2.0, 10.0, 1.0])
    assert results.ratios("us") == [1.0, 3.0, 3.0]
    assert results.ratio == 3.0
    assert not results.holds
    assert results.cells() == [
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
    results = measured(claim(contenders=contenders), 4)
    assert "".join(name[0] for name in met) == "uipipupuiuip"
    assert all(len(samples) == 4 for samples in results.samples.values())
    with pytest.raises(SystemExit, match=r"it can't be measured: install '\.\[bench\]'"):
        measured(claim(contenders={"us": measure("us")}), 1)


def test_the_table_and_the_picture_hold_all_claims() -> None:
    results = [result([1.0, 2.0], [1.0, 1.0]), result([1.0], [4.0], says="another")]
    lines = table(results).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("| claim   | ours")
    assert lines[3].startswith("| another | 1.00 s | it 4.00 | 0.25")
    content = json.loads(json.dumps(plain(results, 2)))
    assert [each["ratio"] for each in content["claims"]] == [1.5, 0.25]
    assert content["claims"][0]["samples"]["us"][1]["value"] == 2.0
    assert content["machine"]["packages"]["aiohttp"]
    drawn = ElementTree.fromstring(picture(content))
    words = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"what", "another", "1 x = it", "1.50", "0.25"} <= set(words)
