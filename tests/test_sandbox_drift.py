"""The stand-in's rows come and go as told, and its collections have the habits they are given."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from tests.test_sandbox import CDRS, SETTINGS, ask, listed
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Table, Temper
from voipstudio_cmb.sandbox.data import Data
from voipstudio_cmb.sandbox.drift import Tide

VISITORS = "/callmeback/visitors"


def table(rows: int = 100) -> Table:
    return Data.generate(rows=rows, seed=1).cdrs


def drifted(turns: int, *, rows: int = 100, seed: str = "1", **drift: Any) -> Table:
    found = table(rows)
    tide = Tide(Drift(**drift), found, seed)
    for _ in range(turns):
        tide.turn()
    return found


# --- drift ------------------------------------------------------------------------------------


async def test_rows_come_and_go_right_after_each_answer() -> None:
    async with Sandbox(rows=60, drift=Drift(inserts=2, deletes=1, choose="oldest")) as api:
        before = list(api.data.cdrs.ids)
        first = await listed(api, limit=100)
        assert (first.ids, first.json["total"]) == (before, 60)
        after = [*before[1:], before[-1] + 1, before[-1] + 2]
        assert list(api.data.cdrs.ids) == after
        second = await listed(api, limit=100)
        assert (second.ids, second.json["total"]) == (after, 61)
        assert second.json["data"][-1] == api.data.cdrs.get(after[-1])


def test_the_rows_that_go_are_the_oldest_the_newest_or_drawn() -> None:
    before = list(table().ids)
    assert list(drifted(7, deletes=1, choose="oldest").ids) == before[7:]
    assert list(drifted(7, deletes=1, choose="newest").ids) == before[:-7]
    drawn = set(before) - set(drifted(40, deletes=1).ids)
    assert len(drawn) == 40
    for part in (before[:25], before[25:50], before[50:75], before[75:]):
        assert drawn & set(part)


def test_what_has_just_come_is_not_the_only_newest_row_that_goes() -> None:
    left = drifted(5, inserts=1, deletes=2, choose="newest")
    assert list(left.ids[:-1]) == list(table().ids)[:-6]


def test_ids_that_are_gone_do_not_come_back() -> None:
    before = table().ids
    assert drifted(9, inserts=1, deletes=1, choose="newest").ids[-1] == before[-1] + 9


@pytest.mark.parametrize("rows", [0.25, 1.5])
def test_a_fraction_is_now_and_then(rows: float) -> None:
    found = table(0)
    tide = Tide(Drift(inserts=rows, most=10**6), found, "1")
    steps = []
    for _ in range(1000):
        before = len(found)
        tide.turn()
        steps.append(len(found) - before)
    assert set(steps) == {int(rows), int(rows) + 1}
    assert abs(sum(steps) / 1000 - rows) < 0.06


def test_it_neither_empties_a_table_nor_lets_it_grow_without_end() -> None:
    assert len(drifted(500, deletes=3)) == 50
    assert len(drifted(500, inserts=3)) == 200
    assert len(drifted(500, deletes=3, least=7)) == 7
    assert len(drifted(500, deletes=3, least=0)) == 0
    assert len(drifted(500, inserts=3, most=103)) == 103
    assert len(drifted(5, inserts=1, most=20)) == len(drifted(5, deletes=1, least=200)) == 100


async def test_a_seed_decides_whatever_else_is_asked_for() -> None:
    async def run(seed: int, *, others: bool) -> list[tuple[int, int]]:
        """How many rows there are after each request, and the place of the last one to go."""
        drift, found = Drift(inserts=0.5, deletes=1), []
        async with Sandbox(rows=80, seed=seed, drift=drift) as api:
            for page in range(1, 15):
                before = list(api.data.cdrs.ids)
                await listed(api, page=page)
                if others:
                    await listed(api, VISITORS)
                (gone,) = set(before) - set(api.data.cdrs.ids)
                found.append((len(api.data.cdrs), before.index(gone)))
        return found

    one = await run(1, others=False)
    assert one == await run(1, others=True)
    assert one != await run(2, others=False)


async def test_only_requests_for_the_named_collections_count() -> None:
    async with Sandbox(rows=80, drift=Drift(inserts=1, collections="cdrs")) as api:
        for path in ("/ping", VISITORS, f"{SETTINGS}/{api.data.settings.ids[0]}"):
            await ask(api, "GET", path)
        await ask(api, "POST", SETTINGS, json={})
        assert [len(each) for each in api.data.collections().values()] == [12, 41, 80, 20]
        await listed(api, CDRS)
        assert [len(each) for each in api.data.collections().values()] == [12, 41, 81, 20]


async def test_a_request_counts_when_it_has_reached_the_server_and_is_answered_in_any_way() -> None:
    async with Sandbox(rows=80, drift=Drift(inserts=1)) as api:
        assert (await listed(api, limit="all")).status == 400
        assert len(api.data.cdrs) == 81
        # The client of aiohttp asks a second time by itself.
        for drop, rows in (("before", 81), ("after", 83)):
            api.script(Fault(drop=drop, times=2))  # type: ignore[arg-type]  # the literals
            with pytest.raises(aiohttp.ClientError):
                await listed(api)
            assert len(api.data.cdrs) == rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"inserts": -1}, {"deletes": float("nan")}, {"inserts": float("inf")}, {"least": -1},
        {"most": -1}, {"choose": "best"}, {"collections": ["buttons"]},
    ],
)  # fmt: skip
def test_a_drift_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Drift(**wrong)


def test_a_large_table_can_drift() -> None:
    large = Table(list(range(1, 10**6)), lambda row_id: {"id": row_id}, first=1)
    tide = Tide(Drift(inserts=1, deletes=1, choose="oldest"), large, "1")
    began = time.thread_time()
    for _ in range(200):
        tide.turn()
    assert time.thread_time() - began < 1.0
    assert len(large) == 10**6 - 1


# --- what was there ---------------------------------------------------------------------------


def test_a_watch_tells_which_rows_stayed_and_which_ever_were() -> None:
    found = table(10)
    first, second, third, *others = found.ids
    found.delete(first)
    with found.watched() as rows:
        with found.watched():
            pass  # another one ends, and this one goes on
        found.delete(second)
        passing = found.insert()["id"]
        with found.watched() as later:
            found.delete(passing)
            found.delete(third)
            found.insert(id=third)
        new = found.insert()["id"]
    found.delete(others[0])
    found.insert()
    assert rows.throughout == set(others)
    assert rows.ever == {second, third, *others, passing, new}
    assert later.throughout == set(others)
    assert later.ever == {third, *others, passing}


async def test_a_watch_sees_the_drift_and_the_changes_of_clients() -> None:
    async with Sandbox(rows=0, drift=Drift(deletes=1, choose="oldest")) as api:
        before = api.data.settings.ids
        with api.data.settings.watched() as rows:
            await listed(api, SETTINGS)
            new = (await ask(api, "POST", SETTINGS, json={})).json["data"]["id"]
            await ask(api, "DELETE", f"{SETTINGS}/{before[5]}")
        assert rows.throughout == set(before) - {before[0], before[5]}
        assert rows.ever == {*before, new}


# --- habits -----------------------------------------------------------------------------------


async def test_the_total_can_be_wrong_by_a_factor_and_is_never_negative() -> None:
    for temper, total in (
        (Temper(total_factor=0.5), 30),
        (Temper(total_factor=1.26, total_offset=-2), 74),
        (Temper(total_factor=0), 0),
        (Temper(total_offset=-100), 0),
    ):
        async with Sandbox(rows=60, temper=temper) as api:
            assert (await listed(api)).json["total"] == total


async def test_the_total_can_be_wrong_now_and_then_the_same_in_each_run() -> None:
    async def totals(seed: int) -> list[int]:
        async with Sandbox(rows=60, seed=seed, temper=Temper(total_jitter=3)) as api:
            return [(await listed(api)).json["total"] for _ in range(80)]

    found = await totals(1)
    assert 40 < found.count(60) < 75
    assert set(found) <= set(range(57, 64))
    assert min(found) < 60 < max(found)
    assert found == await totals(1)
    assert found != await totals(2)


@pytest.mark.parametrize(
    ("past_end", "status", "rows"),
    [("empty", 200, slice(0, 0)), ("repeat", 200, slice(50, 60)), ("missing", 404, None)],
)
async def test_a_page_past_the_end_is_empty_or_the_last_one_or_missing(
    past_end: Any, status: int, rows: slice | None
) -> None:
    async with Sandbox(rows=60, temper=Temper(past_end=past_end)) as api:
        ids = list(api.data.cdrs.ids)
        assert (await listed(api, page=2, limit=50)).ids == ids[50:]
        for page in (3, 4, 10**30):
            got = await listed(api, page=page, limit=50)
            assert got.status == status
            assert rows is None or (got.ids, got.json["total"]) == (ids[rows], 60)
        assert (await listed(api, page=2, limit=60)).status == status
        nothing = [("id", "gt", ids[-1])]
        got = await listed(api, where=nothing)
        assert (got.status, got.ids) == (200, [])
        got = await listed(api, where=nothing, page=2)
        assert (got.status, got.json.get("data", [])) == (status, [])


async def test_the_last_page_is_repeated_also_where_there_is_only_one() -> None:
    temper = Temper(past_end="repeat", ignore_limit=True)
    async with Sandbox(rows=60, temper=temper) as api:
        assert (await listed(api, page=2, limit=10)).ids == list(api.data.cdrs.ids)


@pytest.mark.parametrize(
    ("temper", "query", "message", "fields"),
    [
        (Temper(refuse_sort=True), {"sort": "id"}, "Validation error", ["sort"]),
        (Temper(refuse_sort=True), {"dir": "ASC", "sort": "id"}, "Validation error",
         ["dir", "sort"]),
        (Temper(refuse_filter=True), {"filter": "[]"}, "Filtration error", ["filter"]),
    ],
)  # fmt: skip
async def test_a_server_can_refuse_a_parameter(
    temper: Temper, query: dict[str, str], message: str, fields: list[str]
) -> None:
    async with Sandbox(rows=60, temper=temper) as api:
        got = await listed(api, **query)
        assert (got.status, got.json["message"]) == (400, message)
        assert [error["field"] for error in got.json["errors"]] == fields
        assert (await listed(api, page=2)).status == 200


async def test_rows_can_be_on_no_page_when_pages_are_counted_by_the_limit_asked_for() -> None:
    async with Sandbox(rows=60, limit_cap=20, temper=Temper(count_by_asked=True)) as api:
        ids = list(api.data.cdrs.ids)
        for page, there in ((1, ids[:20]), (2, ids[30:50]), (3, [])):
            got = await listed(api, page=page, limit=30)
            assert (got.ids, got.json["total"]) == (there, 60)
        assert (await listed(api, page=2, limit=20)).ids == ids[20:40]
        assert (await listed(api, page=2, limit=30, dir="DESC")).ids == ids[::-1][30:50]
        assert (await listed(api, page=2)).ids == ids[25:45]
