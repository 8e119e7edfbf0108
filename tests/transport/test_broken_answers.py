"""What goes wrong on the wire, byte by byte: which error it is, and who sends the request again.

`ROWS` is the table. The columns G, D, Pa and Po say for GET, DELETE, PATCH and POST: "y" sent again
until the attempts are used up, "o" only where the caller has opted in, "n" sent once, "-" sent once
and, for a deletion, whose answer nobody reads, a success. `OK` stands for an answer that is taken.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from tests.fakes.clients import ATTEMPTS, CALLS, PYTHON_PARSER, client, without_waiting
from tests.fakes.sockets import Faulty, Peer, Script, once, reply, resets, serving
from voipstudio_cmb.errors import (
    BadPayload,
    CallMeBackError,
    ConnectionLost,
    EmptyBody,
    HTTPStatusError,
    NotJSON,
    ProtocolFault,
    RequestTimeout,
    TooLarge,
    UnexpectedRedirect,
    UnexpectedStatus,
    WrongShape,
)

ITEM = b'{"data":{"id":7},"links":{}}'
HEAD = b"HTTP/1.1 200 OK\r\n"
JSON = "Content-Type: application/json"
PACKED = gzip.compress(ITEM)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


class OK:
    """In the column of errors: there is none."""


@attrs.frozen
class Row:
    """One line of the table; *python* is what aiohttp's parser in Python makes of it instead."""

    number: int
    says: str
    script: Script
    error: type[Any] | tuple[type[Any], ...]
    sent: str = "maybe"
    resent: str = "y y o n"
    config: dict[str, Any] = attrs.field(factory=dict)
    python: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.number} {self.says}"


def whole(body: bytes = ITEM, *headers: str, status: str = "200 OK") -> Script:
    """Answers with this body and a length, and keeps the connection."""
    return once(reply(body, status, *headers), hold=True)


def packed(body: bytes, encoding: str = "gzip") -> Script:
    return whole(body, JSON, f"Content-Encoding: {encoding}")


async def rst_in_body(peer: Peer) -> None:
    await peer.request()
    await peer.send(HEAD + b"Content-Length: 100\r\n\r\n{")
    await asyncio.sleep(0.01)
    peer.reset()


async def drips(peer: Peer) -> None:
    await peer.request()
    await peer.send(HEAD + b"Content-Length: 1000\r\n\r\n")
    while True:
        await peer.send(b" ")
        await asyncio.sleep(0.01)


async def endless_headers(peer: Peer) -> None:
    await peer.request()
    await peer.send(HEAD)
    while True:
        await peer.send(b"X-More: " + b"x" * 1000 + b"\r\n", b"", pause=0)


async def endless_chunks(peer: Peer) -> None:
    await peer.request()
    await peer.send(CHUNKED)
    while True:
        await peer.send(b"4000\r\n" + b"0" * 0x4000 + b"\r\n")


BODY = {"sent": "yes", "resent": "y - - n"}
GARBLED = {"sent": "yes", "resent": "y y o n"}
FINAL = {"sent": "yes", "resent": "n - - n"}
NEVER = {"sent": "yes", "resent": "n n n n"}
SHORT = {"timeout": 0.08}
MALFORMED = {
    "a header line without a colon": HEAD + b"no colon here\r\n\r\n",
    "a 429 with a broken header": b"HTTP/1.1 429 Too Many Requests\r\nno colon\r\n\r\n",
    "a 503 with a broken header": b"HTTP/1.1 503 Service Unavailable\r\n: x\r\n\r\n",
    "a space before the colon": HEAD + b"Server : x\r\n\r\n",
    "NUL in a header": HEAD + b"Server: a\0b\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "no status line": b"Content-Length: 2\r\n\r\n{}",
    "HTML on the bare socket": b"<html>slow down</html>\r\n\r\n",
    "binary garbage": bytes(range(128, 256)) + b"\r\n\r\n",
    "a header of 10,000 bytes": HEAD + b"X: " + b"x" * 10_000 + b"\r\n\r\n",
    "200 headers": HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"\r\n",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a length and chunks": HEAD
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
}
NOT_JSON = {
    "cut off": b'{"data":{"id":7',
    "a BOM": b"\xef\xbb\xbf" + ITEM,
    "invalid UTF-8": b'{"data":{"id":7,"name":"\xff"}}',
    "UTF-16": ITEM.decode().encode("utf-16"),
}
LOCATIONS = {
    "ftp:": "ftp://example.invalid/x",
    "javascript:": "javascript:alert(1)",
    "a bad port": "http://example.invalid:999999/",
    "no URL at all": "http://[::1",
    "nothing": "",
}

ROWS = [
    Row(11, "FIN before the answer", once(), ConnectionLost),
    Row(12, "RST before the answer", resets, ConnectionLost),
    Row(13, "FIN within the headers", once(HEAD + b"Content-Le"), ConnectionLost),
    Row(16, "no answer", once(hold=True), RequestTimeout, config=SHORT),
    Row(18, "a byte every 10 ms for ever", drips, RequestTimeout, config=SHORT),
    *(Row(19, says, once(sent), ProtocolFault) for says, sent in MALFORMED.items()),
    Row(19, "two lengths", once(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
        ProtocolFault, python={"error": WrongShape, **FINAL}),
    Row(19, "headers without end", endless_headers, ProtocolFault),
    Row(20, "lines that end in LF", once(b"HTTP/1.1 200 OK\nContent-Length: 28\n\n" + ITEM), OK),
    Row(20, "a folded header", once(HEAD + b"X: a\r\n b\r\nContent-Length: 28\r\n\r\n" + ITEM), OK),
    Row(20, "bytes beyond ASCII in a header", whole(ITEM, "Server: \u00fc\u20ac"), OK),
    Row(20, "a 103 before the 200", once(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        + reply(ITEM), hold=True), OK),
    Row(20, "status 999", whole(status="999 Odd"), UnexpectedStatus, **NEVER),
    Row(21, "a 101 that nobody asked for", once(b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: x\r\nConnection: upgrade\r\n\r\n", hold=True), UnexpectedStatus, **GARBLED),
    Row(22, "a bad chunk size beside the headers", once(CHUNKED + b"zz\r\n"), ProtocolFault),
    Row(23, "a bad chunk size later", once(CHUNKED + b"2\r\n{}\r\n", b"zz\r\n", hold=True),
        ConnectionLost),
    Row(23, "a bad chunk size later, then FIN", once(CHUNKED + b"2\r\n{}\r\n", b"zz\r\n"),
        ConnectionLost),
    Row(23, "a bad trailer", once(CHUNKED + b"1c\r\n" + ITEM + b"\r\n0\r\n", b"no colon\r\n\r\n"),
        ConnectionLost),
    Row(24, "more after the body", once(reply(ITEM) + b"more", hold=True), ProtocolFault,
        python={"error": OK}),
    Row(24, "a 204 with a body", once(b"HTTP/1.1 204 No Content\r\n\r\n{}", hold=True),
        ProtocolFault, python={"error": EmptyBody, **BODY}),
    Row(27, "FIN within a body of known length", once(HEAD + b"Content-Length: 100\r\n\r\n{"),
        ConnectionLost),
    Row(27, "RST within a body of known length", rst_in_body, ConnectionLost),
    Row(28, "FIN within a chunk", once(CHUNKED + b"9\r\n{"), ConnectionLost),
    Row(28, "FIN before the last chunk", once(CHUNKED + b"2\r\n{}\r\n"), ConnectionLost),
    Row(29, "FIN, and no length", once(HEAD + b"\r\n" + ITEM[:-5]), NotJSON, **BODY),
    Row(30, "gzip that ends early", packed(gzip.compress(ITEM * 9)[:-20]), NotJSON, **BODY),
    Row(31, "gzip that is none", packed(b"garbage" * 9), BadPayload, **GARBLED),
    Row(31, "gzip with a wrong checksum", packed(PACKED[:-8] + b"\1\2\3\4" + PACKED[-4:]),
        BadPayload, **GARBLED),
    Row(31, "gzip with flipped bytes", packed(PACKED[:12] + b"\xff" * 4 + PACKED[16:]),
        BadPayload, **GARBLED),
    Row(31, "gzip and something after it", packed(PACKED + b"garbage"), BadPayload, **GARBLED),
    *(Row(31, f"{coding} by its older name", packed(PACKED, coding), OK)
      for coding in ("x-gzip", "X-GZIP")),
    Row(31, "x-gzip of two members", packed(gzip.compress(ITEM[:9]) + gzip.compress(ITEM[9:]),
        "x-gzip"), OK),
    Row(40, "x-gzip of nothing", packed(b"", "x-gzip"), EmptyBody, **BODY),
    *(Row(31, f"x-gzip {says}", packed(body, "x-gzip"), BadPayload, **GARBLED)
      for says, body in {
        "that is none": b"garbage" * 9,
        "cut short": PACKED[:-9],
        "cut within its second member": PACKED + PACKED[:9],
        "with a wrong checksum": PACKED[:-8] + b"\1\2\3\4" + PACKED[-4:],
        "and something after it": PACKED + b"garbage",
      }.items()),
    Row(41, "a bomb by x-gzip", packed(gzip.compress(b"0" * 5_000_000), "x-gzip"), TooLarge,
        **NEVER),
    # Where a codec is installed, aiohttp decodes what was not asked for, and we refuse it.
    *(Row(32, coding, packed(b"\x0b\x02\x80{}\x03", coding), (ProtocolFault, BadPayload),
          sent="maybe or yes", resent="n n n n") for coding in ("br", "zstd")),
    *(Row(33, coding, packed(PACKED, coding), BadPayload, **NEVER)
      for coding in ("x-foo", "gzip, gzip")),
    *(Row(34, media, whole(b"<html>maintenance</html>", f"Content-Type: {media}"), NotJSON, **BODY)
      for media in ("text/html", "text/plain", "text/json", "application/json; charset=utf-8")),
    *(Row(35, says, whole(body, JSON), NotJSON, **BODY) for says, body in NOT_JSON.items()),
    *(Row(36, name, whole(ITEM, f"{JSON}; charset={name}"), OK) for name in ("hex", "punycode")),
    Row(37, "100,000 levels", whole(b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", JSON),
        NotJSON, config={"max_body": 10**6}, **FINAL),
    Row(38, "an integer of 5,000 digits", whole(b'{"data":{"id":' + b"9" * 5000 + b"}}", JSON),
        WrongShape, **FINAL),
    *(Row(39, body, whole(body.encode(), JSON), WrongShape, **FINAL)
      for body in ("null", "[]", '"x"', "1e400", '"\\ud800"')),
    Row(40, "an empty 200", whole(b"", JSON), EmptyBody, **BODY),
    Row(41, "a bomb", packed(gzip.compress(b"0" * 5_000_000)), TooLarge, **NEVER),
    Row(42, "a large body", whole(b"0" * 200_001), TooLarge, **NEVER),
    Row(42, "chunks without end", endless_chunks, TooLarge, **NEVER),
    *(Row(45, says, whole(b"", f"Location: {to}", status="302 Found"), UnexpectedRedirect, **NEVER)
      for says, to in LOCATIONS.items()),
]  # fmt: skip


def _cases() -> Iterator[Any]:
    for row in ROWS:
        if PYTHON_PARSER and row.python is not None:
            row = attrs.evolve(row, **row.python)
        marks = dict(zip(CALLS, row.resent.split(), strict=True))
        # A deletion has no documented body; one that comes all the same is looked at as a GET's,
        # and nothing (40), an object (19, 38) or a 204 (24) is fine.
        if marks["DELETE"] == "-" and row.number not in (19, 24, 38, 40):
            marks["DELETE"] = marks["GET"]
        for method, mark in marks.items():
            yield pytest.param(row, method, mark, False, id=f"{row}-{method}")
        if marks["PATCH"] == "o":
            yield pytest.param(row, "PATCH", "y", True, id=f"{row}-PATCH opted in")


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("row", "method", "mark", "repeat_patch"), list(_cases()))
async def test_a_fault_is_its_error_and_is_sent_again_only_where_that_is_safe(
    row: Row, method: str, mark: str, repeat_patch: bool
) -> None:
    script = Faulty(row.script)
    config = {
        "max_body": 200_000,
        "retry": without_waiting(repeat_patch=repeat_patch),
        **row.config,
    }
    async with serving(script) as server, client(server.url, **config) as cmb:
        if row.error is OK or (mark == "-" and method == "DELETE"):
            await CALLS[method](cmb)
            assert len(server.requests) == 1
        else:
            with pytest.raises(CallMeBackError) as caught:
                await CALLS[method](cmb)
            error = caught.value
            kinds = row.error if isinstance(row.error, tuple) else (row.error,)
            assert type(error) in kinds
            # A status to a write that does not refuse it may be a gateway's.
            odd = method != "GET" and isinstance(error, HTTPStatusError)
            assert error.sent in ("maybe" if odd else row.sent)
            assert len(server.requests) == (ATTEMPTS if mark == "y" else 1)
            assert error.attempts == len(server.requests)
            if method in ("POST", "PATCH"):
                assert not error.retryable
                assert "look before" in str(error)
            elif mark == "y":
                assert error.retryable
        script.fixed = True
        assert await cmb.ping() == {}
