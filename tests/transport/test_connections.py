"""Faults that need more than a script: making a connection, TLS, and connections that are kept."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver

from benchmarks.harness.peer import closed_port, url_of
from tests.fakes.clients import ATTEMPTS, CALLS, PYTHON_PARSER, client
from tests.fakes.sockets import Faulty, Peer, healthy, once, reply, resets, serving
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import (
    CallMeBackError,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    RequestTimeout,
    TLSFailed,
    UnexpectedRedirect,
    UnexpectedStatus,
)
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.transport.guards import OnceResponse

ITEM = b'{"data":{"id":7},"links":{}}'
every_method = pytest.mark.parametrize("method", CALLS)


async def failure(cmb: CallMeBackClient, method: str = "GET") -> Any:
    with pytest.raises(CallMeBackError) as caught:
        await CALLS[method](cmb)
    return caught.value


@asynccontextmanager
async def through(**connector: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """An aiohttp session of the caller's."""
    made = aiohttp.TCPConnector(**connector)
    async with aiohttp.ClientSession(connector=made, response_class=OnceResponse) as session:
        yield session


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that answers no SYN, because its queue of connections is full."""
    with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@every_method
async def test_row_1_a_refused_connection_is_tried_again_whatever_it_is_for(method: str) -> None:
    with closed_port() as port:
        async with client(url_of(port)) as cmb:
            error = await failure(cmb, method)
            assert (type(error), error.sent, error.attempts) == (ConnectFailed, "no", ATTEMPTS)
            assert cmb.usage.requests == ATTEMPTS


async def test_t1_a_creation_arrives_once_when_the_server_comes_up() -> None:
    servers: list[Any] = []

    async def comes_up(request: Request, handler: Handler) -> Response:
        if request.call.attempts == 3:
            running = serving(once(reply(ITEM, "201 Created")), on=port)
            servers.extend((running, await running.__aenter__()))
        return await handler(request)

    config = ClientConfig(retry=lambda e, r, n: 0.0 if e.sent == "no" and n < 5 else None)
    with closed_port() as port:
        async with CallMeBackClient(
            "t", base_url=url_of(port), config=config, middlewares=[comes_up]
        ) as cmb:
            assert (await cmb.settings.create(name="x")).id == 7
        running, server = servers
        assert len(server.requests) == 1
        await running.__aexit__(None, None, None)


class NoName(AbstractResolver):
    """A resolver for which there is no such name."""

    asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        self.asked += 1
        raise OSError(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None: ...


@every_method
async def test_row_2_an_unknown_name_is_tried_again_whatever_it_is_for(method: str) -> None:
    resolver = NoName()
    async with through(resolver=resolver, use_dns_cache=False) as session:
        async with client("https://api.invalid", session=session) as cmb:
            error = await failure(cmb, method)
            assert (type(error), error.sent) == (ConnectFailed, "no")
            assert error.attempts == resolver.asked == ATTEMPTS


@every_method
async def test_row_3_a_black_hole_is_a_timeout_of_the_connecting(method: str) -> None:
    with black_hole() as url:
        async with client(url, connect_timeout=0.03) as cmb:
            error = await failure(cmb, method)
            assert (type(error), error.phase, error.sent) == (RequestTimeout, "connect", "no")
            assert error.attempts == ATTEMPTS


@every_method
async def test_row_4_without_a_free_connection_nothing_is_sent(method: str) -> None:
    # In a caller's session aiohttp says of a full pool and of a black hole the very same.
    begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"
    async with serving(once(begun, hold=True), healthy) as server, through(limit=1) as session:
        async with client(server.url, session=session, connect_timeout=0.02) as cmb:
            async with session.get(server.url):
                error = await failure(cmb, method)
                assert (type(error), error.phase, error.sent) == (RequestTimeout, "connect", "no")
                assert error.attempts == ATTEMPTS
            assert await cmb.ping() == {}
        assert len(server.requests) == 2


async def test_row_4_in_the_clients_own_pool_a_call_waits_as_long_as_it_may_take() -> None:
    async with serving(Faulty(once(hold=True))) as server:
        async with client(server.url, timeout=5.0, deadline=5.0) as cmb:
            running = asyncio.create_task(failure(cmb))
            while not server.requests:
                await asyncio.sleep(0.001)
            error = await failure(cmb.with_options(deadline=0.05))
            assert (type(error), error.phase, error.sent) == (RequestTimeout, "pool", "no")
            assert len(server.requests) == 1
            running.cancel()
            await asyncio.wait((running,))


async def test_row_5_connecting_has_a_limit_below_that_of_the_attempt() -> None:
    with black_hole() as url:
        # The limit is 95 % of the attempt's: in a shorter attempt a busy machine would miss it.
        async with client(url, timeout=0.8, connect_timeout=9.0, retry=lambda e, r, n: None) as cmb:
            error = await failure(cmb, "POST")
            assert (type(error), error.phase, error.sent) == (RequestTimeout, "connect", "no")


LONG_AGO = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
authority = trustme.CA()


def server_context(host: str = "127.0.0.1", **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host, **options).configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


BAD_CERTIFICATES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "6 untrusted": ({}, {}),
    "6 another host": ({"host": "other.example"}, {"ssl": trusting()}),
    "6 expired": (
        {"not_before": LONG_AGO, "not_after": LONG_AGO + datetime.timedelta(days=1)},
        {"ssl": trusting()},
    ),
    "9 another fingerprint": ({}, {"ssl": aiohttp.Fingerprint(b"\0" * 32)}),
}


@every_method
@pytest.mark.parametrize("case", BAD_CERTIFICATES)
async def test_rows_6_and_9_a_certificate_that_is_refused_costs_one_handshake(
    case: str, method: str
) -> None:
    options, connector = BAD_CERTIFICATES[case]
    async with serving(healthy, tls=server_context(**options)) as server:
        async with through(**connector) as session, client(server.url, session=session) as cmb:
            error = await failure(cmb, method)
            assert (type(error), error.sent, error.attempts) == (TLSFailed, "no", 1)
            assert (server.accepted, server.requests) == (1, [])


async def test_t8_the_clients_own_session_verifies_and_has_no_switch_for_it() -> None:
    async with serving(healthy, tls=server_context()) as server:
        async with client(server.url) as cmb:
            assert type(await failure(cmb)) is TLSFailed
            assert server.accepted == 1
        async with through(ssl=trusting()) as session:
            async with client(server.url, session=session) as cmb:
                assert await cmb.ping() == {}
    names = {*inspect.signature(CallMeBackClient).parameters}
    names |= {*inspect.signature(ClientConfig).parameters}
    assert not [name for name in names if any(word in name for word in ("ssl", "tls", "verif"))]


async def test_certificates_that_are_not_where_the_environment_says_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    async with serving(healthy, tls=server_context()) as server, client(server.url) as cmb:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
        assert "SSL_CERT_FILE" not in str(await failure(cmb))
        monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates")
        error = await failure(cmb)
        assert "SSL_CERT_FILE names '/nowhere/certificates', which can't be read" in str(error)


@every_method
async def test_row_7_tls_to_a_plain_port_is_refused_for_good(method: str) -> None:
    async def plain(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await peer.hold()

    async with serving(plain) as server, client(server.url.replace("http:", "https:")) as cmb:
        error = await failure(cmb, method)
        assert (type(error), error.sent, server.accepted) == (TLSFailed, "no", 1)


@every_method
async def test_row_8_a_handshake_that_is_cut_short_is_a_failed_connection(method: str) -> None:
    async def leaves(peer: Peer) -> None: ...

    async with serving(leaves) as server, client(server.url.replace("http:", "https:")) as cmb:
        error = await failure(cmb, method)
        assert (type(error), error.sent) == (ConnectFailed, "no")
        assert error.attempts == server.accepted == ATTEMPTS


def test_row_10_plain_http_is_for_loopback_only() -> None:
    with pytest.raises(ConfigError, match="must begin with https"):
        CallMeBackClient("t", base_url="http://api.example:443")


@pytest.mark.parametrize("ending", ["FIN", "RST"])
@every_method
async def test_row_14_and_t3_a_kept_connection_that_ends_under_a_request(
    method: str, ending: str
) -> None:
    async def one_answer(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply())
        await peer.request()
        if ending == "RST":
            peer.reset()

    async with serving(one_answer, once(reply(ITEM), hold=True)) as server:
        async with client(server.url) as cmb:
            await cmb.ping()
            if method in ("GET", "DELETE"):
                await CALLS[method](cmb)
            else:
                error = await failure(cmb, method)
                assert (type(error), error.sent) == (ConnectionLost, "maybe")
            assert len(server.requests) == 1 + (2 if method in ("GET", "DELETE") else 1)


@every_method
async def test_row_15_a_connection_that_ended_while_idle_costs_nothing(method: str) -> None:
    async with serving(once(reply()), once(reply(ITEM), hold=True)) as server:
        async with client(server.url) as cmb:
            await cmb.ping()
            await asyncio.sleep(0.02)
            await CALLS[method](cmb)
            assert (len(server.requests), server.connections) == (2, 2)


@every_method
async def test_row_17_the_deadline_of_the_call_ends_what_gets_no_answer(method: str) -> None:
    async with serving(Faulty(once(hold=True))) as server:
        async with client(server.url, deadline=0.08) as cmb:
            began = asyncio.get_running_loop().time()
            error = await failure(cmb, method)
            assert (type(error), error.sent, len(server.requests)) == (RequestTimeout, "maybe", 1)
            assert error.phase in ("attempt", "deadline")
            assert asyncio.get_running_loop().time() - began < 0.08 * 1.1 + 0.15


@pytest.mark.parametrize("pause", [0.0, 0.01])
async def test_row_25_and_h1_a_body_after_a_204_harms_no_later_request(pause: float) -> None:
    async def goes_on(peer: Peer) -> None:
        while request := await peer.request():
            gone = request.startswith(b"DELETE")
            await peer.send(reply(b"", "404 Not Found") if gone else reply())

    async def deletes(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 204 204 OK\r\n\r\n", b"{}", pause=pause)
        await goes_on(peer)

    async with serving(deletes, goes_on) as server, client(server.url) as cmb:
        assert await cmb.settings.delete(7) is None
        assert await cmb.ping() == {}


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden"])
async def test_row_24_and_h1_a_deletion_whose_answer_was_garbled_is_settled(
    status: str,
) -> None:
    answers = (
        b"HTTP/1.1 204 No Content\r\n\r\n{}",
        reply(b"{}", status, "Connection: close"),
        reply(b"{}", "404 Not Found"),
    )
    async with serving(*map(once, answers)) as server, client(server.url) as cmb:
        assert await cmb.settings.delete(7) is None
    methods = [received.split()[0] for received in server.requests]
    if PYTHON_PARSER:  # which takes what it does not need for no fault
        assert methods == [b"DELETE"]
    else:
        assert methods == [b"DELETE", b"DELETE", b"GET"][: 2 if status.startswith("404") else 3]


@every_method
@pytest.mark.parametrize("stray", [reply(b"", "408 Request Timeout"), reply(b'{"data":{"id":99}}')])
async def test_row_26_and_t9_an_answer_that_came_while_idle_is_nobodys(
    method: str, stray: bytes
) -> None:
    async def pushes(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(), stray, pause=0.01)
        await peer.hold()

    async def answers(peer: Peer) -> None:
        while await peer.request():
            await peer.send(reply(ITEM))

    async with serving(pushes, answers) as server, client(server.url) as cmb:
        await cmb.ping()
        await asyncio.sleep(0.03)
        found = await CALLS[method](cmb)
        assert found is None or found.id == 7
        assert (len(server.requests), server.connections) == (2, 2)


async def test_row_26_and_t9_a_stale_page_is_never_yielded_as_another() -> None:
    page = b'{"data":[{"id":1},{"id":2}],"total":3}'

    async def pushes(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b'{"data":[{"id":3},{"id":2}],"total":3}'))
        await peer.request()
        await peer.send(reply(page), reply(page), pause=0.01)
        await peer.hold()

    async def goes_on(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b'{"data":[{"id":3}],"total":3}'))
        await peer.hold()

    found: list[int] = []
    async with serving(pushes, goes_on) as server, client(server.url) as cmb:
        async for cdr in cmb.cdrs.list(page_size=2, concurrency=1, walk="page"):
            found.append(cdr.id)
            await asyncio.sleep(0.02)
    assert found == [1, 2, 3]


@every_method
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_row_43_h4_and_s7_nothing_follows_a_redirect(status: int, method: str) -> None:
    async with serving(healthy) as elsewhere:
        moved = reply(b"", f"{status} Moved", f"Location: {elsewhere.url}/x")
        async with serving(once(moved, hold=True)) as server, client(server.url) as cmb:
            error = await failure(cmb, method)
            assert (type(error), error.status, error.attempts) == (UnexpectedRedirect, status, 1)
            assert (len(server.requests), elsewhere.accepted) == (1, 0)


@every_method
async def test_row_44_a_loop_of_redirects_is_not_entered(method: str) -> None:
    async with serving(once(reply(b"", "302 Found", "Location: /x"), hold=True)) as server:
        async with client(server.url) as cmb:
            error = await failure(cmb, method)
            assert (type(error), len(server.requests)) == (UnexpectedRedirect, 1)


async def test_t2_nothing_is_sent_behind_the_back_of_the_retry_policy() -> None:
    for script in (resets, once()):
        for method in CALLS:
            async with serving(script) as server:
                async with client(server.url, retry=lambda e, r, n: 0.0 if n < 5 else None) as cmb:
                    assert (await failure(cmb, method)).attempts == len(server.requests) == 5


class DeadFirst(AbstractResolver):
    """A resolver that knows a host by two addresses: nobody listens on the first."""

    def __init__(self, alive: int) -> None:
        self._alive = alive

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        return [
            {"hostname": host, "host": address, "port": port, "family": kind, "proto": 0,
             "flags": socket.AI_NUMERICHOST}
            for address, kind in (("::1", socket.AF_INET6), ("127.0.0.1", socket.AF_INET))
        ]  # fmt: skip

    async def close(self) -> None: ...


async def test_t11_a_dead_ipv6_address_does_not_hide_the_ipv4_one() -> None:
    async with serving(healthy) as server:
        port = int(server.url.rpartition(":")[2])
        async with through(resolver=DeadFirst(port)) as session, asyncio.timeout(1):
            async with client(f"http://localhost:{port}", session=session) as cmb:
                assert await cmb.ping() == {}


async def test_t12_an_early_answer_is_the_answer() -> None:
    async def refuses(peer: Peer) -> None:
        await peer.send(reply(b'{"message":"too much"}', "413 Content Too Large"))
        await peer.hold()

    async with serving(refuses) as server, client(server.url) as cmb:
        with pytest.raises(UnexpectedStatus, match="413 too much"):
            await cmb.settings.create(name="x" * 900_000)
