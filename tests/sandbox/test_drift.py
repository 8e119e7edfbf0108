"""Rows come and go after each response of a collection, as `Drift` says."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from tests.fakes.plain_client import CDRS, SETTINGS, VISITORS, get_page, send
from voipstudio_cmb.sandbox import Data, Drift, Fault, Sandbox, Table
from voipstudio_cmb.sandbox.data import TableDrift


def table(rows: int = 100) -> Table:
    return Data.generate(rows=rows, seed=1).cdrs


def drifted(requests: int, *, rows: int = 100, seed: str = "1", **options: Any) -> Table:
    changed = table(rows)
    drift = TableDrift(Drift(**options), changed, seed)
    for _ in range(requests):
        drift.apply()
    return changed


async def test_rows_come_and_go_right_after_each_response() -> None:
    async with Sandbox(rows=60, drift=Drift(inserts=2, deletes=1, choose="oldest")) as api:
        before = list(api.data.cdrs.ids)
        first = await get_page(api, limit=100)
        assert (first.ids, first.json["total"]) == (before, 60)
        after = [*before[1:], before[-1] + 1, before[-1] + 2]
        assert list(api.data.cdrs.ids) == after
        second = await get_page(api, limit=100)
        assert (second.ids, second.json["total"]) == (after, 61)
        assert second.json["data"][-1] == api.data.cdrs.get(after[-1])


def test_it_deletes_the_oldest_the_newest_or_random_rows() -> None:
    before = list(table().ids)
    assert list(drifted(7, deletes=1, choose="oldest").ids) == before[7:]
    assert list(drifted(7, deletes=1, choose="newest").ids) == before[:-7]
    drawn = set(before) - set(drifted(40, deletes=1).ids)
    assert len(drawn) == 40
    for part in (before[:25], before[25:50], before[50:75], before[75:]):
        assert drawn & set(part)


def test_the_newest_rows_are_not_only_those_just_inserted() -> None:
    left = drifted(5, inserts=1, deletes=2, choose="newest")
    assert list(left.ids[:-1]) == list(table().ids)[:-6]


def test_deleted_ids_are_not_used_again() -> None:
    before = table().ids
    assert drifted(9, inserts=1, deletes=1, choose="newest").ids[-1] == before[-1] + 9


@pytest.mark.parametrize("rows", [0.25, 1.5])
def test_a_fraction_is_a_chance(rows: float) -> None:
    found = table(0)
    drift = TableDrift(Drift(inserts=rows, max_rows=10**6), found, "1")
    steps = []
    for _ in range(1000):
        before = len(found)
        drift.apply()
        steps.append(len(found) - before)
    assert set(steps) == {int(rows), int(rows) + 1}
    assert abs(sum(steps) / 1000 - rows) < 0.06


def test_it_stops_at_the_fewest_and_the_most_rows() -> None:
    assert len(drifted(500, deletes=3)) == 50
    assert len(drifted(500, inserts=3)) == 200
    assert len(drifted(500, deletes=3, min_rows=7)) == 7
    assert len(drifted(500, deletes=3, min_rows=0)) == 0
    assert len(drifted(500, inserts=3, max_rows=103)) == 103
    assert (
        len(drifted(5, inserts=1, max_rows=20)) == len(drifted(5, deletes=1, min_rows=200)) == 100
    )


async def test_the_seed_decides_for_each_collection_separately() -> None:
    async def changes(seed: int, *, others: bool) -> list[tuple[int, int]]:
        """The rows after each request, and the index of the row that it deleted."""
        drift, found = Drift(inserts=0.5, deletes=1), []
        async with Sandbox(rows=80, seed=seed, drift=drift) as api:
            for page in range(1, 15):
                before = list(api.data.cdrs.ids)
                await get_page(api, page=page)
                if others:
                    await get_page(api, VISITORS)
                (gone,) = set(before) - set(api.data.cdrs.ids)
                found.append((len(api.data.cdrs), before.index(gone)))
        return found

    one = await changes(1, others=False)
    assert one == await changes(1, others=True)
    assert one != await changes(2, others=False)


async def test_only_requests_for_the_named_collections_change_rows() -> None:
    async with Sandbox(rows=80, drift=Drift(inserts=1, collections="cdrs")) as api:
        for path in ("/ping", VISITORS, f"{SETTINGS}/{api.data.settings.ids[0]}"):
            await send(api, "GET", path)
        await send(api, "POST", SETTINGS, json={})
        assert [len(each) for each in api.data.collections().values()] == [12, 41, 80, 20]
        await get_page(api, CDRS)
        assert [len(each) for each in api.data.collections().values()] == [12, 41, 81, 20]


async def test_every_request_that_reaches_the_server_changes_rows() -> None:
    async with Sandbox(rows=80, drift=Drift(inserts=1)) as api:
        assert (await get_page(api, limit="all")).status == 400
        assert len(api.data.cdrs) == 81
        # aiohttp's client sends each request again by itself.
        for drop, rows in (("before", 81), ("after", 83)):
            api.script(Fault(drop=drop, times=2))  # type: ignore[arg-type]  # the literals
            with pytest.raises(aiohttp.ClientError):
                await get_page(api)
            assert len(api.data.cdrs) == rows


@pytest.mark.parametrize(
    "wrong",
    [
        {"inserts": -1}, {"deletes": float("nan")}, {"inserts": float("inf")}, {"min_rows": -1},
        {"max_rows": -1}, {"choose": "best"}, {"collections": ["buttons"]},
    ],
)  # fmt: skip
def test_invalid_drift_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Drift(**wrong)


def test_a_large_table_can_drift() -> None:
    large = Table(list(range(1, 10**6)), lambda row_id: {"id": row_id}, first=1)
    drift = TableDrift(Drift(inserts=1, deletes=1, choose="oldest"), large, "1")
    began = time.process_time()
    for _ in range(200):
        drift.apply()
    assert time.process_time() - began < 1.0
    assert len(large) == 10**6 - 1
