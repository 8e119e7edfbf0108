"""`export --shard`: each of several pods exports its own accounts, and together all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import accounts_file
from tests.fakes.exports import hashes
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.sandbox import Sandbox

NAMES = [f"shop{number}" for number in range(6)]


@pytest.fixture
def export(
    api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:  # fmt: skip
    """Runs the export of six accounts."""
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", api.token)
    file = accounts_file(tmp_path, api, *NAMES)

    def export(to: str, *argv: str) -> Any:
        return run("export", "settings", "--accounts", file, "--to", tmp_path / to, *argv)

    return export


def test_the_pods_write_together_what_one_process_writes(
    export: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export("one").code == 0
    monkeypatch.setenv("JOB_COMPLETIONS", "4")
    for index in range(4):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        assert export("pods", "--shard", "auto").code == 0
    assert hashes(tmp_path / "pods") == hashes(tmp_path / "one")
    assert run("verify", tmp_path / "pods").code == 0
    refused = export("pods", "--shard", "1/4")
    assert refused.code == 2  # as by the command without it
    assert "exists" in refused.err


def test_a_pod_without_accounts_has_nothing_to_do(export: Any, tmp_path: Path) -> None:
    ran = [export("pods", "--shard", f"{number}/30") for number in range(1, 31)]
    idle = [each for each in ran if "none of the accounts is of this shard" in each.err]
    assert len(idle) >= 24
    assert {each.code for each in ran} == {0}
    metrics = export("pods", "--shard", _idle(ran), "--metrics", str(tmp_path / "a.prom"))
    assert metrics.code == 0
    assert "exit_code" in (tmp_path / "a.prom").read_text()
    assert export("pods", "--shard", _idle(ran), "--dry-run").code == 0


def _idle(ran: list[Any]) -> str:
    number = next(at for at, each in enumerate(ran, 1) if "none of the accounts" in each.err)
    return f"{number}/30"


@pytest.mark.parametrize("shard", ["0/4", "5/4", "four"])
def test_a_wrong_shard_is_wrong_usage(export: Any, shard: str) -> None:
    ran = export("pods", "--shard", shard)
    assert (ran.code, ran.err.count("must be NUMBER/COUNT")) == (2, 1)


def test_a_pod_that_is_not_told_its_part_is_wrong_usage(
    export: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOB_COMPLETION_INDEX", raising=False)
    ran = export("pods", "--shard", "auto")
    assert (ran.code, "JOB_COMPLETION_INDEX and JOB_COMPLETIONS must be set" in ran.err) == (
        2,
        True,
    )
    ran = run("export", "--to", "x", "--shard", "1/2")
    assert (ran.code, "--accounts" in ran.err) == (2, True)


def test_two_pods_at_the_same_account_meet_its_lock(export: Any, tmp_path: Path) -> None:
    (tmp_path / "pods" / "shop0").mkdir(parents=True)
    with locked(tmp_path / "pods" / "shop0" / "settings.jsonl"):
        ran = export("pods", "--shard", "1/1", "--progress", "none")
    assert ran.code == 5
    assert ran.err.count("another export is writing") == 1
