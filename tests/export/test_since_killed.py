"""An incremental export that was killed once its file was published, and the night after."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import interrupted, names, run
from voipstudio_cmb import ClientConfig
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.errors import ConnectionLost, ExportError
from voipstudio_cmb.export import Account, Export, Exports, Plan, forecast
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.export.store.ended import Made, end_mark, write_mark
from voipstudio_cmb.http import Request
from voipstudio_cmb.sandbox import Sandbox

QUICK = ClientConfig(retry=lambda error, request, attempts: None)


class KilledError(BaseException):
    """No Exception, as nothing may handle it."""


class Quick(Disk):
    """Does not wait for the disk."""

    def sync(self, file: int) -> None: ...

    def sync_directory(self, path: Path) -> None: ...


class Mortal(Quick):
    """Is killed before its step number `lives`, counted from when a file is published."""

    def __init__(self, name: str, lives: int) -> None:
        self.name, self.lives = name, lives
        self.published = False

    def _step(self) -> None:
        self.lives -= self.published
        if self.published and self.lives < 0:
            raise KilledError

    def open(self, path: Path) -> int:
        self._step()
        return super().open(path)

    def replace(self, path: Path, to: Path) -> None:
        self._step()
        super().replace(path, to)
        self.published = self.published or to.name == self.name

    def link(self, path: Path, to: Path) -> None:
        self._step()
        super().link(path, to)
        self.published = self.published or to.name == self.name

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)
        if path.name == ".export-ended":  # all has been told
            self.published = False


def plan(to: Path, format: Any, **more: Any) -> Plan:
    given = {"resources": "cdrs", "page_size": 20, "checkpoint": 0, "since": "last"} | more
    return Plan(to=to, format=format, **given)


def ids(to: Path) -> list[int]:
    found = [json.loads(line)["id"] for path in to.glob("cdrs*.jsonl")
             for line in path.read_bytes().splitlines()]  # fmt: skip
    for path in to.glob("cdrs.sqlite"):
        with closing(sqlite3.connect(path)) as database:
            found += [id for (id,) in database.execute("SELECT id FROM cdrs")]
    return sorted(found)


@pytest.mark.parametrize(
    ("format", "touched"),
    [
        ("jsonl", False),
        pytest.param("sqlite", False, marks=pytest.mark.campaign),
        ("sqlite", True),
    ],
)
async def test_the_next_night_brings_what_came_since(
    tmp_path: Path, format: str, touched: bool
) -> None:
    file = "cdrs.sqlite" if format == "sqlite" else "cdrs.0002.jsonl"
    api, killed = Offline(count=20), 0
    await run(api, plan(tmp_path / "first", format))
    for lives in range(99):
        to = tmp_path / str(lives)
        shutil.copytree(tmp_path / "first", to)
        api.tables["cdrs"] = rows(33)
        try:
            await run(api, plan(to, format), Mortal(file, lives))
            break
        except* KilledError:
            killed += 1
        if touched:  # not the bytes that were published
            with closing(sqlite3.connect(to / file)) as database:
                database.execute("CREATE INDEX mine ON cdrs (name)")
        shutil.copytree(to, tmp_path / f"{lives}.again")
        api.tables["cdrs"] = rows(40)
        summary = await run(api, plan(to, format), Quick())
        assert summary.complete
        assert {job.path.name: job.already for job in summary.jobs if job.made} == (
            {file: False} if format == "sqlite" else {file: True, "cdrs.0003.jsonl": False}
        )
        if touched:  # whether it was published can't be told before it is recorded
            assert (await run(api, plan(to, format), Quick())).complete
        assert ids(to) == list(range(1, 41))
        assert not [name for name in names(to) if name.startswith(".")]

        again = tmp_path / f"{lives}.again"  # at once, where nothing has come since
        api.tables["cdrs"] = rows(33)
        summary = await run(api, plan(again, format), Quick())
        assert summary.complete
        made = [(job.path.name, job.already, job.rows) for job in summary.jobs if job.made]
        assert touched or made == [(file, True, 13)]  # who waits for files must hear of all
        assert ids(again) == list(range(1, 34))
        files = json.loads((again / "manifest.json").read_bytes())["files"]
        assert sum(entry["rows"] for entry in files.values()) == 33
    assert killed > 8


async def test_begun_again_it_keeps_what_it_had_published(tmp_path: Path) -> None:
    api, killed = Offline(count=20), 0
    await run(api, plan(tmp_path / "first", "jsonl"))
    (tmp_path / "first" / "cdrs.jsonl").unlink()
    api.tables["cdrs"] = [*rows(18), *rows(30)[20:]]  # it is made again, with other bytes
    for lives in range(99):
        to = tmp_path / str(lives)
        shutil.copytree(tmp_path / "first", to)
        try:
            await run(api, plan(to, "jsonl", restart=True), Mortal("cdrs.jsonl", lives))
            break
        except* KilledError:
            killed += 1
        assert (await run(api, plan(to, "jsonl", restart=True), Quick())).complete
        assert ids(to) == [*range(1, 19), *range(21, 31)]
    assert killed > 8


async def test_killed_twice_it_tells_what_it_had_added(tmp_path: Path) -> None:
    api, killed = Offline(count=20), 0
    await run(api, plan(tmp_path / "first", "sqlite"))
    api.tables["cdrs"] = rows(33)
    with pytest.raises(BaseExceptionGroup):
        await run(api, plan(tmp_path / "first", "sqlite"), Mortal("cdrs.sqlite", 1))
    for lives in range(99):
        to = tmp_path / str(lives)
        shutil.copytree(tmp_path / "first", to)
        disk = Mortal("cdrs.sqlite", lives)
        disk.published = True
        try:
            await run(api, plan(to, "sqlite"), disk)
            break
        except* KilledError:
            killed += 1
        [job] = (await run(api, plan(to, "sqlite"), Quick())).jobs
        assert (job.state, job.already, job.made, job.rows) == ("done", True, True, 13)
        assert ids(to) == list(range(1, 34))
    assert killed > 8


async def test_what_removed_no_checkpoint_says_so_and_adds_the_next(tmp_path: Path) -> None:
    class Sticky(Disk):
        def unlink(self, path: Path) -> None:
            if path.name.endswith(".checkpoint") and path.exists():
                raise OSError(5, "Input/output error")
            super().unlink(path)

    api = Offline(count=20)
    assert (await run(api, plan(tmp_path, "sqlite"), Sticky())).complete
    [job] = (await run(api, plan(tmp_path, "sqlite"))).jobs
    assert (job.state, job.already, job.made, job.rows) == ("done", True, True, 20)
    api.tables["cdrs"] = rows(30)
    assert (await run(api, plan(tmp_path, "sqlite"), Sticky())).complete
    api.tables["cdrs"] = rows(40)
    with closing(sqlite3.connect(tmp_path / "cdrs.sqlite")) as database:
        database.execute("CREATE INDEX mine ON cdrs (name)")  # not the bytes that were published
    [forecasted] = await forecast(api.client(), plan(tmp_path, "sqlite"))
    assert (forecasted.rows, forecasted.already) == (10, False)
    [job] = (await run(api, plan(tmp_path, "sqlite"))).jobs
    assert (job.state, job.already, job.made, job.rows) == ("done", False, True, 10)
    assert ids(tmp_path) == list(range(1, 41))


async def test_a_database_that_has_gone_while_it_was_added_to_is_made_again(tmp_path: Path) -> None:
    api = Offline(count=20)
    assert (await run(api, plan(tmp_path, "sqlite"))).complete
    api.tables["cdrs"] = rows(90)
    interrupt = plan(tmp_path, "sqlite", concurrency=1)
    assert (await interrupted(api, interrupt, 6)).resumable
    (tmp_path / "cdrs.sqlite").unlink()
    [forecasted] = await forecast(api.client(), plan(tmp_path, "sqlite"))
    assert (forecasted.rows, forecasted.kept) == (90, 0)
    [job] = (await run(api, plan(tmp_path, "sqlite"))).jobs
    assert (job.state, job.rows, job.kept) == ("done", 90, 0)
    assert "the file that its rows continue has gone: begun again" in job.note
    assert ids(tmp_path) == list(range(1, 91))


@pytest.mark.parametrize("format", ["jsonl", "sqlite"])
async def test_two_at_once_leave_the_manifest_right(tmp_path: Path, format: str) -> None:
    """The second was planned before the first has ended, and runs after it."""
    api = Offline(count=20)
    assert (await run(api, plan(tmp_path, format))).complete
    api.tables["cdrs"] = rows(30)
    late = Export(api.client(), plan(tmp_path, format))
    assert (await run(api, plan(tmp_path, format))).complete
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    api.tables["cdrs"] = rows(40)
    [job] = (await late.run()).jobs
    assert isinstance(job.error, ExportError)
    assert job.error.retryable
    assert "another export has written" in str(job.error)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert (await run(api, plan(tmp_path, format))).complete
    assert ids(tmp_path) == list(range(1, 41))


async def test_a_database_that_has_gone_was_not_made_already(tmp_path: Path) -> None:
    api = Offline(count=20)
    assert (await run(api, plan(tmp_path, "sqlite"))).complete
    made = tmp_path / "cdrs.sqlite"
    untold = {made: Made(rows=20, rejected=0)}  # killed before it could tell
    write_mark(Disk(), end_mark(tmp_path), untold, restart=False)
    made.unlink()
    [job] = (await run(api, plan(tmp_path, "sqlite"))).jobs
    assert (job.state, job.already, job.rows) == ("done", False, 20)
    assert ids(tmp_path) == list(range(1, 21))


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_checkpoint_of_another_file_does_not_stand_in_the_way(
    tmp_path: Path, damaged: bool
) -> None:
    """As where a removed file is put back after an export was interrupted that made it again."""
    api = Offline(count=90)
    only = plan(tmp_path, "jsonl", concurrency=1)
    assert (await run(api, only)).complete
    made, checkpoint = tmp_path / "cdrs.jsonl", tmp_path / ".cdrs.jsonl.checkpoint"
    data = made.read_bytes()
    made.unlink()

    async def hook(request: Request) -> None:
        if checkpoint.exists():
            raise ConnectionLost("gone", sent="maybe")

    api.hook = hook
    assert (await run(api, only)).resumable
    api.hook = None
    made.write_bytes(data)
    if damaged:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-9])
    api.tables["cdrs"] = rows(95)
    assert (await run(api, only)).complete
    assert made.read_bytes() == data
    assert names(tmp_path) == {"cdrs.jsonl", "cdrs.0002.jsonl", "manifest.json"}
    assert ids(tmp_path) == list(range(1, 96))


@pytest.mark.parametrize("format", ["jsonl", "sqlite"])
async def test_the_page_size_of_what_was_published_does_not_matter(
    tmp_path: Path, format: str
) -> None:
    api = Offline(count=20)
    file = f"cdrs.{format}"
    with pytest.raises(BaseExceptionGroup):
        await run(api, plan(tmp_path, format), Mortal(file, 1))
    api.tables["cdrs"] = rows(33)
    assert (await run(api, plan(tmp_path, format, page_size=7))).complete
    assert ids(tmp_path) == list(range(1, 34))


@pytest.mark.parametrize("format", ["jsonl", "sqlite"])
async def test_what_is_told_beside_a_failure_is_not_told_again(tmp_path: Path, format: str) -> None:
    async def hook(request: Request) -> None:
        if "visitors" in request.path:
            raise ConnectionLost("gone", sent="maybe")

    api, nightly = Offline(count=20), plan(tmp_path, format, resources=("cdrs", "visitors"))
    api.hook = hook
    second = "cdrs.0002.jsonl" if format == "jsonl" else "cdrs.sqlite"
    for count, told in ((20, (f"cdrs.{format}", 20)), (23, (second, 3)), (23, None)):
        api.tables["cdrs"] = rows(count)
        summary = await run(api, nightly)
        made = [(job.path.name, job.rows, job.already) for job in summary.jobs if job.made]
        assert made == ([] if told is None else [(*told, False)])
        assert not summary.complete
    api.hook = None
    summary = await run(api, nightly)
    assert [job.resource for job in summary.jobs if job.made] == ["visitors"]
    assert summary.complete
    assert ids(tmp_path) == list(range(1, 24))
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("broken", ["refused", "nowhere"])
async def test_accounts_tell_of_each_night_once_and_of_a_killed_one_again(
    tmp_path: Path, broken: str
) -> None:
    async with Sandbox(rows=30) as api:
        url = api.base_url if broken == "refused" else "http://127.0.0.1:9/v1"
        accounts = [
            Account("fine", api.token, base_url=api.base_url), Account("b", "x", base_url=url),
        ]  # fmt: skip
        nightly = Plan(to=tmp_path, resources="cdrs", since="last")

        async def told(accounts: list[Account] = accounts) -> list[tuple[str, str, int]]:
            exports = Exports(accounts, nightly, config=QUICK)
            return [(job.account, job.path.name, job.rows)
                    for job in (await exports.run()).jobs if job.made]  # fmt: skip

        assert await told() == [("fine", "cdrs.jsonl", 30)]
        for number in (2, 3):
            api.data.cdrs.insert()
            assert await told() == [("fine", f"cdrs.{number:04}.jsonl", 1)]
        assert await told() == []
        api.data.cdrs.insert()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Export, "end", lambda _: None)
            assert await told() == [("fine", "cdrs.0004.jsonl", 1)]
        away = attrs.evolve(accounts[0], token=Secret("wrong"))
        assert await told([away, accounts[1]]) == []  # it is not the one that could tell
        both = [accounts[0], attrs.evolve(accounts[0], name="b")]
        assert await told(both) == [("fine", "cdrs.0004.jsonl", 1), ("b", "cdrs.jsonl", 33)]
        assert await told(both) == []
        assert names(tmp_path) == {"fine", "b"}
