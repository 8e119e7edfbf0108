"""The export: a file appears when it is whole, with every row as sent; a failure is one job's."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.offline import Offline, rows
from voipstudio_cmb import CallMeBackClient, Cdr, ClientConfig
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ExportError,
    Forbidden,
    ServerFault,
    Unauthorized,
)
from voipstudio_cmb.export import Export, Job, Plan, Sink, Summary
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper


async def export(api: Sandbox, plan: Plan, **config: Any) -> Summary:
    settings = ClientConfig(retry=lambda e, r, n: 0.0 if e.retryable and n < 3 else None, **config)
    async with CallMeBackClient(api.token, base_url=api.base_url, config=settings) as cmb:
        return await Export(cmb, plan).run()


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def visible(directory: Path) -> set[str]:
    """What is in *directory*, but for what an interrupted export keeps for itself."""
    names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
    return names - {"manifest.json"}


def everything(directory: Path) -> set[str]:
    """What is in *directory*, but for the manifest."""
    return {path.name for path in directory.iterdir()} - {"manifest.json"}


def states(summary: Summary) -> dict[str, str]:
    return {job.resource: job.state for job in summary.jobs}


async def rows_of(api: Sandbox, resource: str) -> list[Any]:
    async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        walk = getattr(cmb, resource).list()

        return [record.to_dict() async for record in walk]


async def test_every_row_of_every_resource_is_in_its_file_as_sent(tmp_path: Path) -> None:
    async with Sandbox(rows=1200) as api:
        summary = await export(api, Plan(to=tmp_path / "deep" / "er", page_size=100))
        assert summary.complete
        for resource in ("cdrs", "visitors", "websites", "settings"):
            expected = await rows_of(api, resource)
            assert lines(tmp_path / "deep" / "er" / f"{resource}.jsonl") == expected
        named = {
            row["button_id"]
            for resource in ("websites", "settings")
            for row in await rows_of(api, resource)
            if row["button_id"]
        }
        buttons = lines(tmp_path / "deep" / "er" / "buttons.jsonl")
        assert [row["id"] for row in buttons] == sorted(named)
    assert summary.rows == sum(job.rows for job in summary.jobs)
    assert summary.requests > 0
    assert summary.retries == 0
    assert everything(tmp_path / "deep" / "er") == {f"{name}.jsonl" for name in states(summary)}


async def test_faults_on_the_way_change_no_byte(tmp_path: Path) -> None:
    async with Sandbox(rows=600) as api:
        await export(api, Plan(to=tmp_path / "calm", page_size=50))
        for page, fault in enumerate(
            ({"status": 503}, {"drop": "before"}, {"drop": "mid-body"}), 6
        ):
            api.script(Fault(path="/callmeback/cdrs", after=page, **fault))
        summary = await export(api, Plan(to=tmp_path / "rough", page_size=50))
        assert summary.retries == 3
    for path in (tmp_path / "calm").iterdir():
        assert (tmp_path / "rough" / path.name).read_bytes() == path.read_bytes()


async def test_only_the_resources_that_are_named(tmp_path: Path) -> None:
    async with Sandbox(rows=50) as api:
        summary = await export(api, Plan(to=tmp_path, resources=["buttons", "cdrs", "buttons"]))
    assert states(summary) == {"buttons": "done", "cdrs": "done"}
    assert everything(tmp_path) == {"buttons.jsonl", "cdrs.jsonl"}
    assert len(lines(tmp_path / "buttons.jsonl")) > 0


async def test_a_job_that_fails_does_not_stop_the_others_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with Sandbox(rows=600) as api:
        api.script(Fault(path="/callmeback/cdrs", after=7, status=500, times=None))
        api.script(Fault(path="/callmeback/visitors", status=403, times=None))
        summary = await export(api, Plan(to=tmp_path, page_size=50))
    assert states(summary) == {
        "cdrs": "failed", "visitors": "failed", "websites": "done", "settings": "done",
        "buttons": "done",
    }  # fmt: skip
    assert not summary.complete
    errors = {job.resource: type(job.error) for job in summary.jobs if job.error}
    assert errors == {"cdrs": ServerFault, "visitors": Forbidden}
    assert visible(tmp_path) == {"websites.jsonl", "settings.jsonl", "buttons.jsonl"}
    resumable = {job.resource: job.resumable for job in summary.jobs if job.error}
    assert resumable == {"cdrs": True, "visitors": False}


@pytest.mark.parametrize("resources", [[], ["buttons"]])
async def test_buttons_fail_with_the_resource_that_names_them(
    tmp_path: Path, resources: list[str]
) -> None:
    async with Sandbox(rows=60) as api:
        api.script(Fault(path="/callmeback/settings", status=403, times=None))
        summary = await export(api, Plan(to=tmp_path, resources=resources))
    job = next(job for job in summary.jobs if job.resource == "buttons")
    assert job.state == "failed"
    assert isinstance(job.error, ExportError)
    assert "known from settings" in str(job.error)
    assert not (tmp_path / "buttons.jsonl").exists()


async def test_a_button_that_is_gone_is_noted_and_one_that_fails_fails_the_job(
    tmp_path: Path,
) -> None:
    async with Sandbox(rows=60) as api:
        gone = lines_of_buttons = sorted(
            {row["button_id"] for row in await rows_of(api, "settings") if row["button_id"]}
        )
        api.script(Fault(path=f"/callmeback/buttons/{gone[0]}", status=404))
        summary = await export(api, Plan(to=tmp_path / "a", resources=["buttons"]))
        assert summary.complete
        assert summary.jobs[0].missing == [gone[0]]
        assert gone[0] not in [row["id"] for row in lines(tmp_path / "a" / "buttons.jsonl")]
        api.script(Fault(path=f"/callmeback/buttons/{lines_of_buttons[-1]}", status=403))
        summary = await export(api, Plan(to=tmp_path / "b", resources=["buttons"]))
        assert states(summary) == {"buttons": "failed"}
        assert not visible(tmp_path / "b")


async def test_a_401_in_the_middle_leaves_no_file_in_part(tmp_path: Path) -> None:
    async with Sandbox(rows=600) as api:
        api.script(Fault(path="/callmeback/cdrs", after=7, status=401))
        summary = await export(api, Plan(to=tmp_path, resources=["cdrs"], page_size=50))
    assert isinstance(summary.jobs[0].error, Unauthorized)
    assert summary.resumable
    assert not visible(tmp_path)


async def test_a_page_of_garbage_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    async with Sandbox(rows=100) as api:
        api.script(Fault(path="/callmeback/cdrs", after=2, body=b"{garbage", times=None))
        summary = await export(api, Plan(to=tmp_path, resources=["cdrs"], page_size=50))
    assert "GET /callmeback/cdrs page 1: the response is not JSON (8 bytes" in str(
        summary.jobs[0].error
    )
    assert list(tmp_path.iterdir()) == []


async def test_an_existing_file_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "cdrs.jsonl").write_text("precious")
    async with Sandbox(rows=10) as api:
        with pytest.raises(ClientMisuse, match="exists: choose another directory.*--overwrite"):
            await export(api, Plan(to=tmp_path))
        assert api.requests == 0
        assert (tmp_path / "cdrs.jsonl").read_text() == "precious"
        # With overwrite it stays as it is until the new one is whole.
        api.script(Fault(path="/callmeback/cdrs", status=403))
        plan = Plan(to=tmp_path, resources=["cdrs"], overwrite=True)
        await export(api, plan)
        assert (tmp_path / "cdrs.jsonl").read_text() == "precious"
        await export(api, plan)
        assert len(lines(tmp_path / "cdrs.jsonl")) == 10


async def test_a_directory_that_cant_be_written_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "taken" / "cdrs.jsonl").mkdir(parents=True)
    async with Sandbox(rows=10) as api:
        for wrong in (tmp_path / "file", tmp_path / "file" / "below", "/proc/nowhere", "x\0y",
                      tmp_path / ("x" * 300)):  # fmt: skip
            with pytest.raises(ClientMisuse, match="can't be written"):
                await export(api, Plan(to=wrong))
        with pytest.raises(ClientMisuse, match="is a directory where a file should go"):
            await export(api, Plan(to=tmp_path / "taken"))
        assert api.requests == 0


@pytest.mark.parametrize("call", ["open", "write", "sync", "sync_directory", "link"])
async def test_a_full_disk_is_an_export_error_and_nothing_is_visible(
    tmp_path: Path, call: str
) -> None:
    class Full(Disk):
        pass

    def fails(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    setattr(Full, call, fails)
    (tmp_path / ".cdrs.jsonl.part").write_text("left over")
    async with Sandbox(rows=60) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            plan = Plan(to=tmp_path, resources=["cdrs"])
            summary = await Export(cmb, plan, disk=Full()).run()
            assert isinstance(summary.jobs[0].error, ExportError)
            said = str(summary.jobs[0].error)
            kept = {"link": "60 rows are kept", "sync_directory": "Nothing was sent"}.get(
                call, "Nothing of it is kept"
            )
            assert f"can't be written: No space left on device. {kept}: free some space" in said
            assert not visible(tmp_path)
            assert (await Export(cmb, plan).run()).complete
    assert everything(tmp_path) == {"cdrs.jsonl"}


async def test_a_cancelled_export_leaves_what_it_takes_to_resume(tmp_path: Path) -> None:
    import asyncio

    async with Sandbox(rows=600, latency=0.01) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            running = Export(cmb, Plan(to=tmp_path, page_size=10))
            task = asyncio.create_task(running.run())
            while not any(job.rows for job in running.jobs if job.resource == "cdrs"):
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not (tmp_path / "cdrs.jsonl").exists()
            asked = api.requests
            summary = await Export(cmb, Plan(to=tmp_path, page_size=10)).run()
            assert summary.complete
            cdrs = summary.jobs[0]
            assert 0 < cdrs.kept < cdrs.rows == 600
            assert api.requests - asked < 600 / 10 + 300 / 10 + 40
    assert len(lines(tmp_path / "cdrs.jsonl")) == 600
    assert everything(tmp_path) == visible(tmp_path)
    assert len(visible(tmp_path)) == 5


async def test_a_second_export_to_one_file_is_refused_and_the_first_is_whole(
    tmp_path: Path,
) -> None:
    import asyncio

    async with Sandbox(rows=600, latency=0.01) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            plan = Plan(to=tmp_path, resources=["cdrs"], page_size=50)
            first = Export(cmb, plan)
            task = asyncio.create_task(first.run())
            while not first.jobs[0].rows:
                await asyncio.sleep(0.001)
            second = await Export(cmb, plan).run()
            assert isinstance(second.jobs[0].error, ExportError)
            assert "another export is writing" in str(second.jobs[0].error)
            assert second.jobs[0].error.busy
            assert (await task).complete
    assert len(lines(tmp_path / "cdrs.jsonl")) == 600
    assert everything(tmp_path) == {"cdrs.jsonl"}


async def test_a_file_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    async with Sandbox(rows=20) as api:
        written = tmp_path / "cdrs.jsonl"
        api.script(Fault(path="/callmeback/cdrs", change=lambda _: written.write_text("precious")))
        summary = await export(api, Plan(to=tmp_path, resources="cdrs"))
    assert "has appeared while it was exported, and stays" in str(summary.jobs[0].error)
    assert visible(tmp_path) == {"cdrs.jsonl"}
    assert written.read_text() == "precious"


async def test_links_are_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".cdrs.jsonl.part").symlink_to(victim)
    async with Sandbox(rows=20) as api:
        assert (await export(api, Plan(to=out, resources="cdrs"))).complete
        assert not (out / "cdrs.jsonl").is_symlink()
        (out / "visitors.jsonl").symlink_to(tmp_path / "nowhere")
        with pytest.raises(ClientMisuse, match="exists and is a link: remove it"):
            await export(api, Plan(to=out, resources="visitors", overwrite=True))
    assert victim.read_text() == "precious"


async def test_a_directory_that_vanishes_is_an_export_error(tmp_path: Path) -> None:
    def vanish(_: Any) -> None:
        shutil.rmtree(tmp_path / "out")
        (tmp_path / "out").write_text("a file now")

    async with Sandbox(rows=20) as api:
        api.script(Fault(path="/callmeback/cdrs", change=vanish))
        summary = await export(api, Plan(to=tmp_path / "out", resources="cdrs"))
    assert isinstance(summary.jobs[0].error, ExportError)


async def test_an_export_is_run_once(tmp_path: Path) -> None:
    async with Sandbox(rows=20) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            once = Export(cmb, Plan(to=tmp_path, resources="cdrs", overwrite=True))
            await once.run()
            with pytest.raises(ClientMisuse, match="has been run"):
                await once.run()


async def test_a_temporary_file_that_a_killed_export_left_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".cdrs.jsonl.part").write_text("left over\n" * 5000)
    async with Sandbox(rows=20) as api:
        assert (await export(api, Plan(to=tmp_path, resources="cdrs"))).complete
    assert len(lines(tmp_path / "cdrs.jsonl")) == 20
    assert everything(tmp_path) == {"cdrs.jsonl"}


def test_a_plan_is_checked_before_anything_happens() -> None:
    with pytest.raises(ClientMisuse, match=r"did you mean cdrs\? \(known: cdrs, visitors"):
        Plan(to="x", resources=["cdrs", "cdr"])
    with pytest.raises(
        ClientMisuse, match=r"unknown format \(known: jsonl, csv, sqlite, parquet\)"
    ):
        Plan(to="x", format="xml")
    for nowhere in (None, "", 5):
        with pytest.raises(ClientMisuse, match="has to be the path of a directory"):
            Plan(to=nowhere)


@pytest.mark.parametrize(
    "option", [{"page_size": 0}, {"concurrency": 0}, {"page_size": True}, {"concurrency": 65}]
)
async def test_a_plan_with_a_wrong_number_sends_nothing_and_writes_nothing(
    tmp_path: Path, option: dict[str, Any]
) -> None:
    async with Sandbox(rows=10) as api:
        with pytest.raises(ClientMisuse, match="must be an integer from 1 to"):
            await export(api, Plan(to=tmp_path / "x", **option))
        assert api.requests == 0
    assert not (tmp_path / "x").exists()


async def test_csv_is_read_back_as_it_was_sent(tmp_path: Path) -> None:
    async with Sandbox(rows=300) as api:
        await export(api, Plan(to=tmp_path, format="csv", resources=["cdrs"]))
        expected = await rows_of(api, "cdrs")
    with (tmp_path / "cdrs.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert len(found) == len(expected)
    names = {name for row in expected for name in row}
    assert set(found[0]) == {*_documented(Cdr), *names, "extra"}
    for cells, row in zip(found, expected, strict=True):
        extra = json.loads(cells.pop("extra") or "{}")
        for name, cell in cells.items():
            value = None if name in extra else row.get(name)
            text = isinstance(value, str) or value is None
            assert (cell if text else json.loads(cell)) == (value or "" if text else value)
        assert extra == {n: v for n, v in row.items() if n in extra or n not in cells}


def _documented(kind: Any) -> list[str]:
    return [field.name for field in attrs.fields(kind) if field.name not in ("extra", "_row")]


async def test_an_export_to_sqlite_adds_to_what_is_there_and_updates_it(tmp_path: Path) -> None:
    path = tmp_path / "cdrs.sqlite"
    plan = Plan(to=tmp_path, resources="cdrs", format="sqlite", page_size=50)
    async with Sandbox(rows=120) as api:
        first, second, *_ = api.data.cdrs.ids
        assert (await export(api, plan)).complete
        api.data.cdrs.delete(first)
        api.data.cdrs.update(second, name="changed")
        new = api.data.cdrs.insert()["id"]
        for _ in range(2):
            assert (await export(api, plan)).complete
            with contextlib.closing(sqlite3.connect(path)) as database:
                found = dict(database.execute("SELECT id, name FROM cdrs"))
            assert len(found) == 121
            assert found[second] == "changed"
            assert {first, new} <= found.keys()
        whole = attrs.evolve(plan, overwrite=True)
        assert (await export(api, whole)).complete
        with contextlib.closing(sqlite3.connect(path)) as database:
            assert first not in dict(database.execute("SELECT id, name FROM cdrs"))
        # What no export made is refused before anything is sent.
        asked = api.requests
        for content in ("CREATE TABLE cdrs (id)", None):
            path.unlink()
            if content is None:
                path.write_text("precious" * 1000)
            else:
                with contextlib.closing(sqlite3.connect(path)) as database:
                    database.execute(content)
            before = path.read_bytes()
            with pytest.raises(ClientMisuse, match="rows can't be added to .*cdrs.sqlite"):
                await export(api, plan)
            assert path.read_bytes() == before
        (tmp_path / "cdrs.sqlite-wal").touch()
        with pytest.raises(ClientMisuse, match="'cdrs.sqlite-wal' can't be made a part of"):
            await export(api, plan)
        (tmp_path / "cdrs.sqlite-wal").unlink()
        assert api.requests == asked
    assert everything(tmp_path) == {"cdrs.sqlite"}


async def test_a_format_of_ones_own(tmp_path: Path) -> None:
    class Ids(Sink):
        suffix = "ids"

        def write(self, rows: Any, resource: str, record: type, path: Path, about: Any) -> int:
            path.write_text("".join(f"{json.loads(row)['id']}\n" for row in rows))
            return 0

    async with Sandbox(rows=60) as api:
        assert (await export(api, Plan(to=tmp_path, format=Ids()))).complete
        assert (tmp_path / "cdrs.ids").read_text() == "".join(f"{id}\n" for id in api.data.cdrs.ids)


async def test_jobs_can_be_watched_and_totals_are_the_servers_claims(tmp_path: Path) -> None:
    async with Sandbox(rows=100, temper=Temper(total_offset=5)) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            running = Export(cmb, Plan(to=tmp_path, resources=["cdrs"]))
            assert [(job.state, job.rows, job.total) for job in running.jobs] == [
                ("waiting", 0, None)
            ]
            await running.run()
            job: Job = running.jobs[0]
            assert (job.state, job.rows, job.total, job.pages) == ("done", 100, 105, 1)
    assert issubclass(ExportError, CallMeBackError)


@pytest.mark.parametrize("broken", [{1}, {2}, {5}, {11}, {12}, {3, 8}])
async def test_rows_that_can_not_be_used_are_no_reason_to_miss_others(
    tmp_path: Path, broken: set[int]
) -> None:
    """A page's total leaves out its own rejects, and counts those of all other pages."""
    api = Offline()
    api.tables["websites"], api.broken = rows(13), broken
    for size in (2, 5):
        plan = Plan(to=tmp_path / str(size), resources="websites", page_size=size, concurrency=1)
        [job] = (await Export(api.client(), plan).run()).jobs
        assert (job.state, job.rows, job.rejected) == ("done", 13 - len(broken), len(broken))
