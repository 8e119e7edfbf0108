"""A body that comes in parts: whole if it is, and known to be broken as soon as it breaks.

The clients here have time-outs of half a minute. A fault that only a time-out ends is a
`RequestTimeout`, and none is.
"""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
import trustme

from tests.fakes.clients import ATTEMPTS, CALLS, PYTHON_PARSER, client
from tests.fakes.sockets import Faulty, Peer, Script, Server, reply, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import BadPayload, CallMeBackError, ConnectionLost
from voipstudio_cmb.http import Request
from voipstudio_cmb.transport.guards import CleanRequest, OnceResponse
from voipstudio_cmb.transport.session import Session

ITEM = b'{"data":{"id":7},"links":{}}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"
AT_ONCE = 10.0
"""Seconds: far below the time-outs, and more than any busy machine stands still."""

authority = trustme.CA()
SECURE = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("127.0.0.1").configure_cert(SECURE)
TRUSTING = ssl.create_default_context()
authority.configure_trust(TRUSTING)


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def packed(body: bytes, encoding: str = "gzip") -> bytes:
    return gzip.compress(body) if encoding == "gzip" else zlib.compress(body)


def half(body: bytes) -> tuple[bytes, bytes]:
    return body[: len(body) // 2], body[len(body) // 2 :]


GZIPPED = half(packed(ITEM))
DEFLATED = half(packed(ITEM, "deflate"))
FLIPPED = b"\xff\xff\xff\xff" + GZIPPED[1][4:]

BROKEN: dict[str, tuple[bytes, ...]] = {
    "a bad chunk size": (CHUNKED + b"\r\n" + chunk(ITEM[:9]), b"zz\r\nwhat\r\n"),
    "a bad chunk size after two chunks": (
        CHUNKED + b"\r\n" + chunk(ITEM[:9]), chunk(ITEM[9:15]), b"-1\r\n"),
    "a bad chunk size before any body": (CHUNKED + b"\r\n", b"zz\r\n"),
    "a chunk that is longer than it says": (CHUNKED + b"\r\n2\r\n{}", b"more\r\n"),
    "a bad trailer": (CHUNKED + b"\r\n" + chunk(ITEM) + b"0\r\n", b"no colon\r\n\r\n"),
    "a bad chunk size in gzip": (
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(GZIPPED[0]), b"zz\r\n"),
    "deflate that ends early": (  # which the parser in Python knows for what it is
        CHUNKED + b"Content-Encoding: deflate\r\n\r\n" + chunk(DEFLATED[0]), b"0\r\n\r\n"),
}  # fmt: skip
DAMAGED: dict[str, tuple[bytes, ...]] = {
    "flipped bytes in gzip": (
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n" + chunk(GZIPPED[0]), chunk(FLIPPED)),
    "flipped bytes in gzip of known length": (
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % sum(map(len, GZIPPED))
        + GZIPPED[0], FLIPPED),
}  # fmt: skip
CUT: dict[str, tuple[bytes, ...]] = {
    "in a body of known length": (HEAD + b"Content-Length: 28\r\n\r\n", ITEM[:9]),
    "in a chunk": (CHUNKED + b"\r\n", b"1c\r\n" + ITEM[:9]),
    "before the last chunk": (CHUNKED + b"\r\n" + chunk(ITEM), chunk(b" ")),
    "in the last chunk": (CHUNKED + b"\r\n" + chunk(ITEM), b"0\r"),
    "in gzip of known length": (
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 99\r\n\r\n", GZIPPED[0]),
}  # fmt: skip
ENDS = ("keep", "FIN", "RST", "deaf")


def sends(parts: tuple[bytes, ...], end: str) -> Script:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*parts, pause=0.01)
        if end == "keep":
            await peer.hold()
        elif end == "deaf":  # which would not say goodbye on TLS either
            transport = peer.writer.transport
            assert isinstance(transport, asyncio.Transport)
            transport.pause_reading()
            await asyncio.sleep(3600)
        elif end == "RST":
            await asyncio.sleep(0.01)
            if not peer.writer.transport.is_closing():  # by the client
                peer.reset()

    return script


@asynccontextmanager
async def connected(
    *scripts: Script, secure: bool
) -> AsyncIterator[tuple[Server, CallMeBackClient]]:
    """A server, and a client with a session of its own, or with one that trusts the server."""
    if not secure:
        async with serving(*scripts) as server, client(server.url, timeout=30, deadline=60) as cmb:
            yield server, cmb
        return
    async with (
        serving(*scripts, tls=SECURE) as server,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=TRUSTING), response_class=OnceResponse,
            request_class=CleanRequest,
        ) as session,
        client(server.url, session=session, timeout=30, deadline=60) as cmb,
    ):  # fmt: skip
        yield server, cmb


async def failure(cmb: CallMeBackClient, method: str) -> CallMeBackError:
    async with asyncio.timeout(AT_ONCE):
        with pytest.raises(CallMeBackError) as caught:
            await CALLS[method](cmb)
    return caught.value


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("fault", "secure"),
    [(fault, False) for fault in (*BROKEN, *DAMAGED)]
    + [(fault, True) for fault in ("a bad chunk size", "a bad trailer")],
)
@pytest.mark.parametrize("end", ENDS)
async def test_t6_a_body_that_breaks_late_is_known_at_once(
    fault: str, end: str, secure: bool
) -> None:
    parts = (BROKEN | DAMAGED)[fault]
    async with connected(sends(parts, end), secure=secure) as (server, cmb):
        error = await failure(cmb, "GET")
        expected: type[CallMeBackError] = ConnectionLost if fault in BROKEN else BadPayload
        if fault.startswith("deflate") and PYTHON_PARSER:
            expected = BadPayload
        assert type(error) is expected
        assert error.retryable
        assert error.attempts == len(server.requests) == ATTEMPTS


@pytest.mark.one_in(2)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("end", ["FIN", "RST"])
@pytest.mark.parametrize("where", CUT)
async def test_a_body_that_is_cut_late_is_known_at_once(where: str, end: str, secure: bool) -> None:
    async with connected(sends(CUT[where], end), secure=secure) as (server, cmb):
        error = await failure(cmb, "GET")
        assert type(error) is ConnectionLost
        assert error.attempts == len(server.requests) == ATTEMPTS


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_change_whose_response_breaks_late_is_sent_once(method: str, end: str) -> None:
    async with connected(sends(BROKEN["a bad chunk size"], end), secure=False) as (server, cmb):
        error = await failure(cmb, method)
        assert (type(error), error.sent, len(server.requests)) == (ConnectionLost, "maybe", 1)


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_large_request_that_is_not_read_to_its_end_is_known_at_once() -> None:
    async def breaks(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(*BROKEN["a bad chunk size"], pause=0.01)
        await asyncio.sleep(3600)

    async with serving(breaks) as server:
        session = Session(server.url, ClientConfig())
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(ConnectionLost):
                await session(Request(method="POST", path="/x", body=b"x" * 2**25))
        await session.aclose()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
async def test_a_kept_connection_that_breaks_late_is_given_up(secure: bool) -> None:
    faulty = Faulty(sends(BROKEN["a bad chunk size"], "keep"))
    faulty.fixed = True
    async with connected(faulty, secure=secure) as (server, cmb):
        await cmb.ping()
        faulty.fixed = False
        assert type(await failure(cmb, "GET")) is ConnectionLost
        faulty.fixed = True
        assert await cmb.ping() == {}
        assert len(server.requests) == 2 + ATTEMPTS
        assert server.connections == 1 + ATTEMPTS


LARGE = b'{"data":{"id":7,"name":"' + b"x" * 3_000_000 + b'"}}'
WHOLE: dict[str, tuple[bytes, ...]] = {
    "up to the end of the connection": (HEAD + b"\r\n", *half(ITEM)),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\n", *half(ITEM)),
    "of known length": (HEAD + b"Content-Length: 28\r\n\r\n", *half(ITEM)),
    "in chunks": (CHUNKED + b"\r\n", chunk(ITEM[:9]), chunk(ITEM[9:]), b"0\r\n\r\n"),
    "in chunks with a trailer": (CHUNKED + b"\r\n", chunk(ITEM), b"0\r\na: b\r\n", b"\r\n"),
    "gzip in chunks": (
        CHUNKED + b"Content-Encoding: gzip\r\n\r\n", *map(chunk, GZIPPED), b"0\r\n\r\n"),
    "large, up to the end": (HEAD + b"\r\n", LARGE),
    "large, of known length": (HEAD + b"Content-Length: %d\r\n\r\n" % len(LARGE), LARGE),
    "large, in chunks": (CHUNKED + b"\r\n", chunk(LARGE) + b"0\r\n\r\n"),
    "large, in gzip": (reply(packed(LARGE), "200 OK", "Content-Encoding: gzip"),),
    "large, in gzip up to the end": (
        HEAD + b"Content-Encoding: gzip\r\n\r\n", packed(LARGE)),
}  # fmt: skip


@pytest.mark.one_in(2)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("end", ["keep", "FIN"])
@pytest.mark.parametrize("kind", WHOLE)
async def test_a_whole_body_is_whole_however_it_comes(kind: str, end: str, secure: bool) -> None:
    if end == "keep" and ("to the end" in kind or "1.0" in kind):
        return
    async with connected(sends(WHOLE[kind], end), secure=secure) as (server, cmb):
        async with asyncio.timeout(AT_ONCE):
            assert (await cmb.settings.get(7)).id == 7
        assert len(server.requests) == 1


async def test_what_is_whole_stays_whole_though_the_connection_breaks_before_it_is_read() -> None:
    # The end of the body, something more and the end of the connection in one segment.
    async def whole(peer: Peer) -> None:
        await peer.request()
        await peer.send(CHUNKED + b"\r\n" + chunk(ITEM[:9]), chunk(ITEM[9:]) + b"0\r\n\r\n")

    async with connected(whole, secure=False) as (_, cmb):
        assert (await cmb.settings.get(7)).id == 7


async def test_many_bodies_in_parts_on_one_connection_leave_nothing_on_it() -> None:
    async def parts(peer: Peer) -> None:
        while await peer.request():
            await peer.send(*WHOLE["in chunks"], pause=0.0)

    async with connected(parts, secure=False) as (server, cmb):
        await asyncio.gather(*(cmb.settings.get(7) for _ in range(50)))
        assert server.connections == 1
