"""Exports from a server that ignores conditions: nothing contradicting appears."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import interrupted, names, run
from voipstudio_cmb.errors import ConnectionLost, FilterIgnored
from voipstudio_cmb.export import Plan, forecast
from voipstudio_cmb.filters import Filter, where

FORMATS = ["jsonl", "csv", "sqlite", "parquet"]


def plan(to: Path, **options: Any) -> Plan:
    return Plan(**{"to": to, "resources": ("cdrs",), "checkpoint": 0.0, "page_size": 5, **options})


def ids(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("first", [True, False])
async def test_an_ignored_filter_leaves_no_file(tmp_path: Path, format: Any, first: bool) -> None:
    """On the first page, or on a later one."""
    wanted = where("id") > 30 if first else where("id") <= 30
    [job] = (await run(Offline(deaf=True), plan(tmp_path, format=format, filters=wanted))).jobs
    assert isinstance(job.error, FilterIgnored)
    assert not job.resumable
    assert not [name for name in names(tmp_path) if not name.startswith(".")]


@pytest.mark.parametrize("format", FORMATS)
async def test_it_is_filtered_here_if_that_is_asked_for(tmp_path: Path, format: Any) -> None:
    options = {"format": format, "filters": [where("id") > 30, Filter("id", "lte", 33)]}
    summaries = [
        await run(Offline(deaf=True), plan(tmp_path / "a", on_ignored_filter="client", **options)),
        await run(Offline(), plan(tmp_path / "b", **options)),
    ]
    for summary in summaries:
        [job] = summary.jobs
        assert (job.state, job.rows) == ("done", 3)
    [job] = summaries[0].jobs
    assert job.total is None  # that of all rows would be none of these
    made = [path.read_bytes() for path in sorted(tmp_path.glob("?/cdrs.*"))]
    if format in ("jsonl", "csv"):
        assert made[0] == made[1]


async def test_an_interrupted_export_that_filters_here_is_resumed(tmp_path: Path) -> None:
    api = Offline(deaf=True)
    here = plan(tmp_path, filters=where("id") > 30, on_ignored_filter="client", concurrency=1)
    assert (await interrupted(api, here, 11)).resumable
    [job] = (await run(api, here)).jobs
    assert (job.state, job.rows, job.note) == ("done", 30, "")
    assert ids(tmp_path / "cdrs.jsonl") == list(range(31, 61))


@pytest.mark.parametrize("habit", ["ignores", "refuses"])
async def test_since_last_says_that_the_condition_is_ignored(tmp_path: Path, habit: str) -> None:
    api = Offline(20, deaf=habit == "ignores")
    api.refuses = "filter" if habit == "refuses" else None
    await run(api, plan(tmp_path))
    api.tables["cdrs"] = rows(33)
    [expected] = await forecast(api.client(), plan(tmp_path, since="last"))
    assert (expected.error, expected.rows) == (None, 33)
    [job] = (await run(api, plan(tmp_path, since="last"))).jobs
    assert (job.state, job.rows, job.total) == ("done", 13, None)
    assert job.note.startswith(f"the API {habit} id>")
    assert "all rows were read, and these were chosen" in job.note
    assert ids(tmp_path / "cdrs.0002.jsonl") == list(range(21, 34))


async def test_since_last_does_not_hide_that_a_filter_is_ignored(tmp_path: Path) -> None:
    api = Offline(20)
    options: Any = {"filters": where("name") == "nobody"}
    await run(api, plan(tmp_path, **options))
    api.deaf = True
    [job] = (await run(api, plan(tmp_path, since="last", **options))).jobs
    assert isinstance(job.error, FilterIgnored)
    assert job.error.condition == "name=nobody"
    [expected] = await forecast(api.client(), plan(tmp_path, since="last", **options))
    assert isinstance(expected.error, FilterIgnored)
    [job] = (
        await run(api, plan(tmp_path, since="last", on_ignored_filter="client", **options))
    ).jobs
    assert (job.state, job.rows) == ("done", 0)


async def test_a_lost_connection_is_still_resumable(tmp_path: Path) -> None:
    error = ConnectionLost("gone", sent="maybe")
    assert (await interrupted(Offline(), plan(tmp_path, concurrency=1), 9, error)).resumable
