"""Rejected rows of an incremental export: those that an earlier file has are nothing new."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import names, run
from voipstudio_cmb.export import Plan


def plan(to: Path, **more: Any) -> Plan:
    given = {"to": to, "resources": "websites", "page_size": 20, "checkpoint": 0, "since": "last"}
    return Plan(**(given | more))


def rejected(path: Path) -> list[Any]:
    return [json.loads(line)["row"]["id"] for line in path.read_bytes().splitlines()]


@pytest.fixture(params=["jsonl", "sqlite"])
def format(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def api() -> Offline:
    """Ignores conditions, so that all rows come each night."""
    found = Offline(deaf=True)
    found.tables["websites"] = rows(9)
    found.broken = {2, 5}
    return found


@pytest.mark.parametrize("removed", [False, True])
async def test_rejects_of_before_are_nothing_new(
    tmp_path: Path, api: Offline, format: Any, removed: bool
) -> None:
    only = plan(tmp_path, format=format)
    assert (await run(api, only)).rejected == 2
    if removed:
        next(tmp_path.glob("*.rejects.jsonl")).unlink()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for _ in range(2):
        [job] = (await run(api, only)).jobs
        assert (job.state, job.rows, job.rejected, job.made) == ("done", 0, 0, False)
        assert job.note.startswith("nothing new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


async def test_of_old_and_new_ones_only_the_new_ones_come(
    tmp_path: Path, api: Offline, format: Any
) -> None:
    only = plan(tmp_path, format=format)
    assert (await run(api, only)).rejected == 2
    api.broken = {2, 5, 7}
    assert (await run(api, only)).rejected == 1
    api.tables["websites"] = rows(12)
    api.broken = {2, 5, 7, 11}
    assert (await run(api, only)).rejected == 1
    for _ in range(2):
        assert (await run(api, only)).rejected == 0
    found = [each for path in sorted(tmp_path.glob("*rejects.jsonl")) for each in rejected(path)]
    assert sorted(found) == ["11", "2", "5", "7"]
    files = json.loads((tmp_path / "manifest.json").read_bytes())["files"].values()
    assert sum(entry["rejected"] for entry in files) == 4


async def test_a_file_that_is_made_again_has_its_own_rejects_and_no_others(
    tmp_path: Path, api: Offline
) -> None:
    only = plan(tmp_path)
    assert (await run(api, only)).rejected == 2
    (tmp_path / "websites.jsonl").unlink()
    api.broken = {2, 5, 7}
    assert (await run(api, only)).complete
    assert rejected(tmp_path / "websites.rejects.jsonl") == ["2", "5"]
    assert rejected(tmp_path / "websites.0002.rejects.jsonl") == ["7"]
    assert (await run(api, only)).rejected == 0
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("first", [False, True])
async def test_rejects_come_again_where_a_range_of_ids_would_hide_them(
    tmp_path: Path, first: bool
) -> None:
    api = Offline()
    nameless = [{"id": math.inf, "name": f"no id {n}"} for n in range(2)]  # up to no id at all
    api.tables["websites"] = rows(9)
    if not first:
        assert (await run(api, plan(tmp_path))).complete
        api.tables["websites"] = rows(10)
    api.tables["websites"] += nameless
    name = "websites" if first else "websites.0002"
    assert (await run(api, plan(tmp_path))).rejected == 2
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / f"{name}.jsonl").unlink()
    assert (await run(api, plan(tmp_path))).rejected == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (await run(api, plan(tmp_path))).rejected == 0


async def test_a_database_that_has_gone_is_made_again_with_its_rejects(tmp_path: Path) -> None:
    api = Offline(deaf=True)
    api.broken = {2}
    assert (await run(api, plan(tmp_path, format="sqlite"))).rejected == 1
    (tmp_path / "websites.sqlite").unlink()
    [job] = (await run(api, plan(tmp_path, format="sqlite"))).jobs
    assert (job.state, job.rows, job.rejected, job.note) == ("done", 2, 1, "")
    assert names(tmp_path) == {
        "websites.sqlite", "websites.sqlite.rejects.jsonl", "manifest.json"
    }  # fmt: skip


@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize(("count", "nameless"), [(21, 1), (21, 2), (14, 8), (20, 2)])
async def test_pages_of_nothing_but_rejects_end_a_collection(
    tmp_path: Path, deaf: bool, count: int, nameless: int
) -> None:
    api = Offline(deaf=deaf)
    no_ids = [{"id": math.inf, "name": f"no id {n}"} for n in range(nameless)]
    api.tables["websites"] = [*rows(count), *no_ids]
    [job] = (await run(api, plan(tmp_path, page_size=7, since=None))).jobs
    assert (job.state, job.rows, job.rejected) == ("done", count, nameless)
