"""One attempt: one request on the wire, a bounded answer, an error that says what is known."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import os
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aioresponses import aioresponses

from benchmarks.harness.peer import closed_port, url_of
from tests.fakes.secrets import CANARY, reports_of
from tests.fakes.sockets import Peer, healthy, once, reply, resets, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.auth.credentials import Basic, Token, login
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import (
    BadPayload,
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ConnectionLost,
    ProtocolFault,
    RequestTimeout,
    TooLarge,
    TransportError,
)
from voipstudio_cmb.http import LEAVES, Call, Request
from voipstudio_cmb.sandbox import Sandbox
from voipstudio_cmb.transport.faults import translate
from voipstudio_cmb.transport.guards import CleanRequest, OnceResponse
from voipstudio_cmb.transport.session import Session

GET = Request(method="GET", path="/x", call=Call(credentials=Token(Secret(CANARY)).headers))


@pytest.fixture
async def sessions() -> AsyncIterator[Any]:
    """Makes sessions that are closed after the test."""
    made: list[Session] = []

    def make(url: str, session: aiohttp.ClientSession | None = None, **config: Any) -> Session:
        made.append(Session(url, ClientConfig(**config), session))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


async def failure(session: Session, request: Request = GET) -> CallMeBackError:
    with pytest.raises(CallMeBackError) as caught:
        await session(request)
    return caught.value


async def test_what_is_sent(sessions: Any) -> None:
    async with serving(healthy) as server:
        request = Request(
            method="PATCH",
            path="/callmeback/settings/7",
            query=(("page", "1"), ("filter", '[{"value":"a&b+c%\r\n\'ü\\""}]')),
            body=b'{"name":"x"}',
            headers={"X-Auth-Token": "t"},
        )
        response = await sessions(server.url + "/v1.2")(request)
    assert (response.status, response.body) == (200, b'{"data":{}}')
    assert response.headers["content-length"] == "11"
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode("ascii").split("\r\n")
    assert lines[0].startswith("PATCH /v1.2/callmeback/settings/7?page=1&filter=")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert headers["accept-encoding"] == "gzip"
    assert headers["content-type"] == "application/json"
    assert headers["x-auth-token"] == "t"
    assert "cookie" not in headers
    assert "cache-control" not in headers
    assert body == b'{"name":"x"}'


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "PATCH", "POST"])
@pytest.mark.parametrize("script", [resets, once(), once(b"HTTP/1.1 200 OK\r\nContent-Le")])
async def test_one_request_is_one_request(sessions: Any, method: str, script: Any) -> None:
    async with serving(script) as server:
        error = await failure(sessions(server.url), Request(method=method, path="/x"))
        assert type(error) is ConnectionLost
        assert error.sent == "maybe"
        assert len(server.requests) == 1


async def test_who_gave_the_turn_is_told_once_when_the_request_leaves(sessions: Any) -> None:
    left: list[int] = []
    LEAVES.set(lambda: left.append(1))
    with closed_port() as bound:
        await failure(sessions(f"http://127.0.0.1:{bound.getsockname()[1]}"))
    assert not left
    async with serving(healthy) as server:
        session = sessions(server.url)
        await session(GET)
        assert left == [1]
        await session(GET)
    assert left == [1]


async def test_aiohttp_alone_would_send_it_twice() -> None:
    # Guards the reason for OnceResponse: when this fails, aiohttp has mended its resend.
    async with serving(resets) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientOSError):
            await session.get(server.url)
        assert len(server.requests) == 2


async def test_a_session_that_is_passed_in_is_used_and_left_alone() -> None:
    async with serving(resets, healthy) as server:
        async with aiohttp.ClientSession(
            headers={"X-Mine": "1"}, response_class=OnceResponse
        ) as given:
            session = Session(server.url, ClientConfig(), given)
            assert type(await failure(session)) is ConnectionLost
            assert len(server.requests) == 1
            assert (await session(GET)).status == 200
            await session.aclose()
            assert not given.closed
            assert dict(given.headers) == {"X-Mine": "1"}
        assert b"X-Mine: 1" in server.requests[1]
        error = await failure(Session(server.url, ClientConfig(), given))
        assert "that was passed in is closed" in str(error)


async def test_reads_ask_caches_in_between_to_ask_the_api_unless_told_otherwise(
    sessions: Any,
) -> None:
    told = GET.with_changes(headers={"cache-control": "max-age=5"})
    async with (
        serving(*[healthy] * 3) as server,
        aiohttp.ClientSession(headers={"cache-control": "max-age=9"}) as given,
    ):
        await sessions(server.url)(GET)
        await sessions(server.url)(told)
        await Session(server.url, ClientConfig(), given)(GET)
    sent = [request.lower() for request in server.requests]
    assert [one.count(b"cache-control: ") for one in sent] == [1, 1, 1]
    for one, value in zip(sent, (b"no-cache", b"max-age=5", b"max-age=9"), strict=True):
        assert b"\r\ncache-control: %b\r\n" % value in one


async def test_a_refused_connection_was_certainly_not_sent(sessions: Any) -> None:
    with closed_port() as port:
        error = await failure(sessions(url_of(port)))
    assert type(error) is ConnectFailed
    assert error.sent == "no"


async def test_an_attempt_ends_by_its_timeout_whatever_the_peer_does(sessions: Any) -> None:
    async def drips(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await peer.send(b" ")
            await asyncio.sleep(0.01)

    loop = asyncio.get_running_loop()
    for script in (once(hold=True), drips):
        async with serving(script) as server:
            began = loop.time()
            error = await failure(sessions(server.url, timeout=0.2))
            assert isinstance(error, RequestTimeout)
            assert error.sent == "maybe"
            assert loop.time() - began < 0.2 * 1.1 + 0.05


async def test_the_calls_deadline_bounds_the_attempt(sessions: Any) -> None:
    async with serving(once(hold=True)) as server:
        request = Request(method="GET", path="/x")
        request.call.deadline = asyncio.get_running_loop().time() + 0.1
        error = await failure(sessions(server.url), request)
        assert isinstance(error, RequestTimeout)
        request.call.deadline, request.call.timeout = float("inf"), 0.1
        assert isinstance(await failure(sessions(server.url), request), RequestTimeout)


@pytest.mark.parametrize(
    "bytes_",
    [
        b"HTTP/1.1 429 Too Many Requests\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"<html>slow down</html>\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000 + b"\r\n\r\n",
    ],
)
async def test_broken_http_is_never_a_validation_error(sessions: Any, bytes_: bytes) -> None:
    async with serving(once(bytes_)) as server:
        error = await failure(sessions(server.url))
        assert type(error) is ProtocolFault
        assert (error.sent, len(server.requests)) == ("maybe", 1)


async def test_a_cut_body_is_a_lost_connection(sessions: Any) -> None:
    for cut in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
    ):
        async with serving(once(cut)) as server:
            assert type(await failure(sessions(server.url))) is ConnectionLost


async def test_gzip_is_decoded_and_damaged_gzip_is_asked_for_again(sessions: Any) -> None:
    packed = gzip.compress(b'{"data":[]}')
    async with serving(once(reply(packed, "200 OK", "Content-Encoding: gzip"))) as server:
        assert (await sessions(server.url)(GET)).body == b'{"data":[]}'
    damaged = packed[:12] + b"\xff\xff\xff\xff" + packed[16:]
    async with serving(once(reply(damaged, "200 OK", "Content-Encoding: gzip"))) as server:
        error = await failure(sessions(server.url))
        assert type(error) is BadPayload
        assert error.retryable


async def test_a_body_is_read_up_to_the_cap_decoded(sessions: Any) -> None:
    bomb = gzip.compress(b"0" * 5_000_000)
    assert len(bomb) < 10_000
    for answer in (
        reply(bomb, "200 OK", "Content-Encoding: gzip"),
        reply(b"0" * 200_001),
    ):
        async with serving(once(answer, hold=True)) as server:
            error = await failure(sessions(server.url, max_body=200_000))
            assert type(error) is TooLarge
            assert "larger than 200000 bytes" in str(error)


async def test_a_session_that_raises_for_status_by_itself_does_not_here() -> None:
    async with serving(once(reply(b"{}", "404 Not Found"))) as server:
        async with aiohttp.ClientSession(raise_for_status=True) as given:
            assert (await Session(server.url, ClientConfig(), given)(GET)).status == 404


async def test_cookies_are_neither_kept_nor_sent(sessions: Any) -> None:
    async def sets(peer: Peer) -> None:
        while await peer.request():
            await peer.send(reply(b"{}", "200 OK", "Set-Cookie: session=1; Path=/"))

    async with serving(sets) as server:
        session = sessions(server.url)
        await session(GET)
        await session(GET)
        assert b"cookie" not in server.requests[1].lower()


async def test_no_more_requests_are_open_than_allowed(sessions: Any) -> None:
    flying, most = 0, 0

    async def slow(peer: Peer) -> None:
        nonlocal flying, most
        while await peer.request():
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(0.01)
            flying -= 1
            await peer.send(reply())

    async with serving(slow) as server:
        async with aiohttp.ClientSession() as given:
            session = Session(server.url, ClientConfig(connections=3), given)
            await asyncio.gather(*(session(GET) for _ in range(12)))
    assert most == 3


async def test_a_redirect_is_an_answer_and_nobody_follows(sessions: Any) -> None:
    async with serving(healthy) as elsewhere:
        moved = reply(b"", "307 Temporary Redirect", f"Location: {elsewhere.url}/")
        async with serving(once(moved)) as server:
            assert (await sessions(server.url)(GET)).status == 307
        assert elsewhere.connections == 0


async def test_no_error_carries_the_token_or_aiohttps_frames(sessions: Any) -> None:
    scripts = [resets, once(), once(b"garbage\r\n\r\n"), once(hold=True),
               once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")]  # fmt: skip
    for script in scripts:
        async with serving(script) as server:
            error = await failure(sessions(server.url, timeout=0.1))
            report = "".join(reports_of(error))
            assert CANARY not in report
            assert "/aiohttp/" not in report
            assert error.__context__ is None
            assert error.__cause__ is None


async def test_a_cancellation_passes_without_aiohttps_frames(sessions: Any) -> None:
    async with serving(once(hold=True)) as server:
        session = sessions(server.url)
        task = asyncio.create_task(session(GET))
        while not server.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        report = "".join(reports_of(caught.value))
        assert CANARY not in report
        assert "/aiohttp/" not in report
        assert GET.call.sent == "maybe"


async def test_a_cancelled_request_gives_its_slot_back(sessions: Any) -> None:
    async with serving(once(hold=True), healthy) as server:
        session = sessions(server.url, connections=1)
        task = asyncio.create_task(session(GET))
        while not server.requests:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.wait((task,))
        assert (await session(GET)).status == 200


async def test_use_after_close_and_closing_twice(sessions: Any) -> None:
    async with serving(healthy) as server:
        session = sessions(server.url)
        await session(GET)
        await session.aclose()
        await session.aclose()
        error = await failure(session)
        assert type(error) is ClientMisuse
        assert "closed" in str(error)


async def test_closing_with_requests_in_flight_ends_them_at_once(sessions: Any) -> None:
    async with serving(once(hold=True)) as server:
        session = sessions(server.url)
        tasks = [asyncio.create_task(failure(session)) for _ in range(8)]
        while len(server.requests) < 8:
            await asyncio.sleep(0.001)
        async with asyncio.timeout(1):
            await session.aclose()
            errors = await asyncio.gather(*tasks)
        assert {type(error) for error in errors} == {ClientMisuse}
        assert "closed while this request was running" in str(errors[0])


async def test_a_second_event_loop_is_refused_and_the_first_unharmed(sessions: Any) -> None:
    async with serving(healthy) as server:
        session = sessions(server.url)
        await session(GET)
        error = await asyncio.to_thread(lambda: asyncio.run(failure(session)))
        assert type(error) is ClientMisuse
        assert "make one client for each loop" in str(error)
        assert (await session(GET)).status == 200


async def test_a_forked_process_is_told_so(sessions: Any, monkeypatch: Any) -> None:
    async with serving(healthy) as server:
        session = sessions(server.url)
        await session(GET)
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: 1)
            assert "before a fork" in str(await failure(session))


async def test_forgetting_to_close_is_one_warning_that_says_what_to_do() -> None:
    async with serving(healthy) as server:
        session = Session(server.url, ClientConfig())
        await session(GET)
        own = [each for each in gc.get_objects() if type(each) is aiohttp.ClientSession]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del session
            gc.collect()
        for each in own:
            await each.close()
    ours = [str(w.message) for w in caught if w.category is ResourceWarning]
    assert ours == ["a CallMeBackClient was not closed: use `async with`, or await its aclose()"]


async def test_environment_proxies_and_netrc_are_ignored(
    sessions: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with serving(healthy) as server:
        assert (await sessions(server.url)(GET)).status == 200
        assert b"Authorization" not in server.requests[0]


@pytest.mark.parametrize(
    ("error", "kind", "sent"),
    [
        (OSError(9, "bad descriptor"), ConnectionLost, "maybe"),
        (ValueError("odd"), ProtocolFault, "maybe"),
        (LookupError("no such codec"), ProtocolFault, "maybe"),
        (TimeoutError(), RequestTimeout, "maybe"),
        (aiohttp.ConnectionTimeoutError(), RequestTimeout, "no"),
        (aiohttp.ServerTimeoutError(), RequestTimeout, "maybe"),
        (aiohttp.InvalidURL("http://"), ClientMisuse, "no"),
        (aiohttp.ClientPayloadError("cut"), ConnectionLost, "maybe"),
        (aiohttp.ServerDisconnectedError(), ConnectionLost, "maybe"),
    ],
)
def test_every_family_of_aiohttps_errors_has_a_translation(
    error: Exception, kind: type[CallMeBackError], sent: str
) -> None:
    translated = translate(error)
    assert type(translated) is kind
    assert translated.sent == sent
    assert isinstance(translated, TransportError | ClientMisuse)


class Recorder:
    """A session that keeps what a recorder sees of a request, as vcrpy does."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session
        self.closed = False
        self.seen: list[Any] = []

    def request(self, method: str, url: str, **options: Any) -> Any:
        self.seen += [method, url, *options["headers"], *options["headers"].values()]
        self.seen += [text for pair in options["params"] for text in pair]
        return self.session.request(method, url, **options)


@pytest.mark.parametrize("kind", ["token", "basic", "login"])
async def test_what_a_recorder_sees_is_plain(kind: str) -> None:
    async with Sandbox(rows=5) as api, aiohttp.ClientSession() as session:
        recorder: Any = Recorder(session)
        source: Any = {"token": api.token, "basic": Basic(api.user_id, api.token)}.get(kind)
        source = source or login("me@x.example", "canary-not-a-password")
        async with CallMeBackClient(source, base_url=api.base_url, session=recorder) as cmb:
            await cmb.settings.create(name="x")
            await cmb.cdrs.list(page_size=2).collect()
    assert len(recorder.seen) > 20
    assert {type(value) for value in recorder.seen} == {str}


async def test_users_can_mock_it_with_aioresponses(sessions: Any) -> None:
    url = "https://l7api.com/v1.2/voipstudio"
    with aioresponses() as mocked:
        mocked.get(f"{url}/ping", payload={"data": {"response": "Pong"}})
        mocked.get(f"{url}/ping", status=503, body="busy")
        mocked.get(f"{url}/ping", exception=aiohttp.ClientConnectionError("gone"))
        session = sessions(url)
        ping = Request(method="GET", path="/ping")
        assert json.loads((await session(ping)).body) == {"data": {"response": "Pong"}}
        assert ((busy := await session(ping)).status, busy.body) == (503, b"busy")
        assert type(await failure(session, ping)) is ConnectionLost


def test_it_says_what_it_is() -> None:
    assert repr(Session("https://x.example", ClientConfig())) == "Session('https://x.example')"


STALE = reply(b'{"data":{"id":1}}')


async def talks(peer: Peer) -> None:
    """A script that answers each request, and a little later once more."""
    while await peer.request():
        await peer.send(reply(), STALE)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_what_came_on_an_idle_connection_is_nobodys_answer(
    sessions: Any, method: str, given: bool
) -> None:
    passed = None
    if given:
        passed = aiohttp.ClientSession(response_class=OnceResponse, request_class=CleanRequest)
    async with serving(talks) as server:
        session = sessions(server.url, passed)
        for _ in range(3):
            response = await session(Request(method=method, path="/x"))
            assert response.body == b'{"data":{}}'
            await asyncio.sleep(0.06)
    assert (len(server.requests), server.connections) == (3, 3)
    if passed is not None:
        await passed.close()


async def test_a_server_that_always_speaks_first_is_a_fault_and_no_loop(sessions: Any) -> None:
    async def speaks(peer: Peer) -> None:
        await peer.send(STALE)
        await peer.hold()

    class Late(CleanRequest):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            await asyncio.sleep(0.02)  # until the greeting is there
            return await super().send(conn)

    async with (
        serving(speaks) as server,
        aiohttp.ClientSession(response_class=OnceResponse, request_class=Late) as passed,
    ):
        error = await failure(sessions(server.url, passed, connections=3))
    assert isinstance(error, ProtocolFault)
    assert (error.sent, server.requests, server.connections) == ("no", [], 4)


@pytest.mark.parametrize("at", ["the head", "the body", "the parser"])
async def test_memory_that_is_short_within_aiohttp_is_no_lost_connection(
    monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    received = ResponseHandler.data_received

    class Parser:
        def __getattr__(self, name: str) -> Any:
            return getattr(self.parser, name)

        def feed_data(self, data: bytes) -> Any:
            raise MemoryError

    def receive(self: ResponseHandler, data: bytes) -> None:
        if at == "the parser":
            parser = Parser()
            parser.parser, self._parser = self._parser, parser
            return received(self, data)
        if at == "the body":
            received(self, data[:500])
        raise MemoryError

    monkeypatch.setattr(ResponseHandler, "data_received", receive)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    with Sandbox(rows=5) as api:
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            with pytest.raises(MemoryError):
                await cmb.cdrs.count()
    assert api.requests == 1
