"""`since="last"`: only what is new, in numbered files; a file that has gone is made again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline, rows
from tests.fakes.exports import interrupted, names, run
from voipstudio_cmb import where
from voipstudio_cmb.errors import BadRequest, ClientMisuse
from voipstudio_cmb.export import Export, Plan, forecast
from voipstudio_cmb.http import Request


def plan(to: Path, **more: Any) -> Plan:
    given = {"to": to, "resources": "cdrs", "page_size": 5, "checkpoint": 0, "since": "last"} | more
    return Plan(**given)


def ids(path: Path) -> list[int]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def entries(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "manifest.json").read_bytes())["files"]
    return found


async def test_each_run_brings_what_is_new_in_a_file_of_its_own(tmp_path: Path) -> None:
    api = Offline(count=20)
    for count in (20, 20, 33, 33, 34):
        api.tables["cdrs"] = rows(count)
        asked = len(api.asked)
        summary = await run(api, plan(tmp_path))
        assert summary.complete
        if count == 33 and summary.jobs[0].rows:
            assert len(api.asked) - asked <= 9
    assert ids(tmp_path / "cdrs.jsonl") == list(range(1, 21))
    assert ids(tmp_path / "cdrs.0002.jsonl") == list(range(21, 34))
    assert ids(tmp_path / "cdrs.0003.jsonl") == [34]
    assert names(tmp_path) == {
        "cdrs.jsonl", "cdrs.0002.jsonl", "cdrs.0003.jsonl", "manifest.json"
    }  # fmt: skip
    for name, entry in entries(tmp_path).items():
        data = (tmp_path / name).read_bytes()
        found = ids(tmp_path / name)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert (entry["bytes"], entry["rows"]) == (len(data), len(found))
        assert (entry["lowest"], entry["highest"]) == (found[0], found[-1])
        assert entry["after"] == found[0] - 1


async def test_nothing_new_makes_no_file(tmp_path: Path) -> None:
    api = Offline(count=20)
    await run(api, plan(tmp_path))
    before = (tmp_path / "manifest.json").read_bytes()
    [job] = (await run(api, plan(tmp_path))).jobs
    assert (job.state, job.rows, job.note, job.made) == ("done", 0, "nothing new", False)
    assert names(tmp_path) == {"cdrs.jsonl", "manifest.json"}
    assert (tmp_path / "manifest.json").read_bytes() == before


async def test_it_continues_a_plain_export(tmp_path: Path) -> None:
    api = Offline(count=20)
    await run(api, plan(tmp_path, since=None))
    api.tables["cdrs"] = rows(25)
    await run(api, plan(tmp_path))
    assert ids(tmp_path / "cdrs.0002.jsonl") == [21, 22, 23, 24, 25]
    # A plain export beside numbered files would leave rows twice.
    with pytest.raises(ClientMisuse, match=r"holds an incremental export \(cdrs.0002.jsonl\)"):
        await run(api, plan(tmp_path, since=None, overwrite=True))


@pytest.mark.parametrize("gone", ["cdrs.jsonl", "cdrs.0002.jsonl", "cdrs.0003.jsonl"])
async def test_a_file_that_has_gone_is_made_again(tmp_path: Path, gone: str) -> None:
    api = Offline()
    for count in (20, 33, 34):
        api.tables["cdrs"] = rows(count)
        await run(api, plan(tmp_path))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / gone).unlink()
    summary = await run(api, plan(tmp_path))
    assert summary.complete
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / gone).unlink()
    changed = ids(tmp_path / "cdrs.jsonl")[3] if gone != "cdrs.jsonl" else 3
    api.tables["cdrs"] = [row | {"name": "changed"} for row in rows(34) if row["id"] != changed]
    summary = await run(api, plan(tmp_path))
    [again] = [job for job in summary.jobs if job.path.name == gone]
    assert again.note == "made again, with other bytes: rows were changed or deleted since"
    assert (
        entries(tmp_path)[gone]["sha256"]
        == hashlib.sha256((tmp_path / gone).read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("habit", ["ignores", "refuses"])
async def test_a_server_that_knows_no_conditions_gives_the_same_files(
    tmp_path: Path, habit: str
) -> None:
    api = Offline(deaf=habit == "ignores")
    api.refuses = "filter" if habit == "refuses" else None
    for count in (20, 33):
        api.tables["cdrs"] = rows(count)
        assert (await run(api, plan(tmp_path))).complete
    assert ids(tmp_path / "cdrs.0002.jsonl") == list(range(21, 34))
    (tmp_path / "cdrs.jsonl").unlink()
    assert (await run(api, plan(tmp_path))).complete
    assert ids(tmp_path / "cdrs.jsonl") == list(range(1, 21))


@pytest.mark.parametrize("habit", ["honours", "ignores", "refuses"])
async def test_an_interrupted_one_is_resumed(tmp_path: Path, habit: str) -> None:
    api = Offline(count=20, deaf=habit == "ignores")
    only = plan(tmp_path, concurrency=1)
    await run(api, only)
    api.tables["cdrs"] = rows(60)
    if habit == "refuses":
        api.refuses = "filter"
    summary = await interrupted(api, only, 7 if habit == "honours" else 13)
    assert summary.resumable
    [job] = (await run(api, only)).jobs
    assert (job.state, job.rows) == ("done", 40)
    assert job.kept > 0 or habit != "honours"
    assert ids(tmp_path / "cdrs.0002.jsonl") == list(range(21, 61))
    assert names(tmp_path) == {"cdrs.jsonl", "cdrs.0002.jsonl", "manifest.json"}


@pytest.mark.parametrize("habit", ["honours", "ignores", "refuses"])
@pytest.mark.parametrize("gone", [False, True])
async def test_rows_that_came_late_with_lower_ids_are_brought_where_the_api_tells_of_them(
    tmp_path: Path, habit: str, gone: bool
) -> None:
    """Ids of 20 even rows; then 7 and 9 turn up, created after the last and with it."""
    api = Offline(dates=habit == "honours")
    day = "2026-02-{:02} 10:00:00".format
    table = [{"id": id, "created_at": day(id // 2)} for id in range(2, 41, 2)]
    api.tables["cdrs"] = table
    await run(api, plan(tmp_path))
    late = [{"id": 7, "created_at": day(21)}, {"id": 9, "created_at": day(20)}]
    new = [{"id": 50, "created_at": day(22)}]
    api.tables["cdrs"] = sorted(table + late + new, key=lambda row: row["id"])

    api.refuses = "created_at" if habit == "refuses" else None
    assert (await run(api, plan(tmp_path))).complete
    expected = [50, 7, 9] if habit == "honours" else [50]
    assert ids(tmp_path / "cdrs.0002.jsonl") == expected
    if gone:
        (tmp_path / "cdrs.0002.jsonl").unlink()
    assert (await run(api, plan(tmp_path))).complete
    assert sorted(ids(tmp_path / "cdrs.0002.jsonl")) == sorted(expected)
    assert names(tmp_path) == {"cdrs.jsonl", "cdrs.0002.jsonl", "manifest.json"}


async def test_only_late_rows(tmp_path: Path) -> None:
    api = Offline(dates=True)
    api.tables["cdrs"] = [{"id": 5, "created_at": "2026-01-01 00:00:00"}]
    await run(api, plan(tmp_path))
    api.tables["cdrs"].insert(0, {"id": 3, "created_at": "2026-01-02 00:00:00"})
    for _ in range(3):
        assert (await run(api, plan(tmp_path))).complete
    api.tables["cdrs"].append({"id": 6, "created_at": "2026-01-02 00:00:00"})
    assert (await run(api, plan(tmp_path))).complete
    assert [ids(tmp_path / f"cdrs.{n}jsonl") for n in ("", "0002.", "0003.")] == [[5], [3], [6]]
    assert entries(tmp_path)["cdrs.0002.jsonl"]["known"] == {"2026-01-02 00:00:00": "3"}


async def test_buttons_and_several_resources(tmp_path: Path) -> None:
    api = Offline(count=20)
    everything = plan(tmp_path, resources=())
    assert (await run(api, everything)).complete
    assert ids(tmp_path / "buttons.jsonl") == [1, 2, 3]  # the fourth does not exist
    api.tables["settings"] = [*rows(9), {"id": 10, "button_id": 9}]
    api.tables["visitors"] += [{"id": 900}]
    summary = await run(api, everything)
    assert {job.path.name: job.rows for job in summary.jobs} == {
        "cdrs.0002.jsonl": 0, "visitors.0002.jsonl": 1, "websites.0002.jsonl": 0,
        "settings.0002.jsonl": 1, "buttons.0002.jsonl": 1,
    }  # fmt: skip
    assert ids(tmp_path / "buttons.0002.jsonl") == [9]
    assert not [name for name in names(tmp_path) if name.startswith(".")]


async def test_another_query_or_a_foreign_manifest_is_refused(tmp_path: Path) -> None:
    api = Offline(count=20)
    await run(api, plan(tmp_path))
    asked = len(api.asked)
    with pytest.raises(
        ClientMisuse, match=r"is another export \(filters was \[\] and is \['id>5'\]\)"
    ):
        await run(api, plan(tmp_path, filters=where("id") > 5))
    with pytest.raises(ClientMisuse, match="since and overwrite do not go together"):
        plan(tmp_path, overwrite=True)
    with pytest.raises(ClientMisuse, match="takes no `window`: it is called `concurrency`"):
        plan(tmp_path, window=4)
    with pytest.raises(ClientMisuse, match='since must be "last" or None'):
        plan(tmp_path, since="yesterday")
    for foreign in (
        "[]",
        "{}",
        '{"version": 9, "files": {}}',
        "\0",
        '{"version":1,"files":{"x":{}}}',
    ):
        (tmp_path / "manifest.json").write_text(foreign)
        for since in ("last", None):
            with pytest.raises(ClientMisuse, match="is no manifest of exports"):
                await run(api, plan(tmp_path, since=since, format="csv"))
    assert len(api.asked) == asked


async def test_another_accounts_rows_are_not_added(tmp_path: Path) -> None:
    for format in ("jsonl", "sqlite"):
        to = tmp_path / format
        await run(Offline(count=20, user=7), plan(to, format=format))
        before = {path: path.read_bytes() for path in to.iterdir()}
        for since in ("last", None) if format == "sqlite" else ("last",):
            other = Offline(count=30, user=8)
            with pytest.raises(ClientMisuse, match="is another account's: use its token"):
                await run(other, plan(to, format=format, since=since))
            assert not other.asked
        assert {path: path.read_bytes() for path in to.iterdir()} == before
        assert (await run(Offline(count=30, user=7), plan(to, format=format))).complete


async def test_the_rows_of_another_api_are_not_added_to_a_database(tmp_path: Path) -> None:
    only = plan(tmp_path, format="sqlite", since=None)
    await run(Offline(count=20), only)
    client: Any = Offline(count=30).client()
    client.base_url = "https://elsewhere.example/v1"
    with pytest.raises(ClientMisuse, match="is another account's: use its token"):
        await Export(client, only).run()


async def test_a_run_that_was_interrupted_behind_one_of_its_files_is_ended_by_the_next(
    tmp_path: Path,
) -> None:
    api = Offline(count=20)
    both = plan(tmp_path, resources=("cdrs", "visitors"))
    assert (await run(api, both)).complete
    api.tables["cdrs"] = rows(30)
    api.tables["visitors"] += rows(10, 900)

    async def hook(request: Request) -> None:
        from voipstudio_cmb.errors import ServerFault

        if request.path.endswith("visitors"):
            raise ServerFault("500", status=500, sent="yes")

    api.hook = hook
    before = (await run(api, both)).jobs
    assert [(job.state, job.made) for job in before] == [("done", True), ("failed", False)]
    api.hook = None
    summary = await run(api, both)
    assert summary.complete
    # Its other file was named by the run that made it: each is named once.
    assert {job.path.name: job.already for job in summary.jobs if job.made} == {
        "visitors.0002.jsonl": False
    }
    assert ids(tmp_path / "cdrs.0002.jsonl") == list(range(21, 31))
    assert ids(tmp_path / "visitors.0002.jsonl") == list(range(900, 910))
    assert names(tmp_path) == {
        "cdrs.jsonl", "cdrs.0002.jsonl", "visitors.jsonl", "visitors.0002.jsonl", "manifest.json"
    }  # fmt: skip


@pytest.mark.parametrize("concurrency", [1, 2, 4])
@pytest.mark.parametrize("page", [3, 9, 10])
async def test_rows_that_came_while_pages_were_read_are_in_one_of_two_runs(
    tmp_path: Path, page: int, concurrency: int
) -> None:
    api = Offline(deaf=True, dates=False)
    api.sorts = True
    api.tables["cdrs"] = rows(95)
    only = plan(tmp_path, page_size=10, concurrency=concurrency)

    async def hook(request: Request) -> None:
        if (request.page or 1) == page:
            api.tables["cdrs"] = rows(110)

    api.hook = hook
    assert (await run(api, only)).complete
    assert len(api.tables["cdrs"]) == 110
    api.hook = None
    assert (await run(api, only)).complete
    found = [id for path in sorted(tmp_path.glob("*.jsonl")) for id in ids(path)]
    assert sorted(found) == list(range(1, 111))


@pytest.mark.parametrize("page_size", [20, 500])
@pytest.mark.parametrize(
    "order",
    [[50, 49, *range(100, 50, -1), *range(48, 0, -1)], [*range(50, 0, -1), *range(100, 50, -1)]],
)
async def test_a_server_with_an_order_of_its_own_hides_no_row_above_its_first(
    tmp_path: Path, order: list[int], page_size: int
) -> None:
    api = Offline(deaf=True)
    api.tables["cdrs"] = [row for id in order for row in rows(100) if row["id"] == id]
    assert (await run(api, plan(tmp_path, page_size=page_size))).complete
    assert sorted(ids(tmp_path / "cdrs.jsonl")) == list(range(1, 101))
    assert (await run(api, plan(tmp_path, page_size=page_size))).complete
    assert names(tmp_path) == {"cdrs.jsonl", "manifest.json"}


async def test_an_empty_resource_makes_one_file(tmp_path: Path) -> None:
    api = Offline()
    api.tables["cdrs"] = []
    for _ in range(3):
        assert (await run(api, plan(tmp_path))).complete
    assert names(tmp_path) == {"cdrs.jsonl", "manifest.json"}
    api.tables["cdrs"] = rows(5)
    assert (await run(api, plan(tmp_path))).complete
    (tmp_path / "cdrs.jsonl").unlink()
    api.tables["cdrs"] = rows(8)
    assert (await run(api, plan(tmp_path))).complete
    assert [ids(tmp_path / f"cdrs.{n}jsonl") for n in ("", "0002.", "0003.")] == [
        [], [1, 2, 3, 4, 5], [6, 7, 8]
    ]  # fmt: skip


async def test_a_file_that_is_made_again_has_no_row_of_another(tmp_path: Path) -> None:
    api = Offline(dates=True)
    api.tables["cdrs"] = [{"id": 5, "created_at": "2026-01-01 00:00:00"}]
    await run(api, plan(tmp_path))
    api.tables["cdrs"].insert(0, {"id": 3, "created_at": "2026-01-02 00:00:00"})
    await run(api, plan(tmp_path))
    (tmp_path / "cdrs.jsonl").unlink()
    await run(api, plan(tmp_path))
    assert [ids(tmp_path / f"cdrs.{n}jsonl") for n in ("", "0002.")] == [[5], [3]]


async def test_rejected_rows_stay_with_their_file(tmp_path: Path) -> None:
    api = Offline()
    api.broken = {2}
    only = plan(tmp_path, resources="websites")
    assert (await run(api, only)).rejected == 1
    api.tables["websites"] = rows(5)
    api.broken = set()
    assert (await run(api, only)).rejected == 0
    api.broken = {6}
    api.tables["websites"] = rows(7)
    assert (await run(api, only)).rejected == 1
    for name, broken in (("websites", "2"), ("websites.0003", "6")):
        [line] = (tmp_path / f"{name}.rejects.jsonl").read_bytes().splitlines()
        assert json.loads(line)["row"]["id"] == broken
    # Another format has its own, and what somebody else has put there is not ours to take away.
    await run(api, plan(tmp_path, resources="websites", format="csv"))
    assert (tmp_path / "websites.rejects.jsonl").exists()
    (tmp_path / "cdrs.rejects.jsonl").write_text("precious")
    with pytest.raises(ClientMisuse, match=r"cdrs.rejects.jsonl.* exists"):
        await run(api, plan(tmp_path, since=None))
    assert (tmp_path / "cdrs.rejects.jsonl").read_text() == "precious"


async def test_a_database_that_is_another_one_is_refused(tmp_path: Path) -> None:
    api = Offline(count=20)
    only = plan(tmp_path, format="sqlite")
    await run(api, only)
    old = (tmp_path / "cdrs.sqlite").read_bytes()
    api.tables["cdrs"] = rows(40)
    await run(api, only)
    (tmp_path / "cdrs.sqlite").write_bytes(old)  # from a backup
    asked = len(api.asked)
    with pytest.raises(ClientMisuse, match="has ids up to 20, and manifest.json says 40"):
        await run(api, only)
    assert len(api.asked) == asked


@pytest.mark.parametrize(
    "change",
    [
        {"identity": {}},
        {"identity": None},
        {"highest": "60"},
        {"known": None},
        {"rows": 1.5},
        {"owner_hash": 7},
    ],
)
async def test_an_edited_manifest_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    api = Offline(count=20)
    await run(api, plan(tmp_path))
    held = json.loads((tmp_path / "manifest.json").read_text())
    held["files"]["cdrs.jsonl"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(held))
    with pytest.raises(ClientMisuse, match="is no manifest of exports"):
        await run(api, plan(tmp_path))


async def test_another_resources_progress_is_not_cleaned_away(tmp_path: Path) -> None:
    api = Offline()
    await run(api, plan(tmp_path, resources=("cdrs", "visitors"), since=None))
    again = plan(tmp_path, resources="visitors", since=None, overwrite=True, concurrency=1)
    assert (await interrupted(api, again, 5)).resumable
    await run(api, plan(tmp_path))
    [job] = (await run(api, again)).jobs
    assert job.kept > 0


async def test_a_refused_page_of_late_rows_is_an_error(tmp_path: Path) -> None:
    api = Offline(dates=True)
    late = rows(60, step=2)
    for number, row in enumerate(late):
        row["created_at"] = f"2026-01-01 10:00:{number:02}"
    api.tables["cdrs"] = late
    assert (await run(api, plan(tmp_path))).complete
    new = rows(30, first=2, step=2)
    for row in new:
        row["created_at"] = f"2026-01-02 10:00:{row['id'] % 3:02}"
    api.tables["cdrs"] = sorted([*late, *new], key=lambda row: int(row["id"]))
    asked = 0

    async def hook(request: Request) -> None:
        nonlocal asked
        asked += "created_at" in dict(request.query).get("filter", "")
        if asked > 6:
            raise BadRequest("too deep", status=400, sent="yes")

    api.hook = hook
    [job] = (await run(api, plan(tmp_path))).jobs
    assert (job.state, str(job.error)) == ("failed", "too deep")
    api.hook = None
    [job] = (await run(api, plan(tmp_path))).jobs
    assert (job.state, job.rows) == ("done", 30)


async def test_a_dry_run_counts_the_requests_for_marks_and_late_rows(tmp_path: Path) -> None:
    api = Offline(count=60, dates=True)
    only = plan(tmp_path, page_size=20)
    for count in (60, 60, 75):
        api.tables["cdrs"] = rows(count)
        [forecasted] = await forecast(api.client(), only)
        asked = len(api.asked)
        assert (await run(api, only)).complete
        assert forecasted.requests == len(api.asked) - asked
