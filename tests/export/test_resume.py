"""An interrupted export: what it resumes from, and when it refuses to."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.disks import CountingDisk
from benchmarks.harness.offline import Offline
from tests.fakes.exports import interrupted, names, run
from voipstudio_cmb import where
from voipstudio_cmb.errors import (
    ClientMisuse,
    ExportError,
    Forbidden,
    PageDrift,
    ServerFault,
    Unauthorized,
)
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.export.sinks.csv import CsvSink
from voipstudio_cmb.export.store import spool
from voipstudio_cmb.export.store.disk import Disk, rejects_path
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.export.store.spool import Spool
from voipstudio_cmb.http import Request, Response


def plan(to: Path, **more: Any) -> Plan:
    return Plan(
        **{"to": to, "resources": "cdrs", "page_size": 5, "concurrency": 1, "checkpoint": 0} | more
    )


async def whole(tmp_path: Path, **more: Any) -> bytes:
    """What an export writes that nothing disturbs."""
    there = tmp_path / "undisturbed"
    assert (await run(Offline(), plan(there, **more))).complete
    return (there / "cdrs.jsonl").read_bytes()


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


@pytest.mark.parametrize("deaf", [False, True])
async def test_it_resumes_where_it_stopped(tmp_path: Path, deaf: bool) -> None:
    api = Offline(deaf=deaf)
    to = tmp_path / "out"
    summary = await interrupted(api, plan(to))
    [job] = summary.jobs
    assert (job.state, job.resumable, summary.resumable) == ("failed", True, True)
    assert 0 < job.rows < 60
    assert names(to) == {".cdrs.jsonl.part", ".cdrs.jsonl.checkpoint"}
    asked, had = len(api.asked), job.rows
    summary = await run(api, plan(to))
    [job] = summary.jobs
    assert (job.state, job.rows, job.kept) == ("done", 60, had)
    assert job.since is not None
    assert len(api.asked) - asked < 60 / 5
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)
    assert names(to) == {"cdrs.jsonl", "manifest.json"}


async def test_the_manifest_is_that_of_an_export_that_nothing_disturbed(tmp_path: Path) -> None:
    def table() -> list[dict[str, Any]]:
        """The latest is among the rows that came before the interruption."""
        times = ["2026-01-05 00:00:00", "2026-01-09 00:00:00", "2026-01-09 00:00:00", None]
        return [{"id": id, "created_at": times[id] if id < 4 else times[0]} for id in range(1, 61)]

    entries = []
    for name, requests in (("out", 6), ("undisturbed", 0)):
        api, to = Offline(), tmp_path / name
        api.tables["cdrs"] = table()
        if requests:
            await interrupted(api, plan(to), requests)
        assert (await run(api, plan(to))).complete
        [entry] = json.loads((to / "manifest.json").read_text())["files"].values()
        entries.append(entry)
    assert entries[0] == entries[1]
    assert (entries[0]["through"], entries[0]["until"]) == (60, "2026-01-09 00:00:00")
    assert entries[0]["known"] == {"2026-01-09 00:00:00": "1-2"}


@pytest.mark.parametrize("left", range(-1, 12))
def test_rows_are_whole_wherever_a_block_ends(tmp_path: Path, left: int) -> None:
    """A block is a mebibyte; the first row leaves a few bytes of it, or none."""
    rows = [b'{"id":"%b"}' % (b"x" * (2**20 - 10 - left))]
    rows += [b'{"id":%d}' % id for id in (2, 333, 4, 55)]
    spool = Spool(tmp_path / "rows", Disk())
    spool.open(0, spool.digest)
    assert list(spool.blocks()) == []
    spool.append(b"".join(row + b"\n" for row in rows))
    assert b"".join(spool.blocks()).splitlines() == rows
    assert b"".join(spool.blocks()).splitlines() == rows
    assert all(part.endswith(b"}\n") for part in spool.blocks())
    spool.close()


@pytest.mark.parametrize("block", [9, 100, 1_000])
def test_some_blocks_have_whole_rows_from_the_first_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("voipstudio_cmb.export.store.spool.BLOCK", block)
    rows = [b'{"id":%d}' % id for id in range(1_000, 4_000)]
    spool = Spool(tmp_path / "rows", Disk())
    spool.open(0, spool.digest)
    spool.append(b"".join(row + b"\n" for row in rows))
    some = b"".join(spool.blocks(5)).splitlines()
    spool.close()
    assert some == sorted({*some} & {*rows})
    assert some[0] == rows[0]
    assert rows.index(some[-1]) > 2_300
    assert len(rows) / 7 < len(some) < len(rows) / 3


async def test_at_most_the_last_moments_are_fetched_again(tmp_path: Path) -> None:
    """Without a failure to report there is no last checkpoint: as after a kill."""
    api, to = Offline(), tmp_path / "out"

    class Dead(Disk):
        """Killed behind the second checkpoint: nothing after it reaches the disk."""

        saved = 0

        def replace(self, path: Path, to: Path) -> None:
            self.saved += 1
            if self.saved > 2:
                raise OSError(errno.EIO, "dead")
            super().replace(path, to)

    await run(api, plan(to), Dead())
    held = json.loads(json.loads((to / ".cdrs.jsonl.checkpoint").read_bytes())["held"])
    assert held["rows"] == 10
    assert len((to / ".cdrs.jsonl.part").read_bytes().splitlines()) > 10
    [job] = (await run(api, plan(to))).jobs
    assert (job.kept, job.rows) == (10, 60)
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)


@pytest.mark.parametrize(
    ("harm", "note"),
    [
        ("empty", "its checkpoint was damaged"),
        ("half", "its checkpoint was damaged"),
        ("bit", "its checkpoint was damaged"),
        ("version", "its checkpoint was damaged"),
        ("json", "its checkpoint was damaged"),
        ("data cut", "the saved rows were damaged"),
        ("data bit", "the saved rows were damaged"),
        ("data gone", "the saved rows were damaged"),
        ("data longer", ""),
    ],
)
async def test_what_is_damaged_is_never_resumed(tmp_path: Path, harm: str, note: str) -> None:
    api, to = Offline(), tmp_path / "out"
    await interrupted(api, plan(to))
    checkpoint, data = to / ".cdrs.jsonl.checkpoint", to / ".cdrs.jsonl.part"
    text, rows = checkpoint.read_bytes(), data.read_bytes()
    if harm == "empty":
        checkpoint.write_bytes(b"")
    elif harm == "half":
        checkpoint.write_bytes(text[: len(text) // 2])
    elif harm == "bit":
        checkpoint.write_bytes(
            text.replace(b'rows\\": 2', b'rows\\": 3').replace(b"keyset:", b"keysat:")
        )
        assert checkpoint.read_bytes() != text
    elif harm == "version":
        checkpoint.write_bytes(text.replace(b'"version": 1', b'"version": 2'))
    elif harm == "json":
        checkpoint.write_bytes(b"[1]")
    elif harm == "data cut":
        data.write_bytes(rows[:-1])
    elif harm == "data bit":
        data.write_bytes(rows[:100] + bytes([rows[100] ^ 1]) + rows[101:])
    elif harm == "data gone":
        data.unlink()
    else:
        data.write_bytes(rows + b'{"id":77')
    [job] = (await run(api, plan(to))).jobs
    assert note in job.note
    assert (job.kept == 0) == bool(note)
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)
    assert names(to) == {"cdrs.jsonl", "manifest.json"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"page_size": 6}, "page_size was 5 and is 6"),
        ({"filters": where("id") > 3}, "filters was .*and is .*id"),
    ],
)
async def test_another_export_is_refused_with_the_difference(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    api, to = Offline(), tmp_path / "out"
    await interrupted(api, plan(to))
    before = {path: path.read_bytes() for path in to.iterdir()}
    asked = len(api.asked)
    with pytest.raises(
        ClientMisuse, match=f"was interrupted, and this is another one: {said}.*--restart"
    ):
        await run(api, plan(to, **change))
    assert len(api.asked) == asked
    assert {path: path.read_bytes() for path in to.iterdir()} == before
    [job] = (await run(api, plan(to, restart=True, **change))).jobs
    assert (job.state, job.kept) == ("done", 0)


async def test_another_window_is_the_same_export(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    await interrupted(api, plan(to))
    assert (await run(api, plan(to, concurrency=8))).complete
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)


async def test_another_format_does_not_meet_it(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    await interrupted(api, plan(to))
    assert (await run(api, plan(to, format="csv"))).complete
    assert names(to) > {"cdrs.csv", ".cdrs.jsonl.part", ".cdrs.jsonl.checkpoint"}
    assert (await run(api, plan(to))).complete
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)


async def test_another_account_is_refused(tmp_path: Path) -> None:
    to = tmp_path / "out"
    await interrupted(Offline(user=7), plan(to))
    with pytest.raises(ClientMisuse, match="is another account's: use its token, or begin again"):
        await run(Offline(user=8), plan(to))
    assert (await run(Offline(user=8), plan(to, restart=True))).complete


async def test_a_token_that_was_refused_can_be_replaced(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    refused = Unauthorized("token expired", status=401, sent="yes")
    summary = await interrupted(api, plan(to), error=refused)
    assert isinstance(summary.jobs[0].error, Unauthorized)
    assert summary.resumable
    assert (await run(api, plan(to))).complete


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_walk_that_can_not_be_resumed_begins_again(tmp_path: Path, deaf: bool) -> None:
    """As where rows come and go too fast for it to make sure of those before."""
    api, to = Offline(deaf=deaf), tmp_path / "out"
    undisturbed = Offline(deaf=deaf)
    await interrupted(api, plan(to))
    left = [1]

    async def hook(request: Request) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise PageDrift("rows before the position may be missed", evidence="", sent="yes")

    api.hook = hook
    [job] = (await run(api, plan(to))).jobs
    assert job.note == "begun again: rows before the position may be missed"
    assert (job.state, job.kept, job.since) == ("done", 0, None)
    assert (await run(undisturbed, plan(tmp_path / "undisturbed"))).complete
    for name in ("cdrs.jsonl", "manifest.json"):
        assert (to / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


async def test_rows_may_have_gone_meanwhile(tmp_path: Path) -> None:
    api, to = Offline(deaf=True), tmp_path / "out"
    await interrupted(api, plan(to), 8)
    del api.tables["cdrs"][:12]
    [job] = (await run(api, plan(to))).jobs
    found = [json.loads(line)["id"] for line in lines(to / "cdrs.jsonl")]
    assert set(found) >= set(range(13, 61))
    assert len(found) == len(set(found)) == job.rows


class Drifting(Offline):
    """Its rows come and go all the time, and it can only be read by page."""

    def __init__(self, seed: int, kinds: tuple[str, ...]) -> None:
        super().__init__(0, deaf=True)
        self.sorts = True
        self.random, self.kinds = random.Random(seed), kinds
        self.ids = self.tables["cdrs"] = [{"id": 3 * id} for id in range(1, 121)]
        self.next = 400
        self.stayed = {row["id"] for row in self.ids}

    def change(self, times: int) -> None:
        for _ in range(times):
            if self.random.choice(self.kinds) == "come":
                self.next += self.random.choice([1, 3])
                self.ids.append({"id": self.next})
            else:
                gone = self.ids.pop(self.random.randrange(len(self.ids)))
                self.stayed.discard(gone["id"])

    async def __call__(self, request: Request) -> Response:
        self.change(self.random.random() < 0.3)
        return await super().__call__(request)


@pytest.mark.parametrize("kinds", [("come",), ("go",), ("come", "go")], ids="-".join)
async def test_a_resumed_export_begins_again_no_more_than_one_that_never_stopped(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    """Though rows have gone meanwhile, and it can't tell by their number which."""
    notes = list[str]()
    for seed in range(3):
        api, to = Drifting(seed, kinds), tmp_path / str(seed)
        asked = plan(to, concurrency=api.random.choice([1, 2, 4]))
        for _ in range(2):
            await interrupted(api, asked, api.random.randrange(6, 13))
            api.change(api.random.randrange(8))
        [job] = (await run(api, asked)).jobs
        found = [json.loads(line)["id"] for line in lines(to / "cdrs.jsonl")]
        assert api.stayed <= set(found)
        assert len(found) == len(set(found)) == job.rows
        assert job.kept > 0 or job.note
        notes.append(job.note)
    assert not any(notes)


async def test_rows_that_an_earlier_run_left_out_cost_nothing(tmp_path: Path) -> None:
    """They were read and not kept, so that they come again and are left out again."""
    api, to = Offline(180, deaf=True), tmp_path / "out"
    asked = plan(to, filters=where("id") > 40, on_ignored_filter="client", page_size=10)
    await interrupted(api, asked, 12)
    del api.tables["cdrs"][150]
    [job] = (await run(api, asked)).jobs
    assert (job.kept, job.note) == (50, "")
    found = [json.loads(line)["id"] for line in lines(to / "cdrs.jsonl")]
    assert found == [id for id in range(41, 181) if id != 151]


async def test_rows_in_no_order_are_fetched_again(tmp_path: Path) -> None:
    api, to = Offline(deaf=True), tmp_path / "out"
    api.tables["cdrs"].sort(key=lambda row: row["id"] * 37 % 61)
    await interrupted(api, plan(to))
    assert not [name for name in names(to) if name.endswith(".checkpoint")]
    [job] = (await run(api, plan(to))).jobs
    assert (job.state, job.rows, job.kept) == ("done", 60, 0)


async def test_drift_in_a_first_run_is_an_error(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"

    async def hook(request: Request) -> None:
        raise PageDrift("its pages repeat each other", evidence="", sent="yes")

    api.hook = hook
    [job] = (await run(api, plan(to))).jobs
    assert isinstance(job.error, PageDrift)
    assert names(to) == set()


async def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    all_of_it = plan(to, resources=())

    async def hook(request: Request) -> None:
        if request.path.endswith("visitors"):
            raise ServerFault("500", status=500, sent="yes")

    api.hook = hook
    summary = await run(api, all_of_it)
    assert {job.resource: job.state for job in summary.jobs} == {
        "cdrs": "done", "visitors": "failed", "websites": "done", "settings": "done",
        "buttons": "done",
    }  # fmt: skip
    api.hook = None
    before = (to / "cdrs.jsonl").stat().st_mtime_ns
    asked = len(api.asked)
    summary = await run(api, all_of_it)
    assert summary.complete
    assert [job.resource for job in summary.jobs if job.already] == [
        "cdrs", "websites", "settings", "buttons",
    ]  # fmt: skip
    assert (to / "cdrs.jsonl").stat().st_mtime_ns == before
    assert {request.path for request in api.asked[asked:]} == {"/callmeback/visitors",
        "/callmeback/websites", "/callmeback/settings"}  # fmt: skip
    assert names(to) == {f"{job.resource}.jsonl" for job in summary.jobs} | {"manifest.json"}
    with pytest.raises(ClientMisuse, match="exists: add what is new with --since last"):
        await run(api, all_of_it)


async def test_a_refusal_leaves_nothing_to_resume(tmp_path: Path) -> None:
    """Or a nightly export with --overwrite would take yesterday's files for today's."""
    api, to = Offline(), tmp_path / "out"
    both = plan(to, resources=("cdrs", "visitors"), overwrite=True)

    async def hook(request: Request) -> None:
        if request.path.endswith("visitors"):
            raise Forbidden("403", status=403, sent="yes")

    for count in (60, 61):
        api.hook = hook
        api.tables["cdrs"] = Offline(count=count).tables["cdrs"]
        summary = await run(api, both)
        assert [(job.state, job.already) for job in summary.jobs] == [
            ("done", False),
            ("failed", False),
        ]
        assert not summary.resumable
        assert names(to) == {"cdrs.jsonl", "manifest.json"}
        assert len((to / "cdrs.jsonl").read_bytes().splitlines()) == count


async def test_what_replaces_other_files_is_done_again_after_a_failure(tmp_path: Path) -> None:
    """Or one resource that fails each night would leave yesterday's files for the others."""
    api, to = Offline(), tmp_path / "out"
    both = plan(to, resources=("cdrs", "visitors"), overwrite=True)

    async def hook(request: Request) -> None:
        if request.path.endswith("visitors"):
            raise ServerFault("500", status=500, sent="yes")

    api.hook = hook
    for count in (60, 61):
        api.tables["cdrs"] = Offline(count=count).tables["cdrs"]
        summary = await run(api, both)
        assert [(job.state, job.already) for job in summary.jobs] == [
            ("done", False), ("failed", False)
        ]  # fmt: skip
        assert len(lines(to / "cdrs.jsonl")) == count


async def test_killed_between_the_name_and_the_end_it_is_already_complete(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"

    class Dying(Disk):
        named = False

        def link(self, path: Path, to: Path) -> None:
            super().link(path, to)
            self.named = True

        def unlink(self, path: Path) -> None:
            if self.named:
                raise OSError(errno.EIO, "dead")
            super().unlink(path)

    [job] = (await run(api, plan(to), Dying())).jobs
    assert isinstance(job.error, ExportError)
    assert (to / "cdrs.jsonl").exists()
    asked = len(api.asked)
    [job] = (await run(api, plan(to))).jobs
    assert (job.state, job.already, job.rows) == ("done", True, 60)
    assert len(api.asked) == asked
    assert names(to) == {"cdrs.jsonl", "manifest.json"}
    assert (to / "cdrs.jsonl").read_bytes() == await whole(tmp_path)


async def test_rejected_rows_are_kept_beside_the_file(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    api.broken = {1, 3}
    only = plan(to, resources=("websites",))
    summary = await run(api, only)
    [job] = summary.jobs
    assert (job.rows, job.rejected, summary.rejected) == (1, 2, 2)
    assert [json.loads(line)["id"] for line in lines(to / "websites.jsonl")] == [2]
    rejects = [json.loads(line) for line in lines(to / "websites.rejects.jsonl")]
    assert [(r["page"], r["index"], r["row"]["id"]) for r in rejects] == [(1, 1, "1"), (1, 3, "3")]
    assert all("its id is no integer" in r["reason"] for r in rejects)
    assert names(to) == {"websites.jsonl", "websites.rejects.jsonl", "manifest.json"}
    # An export without any takes the old file away.
    api.broken = set()
    summary = await run(api, attrs.evolve(only, overwrite=True))
    assert summary.rejected == 0
    assert names(to) == {"websites.jsonl", "manifest.json"}


async def test_rejected_rows_survive_an_interruption_and_count_once(tmp_path: Path) -> None:
    api, to = Offline(), tmp_path / "out"
    api.tables["websites"] = Offline(count=60).tables["cdrs"]
    api.broken = {2, 14, 31, 59}
    only = plan(to, resources=("websites",))
    await interrupted(api, only)
    with (to / ".websites.jsonl.rejects").open("ab") as file:
        file.write(b'{"page":1,"ind')  # killed in the middle of a write
    [job] = (await run(api, only)).jobs
    assert (job.state, job.rejected) == ("done", 4)
    assert job.rows == 56
    found = [json.loads(line)["row"]["id"] for line in lines(to / "websites.rejects.jsonl")]
    assert sorted(found) == ["14", "2", "31", "59"]


async def test_rejected_rows_are_on_the_disk_before_the_checkpoint_behind_them(
    tmp_path: Path,
) -> None:
    synced: list[str] = []

    class Told(Disk):
        def sync(self, file: int) -> None:
            synced.append(Path(os.readlink(f"/proc/self/fd/{file}")).name)

    api = Offline()
    api.broken = {2}
    only = plan(tmp_path, resources=("websites",), checkpoint=99)
    assert (await run(api, only, Told())).complete
    assert synced[:3] == [
        ".websites.jsonl.part", ".websites.jsonl.rejects", ".websites.jsonl.checkpoint.new"
    ]  # fmt: skip


async def test_buttons_resume_where_they_stopped(tmp_path: Path) -> None:
    api = Offline()
    api.tables["settings"] = [{"id": id, "button_id": id} for id in range(1, 9)]
    only = plan(tmp_path, resources="buttons")
    await interrupted(api, only, 10)
    asked = len(api.asked)
    [job] = (await run(api, only)).jobs
    assert (job.rows, job.missing) == (7, [4])
    assert 3 <= job.kept < 7
    buttons = [request.path for request in api.asked[asked:] if "buttons" in request.path]
    assert len(buttons) == 8 - job.kept - 1


async def test_a_lock_file_that_goes_away_with_its_holder_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / ".cdrs.jsonl.lock"
    taken: list[int] = []
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        if not taken:
            lock.unlink()  # its holder has ended between our opening and our locking
        taken.append(file)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path / "cdrs.jsonl"):
        assert len(taken) == 2
        with pytest.raises(ExportError, match="another export is writing"):
            locked(tmp_path / "cdrs.jsonl").__enter__()
    assert not lock.exists()


async def test_a_conversion_ends_when_it_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(CsvSink):
        written = 0
        going = threading.Event()
        cancelled = threading.Event()

        def write(self, rows: Any, resource: str, record: Any, path: Path, about: Any) -> int:
            path.touch()
            for _ in rows:
                self.written += 1
                self.going.set()
                self.cancelled.wait(60)
            return 0

    monkeypatch.setattr(spool, "BLOCK", 500)
    sink, api = Slow(), Offline()
    task = asyncio.create_task(run(api, plan(tmp_path, format=sink)))
    while not sink.going.is_set():
        await asyncio.sleep(0.001)
    task.cancel()
    for _ in range(3):
        await asyncio.sleep(0)
    sink.cancelled.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sink.written < 50
    assert names(tmp_path) == {".cdrs.csv.part", ".cdrs.csv.checkpoint"}
    asked = len(api.asked)
    assert (await run(api, plan(tmp_path, format="csv"))).complete
    assert len(api.asked) == asked
    assert names(tmp_path) == {"cdrs.csv", "manifest.json"}


async def test_rejected_rows_that_were_damaged_are_fetched_again(tmp_path: Path) -> None:
    api = Offline()
    api.tables["websites"] = Offline(count=60).tables["cdrs"]
    api.broken = {2}
    only = plan(tmp_path, resources=("websites",))
    await interrupted(api, only)
    (tmp_path / ".websites.jsonl.rejects").write_bytes(b"")
    [job] = (await run(api, only)).jobs
    assert (job.rejected, job.kept) == (1, 0)
    assert "saved rejected rows were damaged" in job.note


async def test_a_second_name_of_a_whole_file_is_not_cut_off(tmp_path: Path) -> None:
    """Killed between link and unlink, with a checkpoint that was lost: they are one file."""
    api = Offline()
    assert (await run(api, plan(tmp_path))).complete
    before = (tmp_path / "cdrs.jsonl").read_bytes()
    os.link(tmp_path / "cdrs.jsonl", tmp_path / ".cdrs.jsonl.part")
    await interrupted(api, plan(tmp_path, overwrite=True))
    assert (tmp_path / "cdrs.jsonl").read_bytes() == before


async def test_a_file_of_somebody_else_is_not_taken_for_one_of_an_interrupted_run(
    tmp_path: Path,
) -> None:
    api = Offline()
    both = plan(tmp_path, resources=("cdrs", "visitors"))

    async def hook(request: Request) -> None:
        if request.path.endswith("visitors"):
            raise ServerFault("500", status=500, sent="yes")

    api.hook = hook
    await run(api, both)
    api.hook = None
    (tmp_path / "visitors.jsonl").write_text("precious")
    with pytest.raises(ClientMisuse, match="exists: choose another directory"):
        await run(api, both)
    (tmp_path / "visitors.jsonl").unlink()
    (tmp_path / "cdrs.jsonl").write_text("edited")
    with pytest.raises(ClientMisuse, match="exists: choose another directory"):
        await run(api, both)


async def test_a_file_that_may_not_be_written_is_replaced_all_the_same(tmp_path: Path) -> None:
    api = Offline()
    assert (await run(api, plan(tmp_path))).complete
    (tmp_path / "cdrs.jsonl").chmod(0o444)

    class Full(Disk):
        def replace(self, path: Path, to: Path) -> None:
            if to.name == "cdrs.jsonl":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().replace(path, to)

    again = plan(tmp_path, overwrite=True)
    assert not (await run(api, again, Full())).complete
    assert (tmp_path / ".cdrs.jsonl.part").stat().st_mode & 0o777 == 0o444
    opened = os.open

    def as_a_user(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR and os.path.exists(path) and not os.stat(path).st_mode & 0o200:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", as_a_user)  # root may do anything
        assert (await run(api, again)).complete
    assert (tmp_path / "cdrs.jsonl").stat().st_mode & 0o777 == 0o444


def test_what_is_no_format_is_refused(tmp_path: Path) -> None:
    for wrong in (7, object(), CsvSink):
        with pytest.raises(ClientMisuse, match="a format is a name"):
            Plan(to=tmp_path, format=wrong)  # type: ignore[arg-type]


async def test_the_lock_of_a_killed_export_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".cdrs.jsonl.lock").touch()
    assert (await run(Offline(), plan(tmp_path))).complete
    assert names(tmp_path) == {"cdrs.jsonl", "manifest.json"}


async def test_a_link_in_the_place_of_a_hidden_file_is_not_followed(tmp_path: Path) -> None:
    victim, to = tmp_path / "victim", tmp_path / "out"
    victim.write_text("precious")
    for kind in ("part", "lock", "checkpoint.new", "rejects"):
        to.mkdir(exist_ok=True)
        (to / f".cdrs.jsonl.{kind}").symlink_to(victim)
        summary = await run(Offline(), plan(to))
        assert victim.read_text() == "precious"
        if kind != "lock":  # they are not to be gone on from
            assert summary.complete
        else:
            assert isinstance(summary.jobs[0].error, ExportError)
        for path in to.iterdir():
            path.unlink()


async def test_the_mode_is_the_umasks_or_that_of_the_file_before(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        for format in ("jsonl", "csv"):
            assert (await run(Offline(), plan(tmp_path, format=format))).complete
            made = tmp_path / f"cdrs.{format}"
            assert made.stat().st_mode & 0o777 == 0o640
            made.chmod(0o604)
            again = plan(tmp_path, format=format, overwrite=True)
            assert (await run(Offline(), again)).complete
            assert made.stat().st_mode & 0o777 == 0o604
    finally:
        os.umask(old)


async def test_the_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(
    tmp_path: Path,
) -> None:
    steps: list[str] = []

    class Told(Disk):
        def _tell(self, step: str, path: Path) -> None:
            steps.append(f"{step} {path.name}")

        def sync(self, file: int) -> None:
            super().sync(file)
            self._tell("sync", Path(os.readlink(f"/proc/self/fd/{file}")))

        def sync_directory(self, path: Path) -> None:
            super().sync_directory(path)
            steps.append("sync directory")

        def link(self, path: Path, to: Path) -> None:
            super().link(path, to)
            self._tell("name", to)

        def replace(self, path: Path, to: Path) -> None:
            super().replace(path, to)
            self._tell("name", to)

    for format, made in (("jsonl", ".cdrs.jsonl.part"), ("csv", ".cdrs.csv.new")):
        steps.clear()
        assert (await run(Offline(), plan(tmp_path, format=format, checkpoint=99), Told())).complete
        named = steps.index(f"name cdrs.{format}")
        assert f"sync {made}" in steps[:named]
        checkpoint = f".cdrs.{format}.checkpoint"
        saved = len(steps) - 1 - steps[::-1].index(f"name {checkpoint}")
        assert saved < named
        assert steps[saved - 1 : saved + 2] == [
            f"sync {checkpoint}.new",
            f"name {checkpoint}",
            "sync directory",
        ]
        assert steps[named + 1] == "sync directory"


async def test_a_file_system_without_links_gets_its_file_all_the_same(tmp_path: Path) -> None:
    class Fat(Disk):
        def link(self, path: Path, to: Path) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    assert (await run(Offline(), plan(tmp_path), Fat())).complete
    assert names(tmp_path) == {"cdrs.jsonl", "manifest.json"}

    class Racing(Fat):
        def link(self, path: Path, to: Path) -> None:
            to.write_text("precious")
            super().link(path, to)

    [job] = (await run(Offline(), plan(tmp_path, resources="visitors"), Racing())).jobs
    assert isinstance(job.error, ExportError)
    assert (tmp_path / "visitors.jsonl").read_text() == "precious"


async def test_filters_choose_rows_and_not_the_buttons_that_others_name(tmp_path: Path) -> None:
    api = Offline()
    api.tables["settings"] = [{"id": id, "button_id": id + 20} for id in range(1, 9)]
    some = plan(tmp_path, resources=("settings", "buttons"), filters=where("id") > 6)
    assert (await run(api, some)).complete
    assert len(lines(tmp_path / "settings.jsonl")) == 2
    found = {json.loads(line)["id"] for line in lines(tmp_path / "buttons.jsonl")}
    assert found >= set(range(21, 29))


async def test_a_failed_sync_is_not_tried_again(tmp_path: Path) -> None:
    """The kernel forgets what it could not write: a second fsync would say that all is well."""

    class Failing(Disk):
        tried = 0

        def sync(self, file: int) -> None:
            self.tried += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    disk = Failing()
    [job] = (await run(Offline(), plan(tmp_path), disk)).jobs
    assert isinstance(job.error, ExportError)
    assert disk.tried == 1
    assert names(tmp_path) == set()


async def test_a_disk_that_has_failed_is_not_asked_a_second_time(tmp_path: Path) -> None:
    class Failing(Disk):
        failed = False
        asked = 0

        def write(self, file: int, data: bytes) -> None:
            self.failed = self.failed or len(data) > 1500  # the rows, and not a checkpoint
            self.asked += self.failed
            if self.failed:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().write(file, data)

        def sync(self, file: int) -> None:
            self.asked += self.failed
            super().sync(file)

    api, disk = Offline(), Failing()
    api.tables["cdrs"][20]["name"] = "x" * 1000
    summary = await run(api, plan(tmp_path), disk)
    assert disk.asked == 1
    assert summary.resumable
    [job] = (await run(api, plan(tmp_path))).jobs
    assert job.kept >= 15


async def test_fifos_and_other_odd_files_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "cdrs.jsonl")
    with pytest.raises(ClientMisuse, match="is no regular file: remove it first"):
        await run(Offline(), plan(tmp_path, overwrite=True))


async def test_no_token_is_in_what_an_interrupted_export_leaves(tmp_path: Path) -> None:
    from voipstudio_cmb import CallMeBackClient
    from voipstudio_cmb.sandbox import Fault, Sandbox

    canary = "canary-0123456789-not-a-token"
    async with Sandbox(rows=300, token=canary) as api:
        api.script(Fault(path="/me", status=404, times=None))  # then a hash of the token stands in
        api.script(Fault(path="/callmeback/cdrs", after=4, status=403, times=None))
        for _ in range(2):
            async with CallMeBackClient(canary, base_url=api.base_url) as cmb:
                summary = await Export(cmb, plan(tmp_path, page_size=20)).run()
                assert summary.resumable
            api.clear_faults()
            api.script(Fault(path="/me", status=404, times=None))
            held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
            assert canary.encode() not in held
            assert str(tmp_path).encode() not in held
            api.script(Fault(path="/callmeback/cdrs", after=4, status=403, times=None))
        async with CallMeBackClient(lambda: asyncio.sleep(0, canary), base_url=api.base_url) as cmb:
            with pytest.raises(ClientMisuse, match="is another account's"):
                await Export(cmb, plan(tmp_path, page_size=20)).run()


KILLS = [
    "jsonl --every 197 --first 2", "csv --every 199 --again 4", "sqlite+last --every 113",
]  # fmt: skip
MORE_KILLS = [
    "parquet --disk-full 4", "jsonl+gzip --error ENOSPC --every 199",
    "jsonl --every 23 --first 2", "jsonl --error EIO --every 29", "csv --every 61 --again 4",
    "csv --disk-full 12", "sqlite --every 41 --first 3", "sqlite --disk-full 12",
    "sqlite+last --every 31", "parquet --every 61 --again 4", "parquet --disk-full 12",
    "jsonl+last --every 31 --first 5", "jsonl+gzip --error ENOSPC --every 61",
]  # fmt: skip


KILL = """
import sys
from benchmarks.campaigns.crash_points import main
sys.exit(sum(main(how.split()) for how in sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "hows",
    [KILLS, *(pytest.param([how], marks=pytest.mark.campaign, id=how) for how in MORE_KILLS)],
)
def test_killed_or_failed_anywhere_it_is_whole_in_the_end(hows: list[str]) -> None:
    """A share of `python -m benchmarks.campaigns.crash_points`, which takes every step."""
    command = [sys.executable, "-c", KILL, *hows]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("the claim holds\n") == len(hows)


def test_a_counting_disk_counts() -> None:
    disk = CountingDisk(dies=3, fails=errno.EIO)
    with pytest.raises(OSError, match="Input/output"):
        for _ in range(3):
            disk.step()


class _Odd(Offline):
    """Some rows hold what no reader of JSON takes."""

    async def __call__(self, request: Request) -> Response:
        response = await super().__call__(request)
        body = response.body.replace(b'"deep"', b"[" * 50_000 + b"]" * 50_000)
        return response.with_changes(body=body.replace(b'"none"', b"NaN"))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("deaf", [False, True])
@pytest.mark.parametrize("sink", ["jsonl", "csv", "sqlite"])
async def test_a_row_that_can_not_be_read_costs_itself_only(
    tmp_path: Path, sink: str, deaf: bool
) -> None:
    api = _Odd(deaf=deaf)
    for id, odd in ((1, "deep"), (30, "none"), (31, "deep"), (60, "deep")):
        api.tables["cdrs"][id - 1]["nested"] = odd
    only = plan(tmp_path, resources=("cdrs",), format=sink)
    await interrupted(api, only)
    [job] = (await run(api, only)).jobs
    assert (job.state, job.rows, job.rejected, job.error) == ("done", 56, 4, None)
    rejects = [json.loads(line) for line in lines(rejects_path(job.path))]
    ids = {int(each["row"].split(",")[0].removeprefix('{"id": ')) for each in rejects}
    assert ids == {1, 30, 31, 60}
    assert {each["reason"] for each in rejects} == {"it is nested too deeply", "NaN is no JSON"}
