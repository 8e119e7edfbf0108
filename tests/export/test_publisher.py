"""An export to an object store: what is complete is published, and the manifest last."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import hashes, interrupted
from tests.fakes.stores import Bucket, KilledError
from voipstudio_cmb.errors import ClientMisuse, ConnectionLost, ExportError
from voipstudio_cmb.export import Export, Plan, Summary, forecast, verify
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.export.store.manifest import manifest_of
from voipstudio_cmb.ext import obstore as adapter
from voipstudio_cmb.http import Request

TWO = ("cdrs", "visitors")
STEPS = {"first": 20, "since": 14, "overwrite": 26}
"""What the store sees of an export: so many steps, before and after each."""


class Quick(Disk):
    """Does not wait for the disk."""

    def sync(self, file: int) -> None: ...

    def sync_directory(self, path: Path) -> None: ...


def plan(workspace: Path, **more: Any) -> Plan:
    options = {"to": "s3://bucket/calls", "workspace": workspace, "resources": TWO, "page_size": 9}
    return Plan(**options | more)


def local(directory: Path, **more: Any) -> Plan:
    return Plan(**{"to": directory, "resources": TWO, "page_size": 9} | more)


async def run(api: Offline, plan: Plan) -> Summary:
    return await Export(api.client(), plan, disk=Quick()).run()


@attrs.frozen
class Night:
    """What the store has before an export, and the export."""

    before: Any
    options: dict[str, Any]
    after: Any


NIGHTS = {
    "first": Night(None, {}, Offline(40)),
    "since": Night(Offline(40), {"since": "last"}, Offline(44)),
    "overwrite": Night(Offline(40), {"overwrite": True}, Offline(44)),
}


async def begin(night: Night, workspace: Path) -> None:
    if night.before is not None:
        since = night.options.get("since")
        assert (await run(night.before, plan(workspace, since=since))).complete


async def is_killed(export: Export) -> bool:
    killed = False
    try:
        await export.run()
    except* KilledError:
        killed = True
    return killed


async def is_complete(api: Offline, plan: Plan, *, known: bool = True) -> bool:
    """Runs an export again; where it was complete, perhaps no disk is left that `known` it."""
    try:
        return (await run(api, plan)).complete
    except ClientMisuse as error:
        return not known and "exists: add what is new" in str(error)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return use(Bucket(), monkeypatch)


def use(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setattr(adapter, "open_store", bucket.open)
    return bucket


def in_store(directory: Path) -> dict[str, str]:
    """What the store has to hold of what an export to a directory wrote there."""
    return {f"calls/{name}": each for name, each in hashes(directory).items()}


def listed_in(bucket: Bucket) -> dict[str, Any]:
    """What the manifest says of each file, if there is one."""
    if "calls/manifest.json" not in bucket.hashes():
        return {}
    return dict(json.loads(bucket.read("calls/manifest.json"))["files"])


def check_whole(bucket: Bucket) -> None:
    """Checks that all that the manifest lists exists, and is as it says."""
    if "calls/manifest.json" in bucket.hashes():
        states = {each.state for each in verify("s3://bucket/calls")}
        assert states <= {"ok", "unlisted"}


@pytest.mark.parametrize("format", ["jsonl", "csv", "sqlite"])
async def test_it_holds_what_a_directory_would_hold(
    tmp_path: Path, bucket: Bucket, format: Any
) -> None:
    api = Offline(40)
    assert (await run(api, local(tmp_path / "local", format=format))).complete
    summary = await run(api, plan(tmp_path / "work", format=format))
    assert summary.complete
    assert bucket.hashes() == in_store(tmp_path / "local")
    urls = [f"s3://bucket/calls/{name}.{format}" for name in TWO]
    assert [job.url for job in summary.jobs] == urls
    left = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert not [
        path.name for path in left if not path.name.endswith((".store", ".token", "manifest.json"))
    ]


async def test_the_manifest_is_changed_last_and_files_are_only_created(
    tmp_path: Path, bucket: Bucket
) -> None:
    await run(Offline(40), plan(tmp_path))
    tries = [("create", "manifest.json"), ("create", "manifest.json"), ("replace", "manifest.json")]
    assert bucket.writes == [
        *tries,
        *(("create", f"{name}.jsonl") for name in TWO),
        tries[-1],
    ]  # fmt: skip


async def test_each_object_says_its_hash_and_its_rows(tmp_path: Path, bucket: Bucket) -> None:
    import obstore

    await run(Offline(40), plan(tmp_path))
    found = obstore.get(bucket.memory, "calls/cdrs.jsonl").attributes
    assert found["rows"] == "40"
    assert found["sha256"] == bucket.hashes()["calls/cdrs.jsonl"]


async def test_since_last_goes_on_from_the_store_with_an_empty_disk(
    tmp_path: Path, bucket: Bucket
) -> None:
    api = Offline(40)
    for night in range(3):
        assert (await run(api, local(tmp_path / "local", since="last"))).complete
        own = plan(tmp_path / f"pod{night}", since="last")
        summary = await run(api, own)
        assert summary.complete
        assert sum(job.rows for job in summary.jobs) == (60 if night == 0 else 5)
        assert bucket.hashes() == in_store(tmp_path / "local")
        api.tables["cdrs"] += rows(5, 100 + 10 * night)


async def test_an_object_that_was_deleted_is_made_again(tmp_path: Path, bucket: Bucket) -> None:
    api = Offline(40)
    await run(api, plan(tmp_path, since="last"))
    before = bucket.hashes()
    bucket.delete("calls/cdrs.jsonl")
    assert [each.state for each in verify("s3://bucket/calls")] == ["missing", "ok"]
    assert (await run(api, plan(tmp_path / "other", since="last"))).complete
    assert bucket.hashes() == before


async def test_an_object_that_was_changed_is_not_continued(tmp_path: Path, bucket: Bucket) -> None:
    api = Offline(40)
    await run(api, plan(tmp_path, since="last"))
    data = bucket.read("calls/cdrs.jsonl")
    bucket.write("calls/cdrs.jsonl", data.replace(b"caller", b"CALLER"))
    assert [(each.state, each.reason) for each in verify("s3://bucket/calls")] == [
        ("changed", "its SHA-256 is another one"), ("ok", "")
    ]  # fmt: skip
    with pytest.raises(ClientMisuse, match="its SHA-256 is another one.*Delete it"):
        await run(api, plan(tmp_path, since="last", verify=True))
    bucket.write("calls/cdrs.jsonl", data[:-1])
    with pytest.raises(ClientMisuse, match=r"'s3://bucket/calls/cdrs.jsonl' is not as manifest"):
        await run(api, plan(tmp_path, since="last"))
    assert next(verify("s3://bucket/calls")).reason.startswith("it has ")


async def test_what_the_manifest_does_not_list_is_told_by_verify(
    tmp_path: Path, bucket: Bucket
) -> None:
    with pytest.raises(ClientMisuse, match="holds no export"):
        list(verify("s3://bucket/calls"))
    for name in ("a", "b"):
        await run(Offline(4), plan(tmp_path, to=f"s3://bucket/calls/{name}"))
    bucket.write("calls/b/stray.jsonl", b"")
    bucket.write("calls/a/manifest.json", b"{}")
    found = [(str(each.path), each.state) for each in verify("s3://bucket/calls")]
    assert found == [
        ("s3://bucket/calls/a/manifest.json", "changed"),
        ("s3://bucket/calls/b/cdrs.jsonl", "ok"),
        ("s3://bucket/calls/b/visitors.jsonl", "ok"),
        ("s3://bucket/calls/b/stray.jsonl", "unlisted"),
    ]


async def test_what_is_there_is_replaced_only_with_overwrite(
    tmp_path: Path, bucket: Bucket
) -> None:
    await run(Offline(40), plan(tmp_path))
    before = bucket.hashes()
    for workspace in (tmp_path, tmp_path / "empty"):
        with pytest.raises(ClientMisuse, match=r"'s3://bucket/calls/cdrs.jsonl' exists: add what"):
            await run(Offline(50), plan(workspace))
    assert bucket.hashes() == before
    assert (await run(Offline(50), plan(tmp_path / "other", overwrite=True))).complete
    await run(Offline(50), local(tmp_path / "local"))
    assert bucket.hashes() == in_store(tmp_path / "local")


async def test_a_dry_run_knows_what_the_store_has(tmp_path: Path, bucket: Bucket) -> None:
    api = Offline(40)
    await run(api, plan(tmp_path, since="last"))
    api.tables["cdrs"] += rows(5, 100)
    seen = len(bucket.writes)
    forecasts = await forecast(api.client(), plan(tmp_path / "other", since="last"))
    assert [each.rows for each in forecasts] == [5, 0]
    with pytest.raises(ClientMisuse, match="exists"):
        await forecast(api.client(), plan(tmp_path / "other"))
    assert len(bucket.writes) == seen


async def test_rows_that_can_not_be_used_are_published_beside_their_file(
    tmp_path: Path, bucket: Bucket
) -> None:
    api = Offline(20)
    api.broken = {2}
    sites = {"resources": ("websites",)}
    await run(api, local(tmp_path / "local", **sites))
    summary = await run(api, plan(tmp_path / "work", **sites))
    assert (summary.complete, summary.rejected) == (True, 1)
    assert bucket.hashes() == in_store(tmp_path / "local")
    assert len(bucket.hashes()) == 3
    assert {each.state for each in verify("s3://bucket/calls")} == {"ok"}
    bucket.write("calls/websites.rejects.jsonl", b"")
    assert "changed" in {each.state for each in verify("s3://bucket/calls")}
    bucket.delete("calls/websites.rejects.jsonl")
    assert "missing" in {each.state for each in verify("s3://bucket/calls")}


@pytest.mark.one_in(16)
@pytest.mark.parametrize(
    ("night", "dies"),
    [(night, dies) for night, steps in STEPS.items() for dies in range(1, steps + 1)],
)
async def test_a_kill_at_any_step_of_the_store_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, night: str, dies: int
) -> None:
    each = NIGHTS[night]
    results = []
    for at, empty in ((0, False), (dies, False), (dies, True)):
        bucket, workspace = use(Bucket(), monkeypatch), tmp_path / f"{at}-{empty}"
        await begin(each, workspace)
        bucket.steps.clear()
        bucket.dies = at
        own = plan(workspace, **each.options)
        assert await is_killed(Export(each.after.client(), own, disk=Quick())) == bool(at)
        if at:
            bucket.dies = 0
            if night != "overwrite":  # there a file and the manifest change one after the other
                check_whole(bucket)
            if empty:  # the disk has gone with the pod
                shutil.rmtree(workspace)
            complete = await is_complete(each.after, own, known=not empty)
            if not complete and empty:  # nobody knows any more who has claimed what
                assert night == "overwrite"
                for name in TWO:
                    bucket.delete(f"calls/{name}.jsonl")
                complete = await is_complete(each.after, own)
            assert complete
        else:
            assert len(bucket.steps) == STEPS[night]
        results.append(bucket.hashes())
        assert {state.state for state in verify("s3://bucket/calls")} == {"ok"}
    assert results[1:] == results[:1] * 2


@pytest.mark.campaign
@pytest.mark.timeout(600)
@pytest.mark.parametrize("night", NIGHTS)
async def test_a_kill_at_any_step_of_the_disk_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, night: str
) -> None:
    from benchmarks.harness.disks import CountingDisk

    class Mortal(CountingDisk):
        def step(self) -> None:
            self.steps += 1
            if self.steps == self._dies:
                raise KilledError

    each = NIGHTS[night]

    async def one(dies: int) -> tuple[int, dict[str, str]]:
        bucket, workspace = use(Bucket(), monkeypatch), tmp_path / f"{dies}"
        await begin(each, workspace)
        own, disk = plan(workspace, **each.options), Mortal(dies)
        if await is_killed(Export(each.after.client(), own, disk=disk)):
            # At its very last step it had told all.
            assert await is_complete(each.after, own, known=dies < last)
        return disk.steps, bucket.hashes()

    last = 0
    last, expected = await one(0)
    assert last > 100
    for dies in (*range(1, last, 7), last):
        assert (await one(dies))[1] == expected, dies


@pytest.mark.one_in(9)
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("night", NIGHTS)
@pytest.mark.parametrize("step", range(6))
async def test_of_two_writers_one_wins_whenever_the_other_comes(
    tmp_path: Path, bucket: Bucket, night: str, step: int, equal: bool
) -> None:
    each = NIGHTS[night]
    await begin(each, tmp_path / "before")
    others: list[Summary] = []
    left = [step]

    async def hook(kind: str, name: str) -> None:
        left[0] -= 1
        if left[0] == -1:
            bucket.hook = None
            other = each.after if equal else Offline(46)
            others.append(await run(other, plan(tmp_path / "other", **each.options)))

    bucket.hook = hook
    summary = await run(each.after, plan(tmp_path / "one", **each.options))
    bucket.hook = None
    if not others:
        assert night != "first"
        assert summary.complete
        return
    both = [*others, summary]
    assert {state.state for state in verify("s3://bucket/calls")} == {"ok"}
    if equal and night != "overwrite":
        assert all(one.complete for one in both)
        return
    for resource in TWO:
        states = Counter(job.state for one in both for job in one.jobs if job.resource == resource)
        assert states["done"] >= 1
    lost = [job.error for one in both for job in one.jobs if job.state == "failed"]
    assert lost or equal
    for error in lost:
        assert isinstance(error, ExportError)
        assert error.retryable
        assert "another export" in str(error)


@attrs.define
class Turns:
    """Lets one of several writers at a time go on to its next step, as drawn; some are killed."""

    draw: random.Random
    kills: int
    live: int
    waiting: list[asyncio.Future[None]] = attrs.field(factory=list)

    async def take(self, kind: str, name: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        self._give()
        await turn

    def end(self) -> None:
        self.live -= 1
        self._give()

    def _give(self) -> None:
        if self.waiting and len(self.waiting) == self.live:
            turn = self.waiting.pop(self.draw.randrange(len(self.waiting)))
            if self.kills and self.draw.random() < 0.1:
                self.kills -= 1
                turn.set_exception(KilledError())
            else:
                turn.set_result(None)


@pytest.mark.one_in(30)
@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("night", NIGHTS)
async def test_writers_in_any_order_leave_what_the_manifest_says(
    tmp_path: Path, bucket: Bucket, night: str, seed: int
) -> None:
    each, draw = NIGHTS[night], random.Random(f"{night} {seed}")
    await begin(each, tmp_path / "before")
    turns = Turns(draw, kills=draw.choice((0, 2)), live=3)
    bucket.hook = turns.take

    async def write(number: int) -> None:
        api = Offline(draw.choice((44, 45)) + number % 2)
        own = plan(tmp_path / f"{number}", **each.options)
        try:
            await is_killed(Export(api.client(), own, disk=Quick()))
        except ClientMisuse:  # another one was complete before it began
            assert night == "first"
        finally:
            turns.end()

    before = listed_in(bucket)
    await asyncio.gather(*map(write, range(3)))
    bucket.hook = None
    made = bucket.hashes()
    for name, entry in listed_in(bucket).items():
        if entry != before.get(name):
            assert made[f"calls/{name}"] == entry["sha256"]
    if night != "overwrite":  # there a file and the manifest change one after the other
        check_whole(bucket)
    assert await is_complete(Offline(50), plan(tmp_path / "last", **each.options), known=False)
    if night != "first":
        assert {state.state for state in verify("s3://bucket/calls")} == {"ok"}


async def test_what_a_killed_run_has_left_is_replaced_by_a_fresh_disk(
    tmp_path: Path, bucket: Bucket
) -> None:
    async def hook(kind: str, name: str) -> None:
        if (kind, name) == ("create", "visitors.jsonl"):
            raise KilledError

    bucket.hook = hook
    assert await is_killed(Export(Offline(40).client(), plan(tmp_path / "a"), disk=Quick()))
    bucket.hook = None
    left = bucket.hashes()["calls/cdrs.jsonl"]
    assert (await run(Offline(44), plan(tmp_path / "b"))).complete
    assert bucket.hashes()["calls/cdrs.jsonl"] != left
    assert {each.state for each in verify("s3://bucket/calls")} == {"ok"}
    await run(Offline(44), local(tmp_path / "local"))
    assert bucket.hashes() == in_store(tmp_path / "local")


async def test_an_equal_object_that_another_export_replaces_is_not_listed(
    tmp_path: Path, bucket: Bucket
) -> None:
    await run(Offline(40), plan(tmp_path / "a"))
    bucket.write("calls/manifest.json", manifest_of({}, {"cdrs.jsonl": "another"}))
    summary = await run(Offline(40), plan(tmp_path / "b"))
    assert {job.state for job in summary.jobs} == {"failed"}
    assert "'s3://bucket/calls/cdrs.jsonl'" in str(summary.jobs[0].error)
    assert listed_in(bucket) == {}
    bucket.delete("calls/cdrs.jsonl")
    assert (await run(Offline(40), plan(tmp_path / "b"))).complete
    assert {each.state for each in verify("s3://bucket/calls")} == {"ok"}
    assert b"replacing" not in bucket.read("calls/manifest.json")


async def test_what_a_pod_has_left_counts_for_nothing_once_another_has_gone_on(
    tmp_path: Path, bucket: Bucket
) -> None:
    api = Offline(40)
    await run(api, plan(tmp_path / "a", since="last"))
    api.tables["cdrs"] += rows(20, 100)
    own = plan(tmp_path / "a", since="last", checkpoint=0, resources=("cdrs",))
    await interrupted(api, own, requests=7)
    assert list((tmp_path / "a").rglob(".cdrs.0002.jsonl.checkpoint"))
    api.tables["cdrs"] += rows(5, 200)
    assert (await run(api, plan(tmp_path / "b", since="last"))).complete
    api.tables["cdrs"] += rows(5, 300)
    summary = await run(api, own)
    assert summary.complete
    assert summary.rows == 5
    ids = [
        json.loads(line)["id"]
        for key in sorted(bucket.hashes())
        if "cdrs" in key
        for line in bucket.read(key).splitlines()
    ]
    assert sorted(ids) == [row["id"] for row in api.tables["cdrs"]]
    assert not list((tmp_path / "a").rglob(".*.checkpoint"))


async def test_a_part_does_not_continue_what_was_replaced_meanwhile(
    tmp_path: Path, bucket: Bucket
) -> None:
    await run(Offline(40), plan(tmp_path / "a", since="last"))

    async def hook(kind: str, name: str) -> None:
        bucket.hook = None
        assert (await run(Offline(44), plan(tmp_path / "b", overwrite=True))).complete

    bucket.hook = hook
    own = plan(tmp_path / "a", since="last")
    summary = await run(Offline(44), own)
    assert {job.state for job in summary.jobs if job.rows} == {"failed"}
    assert "another export publishes" in str(summary.jobs[0].error)
    assert (await run(Offline(44), own)).rows == 0
    listed = json.loads(bucket.read("calls/manifest.json"))["files"]
    assert {name: each["rows"] for name, each in listed.items()} == {
        "cdrs.jsonl": 44, "visitors.jsonl": 22
    }  # fmt: skip


async def test_what_is_published_is_not_published_again_where_another_job_failed(
    tmp_path: Path, bucket: Bucket
) -> None:
    api = Offline(40)

    async def hook(request: Request) -> None:
        if "visitors" in request.path:
            raise ConnectionLost("gone", sent="maybe")

    api.hook = hook
    summary = await run(api, plan(tmp_path))
    assert [job.state for job in summary.jobs] == ["done", "failed"]
    assert sorted(bucket.hashes()) == ["calls/cdrs.jsonl", "calls/manifest.json"]
    api.hook = None
    summary = await run(api, plan(tmp_path))
    assert [(job.state, job.already) for job in summary.jobs] == [("done", True), ("done", False)]
    assert bucket.writes.count(("create", "cdrs.jsonl")) == 1
    assert {each.state for each in verify("s3://bucket/calls")} == {"ok"}


async def test_a_file_stays_where_its_checkpoint_can_not_be_removed(
    tmp_path: Path, bucket: Bucket
) -> None:
    class Stubborn(Quick):
        def unlink(self, path: Path) -> None:
            if path.name == ".cdrs.jsonl.checkpoint" and path.exists():
                raise PermissionError(13, "Permission denied")
            super().unlink(path)

    summary = await Export(Offline(9).client(), plan(tmp_path), disk=Stubborn()).run()
    assert summary.complete
    summary = await run(Offline(9), plan(tmp_path))
    assert [(job.state, job.already) for job in summary.jobs] == [("done", True)] * 2


async def test_an_interrupted_export_resumes_in_its_workspace(
    tmp_path: Path, bucket: Bucket
) -> None:
    api = Offline(40)
    own = plan(tmp_path, checkpoint=0, page_size=5)
    await interrupted(api, own, requests=9)
    assert bucket.hashes() == {}
    summary = await run(api, own)
    assert summary.complete
    assert sum(job.kept for job in summary.jobs) > 0


async def test_a_store_that_ignores_conditions_is_refused(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def put(self: Any, name: str, data: Any, notes: Any, mode: Any) -> bool:
        bucket.write(f"calls/{name}", data if isinstance(data, bytes) else data.read_bytes())
        return True

    monkeypatch.setattr(adapter.Objects, "put", put)
    summary = await run(Offline(4), plan(tmp_path))
    assert [job.state for job in summary.jobs] == ["failed", "failed"]
    assert "ignores the conditions of a put" in str(summary.jobs[0].error)
    assert list(bucket.hashes()) == ["calls/manifest.json"]


async def test_two_runs_in_one_workspace_do_not_meet(tmp_path: Path, bucket: Bucket) -> None:
    first: list[Summary] = []

    async def hook(kind: str, name: str) -> None:
        bucket.hook = None
        first.append(await run(Offline(4), plan(tmp_path)))

    bucket.hook = hook
    assert (await run(Offline(4), plan(tmp_path))).complete
    error = first[0].jobs[0].error
    assert isinstance(error, ExportError)
    assert error.retryable
    assert "another export is writing 's3://bucket/calls/cdrs.jsonl'" in str(error)


async def test_a_workspace_that_can_not_be_written_says_which_option(
    tmp_path: Path, bucket: Bucket
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClientMisuse, match=r"the workspace .* can't be written .*--workspace"):
        await run(Offline(4), plan(tmp_path / "file"))
