"""Shards in processes that are killed: together they write what one process writes."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.fakes.commands import accounts_file, run_process
from tests.fakes.engine import Engine
from tests.fakes.exports import hashes
from voipstudio_cmb.export import Exports, Plan, read_accounts, shards
from voipstudio_cmb.sandbox import Sandbox

NAMES = [f"shop{number}" for number in range(20)]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", "sandbox-token")
    with Sandbox(rows=400, latency=0.005) as api:
        yield api


def one_process(file: Path, plan: Plan) -> dict[str, str]:
    async def run() -> bool:
        return (await Exports(read_accounts(file), plan).run()).complete

    assert asyncio.run(run())
    return hashes(plan.to)


@pytest.mark.campaign
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("format", "by"), [("jsonl", "account"), ("parquet", "resource")])
def test_workers_that_are_killed_write_what_one_process_writes(
    tmp_path: Path, api: Sandbox, format: Any, by: Any
) -> None:
    file = accounts_file(tmp_path, api, *NAMES)
    plan = Plan(
        to=tmp_path / "one",
        resources=("cdrs", "visitors"),
        format=format,
        page_size=20,
        concurrency=1,
        checkpoint=0.05,
    )
    expected = one_process(file, plan)
    assert len(expected) == 60
    several = shards(file, attrs.evolve(plan, to=tmp_path / "several"), by=by)
    draw = random.Random(f"{format} {by}")
    given = [each.to_dict() for each in several]
    engine = Engine(draw, kills=15, left=given + draw.sample(given, 5))
    engine.run()
    assert hashes(tmp_path / "several") == expected
    assert engine.states["killed"] > 0  # how many depends on how fast the machine is
    assert engine.states["already"] > 0


@pytest.mark.campaign
def test_pods_at_once_write_what_one_process_writes(tmp_path: Path, api: Sandbox) -> None:
    file = accounts_file(tmp_path, api, *NAMES)
    expected = one_process(file, Plan(to=tmp_path / "one", resources=("cdrs", "visitors")))
    words = ["export", "cdrs", "visitors", "--accounts", str(file), "--shard", "auto"]
    command = [sys.executable, "-m", "voipstudio_cmb", *words, "--to", str(tmp_path / "pods")]
    pods = []
    for index in range(3):
        own = {"JOB_COMPLETION_INDEX": str(index), "JOB_COMPLETIONS": "3"}
        pods.append(subprocess.Popen([*command, "--quiet"], env={**os.environ, **own}))
    assert [pod.wait(90) for pod in pods] == [0, 0, 0]
    assert hashes(tmp_path / "pods") == expected
    assert run_process("verify", tmp_path / "pods").returncode == 0
