"""The client over real sockets, against the stand-in: the parts work together as one."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from typing import Any

import aiohttp
import pytest

from tests.fakes.secrets import shown_by
from tests.fakes.sockets import once, serving
from voipstudio_cmb import CallMeBackClient, ClientConfig, RateLimit, where
from voipstudio_cmb.errors import (
    BadRequest,
    ClientMisuse,
    ConfigError,
    NotFound,
    RateLimited,
    RequestTimeout,
    ServerFault,
    Unauthorized,
)
from voipstudio_cmb.events import AttemptEvent, CallEvent, Event
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.sandbox import Fault, Sandbox


def client(api: Sandbox, **more: Any) -> CallMeBackClient:
    return CallMeBackClient(api.token, base_url=api.base_url, **more)


async def test_all_there_is_to_do() -> None:
    async with Sandbox(rows=1234) as api, client(api) as cmb:
        assert (await cmb.ping())["response"] == "Pong"
        ids = [cdr.id async for cdr in cmb.cdrs.list(page_size=100)]
        assert len(ids) == len(set(ids)) == await cmb.cdrs.count() == 1234
        assert ids == sorted(ids)
        later = [v.id async for v in cmb.cdrs.list(filters=where("id") > ids[1000])]
        assert later == ids[1001:]
        newest = await cmb.cdrs.list(sort="id", descending=True).first()
        assert newest is not None
        assert newest.id == ids[-1]
        setting = await cmb.settings.create(name="Shop", ddi_e164=442012345678)
        assert (setting.name, setting.ddi) == ("Shop", 442012345678)
        setting = await cmb.settings.update(setting.id, floating_icon=False)
        assert setting.floating_icon is False
        assert (await cmb.settings.get(setting.id)).name == "Shop"
        await cmb.settings.delete(setting.id)
        with pytest.raises(NotFound):
            await cmb.settings.get(setting.id)
        button = await cmb.buttons.create(name="Call us")
        assert (await cmb.buttons.update(button.id, data_online="now")).data_online == "now"
        await cmb.buttons.delete(button.id)
        assert len([page async for page in cmb.websites.pages()]) == 1


async def test_validation_errors_and_bad_filters_come_with_the_apis_words() -> None:
    async with Sandbox(rows=10) as api, client(api) as cmb:
        with pytest.raises(BadRequest, match="Filtration error"):
            await cmb.cdrs.list(filters=where("no_such") == 1, concurrency=1).collect()
        assert api.requests == 2  # the first page and the highest id


@pytest.mark.parametrize(
    "text", ["a&b=c", "a+b c", "100%25", "a\r\nX: y", "\"'\\", "ünï 🙂", "", "n" * 3000], ids=repr
)
async def test_any_text_in_a_filter_arrives_as_it_is(text: str) -> None:
    async with Sandbox(rows=20) as api, client(api) as cmb:
        api.data.cdrs.insert(name=text)
        found = await cmb.cdrs.list(filters=where("name") == text).collect()
        assert [cdr.name for cdr in found] == [text]
        asked = json.loads(api.journal[0].query["filter"])
        assert asked == [{"property": "name", "operator": "eq", "value": text}]


@pytest.mark.parametrize("walk", ["page", "keyset"])
async def test_faults_on_the_way_cost_no_row(walk: Any) -> None:
    async with Sandbox(rows=500) as api:
        kinds: tuple[dict[str, Any], ...] = (
            {"status": 503},
            {"drop": "before"},
            {"drop": "mid-body"},
            {"body": b"<html>maintenance</html>"},
            {"status": 200, "body": b""},
            {"status": 429, "headers": {"Retry-After": "0"}},
        )
        for page, kind in enumerate(kinds, 2):
            # By keyset, behind those that are asked for once and again when they are due.
            place = {"page": page} if walk == "page" else {"after": page + 4}
            api.script(Fault(**place, **kind))
        config = ClientConfig(retry=lambda error, request, attempt: 0.0 if attempt < 4 else None)
        async with client(api, config=config) as cmb:
            ids = [cdr.id async for cdr in cmb.cdrs.list(page_size=50, walk=walk)]
            assert len(ids) == len(set(ids)) == 500
            assert cmb.usage.retries == 6
            assert api.requests == cmb.usage.requests


async def test_a_401_in_the_middle_of_a_walk_ends_it_after_the_rows_before() -> None:
    async with Sandbox(rows=500) as api, client(api) as cmb:
        api.script(Fault(page=4, status=401))
        found = 0
        with pytest.raises(Unauthorized, match="make an API key|Scripted"):
            async for _ in cmb.cdrs.list(page_size=50, concurrency=3, walk="page"):
                found += 1
        assert found == 150


async def test_a_token_provider_survives_an_expired_token() -> None:
    async with Sandbox(rows=500, token="first") as api:
        handed_out = []

        async def provider() -> str:
            handed_out.append(api.token)
            return api.token

        async with CallMeBackClient(provider, base_url=api.base_url) as cmb:
            ids = []
            async for cdr in cmb.cdrs.list(page_size=20, concurrency=8):
                ids.append(cdr.id)
                if len(ids) == 100:
                    api.token = "second"
            assert len(ids) == len(set(ids)) == 500
            assert handed_out == ["first", "second"]


async def test_a_rate_limit_that_is_kept_meets_no_429() -> None:
    # Half of what is allowed, so that a busy machine does not matter; how near a limiter can go to
    # the limit is measured in benchmarks/campaigns/limiter.py.
    async with Sandbox(rows=200, rate=(20, 0.5)) as api:
        async with client(api, limiter=RateLimit(10, per=0.5)) as cmb:
            assert len(await cmb.cdrs.list(page_size=10, concurrency=8).collect()) == 200
            assert {received.status for received in api.journal} == {200}
            assert cmb.usage.retries == 0


async def test_options_share_everything_but_what_they_name() -> None:
    async with Sandbox(rows=10) as api, client(api) as cmb:
        api.script(Fault(status=503, times=None))
        hasty = cmb.with_options(attempts=1, deadline=5, timeout=1)
        with pytest.raises(ServerFault):
            await hasty.cdrs.count()
        assert api.requests == 1
        await hasty.aclose()  # owns nothing
        with pytest.raises(ServerFault):
            await cmb.with_options(attempts=2).cdrs.count()
        assert cmb.usage.requests == 3
        for wrong in ({"attempts": 0}, {"deadline": -1}, {"timeout": float("nan")}):
            with pytest.raises(ConfigError):
                cmb.with_options(**wrong)  # type: ignore[arg-type]
    async with serving(once(hold=True)) as server:
        async with CallMeBackClient("t", base_url=server.url) as cmb:
            for options in ({"deadline": 0.05}, {"timeout": 0.05, "attempts": 1}):
                with pytest.raises(RequestTimeout):
                    await cmb.with_options(**options).ping()  # type: ignore[arg-type]


async def test_middlewares_and_events_of_the_users_own() -> None:
    events: list[Event] = []

    async def tagging(request: Request, handler: Handler) -> Response:
        response = await handler(request)
        assert response.status in (200, 503)  # statuses are seen as they are
        return response

    async with Sandbox(rows=10) as api:
        api.script(Fault(status=503))
        config = ClientConfig(on_event=events.append, retry=lambda e, r, a: 0.0)
        async with client(api, config=config, middlewares=[tagging]) as cmb:
            await cmb.cdrs.count()
    assert [type(event) for event in events] == [AttemptEvent, AttemptEvent, CallEvent]
    assert isinstance(events[2], CallEvent)
    assert (events[2].operation, events[2].attempts) == ("cdrs.count", 2)
    assert events[2].tries == tuple(events[:2])


async def test_a_session_of_the_users_own_is_left_open() -> None:
    async with Sandbox(rows=10) as api, aiohttp.ClientSession() as session:
        async with client(api, session=session) as cmb:
            await cmb.ping()
        assert not session.closed


async def test_closing_ends_walks_and_requests_and_is_idempotent() -> None:
    async with Sandbox(rows=1000, latency=0.01) as api:
        cmb = client(api)
        walk = cmb.cdrs.list(page_size=10, concurrency=8)
        async for _ in walk:
            break
        async with asyncio.timeout(1):
            await cmb.aclose()
            await cmb.aclose()
        with pytest.raises(ClientMisuse, match="closed"):
            await cmb.ping()
        with pytest.raises(ClientMisuse, match="closed"):
            await walk.collect()


async def test_the_token_is_in_no_repr_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async with Sandbox(rows=100, token="canary-not-a-token") as api:
        api.script(Fault(status=503))
        with caplog.at_level(logging.DEBUG):
            async with client(api) as cmb:
                await cmb.cdrs.list(page_size=10, walk="page").collect()
                assert "canary" not in " ".join(shown_by(cmb) + shown_by(cmb.cdrs))
    assert "GET /callmeback/cdrs page 3" in caplog.text
    assert "canary" not in caplog.text


async def test_from_env(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("VOIPSTUDIO_API_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="no token"):
        CallMeBackClient.from_env()
    async with Sandbox(rows=10) as api:
        monkeypatch.setenv("VOIPSTUDIO_API_TOKEN", api.token)
        monkeypatch.setenv("VOIPSTUDIO_API_URL", api.base_url)
        async with CallMeBackClient.from_env(limiter=RateLimit(100)) as cmb:
            assert await cmb.cdrs.count() == 10
    env = {"VOIPSTUDIO_API_TOKEN": "t", "VOIPSTUDIO_API_URL": "https://x.example"}
    assert repr(CallMeBackClient.from_env(env=env)) == "<CallMeBackClient https://x.example>"


async def test_a_rate_limited_call_without_patience_says_how_long_to_wait() -> None:
    async with Sandbox(rows=10) as api, client(api) as cmb:
        api.script(Fault(status=429, headers={"Retry-After": "300"}))
        with pytest.raises(RateLimited) as caught:
            await cmb.cdrs.count()
        assert caught.value.retry_after == 300.0


async def test_one_setting_caps_what_a_server_may_ask_to_wait() -> None:
    config = ClientConfig(max_retry_after=6)
    async with Sandbox(rows=10) as api, client(api, config=config) as cmb:
        api.script(Fault(status=429, headers={"Retry-After": "7"}))
        with pytest.raises(RateLimited):
            await cmb.cdrs.count()
        async with asyncio.timeout(5):
            assert await cmb.cdrs.count() == 10  # and nobody else is held


def test_a_client_stays_with_its_first_event_loop() -> None:
    with Sandbox(rows=10) as api:
        cmb = client(api)

        async def counts_and_closes_elsewhere() -> None:
            assert await cmb.cdrs.count() == 10
            with pytest.raises(ClientMisuse, match="in use on another event loop"):
                await asyncio.to_thread(asyncio.run, cmb.cdrs.count())
            assert await cmb.cdrs.count() == 10
            await cmb.aclose()
            with pytest.raises(ClientMisuse, match="the client is closed"):
                await cmb.cdrs.count()

        asyncio.run(counts_and_closes_elsewhere())


def test_what_the_client_is_made_of_is_checked() -> None:
    async def listener(event: Any) -> None: ...

    for wrong in ({"config": {"attempts": 3}}, {"middlewares": listener}, {"middlewares": [5]}):
        with pytest.raises(ClientMisuse, match="must be"):
            CallMeBackClient("t", **wrong)
    for hook in (listener, 5):
        with pytest.raises(ConfigError, match="on_event must be a function that is not async"):
            ClientConfig(on_event=hook)  # type: ignore[arg-type]


async def test_a_listener_that_fails_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def fails(event: Any) -> None:
        raise RuntimeError("metrics are down")

    async with Sandbox(rows=10) as api:
        async with client(api, config=ClientConfig(on_event=fails)) as cmb:
            assert await cmb.cdrs.count() == 10
    assert "on_event failed" in caplog.text


async def test_a_middleware_that_forgets_to_return_is_told_so() -> None:
    async def forgets(request: Request, handler: Handler) -> Any:
        await handler(request)

    async with Sandbox(rows=10) as api, client(api, middlewares=[forgets]) as cmb:
        with pytest.raises(ClientMisuse, match="a middleware returned NoneType and no Response"):
            await cmb.cdrs.count()


def test_a_limiter_without_acquire_is_refused() -> None:
    with pytest.raises(ClientMisuse, match="async acquire"):
        CallMeBackClient("t", limiter=60)  # type: ignore[arg-type]


async def test_a_copy_of_an_error_of_a_real_call_is_whole() -> None:
    async with Sandbox(rows=10) as api, client(api) as cmb:
        with pytest.raises(NotFound) as caught:
            await cmb.settings.get(10**9)
        assert str(copy.copy(caught.value)) == str(caught.value)
        assert str(caught.value).startswith("GET /callmeback/settings/1000000000: 404 ")
