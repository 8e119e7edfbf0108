"""Databases of exports that other programs use too, and leave in all the states that there are."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import names, run
from voipstudio_cmb.errors import ClientMisuse, ExportError
from voipstudio_cmb.export import Plan, forecast
from voipstudio_cmb.export.sinks import sqlite, sqlite_files
from voipstudio_cmb.export.sinks.sqlite import SqliteSink

ONLY = {"cdrs.sqlite", "manifest.json"}


def plan(to: Path, **more: Any) -> Plan:
    given: dict[str, Any] = {"resources": "cdrs", "checkpoint": 0, "since": "last"}
    return Plan(**(given | {"to": to, "format": "sqlite"} | more))


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
async def api(to: Path) -> Offline:
    """An account of which the first 20 of 40 rows were exported."""
    found = Offline(count=20)
    assert (await run(found, plan(to))).complete
    found.tables["cdrs"] = rows(40)
    return found


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_files, "WAIT", 0.01)


@pytest.fixture
def other(to: Path, api: Offline) -> Iterator[sqlite3.Connection]:
    """Another program that has the database open."""
    connection = sqlite3.connect(to / "cdrs.sqlite", isolation_level=None)
    with closing(connection):
        yield connection


def tables(to: Path) -> tuple[int, list[int]]:
    """How many rows were exported, and those of the other program."""
    with closing(sqlite3.connect(to / "cdrs.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        [(count,)] = database.execute("SELECT count(*) FROM cdrs")
        mine = (
            "SELECT * FROM mine" if database.execute("PRAGMA table_info(mine)").fetchall() else ""
        )
        return count, [row[0] for row in database.execute(mine)] if mine else []


def crash(to: Path, other: sqlite3.Connection) -> None:
    """Leaves what there is in the directory as it is, and the program dead."""
    shutil.copytree(to, to.parent / "copy")
    other.close()
    shutil.rmtree(to)
    (to.parent / "copy").rename(to)


def use_log(other: sqlite3.Connection) -> None:
    """Writes to a table of its own, which is in the log only."""
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("CREATE TABLE mine (number)")
    other.execute("INSERT INTO mine VALUES (7)")


def write_much(other: sqlite3.Connection) -> None:
    """Is in the middle of a transaction, which is in part in the file."""
    other.execute("PRAGMA cache_size = 2")
    other.execute("PRAGMA cache_spill = 1")
    other.execute("BEGIN")
    other.execute("UPDATE cdrs SET extra = hex(zeroblob(5000))")


async def test_a_mode_that_the_user_has_set_leaves_no_trace(
    to: Path, api: Offline, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_log(other)
    other.close()
    seen, check = set[str](), sqlite.check_format

    def look(*arguments: Any) -> Any:
        found = check(*arguments)
        seen.update(names(to))
        return found

    monkeypatch.setattr(sqlite, "check_format", look)
    assert names(to) == ONLY
    await forecast(api.client(), plan(to))
    assert names(to) == ONLY
    for _ in range(3):
        assert (await run(api, plan(to, verify=True))).complete
        assert names(to) == ONLY
    assert tables(to) == (40, [7])
    # Of a copy that is written either: a kill would leave it to be taken for a part of the next.
    assert not [name for name in seen if name.endswith("-wal")]


@pytest.mark.parametrize("overwrite", [False, True])
async def test_a_log_that_nobody_has_open_becomes_a_part_of_the_file(
    to: Path, api: Offline, other: sqlite3.Connection, overwrite: bool
) -> None:
    use_log(other)
    crash(to, other)
    assert (to / "cdrs.sqlite-wal").stat().st_size
    more: dict[str, Any] = {"since": None, "overwrite": True} if overwrite else {}
    assert (await run(api, plan(to, **more))).complete
    assert names(to) == ONLY
    assert tables(to) == (40, [] if overwrite else [7])


async def test_logs_without_anything_in_them_are_no_obstacle(
    to: Path, api: Offline, other: sqlite3.Connection
) -> None:
    other.execute("PRAGMA journal_mode = WAL")
    other.close()
    for kind in ("-wal", "-shm"):
        (to / f"cdrs.sqlite{kind}").touch()
    assert (await run(api, plan(to))).complete
    assert names(to) == ONLY
    for kind, left in (("-journal", b""), ("-journal", b"\0" * 512), ("-shm", b"\1" * 32768)):
        (to / f"cdrs.sqlite{kind}").write_bytes(left)
        api.tables["cdrs"] = rows(len(api.tables["cdrs"]) + 1)
        assert (await run(api, plan(to))).complete
        (to / f"cdrs.sqlite{kind}").unlink()
    assert tables(to) == (43, [])


async def test_a_journal_of_a_program_that_was_killed_is_rolled_back(
    to: Path, api: Offline, other: sqlite3.Connection
) -> None:
    write_much(other)
    crash(to, other)
    assert (to / "cdrs.sqlite-journal").read_bytes()[:1] not in (b"", b"\0")
    before = {path: path.read_bytes() for path in to.iterdir()}
    [forecasted] = await forecast(api.client(), plan(to))
    assert (forecasted.rows, forecasted.error) == (20, None)
    assert {path: path.read_bytes() for path in to.iterdir()} == before
    assert (await run(api, plan(to))).complete
    assert names(to) == ONLY
    assert tables(to) == (40, [])
    with closing(sqlite3.connect(to / "cdrs.sqlite")) as database:
        assert database.execute("SELECT max(length(extra)) FROM cdrs").fetchone()[0] < 5000


@pytest.mark.parametrize("use", [use_log, write_much])
async def test_a_program_that_has_it_open_is_waited_for_and_then_named(
    to: Path, api: Offline, other: sqlite3.Connection, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(other)
    asked = len(api.asked)
    for more in ({}, {"since": None}, {"since": None, "overwrite": True}):
        [job] = (await run(api, plan(to, **more))).jobs
        assert isinstance(job.error, ExportError)
        assert job.error.retryable
        assert "another program has" in str(job.error)
        assert "let it close the file, and run the same export again" in str(job.error)
    assert len(api.asked) == asked
    monkeypatch.setattr(sqlite_files, "WAIT", 60)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            ended.close()

    with closing(sqlite3.connect(to / "cdrs.sqlite", isolation_level=None, check_same_thread=False)
    ) as ended:  # fmt: skip
        other.close()
        use(ended) if use is write_much else ended.execute("INSERT INTO mine VALUES (8)")
        monkeypatch.setattr("voipstudio_cmb.export.sinks.sqlite_files.time.sleep", sleep)
        assert (await run(api, plan(to))).complete
    assert len(slept) == 3
    assert names(to) == ONLY
    assert tables(to) == (40, [7, 8] if use is use_log else [])


@pytest.mark.parametrize("kind", ["-wal", "-journal"])
async def test_what_is_left_of_a_database_that_has_gone_is_not_taken_for_a_part_of_a_new_one(
    to: Path, api: Offline, kind: str
) -> None:
    (to / "cdrs.sqlite").unlink()
    (to / f"cdrs.sqlite{kind}").write_bytes(b"left")
    with pytest.raises(ClientMisuse, match="is left of a database that has gone.*move it away"):
        await run(api, plan(to))
    (to / f"cdrs.sqlite{kind}").unlink()
    assert (await run(api, plan(to))).complete
    assert tables(to) == (40, [])


async def test_what_another_program_writes_meanwhile_is_not_lost(
    to: Path, api: Offline, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = SqliteSink.write

    def meanwhile(*arguments: Any) -> int:
        with closing(sqlite3.connect(to / "cdrs.sqlite", isolation_level=None)) as late:
            use_log(late)
        return write(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteSink, "write", meanwhile)
        [job] = (await run(api, plan(to))).jobs
        assert isinstance(job.error, ExportError)
        assert "was changed while rows were added" in str(job.error)
        assert job.resumable
    asked = len(api.asked)
    assert (await run(api, plan(to))).complete
    assert len(api.asked) == asked
    assert tables(to) == (40, [7])


async def test_databases_are_verified_by_what_they_hold(
    to: Path, api: Offline, other: sqlite3.Connection
) -> None:
    other.execute("CREATE INDEX mine ON cdrs (name)")
    assert (await run(api, plan(to, verify=True))).complete
    with closing(sqlite3.connect(to / "cdrs.sqlite")) as database:
        database.execute("DELETE FROM cdrs WHERE id = 3")
        database.commit()
    assert (await run(api, plan(to))).complete
    with pytest.raises(
        ClientMisuse, match=r"cdrs.sqlite.*it has 39 rows, and 40 were written.*away"
    ):
        await run(api, plan(to, verify=True))
    (to / "cdrs.sqlite").rename(to.parent / "away")
    assert (await run(api, plan(to, verify=True))).complete
    assert tables(to) == (40, [])


@pytest.mark.parametrize("use", [use_log, write_much])
async def test_what_a_killed_program_has_left_is_completed_before_it_is_verified(
    to: Path, api: Offline, other: sqlite3.Connection, use: Any
) -> None:
    use(other)
    crash(to, other)
    (to / "cdrs.sqlite-shm").unlink(missing_ok=True)
    before = {path: path.read_bytes() for path in to.iterdir()}
    for verify in (False, True):
        [forecasted] = await forecast(api.client(), plan(to, verify=verify))
        assert (forecasted.rows, forecasted.error) == (20, None)
    assert {path: path.read_bytes() for path in to.iterdir()} == before
    assert (await run(api, plan(to, verify=True))).complete
    assert names(to) == ONLY
    assert tables(to)[0] == 40


async def test_a_row_whose_id_was_given_again_counts_once(tmp_path: Path) -> None:
    api = Offline(count=20, dates=True)
    for row in api.tables["cdrs"]:
        row["created_at"] = f"2026-01-01 10:00:{row['id']:02}"
    assert (await run(api, plan(tmp_path))).complete
    api.tables["cdrs"][6]["created_at"] = "2026-01-02 10:00:00"
    [job] = (await run(api, plan(tmp_path))).jobs
    assert job.rows == 1
    entry = json.loads((tmp_path / "manifest.json").read_bytes())["files"]["cdrs.sqlite"]
    assert entry["rows"] == 20
    with closing(sqlite3.connect(tmp_path / "cdrs.sqlite")) as database:
        database.execute("CREATE INDEX mine ON cdrs (name)")
    assert (await run(api, plan(tmp_path, verify=True))).complete
