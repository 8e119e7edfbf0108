"""Settings, buttons and logins: bodies, credentials and missing rows."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.fakes.plain_client import BUTTONS, CDRS, DOCUMENTED, SETTINGS, get_page, send
from voipstudio_cmb.sandbox import Sandbox, Temper


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
    created = await send(api, "POST", SETTINGS, json=body)
    row, item = created.json["data"], f"{SETTINGS}/{created.json['data']['id']}"
    assert created.status == 201
    assert created.json["links"] == {}
    assert row.keys() >= DOCUMENTED
    assert (row["name"], row["ddi"], row["culture"]) == ("Shop ✓", 442079460001, 3)
    assert (row["position"], row["max_call_rate"]) == (2, 7)
    assert (row["allowed_countries"], row["floating_icon"]) == ("GB,IE", None)
    assert (await send(api, "GET", item)).json["data"] == row
    assert (await get_page(api, SETTINGS, limit=100)).ids[-1] == row["id"]
    changed = await send(api, "PATCH", item, json={"max_call_rate": "12.5"})
    assert changed.status == 200
    assert changed.json["data"] == {**row, "max_call_rate": 12.5}
    deleted = await send(api, "DELETE", item)
    assert (deleted.status, deleted.body) == (204, b"")
    assert (await send(api, "GET", item)).status == 404
    assert (await get_page(api, SETTINGS)).json["total"] == 40


async def test_a_button_needs_no_body_and_has_no_collection(api: Sandbox) -> None:
    created = await send(api, "POST", BUTTONS)
    assert created.status == 201
    item = f"{BUTTONS}/{created.json['data']['id']}"
    changed = await send(api, "PATCH", item, json={"name": "Ring", "data_online": "data:,on"})
    assert changed.json["data"] == {
        **created.json["data"],
        "name": "Ring",
        "data_online": "data:,on",
    }
    assert (await send(api, "DELETE", item)).status == 204
    missing = await send(api, "GET", BUTTONS)
    assert missing.status == 405
    assert missing.headers["Allow"] == "POST"


async def test_an_invalid_body_changes_nothing_and_lists_each_field(api: Sandbox) -> None:
    body = {"name": 5, "culture": 1.5, "floating_icon": "yes", "button_id": "402", "title": "x",
            "max_call_rate": "dear", "ddi_e164": True}  # fmt: skip
    got = await send(api, "POST", SETTINGS, json=body)
    assert got.status == 400
    assert got.json["message"] == "Validation error"
    assert [error["field"] for error in got.json["errors"]] == list(body)
    for data in (b"", b"[]", b"{", b"\xff", b"[" * 5000):
        assert (await send(api, "POST", SETTINGS, data=data)).status == 400
    assert len(api.data.settings) == 40


async def test_a_forbidden_id_is_403_and_an_unknown_one_404() -> None:
    async with Sandbox(rows=0, temper=Temper(forbidden_ids=[77])) as api:
        for method in ("GET", "PATCH", "DELETE"):
            for path in (f"{SETTINGS}/77", f"{BUTTONS}/77"):
                assert (await send(api, method, path, json={})).status == 403
            for path in (f"{SETTINGS}/1", f"{BUTTONS}/abc"):
                got = await send(api, method, path, json={})
                assert (got.status, got.json) == (404, {"message": "Resource not found"})


@pytest.mark.parametrize("status", [204, 403, 404])
async def test_the_temper_sets_the_status_for_deleting_an_unknown_id(status: int) -> None:
    async with Sandbox(rows=0, temper=Temper(delete_missing_status=status)) as api:
        assert (await send(api, "DELETE", f"{SETTINGS}/1")).status == status


async def test_both_forms_of_authentication_work_and_nothing_else(api: Sandbox) -> None:
    def basic(user: str) -> dict[str, str]:
        return {"Authorization": aiohttp.encode_basic_auth(user, api.token)}

    assert (await send(api, "GET", "/ping")).json["data"]["response"] == "Pong"
    assert (await send(api, "GET", "/me", headers=basic(str(api.user_id)))).status == 200
    for headers in (
        {}, {"X-Auth-Token": "no"}, basic("7"), {"Authorization": "Basic ?"},
        {"Authorization": "Bearer x"}, {"X-Auth-Token": "no", **basic(str(api.user_id))},
    ):  # fmt: skip
        got = await send(api, "GET", CDRS, headers=headers)
        assert (got.status, got.json) == (401, {"message": "Unauthorized"})


async def test_a_new_token_locks_the_old_one_out_and_a_login_returns_it(api: Sandbox) -> None:
    old, api.token = api.token, "fresh"
    assert (await send(api, "GET", "/ping", headers={"X-Auth-Token": old})).status == 401
    login = {"email": "jane@example.com", "password": "secret-word"}
    got = await send(api, "POST", "/login", json=login, headers={})
    assert (got.json["user_token"], got.json["user_id"]) == ("fresh", api.user_id)
    assert (await send(api, "POST", "/login", json={"email": ""}, headers={})).status == 400


async def test_a_login_with_two_factors_returns_a_nonce() -> None:
    async with Sandbox(rows=0, temper=Temper(two_factor=True)) as api:
        got = await send(api, "POST", "/login", json={"email": "a", "password": "b"}, headers={})
        assert (got.status, got.json.keys()) == (202, {"message", "nonce"})
        nonce = got.json["nonce"]
        for body, status in (
            ({"code": "123456"}, 400),
            ({"code": "12345", "nonce": nonce}, 401),
            ({"code": "123456", "nonce": "another"}, 401),
            ({"code": "123456", "nonce": nonce}, 200),
            ({"code": "123456", "nonce": nonce}, 401),
        ):
            got = await send(api, "POST", "/login2fa", json=body, headers={})
            assert got.status == status
            if status == 200:
                assert got.json["user_token"] == api.token
        assert {each.body for each in api.journal} == {b'"***"'}


async def test_a_logout_ends_the_session_and_the_next_login_gives_another_token(
    api: Sandbox,
) -> None:
    old = api.token
    assert (await send(api, "POST", "/logout")).status == 200
    assert (await send(api, "GET", "/ping", headers={"X-Auth-Token": old})).status == 401
    login = {"email": "jane@example.com", "password": "secret-word"}
    fresh = (await send(api, "POST", "/login", json=login, headers={})).json["user_token"]
    assert fresh == api.token != old
    assert (await send(api, "GET", "/ping")).status == 200


async def test_api_tokens_are_accepted_listed_by_name_and_deleted(api: Sandbox) -> None:
    made = {}
    for name in ("nightly export", "dashboard"):
        body = {"name": name, "expiry": 7}
        got = await send(api, "POST", "/apitokens", json=body)
        assert got.status == 201
        made[name] = got.json["data"]["token"]
    assert all(len(token) == 40 and int(token, 16) for token in made.values())
    by_name = json.dumps([{"property": "name", "operator": "like", "value": "export"}])
    for params, names in (({}, list(made)), ({"filter": by_name}, ["nightly export"])):
        got = await send(api, "GET", "/apitokens", params=params)
        assert [row["name"] for row in got.json["data"]] == names
        assert got.json["total"] == len(names)
    token = made["dashboard"]
    basic = {"Authorization": aiohttp.encode_basic_auth(str(api.user_id), token)}
    for headers in ({"X-Auth-Token": token}, basic):
        assert (await send(api, "GET", "/ping", headers=headers)).status == 200
    # It ends no session, and outlives the token that made it.
    assert (await send(api, "POST", "/logout", headers={"X-Auth-Token": token})).status == 200
    api.token = "another"
    assert (await send(api, "DELETE", f"/apitokens/{token}")).status == 204
    assert (await send(api, "DELETE", f"/apitokens/{token}")).status == 404
    assert (await send(api, "GET", "/ping", headers={"X-Auth-Token": token})).status == 401
    assert (await send(api, "POST", "/apitokens", json={})).status == 400
    assert (await send(api, "GET", "/apitokens", headers={})).status == 401
    assert token not in repr(api.journal)


async def test_only_the_documented_paths_are_served_under_both_versions(
    api: Sandbox,
) -> None:
    older = api.base_url.replace("v1.2", "v1.1")
    assert (await send(api, "GET", "/ping", base=older)).status == 200
    for path in ("/nonsense", "/callmeback", "/callmeback/cdrs/5"):
        got = await send(api, "GET", path)
        assert got.status == 404
        assert "message" in got.json
    assert (
        await send(api, "GET", "", base=api.base_url[: api.base_url.index("/v1")])
    ).status == 404
    assert (await send(api, "PUT", SETTINGS)).headers["Allow"] == "GET,POST"
