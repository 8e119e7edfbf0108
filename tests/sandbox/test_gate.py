"""Every request passes faults, the rate limit, the latency and the journal."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import attrs
import pytest

from tests.fakes.plain_client import CDRS, SETTINGS, get_page, send
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper
from voipstudio_cmb.sandbox.rate import RateWindow


async def test_a_fault_hits_matching_requests_as_often_as_scripted(api: Sandbox) -> None:
    scripted = api.script(Fault(method="get", path=CDRS, page=2, after=1, times=2, status=503))
    assert [(await get_page(api, page=2)).status for _ in range(4)] == [200, 503, 503, 200]
    assert (await get_page(api, page=1)).status == 200
    assert (scripted.seen, scripted.applied, scripted.spent) == (3, 2, True)


async def test_the_first_scripted_fault_that_takes_a_request_hits_it(api: Sandbox) -> None:
    first = api.script(Fault(status=500))
    endless = api.script(Fault(status=502, times=None, when=lambda got: got.path == "/ping"))
    assert [(await send(api, "GET", "/ping")).status for _ in range(3)] == [500, 502, 502]
    assert (await send(api, "GET", "/me")).status == 200
    assert (first.applied, endless.applied) == (1, 2)
    api.clear_faults()
    assert (await send(api, "GET", "/ping")).status == 200


async def test_a_fault_can_replace_status_headers_and_body(api: Sandbox) -> None:
    api.script(Fault(status=429, headers={"Retry-After": "7"}, body={"message": "slow"}))
    got = await send(api, "GET", "/ping")
    assert (got.status, got.headers["Retry-After"], got.json) == (429, "7", {"message": "slow"})
    api.script(Fault(status=502, body=b"<html>bad gateway"))
    got = await send(api, "GET", "/ping")
    assert (got.status, got.headers["Content-Type"]) == (502, "text/html")
    api.script(Fault(body=b'{"data":['))
    assert (await get_page(api)).body == b'{"data":['
    api.script(Fault(headers={"X-Note": "added"}))
    got = await send(api, "GET", "/ping")
    assert (got.status, got.headers["X-Note"]) == (200, "added")


@pytest.mark.parametrize(("drop", "added"), [("before", 0), ("after", 1), ("mid-body", 1)])
async def test_a_connection_can_be_dropped_before_after_or_in_a_response(
    api: Sandbox, drop: Any, added: int, caplog: pytest.LogCaptureFixture
) -> None:
    api.script(Fault(drop=drop))
    with pytest.raises(aiohttp.ClientError) as caught:
        await send(api, "POST", SETTINGS, json={})
    wanted = aiohttp.ClientPayloadError if drop == "mid-body" else aiohttp.ServerDisconnectedError
    assert isinstance(caught.value, wanted)
    assert len(api.data.settings) == 40 + added
    assert api.journal[-1].status is None
    assert not caplog.records


async def test_a_response_without_a_body_is_dropped_entirely() -> None:
    # aiohttp's client sends a DELETE again, when the row no longer exists.
    async with Sandbox(rows=0, temper=Temper(delete_missing_status=204)) as api:
        api.script(Fault(drop="mid-body", times=2))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await send(api, "DELETE", f"{SETTINGS}/{api.data.settings.ids[0]}")
        assert len(api.data.settings) == 39


async def test_raw_bytes_replace_a_response_and_need_not_be_http(api: Sandbox) -> None:
    api.script(Fault(raw=b"HTTP/1.1 429 Slow\r\nBad Header : \x01\r\n\r\nslow down"))
    with pytest.raises(aiohttp.ClientResponseError):
        await send(api, "POST", SETTINGS, json={})


async def test_a_fault_can_delay_a_response_and_change_the_data_first(api: Sandbox) -> None:
    first = api.data.cdrs.ids[0]
    api.script(Fault(path=CDRS, delay=0.02, change=lambda data: data.cdrs.delete(first)))
    began = time.perf_counter()
    assert first not in (await get_page(api)).ids
    assert time.perf_counter() - began >= 0.02


async def test_requests_over_the_rate_are_refused_with_a_retry_after() -> None:
    async with Sandbox(rows=0, rate=(2, 30.0)) as api:
        got = [await send(api, "GET", "/ping") for _ in range(3)]
        assert [each.status for each in got] == [200, 200, 429]
        assert got[2].headers["Retry-After"] == "30"
        assert got[2].json == {"message": "Too many requests"}


async def test_a_response_can_be_later_than_the_effect(api: Sandbox) -> None:
    api.script(Fault(method="POST", path=SETTINGS, response_delay=60))
    before = len(api.data.settings)
    waiting = asyncio.create_task(send(api, "POST", SETTINGS, json={}))
    while len(api.data.settings) == before:
        await asyncio.sleep(0.001)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_requests_over_the_rate_can_be_refused_as_a_proxy_does_it() -> None:
    temper = Temper(throttle_status=503)
    async with Sandbox(rows=0, rate=(1, 30.0), temper=temper) as api:
        got = [await send(api, "GET", "/ping") for _ in range(2)]
        assert [each.status for each in got] == [200, 503]
        assert got[1].headers["Content-Type"].startswith("text/html")
        assert b"503 Service Temporarily Unavailable" in got[1].body
        assert "Retry-After" not in got[1].headers
        assert [each.status for each in api.journal] == [200, 503]
    with pytest.raises(ValueError, match="throttle_status"):
        Temper(throttle_status=500)  # type: ignore[arg-type]


def test_the_rate_window_slides() -> None:
    window = RateWindow(2, 10.0)
    assert [window.admit(now) for now in (0.0, 4.0, 6.0, 10.0, 11.0, 14.0)] == [0, 0, 4, 0, 3, 0]


async def test_latency_is_waited_for_and_may_be_a_range() -> None:
    for latency in (0.02, (0.02, 0.03)):
        async with Sandbox(rows=0, latency=latency) as api:
            began = time.perf_counter()
            await send(api, "GET", "/ping")
            assert time.perf_counter() - began >= 0.02


async def test_the_journal_records_requests_without_secrets(api: Sandbox) -> None:
    await get_page(api, page=2)
    await send(api, "POST", SETTINGS, json={"name": "x"})
    login = {"email": "jane@example.com", "password": "secret-word"}
    basic = {"Authorization": aiohttp.encode_basic_auth("1001", api.token)}
    await send(api, "POST", "/login", json=login, headers=basic)
    await send(api, "POST", SETTINGS, data=b"{")
    requests = [(each.method, each.path, each.status) for each in api.journal]
    assert requests == [("GET", CDRS, 200), ("POST", SETTINGS, 201), ("POST", "/login", 200),
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


async def test_a_full_journal_drops_its_older_half(
    api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voipstudio_cmb.sandbox.gate.MAX_JOURNAL", 4)
    for page in range(1, 6):
        await get_page(api, page=page)
    assert [each.page for each in api.journal] == [3, 4, 5]
    assert api.requests == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"drop": "middle"}, "drop is none of 'before', 'after', 'mid-body': 'middle'"),
        ({"path": "callmeback/cdrs"}, "path does not begin with /, as each does"),
    ],
)
def test_a_fault_that_would_never_show_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault(**given)


def test_help_tells_of_each_attribute_of_a_fault() -> None:
    said = Fault.__doc__ or ""
    assert [field.name for field in attrs.fields(Fault) if f"`{field.name}`" not in said] == []
