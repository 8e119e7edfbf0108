"""Collections are paged, sorted and filtered as documented, or as a temper says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.plain_client import CDRS, SETTINGS, get_page, send
from voipstudio_cmb.sandbox import Sandbox, Temper


async def test_pages_cover_a_collection_and_end_with_an_empty_one(api: Sandbox) -> None:
    pages = [await get_page(api, page=page, limit=50) for page in (1, 2, 3, 4)]
    assert [len(page.ids) for page in pages] == [50, 50, 20, 0]
    assert [row for page in pages for row in page.ids] == list(api.data.cdrs.ids)
    assert {page.json["total"] for page in pages} == {120}


async def test_a_page_has_25_rows_by_default_and_never_more_than_the_cap() -> None:
    async with Sandbox(rows=90, limit_cap=40) as api:
        assert len((await get_page(api)).ids) == 25
        assert len((await get_page(api, limit=5000)).ids) == 40


async def test_sorting_is_by_value_in_both_directions_with_ties_in_order_of_id(
    api: Sandbox,
) -> None:
    ids = list(api.data.cdrs.ids)
    rows = [api.data.cdrs.get(each) for each in ids]
    for direction in ("ASC", "DESC"):
        expected = sorted(rows, key=lambda row: row["billsec"], reverse=direction == "DESC")
        got = await get_page(api, sort="billsec", dir=direction, limit=200)
        assert got.ids == [row["id"] for row in expected]
    got = await get_page(api, dir="DESC", limit=30, page=2)
    assert got.ids == ids[::-1][30:60]
    nullable = await get_page(api, sort="allowed_countries", limit=200)
    values = [row["allowed_countries"] for row in nullable.json["data"]]
    assert values == sorted(values, key=lambda value: (value is not None, value or ""))


async def test_conditions_on_ids_cut_a_range_in_both_directions(api: Sandbox) -> None:
    ids = list(api.data.cdrs.ids)
    where = [("id", "gt", ids[9]), ("id", "lte", str(ids[99]))]
    got = await get_page(api, where=where, sort="id", limit=500)
    assert got.ids == ids[10:100]
    assert got.json["total"] == 90
    assert (await get_page(api, where=where, dir="DESC", limit=5, page=2)).ids == ids[90:95][::-1]
    assert (await get_page(api, where=[("id", "eq", ids[4])])).ids == [ids[4]]
    assert (await get_page(api, where=[("id", "lt", ids[2]), ("id", "gte", ids[1])])).ids == [
        ids[1]
    ]
    assert (await get_page(api, where=[("id", "gt", ids[9]), ("id", "lt", ids[2])])).ids == []
    with_sort = await get_page(api, where=where, sort="billsec", limit=500)
    assert sorted(with_sort.ids) == ids[10:100]


async def test_rows_meet_all_conditions_and_changes_show_at_once(api: Sandbox) -> None:
    where = [("disposition", "eq", "ANSWERED"), ("billsec", "gt", 600)]
    before = await get_page(api, where=where, limit=500)
    rows = [api.data.cdrs.get(each) for each in api.data.cdrs.ids]
    assert before.ids == [row["id"] for row in rows if row["billsec"] > 600]
    api.data.cdrs.update(before.ids[0], billsec=1)
    assert (await get_page(api, where=where, limit=500)).ids == before.ids[1:]
    new = api.data.cdrs.insert(disposition="ANSWERED", billsec=601)
    assert (await get_page(api, where=where, limit=500)).ids[-1] == new["id"]


async def test_a_bare_date_is_its_midnight_in_a_column_of_times_and_text_elsewhere(
    api: Sandbox,
) -> None:
    cdrs = api.data.cdrs
    for row_id in cdrs.ids:
        cdrs.update(row_id, created_at="2026-03-01 12:00:00", title="2026-03-01 12:00:00")
    before, midnight, after, zero, none = cdrs.ids[:5]
    for row_id, time in (
        (before, "2026-03-01 23:59:59"), (midnight, "2026-03-02 00:00:00"),
        (after, "2026-03-02 00:00:01"), (zero, "0000-00-00 00:00:00"), (none, None),
    ):  # fmt: skip
        cdrs.update(row_id, created_at=time, title=time)
    expected = {
        "gt": ([after], [midnight, after]),
        "gte": ([midnight, after], [midnight, after]),
        "eq": ([midnight], []),
        "lte": ([before, midnight, zero], [before, zero]),
        "lt": ([before, zero], [before, zero]),
        "like": ([midnight, after], [midnight, after]),
    }
    for operator, ids in expected.items():
        for name, found in zip(("created_at", "title"), ids, strict=True):
            got = await get_page(api, where=[(name, operator, "2026-03-02")], limit=500)
            assert [each for each in got.ids if each <= none] == found, (name, operator)


async def test_a_bare_fragment_is_found_anywhere_in_a_text(api: Sandbox) -> None:
    api.data.cdrs.update(api.data.cdrs.ids[7], info="the Needle in a haystack")
    got = await get_page(api, where=[("info", "like", "needle")])
    assert got.ids == [api.data.cdrs.ids[7]]


async def test_any_field_of_a_call_record_can_be_filtered_and_sorted_by(api: Sandbox) -> None:
    for name in api.data.cdrs.get(api.data.cdrs.ids[0]):
        where = [(name, operator, 1) for operator in ("eq", "gt", "like")]
        assert (await get_page(api, where=where, sort=name)).status == 200
        assert (await get_page(api, sort=name)).json["total"] == 120


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"}, {"page": "abc"}, {"page": "-1"}, {"limit": "0"}, {"limit": "abc"},
        {"limit": "1.5"}, {"sort": "nonsense"}, {"dir": "sideways"},
    ],
)  # fmt: skip
async def test_an_invalid_parameter_is_named_in_a_400(api: Sandbox, query: dict[str, str]) -> None:
    got = await send(api, "GET", CDRS, params=query)
    assert got.status == 400
    assert got.json["message"] == "Validation error"
    assert [error["field"] for error in got.json["errors"]] == list(query)


@pytest.mark.parametrize(
    "text",
    [
        "not json", "{}", "[5]", '[{"property":"id"}]', "[" * 5000,
        '[{"property":"nonsense","operator":"eq","value":1}]',
        '[{"property":"id","operator":"between","value":1}]',
        '[{"property":"id","operator":"eq","value":[1]}]',
        '[{"property":["id"],"operator":["eq"],"value":1}]',
    ],
)  # fmt: skip
async def test_a_filter_that_cannot_be_used_is_a_filtration_error(api: Sandbox, text: str) -> None:
    got = await send(api, "GET", CDRS, params={"filter": text})
    assert got.status == 400
    assert got.json["message"] == "Filtration error"


@pytest.mark.parametrize(
    ("temper", "expected"),
    [
        (Temper(ignore_page=True), slice(0, 10)),
        (Temper(ignore_limit=True, ignore_page=True), slice(0, 60)),
        (Temper(ignore_limit=True), slice(0, 0)),
        (Temper(ignore_sort=True), slice(10, 20)),
        (Temper(ignore_sort=True, newest_first=True), slice(49, 39, -1)),
        (Temper(empty_pages=[2]), slice(0, 0)),
    ],
)
async def test_a_server_can_ignore_a_parameter(temper: Temper, expected: slice) -> None:
    async with Sandbox(rows=60, temper=temper) as api:
        got = await get_page(api, page=2, limit=10, sort="id", dir="ASC")
        assert got.ids == list(api.data.cdrs.ids)[expected]
        assert got.json["total"] == 60


async def test_a_server_that_ignores_filters_does_not_check_them() -> None:
    async with Sandbox(rows=60, temper=Temper(ignore_filter=True)) as api:
        assert (await get_page(api, filter="nonsense")).json["total"] == 60


async def test_a_lower_id_can_show_up_after_a_higher_one() -> None:
    async with Sandbox(rows=60, temper=Temper(late_visibility=2)) as api:
        cdrs = api.data.cdrs
        last = cdrs.ids[-1]
        odd, even = (last + 1, last + 2) if last % 2 == 0 else (last + 2, last + 3)
        cdrs.insert(id=odd)
        cdrs.insert(id=even)
        where = [("id", "gt", last)]
        for expected in ([even], [even], [odd, even]):
            got = await get_page(api, where=where)
            assert (got.ids, got.json["total"]) == (expected, len(expected))
        assert len((await get_page(api, limit=100)).ids) == 62
        made = [await send(api, "POST", SETTINGS, json={}) for _ in range(2)]
        [late] = [row_id for each in made if (row_id := each.json["data"]["id"]) % 2]
        assert (await send(api, "GET", f"{SETTINGS}/{late}")).status == 200
        pages = [(await get_page(api, SETTINGS, limit=100)).ids for _ in range(4)]
        assert [late in ids for ids in pages] == [False, False, True, True]
        assert [len(ids) for ids in pages] == [41, 41, 42, 42]


async def test_a_page_can_be_empty_once() -> None:
    async with Sandbox(rows=60, temper=Temper(empty_once=[2])) as api:
        assert [len((await get_page(api, page=2)).ids) for _ in range(2)] == [0, 25]


async def test_the_total_can_be_wrong_missing_or_of_another_type() -> None:
    kinds = {
        "exact": {"total": 63},
        "string": {"total": "63"},
        "null": {"total": None},
        "missing": {},
    }
    for kind, expected in kinds.items():
        async with Sandbox(rows=60, temper=Temper(total=kind, total_offset=3)) as api:  # type: ignore[arg-type]  # the keys are the literals
            got = (await get_page(api)).json
            assert {name: value for name, value in got.items() if name != "data"} == expected


async def test_the_total_can_be_wrong_by_a_factor_and_is_never_negative() -> None:
    for temper, total in (
        (Temper(total_factor=0.5), 30),
        (Temper(total_factor=1.26, total_offset=-2), 74),
        (Temper(total_factor=0), 0),
        (Temper(total_offset=-100), 0),
    ):
        async with Sandbox(rows=60, temper=temper) as api:
            assert (await get_page(api)).json["total"] == total


async def test_the_total_can_be_wrong_sometimes_and_equally_in_each_run() -> None:
    async def totals(seed: int) -> list[int]:
        async with Sandbox(rows=60, seed=seed, temper=Temper(total_jitter=3)) as api:
            return [(await get_page(api)).json["total"] for _ in range(80)]

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
        assert (await get_page(api, page=2, limit=50)).ids == ids[50:]
        for page in (3, 4, 10**30):
            got = await get_page(api, page=page, limit=50)
            assert got.status == status
            assert rows is None or (got.ids, got.json["total"]) == (ids[rows], 60)
        assert (await get_page(api, page=2, limit=60)).status == status
        nothing = [("id", "gt", ids[-1])]
        got = await get_page(api, where=nothing)
        assert (got.status, got.ids) == (200, [])
        got = await get_page(api, where=nothing, page=2)
        assert (got.status, got.json.get("data", [])) == (status, [])


async def test_the_last_page_is_repeated_also_if_it_is_the_only_one() -> None:
    temper = Temper(past_end="repeat", ignore_limit=True)
    async with Sandbox(rows=60, temper=temper) as api:
        assert (await get_page(api, page=2, limit=10)).ids == list(api.data.cdrs.ids)


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
        got = await get_page(api, **query)
        assert (got.status, got.json["message"]) == (400, message)
        assert [error["field"] for error in got.json["errors"]] == fields
        assert (await get_page(api, page=2)).status == 200


async def test_rows_are_on_no_page_when_pages_are_counted_by_the_requested_limit() -> None:
    async with Sandbox(rows=60, limit_cap=20, temper=Temper(offset_by_requested_limit=True)) as api:
        ids = list(api.data.cdrs.ids)
        for page, expected in ((1, ids[:20]), (2, ids[30:50]), (3, [])):
            got = await get_page(api, page=page, limit=30)
            assert (got.ids, got.json["total"]) == (expected, 60)
        assert (await get_page(api, page=2, limit=20)).ids == ids[20:40]
        assert (await get_page(api, page=2, limit=30, dir="DESC")).ids == ids[::-1][30:50]
        assert (await get_page(api, page=2)).ids == ids[25:45]
