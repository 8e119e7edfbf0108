"""The stand-in behaves as the API is known to, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest

import voipstudio_cmb.sandbox
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper
from voipstudio_cmb.sandbox.data import Data
from voipstudio_cmb.sandbox.query import Condition, matcher
from voipstudio_cmb.sandbox.rate import RateWindow

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent
PLUGIN = "voipstudio_cmb.sandbox.pytest_plugin"
CDRS, SETTINGS, BUTTONS = "/callmeback/cdrs", "/callmeback/settings", "/callmeback/buttons"
DOCUMENTED = {
    "id", "allowed_countries", "button_id", "created_at", "culture", "ddi", "floating_icon", "name",
    "position", "privacy_policy_url", "show_to_allowed_countries_only", "title",
    "welcome_screen_msg",
}  # fmt: skip


@attrs.frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.json["data"]]


async def ask(api: Sandbox, method: str, path: str, **options: Any) -> Answer:
    options.setdefault("headers", {"X-Auth-Token": api.token})
    url = options.pop("base", api.base_url) + path
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as got:
        return Answer(got.status, got.headers, await got.read())


async def listed(api: Sandbox, path: str = CDRS, **query: Any) -> Answer:
    where = query.pop("where", None)
    if where is not None:
        names = ("property", "operator", "value")
        query["filter"] = json.dumps([dict(zip(names, each, strict=True)) for each in where])
    return await ask(api, "GET", path, params=query)


@pytest.fixture
async def api() -> AsyncIterator[Sandbox]:
    async with Sandbox(rows=120) as api:
        yield api


# --- the data ---------------------------------------------------------------------------------


def test_the_public_names_are_sorted_and_there() -> None:
    names = voipstudio_cmb.sandbox.__all__
    assert names == sorted(names)
    assert all(getattr(voipstudio_cmb.sandbox, name).__name__ == name for name in names)
    with pytest.raises(AttributeError, match="no attribute 'sandbox_of_dreams'"):
        voipstudio_cmb.sandbox.sandbox_of_dreams  # noqa: B018  (asking for it is the test)


def test_the_same_seed_gives_the_same_data_and_another_seed_does_not() -> None:
    one, same, other = (Data.generate(rows=50, seed=seed) for seed in (1, 1, 2))
    rows = [[data.cdrs.get(each) for each in data.cdrs.ids] for data in (one, same, other)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_the_default_data_set_is_large_and_quick_to_make() -> None:
    began = time.thread_time()
    data = Data.generate(rows=25_000, seed=1)
    assert time.thread_time() - began < 1.0
    tables = (data.cdrs, data.visitors, data.settings, data.websites, data.buttons)
    assert [len(table) for table in tables] == [25_000, 3125, 40, 12, 30]


def test_ids_ascend_with_gaps_and_later_ids_were_created_later() -> None:
    cdrs = Data.generate(rows=500, seed=1).cdrs
    steps = {after - before for before, after in zip(cdrs.ids, cdrs.ids[1:], strict=False)}
    moments = [cdrs.get(each)["created_at"] for each in cdrs.ids]
    assert min(steps) >= 1
    assert max(steps) > 1
    assert moments == sorted(moments)


def test_rows_have_the_documented_fields_and_realistic_ones_beyond() -> None:
    data = Data.generate(rows=100, seed=1)
    for table in (data.websites, data.settings, data.cdrs, data.visitors, data.buttons):
        assert table.get(table.ids[0]).keys() >= DOCUMENTED
    cdr, visitor = data.cdrs.get(data.cdrs.ids[3]), data.visitors.get(data.visitors.ids[3])
    assert cdr.keys() >= {"calldate", "src", "dst", "billsec", "disposition", "charge", "agent"}
    assert visitor.keys() >= {"ip", "country", "user_agent", "page_url", "referrer", "phone"}
    assert cdr["visitor_id"] in data.visitors
    assert all(data.settings.get(each)["button_id"] in data.buttons for each in data.settings.ids)
    agents = {data.cdrs.get(each)["agent"] for each in data.cdrs.ids}
    assert any(not name.isascii() for name in agents)


def test_a_table_can_be_changed_and_says_when_it_cannot() -> None:
    table = Data.generate(rows=10, seed=1).cdrs
    added = table.insert(name="new")
    assert table.ids[-1] == added["id"]
    assert table.update(added["id"], name="newer")["name"] == "newer"
    table.delete(added["id"])
    assert added["id"] not in table
    assert table.insert()["id"] > added["id"]
    with pytest.raises(KeyError):
        table.insert(id=table.ids[0])
    for act in (table.get, table.update, table.delete):
        with pytest.raises(KeyError):
            act(1)


# --- collections ------------------------------------------------------------------------------


async def test_pages_cover_a_collection_and_end_with_an_empty_one(api: Sandbox) -> None:
    pages = [await listed(api, page=page, limit=50) for page in (1, 2, 3, 4)]
    assert [len(page.ids) for page in pages] == [50, 50, 20, 0]
    assert [row for page in pages for row in page.ids] == list(api.data.cdrs.ids)
    assert {page.json["total"] for page in pages} == {120}


async def test_a_page_has_25_rows_unless_asked_and_never_more_than_the_cap() -> None:
    async with Sandbox(rows=90, limit_cap=40) as api:
        assert len((await listed(api)).ids) == 25
        assert len((await listed(api, limit=5000)).ids) == 40


async def test_sorting_is_by_value_in_both_directions_with_ties_in_order_of_id(
    api: Sandbox,
) -> None:
    ids = list(api.data.cdrs.ids)
    rows = [api.data.cdrs.get(each) for each in ids]
    for direction in ("ASC", "DESC"):
        expected = sorted(rows, key=lambda row: row["billsec"], reverse=direction == "DESC")
        got = await listed(api, sort="billsec", dir=direction, limit=200)
        assert got.ids == [row["id"] for row in expected]
    got = await listed(api, dir="DESC", limit=30, page=2)
    assert got.ids == ids[::-1][30:60]
    nullable = await listed(api, sort="allowed_countries", limit=200)
    values = [row["allowed_countries"] for row in nullable.json["data"]]
    assert values == sorted(values, key=lambda value: (value is not None, value or ""))


async def test_conditions_on_ids_cut_a_range_in_both_directions(api: Sandbox) -> None:
    ids = list(api.data.cdrs.ids)
    where = [("id", "gt", ids[9]), ("id", "lte", str(ids[99]))]
    got = await listed(api, where=where, sort="id", limit=500)
    assert got.ids == ids[10:100]
    assert got.json["total"] == 90
    assert (await listed(api, where=where, dir="DESC", limit=5, page=2)).ids == ids[90:95][::-1]
    assert (await listed(api, where=[("id", "eq", ids[4])])).ids == [ids[4]]
    assert (await listed(api, where=[("id", "lt", ids[2]), ("id", "gte", ids[1])])).ids == [ids[1]]
    assert (await listed(api, where=[("id", "gt", ids[9]), ("id", "lt", ids[2])])).ids == []
    with_sort = await listed(api, where=where, sort="billsec", limit=500)
    assert sorted(with_sort.ids) == ids[10:100]


@pytest.mark.parametrize(
    ("found", "operator", "wanted", "kept"),
    [
        (9, "lt", 10, True),
        ("9", "lt", "10", True),
        ("0.0250", "eq", 0.025, True),
        ("2026-01-02", "gte", "2026-01-01", True),
        ("b", "gt", "a", True),
        ("abc", "eq", 5, False),
        (True, "eq", 1, True),
        (True, "eq", False, False),
        (None, "eq", None, True),
        (None, "lt", 5, False),
        (5, "eq", None, False),
        (10**30, "gt", 1e300, False),
        ("Harbour Books", "like", "BOOK", True),
        ("Harbour Books", "like", "book%", False),
        ("Harbour Books", "like", "h%s", True),
        ("a.c", "like", "a_c%", True),
        ("abc", "like", "a.c", False),
        ("two\nlines", "like", "two%lines", True),
        (None, "like", "%", False),
    ],
)
def test_a_condition_compares_numbers_as_numbers_and_all_else_as_text(
    found: Any, operator: str, wanted: Any, kept: bool
) -> None:
    assert matcher([Condition("it", operator, wanted)])({"it": found}) is kept


async def test_conditions_are_joined_by_and_and_see_changes_at_once(api: Sandbox) -> None:
    where = [("disposition", "eq", "ANSWERED"), ("billsec", "gt", 600)]
    before = await listed(api, where=where, limit=500)
    rows = [api.data.cdrs.get(each) for each in api.data.cdrs.ids]
    assert before.ids == [row["id"] for row in rows if row["billsec"] > 600]
    api.data.cdrs.update(before.ids[0], billsec=1)
    assert (await listed(api, where=where, limit=500)).ids == before.ids[1:]
    new = api.data.cdrs.insert(disposition="ANSWERED", billsec=601)
    assert (await listed(api, where=where, limit=500)).ids[-1] == new["id"]


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"}, {"page": "abc"}, {"page": "-1"}, {"limit": "0"}, {"limit": "abc"},
        {"limit": "1.5"}, {"sort": "nonsense"}, {"dir": "sideways"},
    ],
)  # fmt: skip
async def test_an_invalid_parameter_is_named_in_a_400(api: Sandbox, query: dict[str, str]) -> None:
    got = await ask(api, "GET", CDRS, params=query)
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
    got = await ask(api, "GET", CDRS, params={"filter": text})
    assert got.status == 400
    assert got.json["message"] == "Filtration error"


# --- single resources -------------------------------------------------------------------------


async def test_a_setting_lives_from_creation_to_deletion(api: Sandbox) -> None:
    body = {
        "name": "Shop ✓",
        "ddi_e164": 442079460001,
        "culture": "3",
        "position": 2,
        "max_call_rate": 7,
        "allowed_countries": ["GB", "IE"],
        "floating_icon": None,
    }
    created = await ask(api, "POST", SETTINGS, json=body)
    row, item = created.json["data"], f"{SETTINGS}/{created.json['data']['id']}"
    assert created.status == 201
    assert created.json["links"] == {}
    assert row.keys() >= DOCUMENTED
    assert (row["name"], row["ddi"], row["culture"]) == ("Shop ✓", 442079460001, 3)
    assert (row["position"], row["max_call_rate"]) == (2, "7.00")
    assert (row["allowed_countries"], row["floating_icon"]) == ("GB,IE", None)
    assert (await ask(api, "GET", item)).json["data"] == row
    assert (await listed(api, SETTINGS, limit=100)).ids[-1] == row["id"]
    changed = await ask(api, "PATCH", item, json={"max_call_rate": "12.5"})
    assert changed.status == 200
    assert changed.json["data"] == {**row, "max_call_rate": "12.50"}
    deleted = await ask(api, "DELETE", item)
    assert (deleted.status, deleted.body) == (204, b"")
    assert (await ask(api, "GET", item)).status == 404
    assert (await listed(api, SETTINGS)).json["total"] == 40


async def test_a_button_needs_no_body_and_has_no_collection(api: Sandbox) -> None:
    created = await ask(api, "POST", BUTTONS)
    assert created.status == 201
    item = f"{BUTTONS}/{created.json['data']['id']}"
    changed = await ask(api, "PATCH", item, json={"name": "Ring", "data_online": "data:,on"})
    assert changed.json["data"] == {
        **created.json["data"],
        "name": "Ring",
        "data_online": "data:,on",
    }
    assert (await ask(api, "DELETE", item)).status == 204
    missing = await ask(api, "GET", BUTTONS)
    assert missing.status == 405
    assert missing.headers["Allow"] == "POST"


async def test_an_invalid_body_changes_nothing_and_lists_each_field(api: Sandbox) -> None:
    body = {"name": 5, "culture": 1.5, "floating_icon": "yes", "button_id": "402", "title": "x",
            "max_call_rate": "dear", "ddi_e164": True}  # fmt: skip
    got = await ask(api, "POST", SETTINGS, json=body)
    assert got.status == 400
    assert got.json["message"] == "Validation error"
    assert [error["field"] for error in got.json["errors"]] == list(body)
    for data in (b"", b"[]", b"{", b"\xff", b"[" * 5000):
        assert (await ask(api, "POST", SETTINGS, data=data)).status == 400
    assert len(api.data.settings) == 40


async def test_missing_and_forbidden_ids_are_told_apart() -> None:
    async with Sandbox(rows=0, temper=Temper(forbidden=[77])) as api:
        for method in ("GET", "PATCH", "DELETE"):
            for path in (f"{SETTINGS}/77", f"{BUTTONS}/77"):
                assert (await ask(api, method, path, json={})).status == 403
            for path in (f"{SETTINGS}/1", f"{BUTTONS}/abc"):
                got = await ask(api, method, path, json={})
                assert (got.status, got.json) == (404, {"message": "Resource not found"})


@pytest.mark.parametrize("status", [204, 403, 404])
async def test_deleting_what_is_not_there_answers_as_the_temper_says(status: int) -> None:
    async with Sandbox(rows=0, temper=Temper(missing_delete=status)) as api:
        assert (await ask(api, "DELETE", f"{SETTINGS}/1")).status == status


# --- who is let in ----------------------------------------------------------------------------


async def test_both_forms_of_authentication_work_and_nothing_else(api: Sandbox) -> None:
    def basic(user: str) -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(user, api.token)}

    assert (await ask(api, "GET", "/ping")).json["data"]["response"] == "Pong"
    assert (await ask(api, "GET", "/me", headers=basic(str(api.user_id)))).status == 200
    for headers in (
        {}, {"X-Auth-Token": "no"}, basic("7"), {"Authorization": "Basic ?"},
        {"Authorization": "Bearer x"}, {"X-Auth-Token": "no", **basic(str(api.user_id))},
    ):  # fmt: skip
        got = await ask(api, "GET", CDRS, headers=headers)
        assert (got.status, got.json) == (401, {"message": "Unauthorized"})


async def test_a_new_token_locks_the_old_one_out_and_a_log_in_fetches_it(api: Sandbox) -> None:
    old, api.token = api.token, "fresh"
    assert (await ask(api, "GET", "/ping", headers={"X-Auth-Token": old})).status == 401
    login = {"email": "jane@example.com", "password": "secret-word"}
    got = await ask(api, "POST", "/login", json=login, headers={})
    assert (got.json["user_token"], got.json["user_id"]) == ("fresh", api.user_id)
    assert (await ask(api, "POST", "/login", json={"email": ""}, headers={})).status == 400


async def test_a_log_in_with_two_factors_answers_a_nonce() -> None:
    async with Sandbox(rows=0, temper=Temper(two_factor=True)) as api:
        got = await ask(api, "POST", "/login", json={"email": "a", "password": "b"}, headers={})
        assert got.status == 202
        assert "nonce" in got.json


async def test_both_versions_of_the_base_url_are_served_and_nothing_beside_them(
    api: Sandbox,
) -> None:
    older = api.base_url.replace("v1.2", "v1.1")
    assert (await ask(api, "GET", "/ping", base=older)).status == 200
    for path in ("/nonsense", "/callmeback", "/callmeback/cdrs/5"):
        got = await ask(api, "GET", path)
        assert got.status == 404
        assert "message" in got.json
    assert (await ask(api, "GET", "", base=api.base_url[: api.base_url.index("/v1")])).status == 404
    assert (await ask(api, "PUT", SETTINGS)).headers["Allow"] == "GET,POST"


# --- habits -----------------------------------------------------------------------------------


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
async def test_a_server_deaf_to_a_parameter_answers_as_if_it_were_not_there(
    temper: Temper, expected: slice
) -> None:
    async with Sandbox(rows=60, temper=temper) as api:
        got = await listed(api, page=2, limit=10, sort="id", dir="ASC")
        assert got.ids == list(api.data.cdrs.ids)[expected]
        assert got.json["total"] == 60


async def test_a_server_deaf_to_filters_does_not_even_refuse_them() -> None:
    async with Sandbox(rows=60, temper=Temper(ignore_filter=True)) as api:
        assert (await listed(api, filter="nonsense")).json["total"] == 60


async def test_a_page_can_be_empty_once() -> None:
    async with Sandbox(rows=60, temper=Temper(empty_once=[2])) as api:
        assert [len((await listed(api, page=2)).ids) for _ in range(2)] == [0, 25]


async def test_the_total_can_be_wrong_missing_or_of_another_type() -> None:
    kinds = {
        "exact": {"total": 63},
        "string": {"total": "63"},
        "null": {"total": None},
        "missing": {},
    }
    for kind, expected in kinds.items():
        async with Sandbox(rows=60, temper=Temper(total=kind, total_offset=3)) as api:  # type: ignore[arg-type]  # the keys are the literals
            got = (await listed(api)).json
            assert {name: value for name, value in got.items() if name != "data"} == expected


# --- faults -----------------------------------------------------------------------------------


async def test_a_fault_hits_what_it_matches_as_often_as_told(api: Sandbox) -> None:
    scripted = api.script(Fault(method="get", path=CDRS, page=2, after=1, times=2, status=503))
    assert [(await listed(api, page=2)).status for _ in range(4)] == [200, 503, 503, 200]
    assert (await listed(api, page=1)).status == 200
    assert (scripted.seen, scripted.applied, scripted.spent) == (3, 2, True)


async def test_faults_apply_in_the_order_of_scripting_one_to_a_request(api: Sandbox) -> None:
    first = api.script(Fault(status=500))
    endless = api.script(Fault(status=502, times=None, when=lambda got: got.path == "/ping"))
    assert [(await ask(api, "GET", "/ping")).status for _ in range(3)] == [500, 502, 502]
    assert (await ask(api, "GET", "/me")).status == 200
    assert (first.applied, endless.applied) == (1, 2)
    api.clear_faults()
    assert (await ask(api, "GET", "/ping")).status == 200


async def test_a_fault_answers_with_any_status_headers_and_body(api: Sandbox) -> None:
    api.script(Fault(status=429, headers={"Retry-After": "7"}, body={"message": "slow"}))
    got = await ask(api, "GET", "/ping")
    assert (got.status, got.headers["Retry-After"], got.json) == (429, "7", {"message": "slow"})
    api.script(Fault(status=502, body=b"<html>bad gateway"))
    got = await ask(api, "GET", "/ping")
    assert (got.status, got.headers["Content-Type"]) == (502, "text/html")
    api.script(Fault(body=b'{"data":['))
    assert (await listed(api)).body == b'{"data":['
    api.script(Fault(headers={"X-Note": "added"}))
    got = await ask(api, "GET", "/ping")
    assert (got.status, got.headers["X-Note"]) == (200, "added")


@pytest.mark.parametrize(("drop", "added"), [("before", 0), ("after", 1), ("mid-body", 1)])
async def test_a_connection_can_be_dropped_before_after_or_amid_an_answer(
    api: Sandbox, drop: Any, added: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.script(Fault(drop=drop))
    with pytest.raises(aiohttp.ClientError) as caught:
        await ask(api, "POST", SETTINGS, json={})
    wanted = aiohttp.ClientPayloadError if drop == "mid-body" else aiohttp.ServerDisconnectedError
    assert isinstance(caught.value, wanted)
    assert len(api.data.settings) == 40 + added
    assert api.journal[-1].status is None
    assert not caplog.records


async def test_an_answer_without_a_body_cannot_be_dropped_amid_and_is_dropped_whole() -> None:
    # The client of aiohttp asks a second time for a DELETE, when the row is gone.
    async with Sandbox(rows=0, temper=Temper(missing_delete=204)) as api:
        api.script(Fault(drop="mid-body", times=2))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await ask(api, "DELETE", f"{SETTINGS}/{api.data.settings.ids[0]}")
        assert len(api.data.settings) == 39


async def test_raw_bytes_stand_in_for_an_answer_no_parser_accepts(api: Sandbox) -> None:
    api.script(Fault(raw=b"HTTP/1.1 429 Slow\r\nBad Header : \x01\r\n\r\nslow down"))
    with pytest.raises(aiohttp.ClientResponseError):
        await ask(api, "POST", SETTINGS, json={})


async def test_a_fault_can_delay_an_answer_and_change_the_data_before_it(api: Sandbox) -> None:
    first = api.data.cdrs.ids[0]
    api.script(Fault(path=CDRS, delay=0.02, change=lambda data: data.cdrs.delete(first)))
    began = time.perf_counter()
    assert first not in (await listed(api)).ids
    assert time.perf_counter() - began >= 0.02


# --- pace -------------------------------------------------------------------------------------


async def test_requests_over_the_rate_are_refused_with_a_time_to_wait() -> None:
    async with Sandbox(rows=0, rate=(2, 30.0)) as api:
        got = [await ask(api, "GET", "/ping") for _ in range(3)]
        assert [each.status for each in got] == [200, 200, 429]
        assert got[2].headers["Retry-After"] == "30"
        assert got[2].json == {"message": "Too many requests"}


def test_the_rate_window_slides() -> None:
    window = RateWindow(2, 10.0)
    assert [window.admit(now) for now in (0.0, 4.0, 6.0, 10.0, 11.0, 14.0)] == [0, 0, 4, 0, 3, 0]


async def test_latency_is_waited_for_and_may_be_a_range() -> None:
    for latency in (0.02, (0.02, 0.03)):
        async with Sandbox(rows=0, latency=latency) as api:
            began = time.perf_counter()
            await ask(api, "GET", "/ping")
            assert time.perf_counter() - began >= 0.02


# --- the journal ------------------------------------------------------------------------------


async def test_the_journal_tells_what_came_and_keeps_no_secret(api: Sandbox) -> None:
    await listed(api, page=2)
    await ask(api, "POST", SETTINGS, json={"name": "x"})
    login = {"email": "jane@example.com", "password": "secret-word"}
    basic = {"Authorization": aiohttp.encode_basic_auth("1001", api.token)}
    await ask(api, "POST", "/login", json=login, headers=basic)
    await ask(api, "POST", SETTINGS, data=b"{")
    told = [(each.method, each.path, each.status) for each in api.journal]
    assert told == [("GET", CDRS, 200), ("POST", SETTINGS, 201), ("POST", "/login", 200),
                    ("POST", SETTINGS, 400)]  # fmt: skip
    assert (api.journal[0].query, api.journal[0].page) == ({"page": "2"}, 2)
    assert api.journal[1].json == {"name": "x"}
    assert api.journal[3].json is None
    assert api.journal[0].at <= api.journal[1].at
    assert api.journal[0].headers["X-Auth-Token"] == "***"
    for secret in (api.token, "secret-word", basic["Authorization"]):
        assert secret not in repr(api.journal)
    api.journal.clear()
    assert api.requests == 4


async def test_the_journal_forgets_its_older_half_when_it_is_full(
    api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voipstudio_cmb.sandbox.gate._JOURNAL_KEPT", 4)
    for page in range(1, 6):
        await listed(api, page=page)
    assert [each.page for each in api.journal] == [3, 4, 5]
    assert api.requests == 5


# --- starting and stopping --------------------------------------------------------------------


def test_it_refuses_to_listen_where_others_could_reach_it() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "example.com"):
        with pytest.raises(ValueError, match="loopback only"):
            Sandbox(rows=0, host=host)


@pytest.mark.parametrize(
    "wrong", [{"rows": -1}, {"limit_cap": 0}, {"rate": (0, 1.0)}, {"latency": (2.0, 1.0)}]
)
def test_it_refuses_parameters_that_mean_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|needs"):
        Sandbox(**{"rows": 0, **wrong})


async def test_it_has_an_address_only_while_it_runs_and_runs_once_at_a_time() -> None:
    sandbox = Sandbox(rows=5)
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.base_url
    for _ in range(2):
        async with sandbox as api:
            assert (await ask(api, "GET", "/ping")).status == 200
            with pytest.raises(RuntimeError, match="already"):
                await sandbox.__aenter__()
    with sandbox, pytest.raises(RuntimeError, match="already"):
        sandbox.__enter__()


async def test_it_serves_on_ipv6_loopback_too() -> None:
    async with Sandbox(rows=0, host="::1") as api:
        assert (await ask(api, "GET", "/ping")).status == 200


async def test_a_port_in_use_is_an_error_in_both_forms() -> None:
    async with Sandbox(rows=0) as api:
        port = int(api.base_url.split(":")[2].split("/")[0])
        with pytest.raises(OSError, match="in use"):
            await Sandbox(rows=0, port=port).__aenter__()
        with pytest.raises(OSError, match="in use"):
            Sandbox(rows=0, port=port).__enter__()


async def test_it_stops_at_once_with_open_connections_and_requests_in_flight() -> None:
    async with aiohttp.ClientSession() as session:
        async with Sandbox(rows=0) as api:
            api.script(Fault(path="/me", delay=60))
            headers = {"X-Auth-Token": api.token}
            async with session.get(f"{api.base_url}/ping", headers=headers) as idle:
                await idle.read()
            waiting = asyncio.create_task(session.post(f"{api.base_url}/me", headers=headers))
            while api.requests < 2:
                await asyncio.sleep(0.001)
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 0.3
        with pytest.raises(aiohttp.ClientError):
            await waiting


async def test_in_a_thread_it_serves_and_leaves_no_thread_behind() -> None:
    before = {*threading.enumerate()}
    with Sandbox(rows=5) as api:
        assert (await listed(api)).json["total"] == 5
        began = time.perf_counter()
    assert time.perf_counter() - began < 10  # and not the minute that a connection is kept
    assert not {*threading.enumerate()} - before


# --- the fixture ------------------------------------------------------------------------------

USER_TEST = """
import urllib.request
import pytest

{override}

def test_it(call_me_back_sandbox):
    api = call_me_back_sandbox
    request = urllib.request.Request(api.base_url + "/ping", headers={{"X-Auth-Token": api.token}})
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert len(api.data.cdrs) == {rows}
"""
OVERRIDE = """
@pytest.fixture
def call_me_back_sandbox_options():
    return {"rows": 7, "token": "mine"}
"""


@pytest.mark.parametrize(("override", "rows"), [("", 200), (OVERRIDE, 7)], ids=["plain", "own"])
def test_the_fixture_runs_a_sandbox_with_the_options_of_the_user(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, override: str, rows: int
) -> None:
    # The plugin is named here, so that the test is the same with the package installed or not.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(USER_TEST.format(override=override, rows=rows))
    pytester.runpytest_inprocess("-p", PLUGIN, "-W", "error").assert_outcomes(passed=1)


def test_the_package_offers_the_fixture_to_pytest() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"voipstudio_cmb": PLUGIN}


def test_pytest_does_not_load_the_server_for_those_who_do_not_ask() -> None:
    code = f"import sys, {PLUGIN}; sys.exit('voipstudio_cmb.sandbox.server' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
