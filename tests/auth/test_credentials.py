"""Proof of who asks: a token, Basic, a provider or a login; fetched once, renewed once, unseen."""

from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.handlers import ScriptedHandler, full_chain
from tests.fakes.secrets import reports_of
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.auth.credentials import Basic, Login, Token, login
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.codec.envelopes import read_total
from voipstudio_cmb.errors import (
    CallMeBackError,
    ClientMisuse,
    ConfigError,
    ServerFault,
    Unauthorized,
)
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.retry import Backoff
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper

PASSWORD = "canary-not-a-password"
TOKEN = "canary-not-a-token"
GET = Request(method="GET", path="/ping")


def shown(error: BaseException) -> str:
    report = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = [frame for frame in report.stack if "voipstudio_cmb" in frame.filename]
    return "".join([*report.format_exception_only(), *(str(frame.locals) for frame in frames)])


async def test_basic_is_sent_as_documented_and_taken_by_the_stand_in() -> None:
    async with Sandbox(rows=10, token=TOKEN) as api:
        basic = Basic(api.user_id, TOKEN)
        async with CallMeBackClient(basic, base_url=api.base_url) as cmb:
            assert await cmb.cdrs.count() == 10
        with pytest.raises(Unauthorized) as caught:
            async with CallMeBackClient(Basic(1, TOKEN), base_url=api.base_url) as cmb:
                await cmb.cdrs.count()
        assert TOKEN not in shown(caught.value)
    encoded = base64.b64encode(f"{api.user_id}:{TOKEN}".encode()).decode()
    assert basic.headers() == {"Authorization": f"Basic {encoded}"}
    for text in (repr(basic), repr(vars(basic))):
        assert TOKEN not in text
        assert encoded not in text
    assert basic.mask(f"{TOKEN} or {encoded} refused") == "*** or *** refused"


@pytest.mark.parametrize("user_id", [0, -1, True, "7", None])
def test_basic_needs_a_user_id(user_id: Any) -> None:
    with pytest.raises(ConfigError, match="user id must be an integer"):
        Basic(user_id, TOKEN)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", PASSWORD), "e-mail address"),
        ((None, PASSWORD), "e-mail address"),
        (("me@x.example", ""), "password is empty"),
        (("me@x.example", None), "password is empty"),
    ],
)
def test_a_login_needs_an_address_and_a_password(arguments: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        Login(*arguments)
    assert PASSWORD not in shown(caught.value)


async def test_a_login_brings_a_token_and_a_new_one_when_that_has_died() -> None:
    async with Sandbox(rows=100) as api:
        source = login("me@example.com", PASSWORD)
        async with CallMeBackClient(source, base_url=api.base_url) as cmb:
            found = 0
            async for _ in cmb.cdrs.list(page_size=10, concurrency=8):
                found += 1
                if found == 30:
                    api.token = "another-session-token"
            assert found == 100
        assert [r.path for r in api.journal].count("/login") == 2
        assert api.journal[0].path == "/login"
    assert repr(source) == "Login('me@example.com', '***')"
    assert PASSWORD not in repr(vars(source))


async def test_a_wrong_password_is_tried_once_for_all_calls() -> None:
    async with Sandbox(rows=5, token=TOKEN) as api:
        wrong = {"status": 401, "body": {"message": "wrong password"}}
        fault = api.script(Fault(path="/login", times=None, delay=0.05, **wrong))
        async with CallMeBackClient(login("me@x.example", PASSWORD), base_url=api.base_url) as cmb:
            calls = (cmb.ping() for _ in range(50))
            failures = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(failure) for failure in failures} == {Unauthorized}
        assert fault.applied == 1
        assert PASSWORD not in "".join(shown(failure) for failure in failures[:3])  # type: ignore[arg-type]


async def test_a_login_that_fails_once_fails_none_of_many_calls() -> None:
    async with Sandbox(rows=5, token=TOKEN) as api:
        fault = api.script(Fault(path="/login", times=2, delay=0.05, status=503))
        async with CallMeBackClient(login("me@x.example", PASSWORD), base_url=api.base_url) as cmb:
            await asyncio.gather(*(cmb.ping() for _ in range(100)))
    assert fault.applied == 2


async def test_two_factor_says_how_to_make_an_api_key() -> None:
    async with Sandbox(rows=10, temper=Temper(two_factor=True)) as api:
        async with CallMeBackClient(login("me@x.example", PASSWORD), base_url=api.base_url) as cmb:
            with pytest.raises(Unauthorized, match="make an API key in the dashboard") as caught:
                await cmb.cdrs.count()
        assert api.requests == 1
    assert PASSWORD not in shown(caught.value)
    assert caught.value.path == "/login"


@pytest.mark.parametrize("status", [400, 401, 403])
@virtual
async def test_a_refused_login_says_so_and_shows_no_password(status: int) -> None:
    network = ScriptedHandler([json_response({"message": f"no user with {PASSWORD}"}, status)])
    with pytest.raises(Unauthorized, match="e-mail address or the password was refused") as caught:
        await Auth(Login("me@x.example", PASSWORD))(GET, network)
    assert PASSWORD not in shown(caught.value)
    assert [request.path for request in network.requests] == ["/login"]


@virtual
async def test_other_faults_of_a_login_stay_what_they_are() -> None:
    with pytest.raises(ServerFault):
        await Auth(Login("me@x.example", PASSWORD))(GET, ScriptedHandler([json_response({}, 503)]))
    with pytest.raises(ConfigError, match="has no user_token"):
        await Auth(Login("me@x.example", PASSWORD))(
            GET, ScriptedHandler([json_response({"message": "ok"})])
        )
    with pytest.raises(CallMeBackError):
        await Auth(Login("me@x.example", PASSWORD))(GET, ScriptedHandler([Response(status=200)]))


SESSION = "canary-of-a-session-0123456789"
HANDED_OUT = {
    "cut short": (200, '{"user_token":"%s",'),
    "cut within": (200, '{"user_token":"%s'),
    "not a number": (200, '{"user_token":"%s","x":NaN}'),
    "a list": (200, '["%s"]'),
    "a string": (200, '"%s"'),
    "in an object": (200, '{"user_token":{"token":"%s"}}'),
    "another name": (200, '{"data":{"user_token":"%s"}}'),
    "HTML": (200, "<html>%s"),
    "a nonce": (202, '{"nonce":"%s"}'),
    "a nonce that is cut": (202, '{"nonce":"%s'),
    "a nonce with a status of its own": (403, '{"nonce":"%s"}'),
    "a failure": (500, '{"message":"session %s was made"}'),
    "a failure in HTML": (502, "<html>%s"),
    "a redirect": (302, "%s"),
    "nothing known": (299, "%s"),
}


@pytest.mark.parametrize("path", ["/login", "/login2fa", "/apitokens"])
@pytest.mark.parametrize("case", HANDED_OUT)
@virtual
async def test_no_response_that_may_hand_out_a_token_is_quoted(
    case: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, text = HANDED_OUT[case]
    sent = Response(status=status, body=(text % SESSION).encode())
    request, auth = GET, Auth(Login("me@x.example", PASSWORD))
    if path != "/login":
        request = Request(method="POST", path=path, parse=read_total)
        auth = Auth(Token(Secret(PASSWORD)))
    with caplog.at_level(logging.DEBUG), pytest.raises(CallMeBackError) as caught:
        await full_chain(ScriptedHandler([sent]), auth=auth, policy=Backoff(attempts=2))(request)
    told = [*reports_of(caught.value), caplog.text, *(repr(vars(r)) for r in caplog.records)]
    assert [each for each in told if SESSION[:10] in each] == []
    assert caught.value.path == path


@virtual
async def test_a_provider_must_be_async() -> None:
    for wrong in (lambda: "token", lambda: None):
        with pytest.raises(ClientMisuse, match="must be an async function"):
            await Auth(wrong)(GET, ScriptedHandler([Response(status=200)]))  # type: ignore[arg-type,return-value]
