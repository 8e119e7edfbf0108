"""Where one export ends and the next begins: no row is lost or there twice, whenever it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.offline import Offline
from tests.fakes.exports import interrupted, names, run
from voipstudio_cmb import where
from voipstudio_cmb.errors import ClientMisuse, ConnectionLost, PageDrift
from voipstudio_cmb.export import Plan
from voipstudio_cmb.export.store import marks
from voipstudio_cmb.export.store.marks import KnownRows, Mark, moved, packed, unpacked
from voipstudio_cmb.http import Request

DAY = "2026-02-{:02} 10:00:00".format
MINUTE = "2026-02-01 10:{:02}:00".format
ids_and_times = st.tuples(st.integers(1, 30), st.sampled_from(["", DAY(1), DAY(2), DAY(3)]))


def plan(to: Path, **more: Any) -> Plan:
    given = {"to": to, "resources": "cdrs", "page_size": 5, "checkpoint": 0, "since": "last",
             "concurrency": 1}  # fmt: skip
    return Plan(**given | more)


def row(id: int, created: str | None) -> dict[str, Any]:
    return {"id": id} | ({} if created is None else {"created_at": created})


def put(api: Offline, *rows: tuple[int, str | None]) -> None:
    """Adds rows to the table; one with the id of another takes its place."""
    table = {each["id"]: each for each in api.tables["cdrs"]} | {id: row(id, at) for id, at in rows}
    api.tables["cdrs"] = [table[id] for id in sorted(table)]


def delete(api: Offline, id: int) -> None:
    api.tables["cdrs"] = [each for each in api.tables["cdrs"] if each["id"] != id]


def dated(*rows: tuple[int, str | None]) -> Offline:
    """An account with these call records, whose API knows conditions on `created_at`."""
    api = Offline(0, dates=True)
    put(api, *rows)
    return api


def files(directory: Path) -> dict[str, list[int]]:
    """The ids in each file, by the number of the file."""
    found = {
        path.name.removeprefix("cdrs").removesuffix(".jsonl").strip(".") or "0001": [
            json.loads(line)["id"] for line in path.read_bytes().splitlines()
        ]
        for path in directory.glob("cdrs*.jsonl")
    }
    return dict(sorted(found.items()))


@given(st.sets(ids_and_times))
def test_known_rows_are_kept_in_few_words(rows: set[tuple[int, str]]) -> None:
    known = packed(rows)
    assert set(unpacked(known)) == rows
    assert json.loads(json.dumps(known)) == known


def test_ids_side_by_side_are_one_range() -> None:
    assert packed([(7, ""), (9, ""), (8, ""), (1, ""), (3, DAY(1))]) == {"": "1 7-9", DAY(1): "3"}


@pytest.mark.parametrize(
    ("time", "later"),
    [
        ("2026-02-28 23:00:00", "2026-03-01 00:00:00"),
        ("0001-01-01 00:00:00", "0001-01-01 01:00:00"),
        ("0000-00-00 00:00:00", None),
        ("2026-13-01 00:00:00", None),
        ("9999-12-31 23:30:00", None),
    ],
)
def test_a_time_is_moved_within_the_calendar(time: str, later: str | None) -> None:
    assert moved(time, 3600) == later


@given(st.lists(st.lists(ids_and_times, max_size=6), max_size=6), st.integers(0, 6))
def test_a_mark_moves_where_too_many_rows_are_behind_it(
    pages: list[list[tuple[int, str]]], most: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks, "MOST_KNOWN", most)
        known = KnownRows(Mark(10, DAY(2)), 0)
        for page in pages:
            known.add([id for id, _ in page], [time or None for _, time in page])
    rows = {each for page in pages for each in page}
    found = set(unpacked(known.packed()))
    assert found == {each for each in rows if known.mark.leaves(*each)}
    assert len(found) <= most
    assert known.moved or known.mark == Mark(10, DAY(2))
    assert not found or known.recent < min(found)[0]


Event = Callable[[Offline], None]


async def during(api: Offline, only: Plan, at: Callable[[dict[str, str]], bool], do: Event) -> None:
    """Runs an export in which `do` happens once, before the response to a query that is `at`."""
    left = [do]

    async def hook(request: Request) -> None:
        if left and at(dict(request.query)):
            left.pop()(api)

    api.hook = hook
    assert (await run(api, only)).complete
    api.hook = None
    assert not left


async def test_a_row_with_a_low_id_that_came_while_an_export_ran_is_in_the_next(
    tmp_path: Path,
) -> None:
    api = dated(*((id, MINUTE(id // 10)) for id in range(10, 400, 10)))

    def come(api: Offline) -> None:
        put(api, (5, MINUTE(41)), (395, MINUTE(42)))  # 5 is behind the walk, 395 is before it

    def in_the_middle(query: dict[str, str]) -> bool:
        return '"gt","property":"id","value":200' in query.get("filter", "")

    await during(api, plan(tmp_path), in_the_middle, come)
    assert 5 not in files(tmp_path)["0001"]
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    found = files(tmp_path)
    assert sorted(id for ids in found.values() for id in ids) == [5, *range(10, 391, 10), 395]
    assert found["0002"][-1] == 5


@pytest.mark.parametrize(("since", "created"), [("last", MINUTE(40)), (None, MINUTE(49))])
async def test_a_row_with_a_low_id_that_came_between_two_responses_of_the_opening(
    tmp_path: Path, since: Any, created: str
) -> None:
    """The highest row is read after the first page, and has come after the low one."""
    api = dated(*((id, MINUTE(id // 10)) for id in range(10, 390, 10)))

    def come(api: Offline) -> None:
        put(api, (5, created), (390, MINUTE(50)))

    def for_the_highest(query: dict[str, str]) -> bool:
        return (query["limit"], query["dir"]) == ("2", "DESC")

    await during(api, plan(tmp_path, since=since), for_the_highest, come)
    assert files(tmp_path)["0001"] == [*range(10, 391, 10)]
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path)["0002"] == [5]


async def test_a_run_that_is_resumed_days_later_leaves_what_came_since_to_the_next(
    tmp_path: Path,
) -> None:
    api = dated(*((id, DAY(1)) for id in range(2, 101, 2)))
    assert (await interrupted(api, plan(tmp_path), 9)).resumable
    put(api, (1, DAY(2)), (99, DAY(3)))
    asked = len(api.asked)
    [job] = (await run(api, plan(tmp_path))).jobs
    assert job.kept > 0
    assert not [each for each in api.asked[asked:] if each.operation == "cdrs.newest"]
    assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path)["0002"] == [1]
    assert sorted(files(tmp_path)["0001"]) == [*range(2, 99, 2), 99, 100]


@pytest.mark.parametrize("format", ["jsonl", "sqlite"])
async def test_the_highest_id_is_given_again(tmp_path: Path, format: str) -> None:
    api = dated(*((id, DAY(1)) for id in range(1, 10)), (10, DAY(2)))
    only = plan(tmp_path, format=format)
    assert (await run(api, only)).complete
    put(api, (10, DAY(3)))
    assert [job.rows for job in (await run(api, only)).jobs] == [1]
    assert [job.rows for job in (await run(api, only)).jobs] == [0]


async def test_the_highest_row_is_deleted(tmp_path: Path) -> None:
    api = dated(*((id, DAY(id)) for id in range(1, 11)))
    assert (await run(api, plan(tmp_path))).complete
    delete(api, 10)
    assert (await run(api, plan(tmp_path))).complete
    put(api, (11, DAY(11)))
    assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path) == {"0001": [*range(1, 11)], "0002": [11]}


async def test_the_highest_row_is_deleted_before_it_is_read(tmp_path: Path) -> None:
    api = dated(*((id, None) for id in range(1, 11)))

    def the_first_page(query: dict[str, str]) -> bool:
        return (query["limit"], query["dir"]) == ("5", "ASC")

    await during(api, plan(tmp_path), the_first_page, lambda api: delete(api, 10))
    put(api, (10, None))
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path) == {"0001": [*range(1, 10)], "0002": [10]}


@pytest.mark.parametrize("habit", ["honours", "ignores", "refuses"])
async def test_rows_that_show_late_are_found_within_the_overlap(tmp_path: Path, habit: str) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(1, 41) if id not in (20, 33, 38)))
    api.dates = habit != "ignores"
    api.refuses = '"property":"created_at"' if habit == "refuses" else None
    only = plan(tmp_path, overlap="10m")
    assert (await run(api, only)).complete
    put(api, (33, MINUTE(33)), (41, MINUTE(41)))
    assert (await run(api, only)).complete
    put(api, (38, MINUTE(38)), (20, MINUTE(20)))  # 20 is later than it may be
    asked = len(api.asked)
    assert (await run(api, only)).complete
    read = [dict(each.query).get("filter", "") for each in api.asked[asked:]]
    assert habit == "honours" or any('"gt","property":"id","value":3' in each for each in read)
    assert (await run(api, only)).complete
    assert [*files(tmp_path).values()][1:] == [[41, 33], [38]]


@pytest.mark.parametrize("habit", ["ignores", "refuses"])
async def test_late_rows_come_along_where_all_rows_are_read(tmp_path: Path, habit: str) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(1, 41) if id != 38))
    api.deaf, api.sorts = habit == "ignores", True
    api.refuses = "filter" if habit == "refuses" else None
    only = plan(tmp_path, overlap=timedelta(minutes=10))
    assert (await run(api, only)).complete
    put(api, (38, MINUTE(38)), (41, MINUTE(41)))
    for _ in range(2):
        assert (await run(api, only)).complete
    assert files(tmp_path)["0002"] == [38, 41]


async def test_an_overlap_can_be_given_later_and_changed(tmp_path: Path) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(1, 41)))
    for number, overlap in enumerate((0, 600, "30m", 60, "1h", 0)):
        put(api, (41 + number, MINUTE(41 + number)))
        assert (await run(api, plan(tmp_path, overlap=overlap))).complete
    found = [id for ids in files(tmp_path).values() for id in ids]
    assert sorted(found) == [*range(1, 47)]


async def test_a_note_recommends_an_overlap_where_rows_came_late(tmp_path: Path) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(2, 41, 2)))
    assert not (await run(api, plan(tmp_path))).jobs[0].note
    put(api, (39, MINUTE(40)))
    [job] = (await run(api, plan(tmp_path))).jobs
    assert "export with --overlap 1h" in job.note
    put(api, (42, MINUTE(39)))  # its id is new, and its time is not
    [job] = (await run(api, plan(tmp_path))).jobs
    assert "export with --overlap 1h" in job.note
    put(api, (37, MINUTE(41)), (44, MINUTE(44)))
    [job] = (await run(api, plan(tmp_path, overlap=600))).jobs
    assert (job.rows, job.note) == (2, "")


async def test_a_file_that_is_made_again_has_the_rows_that_it_had(tmp_path: Path) -> None:
    api = dated(*((id, MINUTE(id)) for id in (1, 2, 3, 4, 6, 7, 8, 9, 10)))
    assert (await run(api, plan(tmp_path))).complete
    put(api, *((id, MINUTE(id)) for id in (11, 12, 13, 16)), (5, MINUTE(14)))
    assert (await run(api, plan(tmp_path))).complete
    before = files(tmp_path)
    assert before["0002"] == [11, 12, 13, 16, 5]
    put(api, (14, MINUTE(20)), (21, MINUTE(21)))
    for gone in ("cdrs.0002.jsonl", "cdrs.jsonl"):
        (tmp_path / gone).unlink()
    assert (await run(api, plan(tmp_path))).complete
    found = files(tmp_path)
    assert {name: sorted(ids) for name, ids in found.items()} == {
        "0001": before["0001"], "0002": sorted(before["0002"]), "0003": [14, 21]
    }  # fmt: skip


async def test_a_run_that_makes_a_file_again_can_be_interrupted(tmp_path: Path) -> None:
    """The highest row was deleted, and another one shows late."""
    api = dated(*((id, MINUTE(id // 2)) for id in range(2, 41, 2)))
    assert (await run(api, plan(tmp_path))).complete
    entry = json.loads((tmp_path / "manifest.json").read_bytes())["files"]["cdrs.jsonl"]
    delete(api, 40)
    put(api, (5, MINUTE(30)), *((id, MINUTE(31 + id % 20)) for id in range(41, 81)))
    (tmp_path / "cdrs.jsonl").unlink()

    async def hook(request: Request) -> None:
        if '"value":60' in str(request.query):  # which only the later of the two files asks for
            raise ConnectionLost("gone", sent="maybe")

    api.hook = hook
    summary = await run(api, plan(tmp_path))
    api.hook = None
    assert [job.state for job in summary.jobs] == ["done", "failed"]
    again = json.loads((tmp_path / "manifest.json").read_bytes())["files"]["cdrs.jsonl"]
    same = {"after", "since", "through", "until", "known", "recent", "lowest", "highest"}
    assert {name: entry[name] for name in same} == {name: again[name] for name in same}
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    found = [id for ids in files(tmp_path).values() for id in ids]
    assert sorted(found) == [*range(2, 5, 2), 5, *range(6, 39, 2), *range(41, 81)]


async def test_a_date_in_the_future_hides_nothing(tmp_path: Path) -> None:
    api = dated((10, MINUTE(1)), (20, MINUTE(3)), (30, "2999-01-01 00:00:00"))
    assert (await run(api, plan(tmp_path))).complete
    put(api, (5, MINUTE(4)))
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path) == {"0001": [10, 20, 30], "0002": [5]}


async def test_rows_without_a_time_are_told_by_their_ids(tmp_path: Path) -> None:
    api = dated(*((id, None) for id in range(2, 21, 2)))
    api.dates = False
    for new in (22, 24):
        assert (await run(api, plan(tmp_path))).complete
        put(api, (new, None))
    (tmp_path / "cdrs.0002.jsonl").unlink()
    assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path) == {"0001": [*range(2, 21, 2)], "0002": [22], "0003": [24]}


async def test_filters_that_are_compared_here(tmp_path: Path) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(2, 41, 2)))
    only = plan(tmp_path, filters=where("id") > 10, on_ignored_filter="client", overlap=600)
    assert (await run(api, only)).complete
    put(api, (5, MINUTE(41)), (35, MINUTE(38)), (42, MINUTE(42)))
    for _ in range(2):
        assert (await run(api, only)).complete
    assert files(tmp_path) == {"0001": [*range(12, 41, 2)], "0002": [42, 35]}


async def test_a_plain_export_is_continued_by_time_too(tmp_path: Path) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(2, 41, 2)))
    assert (await run(api, plan(tmp_path, since=None))).complete
    put(api, (5, MINUTE(41)), (42, MINUTE(42)))
    for _ in range(2):
        assert (await run(api, plan(tmp_path))).complete
    assert files(tmp_path)["0002"] == [42, 5]


async def test_a_button_with_a_lower_id_that_is_named_later(tmp_path: Path) -> None:
    api = Offline(0)
    api.tables["settings"] = [{"id": 1, "button_id": 3}, {"id": 2, "button_id": 9}]
    only = plan(tmp_path, resources="buttons")
    assert (await run(api, only)).complete
    api.tables["settings"] += [{"id": 3, "button_id": 5}]
    (tmp_path / "buttons.jsonl").unlink()
    for _ in range(2):
        assert (await run(api, only)).complete
    found = [json.loads(line)["id"] for name in ("buttons", "buttons.0002")
             for line in (tmp_path / f"{name}.jsonl").read_bytes().splitlines()]  # fmt: skip
    assert found == [1, 2, 3, 9, 5]
    assert names(tmp_path) == {"buttons.jsonl", "buttons.0002.jsonl", "manifest.json"}


@pytest.mark.parametrize("known", [{"": "x"}, {"": "1 2,3"}])
async def test_rows_that_a_manifest_can_not_know_are_refused(tmp_path: Path, known: Any) -> None:
    api = dated((1, DAY(1)))
    await run(api, plan(tmp_path))
    held = json.loads((tmp_path / "manifest.json").read_text())
    held["files"]["cdrs.jsonl"]["known"] = known
    (tmp_path / "manifest.json").write_text(json.dumps(held))
    with pytest.raises(ClientMisuse, match=r"manifest\.json"):
        await run(api, plan(tmp_path))


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90s", 90), ("10 m", 600), ("1.5h", 5400), ("2d", 172_800), (7, 7),
     (timedelta(hours=1), 3600), (0, 0)],
)  # fmt: skip
def test_an_overlap_is_a_time(tmp_path: Path, given: Any, seconds: float) -> None:
    assert plan(tmp_path, overlap=given).overlap == seconds


@pytest.mark.parametrize("given", ["1", "h", "1w", "-1h", -1, True, None, float("nan"), "1h1h"])
def test_what_is_no_overlap_is_refused(tmp_path: Path, given: Any) -> None:
    with pytest.raises(ClientMisuse, match="overlap"):
        plan(tmp_path, overlap=given)


def test_an_overlap_is_of_exports_that_continue_others(tmp_path: Path) -> None:
    with pytest.raises(ClientMisuse, match="--since last"):
        plan(tmp_path, since=None, overlap="1h")


async def test_late_rows_are_not_forgotten_where_a_resumed_walk_begins_again(
    tmp_path: Path,
) -> None:
    api = dated(*((id, MINUTE(id)) for id in range(1, 41) if id != 30))
    api.sorts, api.refuses = True, "filter"
    assert (await run(api, plan(tmp_path, overlap=3600))).complete
    put(api, (30, MINUTE(30)), (41, MINUTE(41)), (42, MINUTE(42)))
    assert (await interrupted(api, plan(tmp_path, overlap=3600), 12)).resumable

    async def hook(request: Request) -> None:
        if dict(request.query).get("page") == "8" and api.hook is hook:
            api.hook = None
            raise PageDrift("rows may be missing", evidence="", sent="yes")

    api.hook = hook
    [job] = (await run(api, plan(tmp_path, overlap=3600))).jobs
    assert "begun again" in job.note
    assert files(tmp_path)["0002"] == [30, 41, 42]
