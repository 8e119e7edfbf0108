"""Walks over servers that ignore a condition or an order: never a silent full list."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.collections import Database, take
from tests.fakes.handlers import full_chain
from voipstudio_cmb.errors import ClientMisuse, FilterIgnored, PageDrift, SortIgnored, WalkError
from voipstudio_cmb.filters import Filter, parse, where
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.models import Reject
from voipstudio_cmb.services import Cdrs

WORDS = ["Zoe", "ana", "Émile", "Bob", "Łukasz", "émile", "Straße", "STRASSE", "anna", "Mc-Fly"]


def day(number: int) -> str:
    return str(datetime(2026, 1, 1) + timedelta(hours=5 * number))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": id, "button_id": id * 7 % 10 or None, "created_at": day(id), "duration": id % 90,
            "name": WORDS[id % 10], "floating_icon": id % 3 == 0, "max_call_rate": id % 8 / 10,
        }
        for id in range(1, count + 1)
    ]  # fmt: skip


def no_rejects(rejects: Any) -> None:
    assert not list[Reject](rejects)


CALLS: dict[str, Callable[[Cdrs, Any], Any]] = {
    "list": lambda cdrs, options: cdrs.list(**options).collect(),
    "pages": lambda cdrs, options: cdrs.pages(**options).collect(),
    "raw_pages": lambda cdrs, options: cdrs.raw_pages(reject=no_rejects, **options).collect(),
    "first": lambda cdrs, options: cdrs.list(**options).first(),
    "by page": lambda cdrs, options: cdrs.list(**options, walk="page").collect(),
    "by keyset": lambda cdrs, options: cdrs.list(**options, walk="keyset").collect(),
    "one request": lambda cdrs, options: cdrs.list(**options, limit=1).collect(),
    "small pages": lambda cdrs, options: cdrs.list(**options, page_size=3).collect(),
    "one at a time": lambda cdrs, options: cdrs.list(**options, concurrency=1).collect(),
    "count": lambda cdrs, options: cdrs.count(filters=options["filters"]),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "condition", ["id>500", "created_at>=2027-01-01", "created_at<2025-01-01", "max_call_rate>7",
                  "duration>90", "name=Nobody", "name~nobody"],
)  # fmt: skip
@pytest.mark.parametrize("ignores", [{"filter"}, {"filter", "sort"}])
@virtual
async def test_a_condition_that_is_ignored_raises(ignores: Any, condition: str, call: str) -> None:
    server = Database(rows=rows(60), ignores=ignores)
    with pytest.raises(FilterIgnored, match="the server ignores the condition") as caught:
        await CALLS[call](Cdrs(server), {"filters": parse(condition)})
    assert caught.value.condition == condition
    assert 'on_ignored_filter="client" (--filter-here)' in str(caught.value)
    assert not caught.value.retryable


@virtual
async def test_one_of_several_conditions_is_enough_and_is_named() -> None:
    server = Database(rows=rows(60), ignores={"filter"})
    wanted = [where("id") > 0, where("button_id") == 3, where("created_at") > "2020-01-01"]
    with pytest.raises(FilterIgnored) as caught:
        await Cdrs(server).list(filters=wanted).collect()
    assert caught.value.condition == "button_id=3"


@pytest.mark.parametrize("walk", ["auto", "page"])
@virtual
async def test_a_later_page_raises_too_and_what_came_before_meets_the_condition(walk: Any) -> None:
    server = Database(rows=rows(60), ignores={"filter"})
    found = []
    with pytest.raises(FilterIgnored):
        async for cdr in Cdrs(server).list(filters=where("id") <= 25, page_size=10, walk=walk):
            found.append(cdr.id)
    assert found == [id for id in found if id <= 25]
    assert len(found) <= 20


@virtual
async def test_a_server_that_takes_only_the_last_condition_is_walked_by_page() -> None:
    class LastOnly(Database):
        def takes(self, each: dict[str, Any], condition: Any) -> bool:
            last = json.loads(dict(self.asked[-1]).get("filter", "[]"))[-1]
            return condition != last or super().takes(each, condition)

    found = Cdrs(LastOnly(rows=rows(60))).list(filters=where("button_id") == 3, page_size=3)
    assert [cdr.button_id for cdr in await found.collect()] == [3] * 6
    assert found.progress.strategy == "page"


# The order.


ORDERS = [
    ("id", True), ("id", False), (None, True), ("created_at", True), ("button_id", True),
    ("button_id", False), ("duration", True), ("name", True), ("name", False),
    ("max_call_rate", True),
]  # fmt: skip


@pytest.mark.one_in(3)
@pytest.mark.parametrize("limit", [1, 2, 5, None])
@pytest.mark.parametrize("page_size", [1, 10, 500])
@pytest.mark.parametrize(
    ("sort", "descending", "ignores"),
    [
        *((*order, {"sort", "dir"}) for order in ORDERS),
        *((*order, {"dir"}) for order in ORDERS if order[1]),  # without it, it sorts ascending
    ],
)
@virtual
async def test_an_order_that_is_ignored_raises(
    ignores: Any, sort: str | None, descending: bool, page_size: int, limit: int | None
) -> None:
    table = rows(60)
    if not descending:
        table.reverse()
    found = []
    options: Any = {"sort": sort, "descending": descending, "page_size": page_size, "limit": limit}
    with pytest.raises(SortIgnored, match="the server ignores the order") as caught:
        async for cdr in Cdrs(Database(rows=table, ignores=ignores)).list(**options):
            found.append(cdr)
    assert caught.value.sort == (sort or "id")
    assert not found


@virtual
async def test_without_a_named_order_the_servers_own_will_do() -> None:
    server = Database(rows=rows(60)[::-1], ignores={"sort", "filter"})
    found = await Cdrs(server).list(page_size=7).collect()
    assert sorted(cdr.id for cdr in found) == list(range(1, 61))


# What an honest server does never raises.

PLACES = {
    "as they are": dict,
    "in Kiribati": lambda row: row | {"created_at": _moved(row, 14)},
    "in the west": lambda row: row | {"created_at": _moved(row, -12)},
    "with DST": lambda row: row | {"created_at": _moved(row, row["id"] // 30 % 2)},
    "with a T and a zone": lambda row: row | {"created_at": row["created_at"].replace(" ", "T")},
    "dates a person reads": lambda row: row | {"created_at": "01.02.2026"},
    "all as text": lambda row: {name: value if name == "id" or value is None else str(value)
                                for name, value in row.items()},
    "half of it missing": lambda row: {name: value for name, value in row.items()
                                       if name == "id" or (row["id"] + len(name)) % 2},
}  # fmt: skip


def _moved(row: Any, hours: int) -> str:
    return str(datetime.fromisoformat(row["created_at"]) + timedelta(hours=hours))


def _plain(value: Any) -> Any:
    return _letters(value) if isinstance(value, str) else value


@cache
def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold().replace("ł", "l"))
    return "".join(each for each in plain if each.isalnum() or each in " :")


def _as_text(value: Any) -> Any:
    return str(int(value) if isinstance(value, bool) else value)


HONEST = [
    "id>20", "id<=20", "id=7", "button_id>=5", "button_id=3", "created_at>=2026-01-06",
    "created_at<2026-01-06 08:00:00", "created_at=2026-01-06", "duration>30", "duration=5",
    "floating_icon=true", "max_call_rate>0.3", "name=emile", "name~ann", "name>bob", "name=Mc-Fly",
]  # fmt: skip


@pytest.mark.one_in(3)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("cap", [1, 4, 1000])
@virtual
async def test_an_honest_server_never_raises(cap: int, place: str) -> None:
    for key in (lambda value: value, _plain):
        for condition in HONEST:
            kept = parse(condition)
            if key is _plain and isinstance(kept.value, bool):
                continue
            server = Database(rows=rows(60), key=key, cap=cap, shown=PLACES[place])
            wanted = {row["id"] for row in server.rows if server.takes(row, vars_of(kept))}
            for options in ({}, {"walk": "page"}, {"limit": 1}):  # type: Any
                found = await Cdrs(server).list(filters=kept, page_size=10, **options).collect()
                ids = {cdr.id for cdr in found}
                assert ids == wanted or (options.get("limit") and len(ids) <= 1), condition
            assert await Cdrs(server).count(filters=kept) == len(wanted)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("compares", ["values", "letters", "texts"])
@virtual
async def test_an_honest_order_never_raises(compares: str, place: str) -> None:
    key = {"values": lambda value: value, "letters": _plain, "texts": _as_text}[compares]
    for sort in ("id", "button_id", "created_at", "duration", "name", "floating_icon"):
        if compares == "texts" and sort in ("id", "button_id"):
            continue  # they are documented as integers
        for descending in (True, False):
            for limit in (1, 3, None):
                server = Database(rows=rows(60), key=key, shown=PLACES[place])
                options: Any = {"sort": sort, "descending": descending, "limit": limit}
                found = await Cdrs(server).list(**options, page_size=25).collect()
                assert len(found) == (limit or 60), sort


@pytest.mark.parametrize("ignores", [set(), {"sort", "dir"}])
@virtual
async def test_an_order_that_the_first_page_has_shown_is_not_doubted_later(ignores: Any) -> None:
    server = Database(rows=rows(103), ignores=ignores)
    found = await Cdrs(server).list(sort="created_at", page_size=50).collect()
    assert [cdr.id for cdr in found] == list(range(1, 104))
    assert {asked["dir"] for asked in server.asked if asked["sort"] == "created_at"} == {"ASC"}


@virtual
async def test_rows_that_come_and_go_are_no_contradiction() -> None:
    draw = random.Random(4)

    class Moving(Database):
        async def __call__(self, request: Any) -> Any:
            self.rows.pop(draw.randrange(len(self.rows)))
            top = max(row["id"] for row in self.rows)
            late = top - draw.randrange(3) if draw.random() < 0.3 else top + 1
            self.rows.append(rows(top + 1)[late - 1] | {"id": top + 1})
            return await super().__call__(request)

    for options in ({"sort": "created_at"}, {"descending": True}, {"filters": where("id") > 9}):
        walk = Cdrs(Moving(rows=rows(60))).list(page_size=5, limit=40, **options)  # type: ignore[arg-type]
        assert len(await walk.collect()) == 40


def vars_of(condition: Filter) -> dict[str, Any]:
    return {
        "property": condition.property,
        "operator": condition.operator,
        "value": condition.value,
    }


# Filtering here.


@pytest.mark.one_in(3)
@pytest.mark.parametrize("ignores", [set(), {"filter"}, {"filter", "sort", "dir"}])
@pytest.mark.parametrize("condition", HONEST)
@virtual
async def test_rows_are_filtered_here_if_that_is_asked_for(condition: str, ignores: Any) -> None:
    kept = parse(condition)
    server = Database(rows=rows(60), ignores=ignores, key=_plain)
    wanted = [row["id"] for row in server.rows if server.takes(row, vars_of(kept))]
    options: Any = {"filters": kept, "on_ignored_filter": "client", "page_size": 10}
    walk = Cdrs(server).list(**options)
    assert [cdr.id for cdr in await walk.collect()] == wanted
    assert (walk.progress.seen, walk.progress.total) == (60, 60)
    assert [cdr.id for cdr in await Cdrs(server).list(**options, limit=2).collect()] == wanted[:2]
    pages = await Cdrs(server).pages(**options).collect()
    assert [cdr.id for page in pages for cdr in page.records] == wanted
    assert all(page.records and page.total is None for page in pages)
    raw = await Cdrs(server).raw_pages(reject=no_rejects, **options).collect()
    assert [row.id for page in raw for row in page.records] == wanted
    sent = [query.get("filter", "") for query in server.asked]
    assert not any(kept.property in text for text in sent if kept.property != "id")


@pytest.mark.parametrize("ignores", [set(), {"filter"}])
@virtual
async def test_a_walk_that_filters_here_is_resumed(ignores: Any) -> None:
    server = Database(rows=rows(60), ignores=ignores)
    options: Any = {
        "filters": where("button_id") == 3, "on_ignored_filter": "client", "page_size": 4
    }  # fmt: skip
    every = [cdr.id for cdr in await Cdrs(server).list(**options).collect()]
    for count in range(1, len(every)):
        walk = Cdrs(server).list(**options)
        found = [cdr.id for cdr in await take(walk, count)]
        more = await Cdrs(server).list(**options, cursor=walk.cursor).collect()
        assert found + [cdr.id for cdr in more] == every
        with pytest.raises(ClientMisuse, match="other filters or another on_ignored_filter"):
            Cdrs(server).list(cursor=walk.cursor)
    pages = [page.records for page in await Cdrs(server).pages(**options).collect()]
    for count in range(1, len(pages)):
        walk_of_pages = Cdrs(server).pages(**options)
        await take(walk_of_pages, count)
        assert walk_of_pages.cursor is not None
        resumed = Cdrs(server).pages(**options, cursor=walk_of_pages.cursor)
        left = [cdr for page in await resumed.collect() for cdr in page.records]
        assert left == [cdr for page in pages[count:] for cdr in page]
        assert resumed.progress.seen < 60


def test_what_to_do_about_it_is_checked() -> None:
    with pytest.raises(ClientMisuse, match='on_ignored_filter must be "raise" or "client"'):
        Cdrs(Database(rows=[])).list(on_ignored_filter="here")  # type: ignore[arg-type]


@pytest.mark.parametrize("call", ["list", "raw_pages", "by page", "one request", "count"])
@virtual
async def test_a_complaint_about_what_came_out_of_a_cache_says_so(call: str) -> None:
    server = Database(rows=rows(60), ignores={"filter"})

    async def cache(request: Request) -> Response:
        response = await server(request)
        return response.with_changes(headers={"age": "35", "x-cache": f"HIT {request.path}"})

    with pytest.raises(FilterIgnored, match=r"came out of a cache \(Age: 35, X-Cache: HIT\)"):
        await CALLS[call](Cdrs(full_chain(cache)), {"filters": parse("id>500")})


@virtual
async def test_evidence_of_drift_says_what_came_out_of_a_cache_if_anything_did() -> None:
    async def stale(request: Request) -> Response:
        number = dict(request.query).get("page", "1")
        first = {"data": [{"id": 1}, {"id": 2}], "total": 9}
        return json_response(first, **({"age": "35"} if number == "2" and cached else {}))

    for cached, sign in ((True, "came out of a cache (Age: 35)"), (False, "")):
        walk = Cdrs(stale).list(walk="page", page_size=2)
        with pytest.raises(WalkError) as caught:
            await walk.collect()
        assert isinstance(caught.value, PageDrift)
        assert sign in str(caught.value)
        assert sign in caught.value.evidence
        assert ("cache" in str(caught.value)) is cached
        assert walk.progress.cached == ("Age: 35" if cached else "")
