"""The tables are the same for the same seed, and tests can change, query and watch them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.fakes.plain_client import DOCUMENTED, SETTINGS, get_page, send
from voipstudio_cmb.sandbox import Data, Drift, Sandbox
from voipstudio_cmb.sandbox.data.query import Condition, matches


def test_the_same_seed_gives_the_same_data_and_another_seed_does_not() -> None:
    one, same, other = (Data.generate(rows=50, seed=seed) for seed in (1, 1, 2))
    rows = [[data.cdrs.get(each) for each in data.cdrs.ids] for data in (one, same, other)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_the_default_data_set_is_large_and_quick_to_make() -> None:
    began = time.process_time()
    data = Data.generate(rows=25_000, seed=1)
    assert time.process_time() - began < 0.5
    tables = (data.cdrs, data.visitors, data.settings, data.websites, data.buttons)
    assert [len(table) for table in tables] == [25_000, 3125, 40, 12, 30]


def test_ids_ascend_with_gaps_and_higher_ids_were_created_later() -> None:
    cdrs = Data.generate(rows=500, seed=1, zero_dates=0).cdrs
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


def test_call_records_are_as_live_sources_say() -> None:
    cdrs = Data.generate(rows=200, seed=1).cdrs
    rows = [cdrs.get(each) for each in cdrs.ids]
    assert {type(row[name]) for row in rows for name in ("charge", "rate")} == {float}
    assert {len(row["type"]) for row in rows} == {1}
    assert {type(row["is_root"]) for row in rows} == {bool}
    assert {type(row["labels"]) for row in rows} == {list}
    assert {type(row["metadata"]) for row in rows} >= {dict, str}
    assert any(row["labels"] for row in rows)
    nested = [row["metadata"] for row in rows if isinstance(row["metadata"], dict)]
    assert any(isinstance(each["utm"], dict) for each in nested)
    assert rows[0].keys() >= {
        "call_id", "live_id", "root_live_id", "parent_live_id", "user_id", "sip_endpoint_id",
        "server_id", "clid", "src_id", "src_name", "src", "src_ua", "src_codec", "dst_id", "dst",
        "dst_name", "dst_ua", "dst_codec", "destination", "context", "t_cause", "info", "nb_notes",
        "nb_children",
    }  # fmt: skip
    settings = Data.generate(rows=0, seed=1).settings
    rates = {settings.get(each)["max_call_rate"] for each in settings.ids}
    assert rates == {0.15, 3.2, 8.11, 100}


def test_the_ids_decide_which_rows_have_zero_dates() -> None:
    def zeros(rows: int, **options: Any) -> set[int]:
        cdrs = Data.generate(rows=rows, seed=1, **options).cdrs
        times = {each: cdrs.get(each) for each in cdrs.ids}
        assert all(row["created_at"] == row["calldate"] for row in times.values())
        zero = "0000-00-00 00:00:00"
        return {each for each, row in times.items() if row["created_at"] == zero}

    assert zeros(300, zero_dates=0) == set()
    assert len(zeros(300, zero_dates=1)) == 300
    assert 2 <= len(zeros(5000)) <= 10
    assert 15 < len(zeros(300, zero_dates=0.1)) < 45
    assert zeros(300, zero_dates=0.1) == zeros(300, zero_dates=0.1)
    assert zeros(300, zero_dates=0.1) < zeros(300, zero_dates=0.2)


def test_a_table_can_be_changed_and_refuses_unknown_ids() -> None:
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


@pytest.mark.parametrize(
    ("found", "operator", "wanted", "expected"),
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
        (["VIP", "x"], "like", "vip", True),
        ({"a": {"b": None}}, "like", "null", True),
        ([2], "gt", 1, True),
        ([], "eq", None, False),
    ],
)
def test_a_condition_compares_numbers_as_numbers_and_all_else_as_text(
    found: Any, operator: str, wanted: Any, expected: bool
) -> None:
    assert matches({"it": found}, [Condition("it", operator, wanted)]) is expected


def test_a_watch_records_which_rows_stayed_and_which_ever_existed() -> None:
    found = Data.generate(rows=10, seed=1).cdrs
    first, second, third, *others = found.ids
    found.delete(first)
    with found.watched() as rows:
        with found.watched():
            pass  # the end of another watch does not end this one
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
            await get_page(api, SETTINGS)
            new = (await send(api, "POST", SETTINGS, json={})).json["data"]["id"]
            await send(api, "DELETE", f"{SETTINGS}/{before[5]}")
        assert rows.throughout == set(before) - {before[0], before[5]}
        assert rows.ever == {*before, new}
