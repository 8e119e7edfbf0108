"""Bytes that a server might send, and damaged ones: JSON payloads and HTTP responses."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

import attrs

from benchmarks.harness.peer import http
from voipstudio_cmb.models import Setting

NAMES = (*(field.alias or "" for field in attrs.fields(Setting)), "extra", "_row", "", "é", "a b")

ODD = (
    None, True, False, 0, -0.0, 1, -1, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**400,
    0.1, 1e16, 1e-320, 1.7976931348623157e308, "", "0", "1", "true", "null", "100.00", "NaN",
    "2026-01-01 00:00:00", "2026-13-01 00:00:00", "0000-00-00 00:00:00", "2026-01-01T00:00:00Z",
    "Zoë 🚀", "\u0000", "\u2028", "\ud800", "x" * 5000, [], {}, [[]], {"": None}, [1, "1", 1.0],
)  # fmt: skip
RAW = (
    b"NaN", b"-Infinity", b"1e400", b"-1e-400", b"1E5", b"\"\\ud800\"", b"\"\\udc00x\"", b"\xff",
    b"\xef\xbb\xbf", b"\x00", b"\"\\", b"[" * 2000, b"{\"a\":" * 2000, b"9" * 5000, b"//", b",,",
    b"\"id\":", b"\"data\":", b"\"total\":", b"0x1", b"01", b"'", b"\xed\xa0\x80",
)  # fmt: skip


def _value(rng: random.Random, depth: int = 0) -> Any:
    draw = rng.random()
    if depth < 4 and draw < 0.05:
        return [_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]
    if depth < 4 and draw < 0.1:
        return {rng.choice(NAMES): _value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    if draw < 0.2:
        return rng.randint(-(10**6), 10**6)
    if draw < 0.25:
        return rng.uniform(-1e6, 1e6)
    return rng.choice(ODD)


def _row(rng: random.Random) -> Any:
    if rng.random() < 0.02:
        return _value(rng)
    row = {"id": rng.randint(1, 10**9) if rng.random() < 0.97 else _value(rng)}
    for name in rng.sample(NAMES, rng.randint(0, len(NAMES))):
        if name != "id":
            row[name] = _value(rng)
    return row


def _envelope(rng: random.Random) -> Any:
    draw = rng.random()
    if draw < 0.03:
        return _value(rng)
    if draw < 0.08:
        errors = [{"message": _value(rng), "field": _value(rng)} for _ in range(rng.randint(0, 3))]
        return {"message": _value(rng), "errors": errors if rng.random() < 0.8 else _value(rng)}
    envelope: dict[str, Any] = {"total": rng.choice((3, "3", -1, None, 2**70, 1.5, True, []))}
    if rng.random() < 0.7:
        envelope["data"] = [_row(rng) for _ in range(rng.choice((0, 1, 3, 8)))]
    else:
        envelope["data"] = _row(rng)
    return envelope


def mutated(rng: random.Random, complete: bytes) -> bytes:
    """Returns `complete` with a few bytes flipped, cut out, doubled, inserted or replaced."""
    text = bytearray(complete)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.choice((1, 1, 4, 40)))
        how = rng.randrange(6)
        if how == 0 and at < len(text):
            text[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del text[at:end]
        elif how == 2:
            text[at:at] = text[at:end]
        elif how == 3:
            text[at:at] = rng.choice(RAW)
        elif how == 4:
            text[at:end] = rng.randbytes(end - at)
        elif rng.random() < 0.2:
            del text[at:]
    return bytes(text)


def payloads(count: int, seed: int) -> Iterator[bytes]:
    """JSON payloads, half of them as a server might send them and half of them damaged."""
    rng = random.Random(seed)
    for _ in range(count):
        complete = json.dumps(_envelope(rng), ensure_ascii=rng.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
        yield mutated(rng, complete) if rng.random() < 0.5 else complete


BODY = b'{"data": [{"id": 1, "name": "Zo\xc3\xab"}, {"id": 2, "name": null}], "total": 2}'
CHUNKED = b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
VALID = (
    http(BODY),
    http(gzip.compress(BODY, mtime=0), "200 OK", "Content-Encoding: gzip"),
    http(b"", "204 No Content"),
    http(b'{"message": "no"}', "400 Bad Request", "X-Request-Id: 1"),
    http(b'{"message": "slow"}', "429 Too Many Requests", "Retry-After: 1"),
    http(b"<html>", "503 Service Unavailable", "Connection: close"),
    http(b"", "302 Found", "Location: https://elsewhere.example/"),
    b"HTTP/1.1 200 OK" + CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    b"HTTP/1.1 200 OK" + CHUNKED + b'5;x=y\r\n{"dat\r\n9\r\na": [], "t\r\n0\r\nA: b\r\n\r\n',
    b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY,
)
HTTP_BITS = (
    b"\r\n", b"\n", b"\r", b"\x00", b":", b" ", b"\r\n\r\n", b"Content-Length: 5\r\n", b"0\r\n\r\n",
    b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: br\r\n", b"Content-Encoding: x\r\n", b"HTTP/1.1 200 OK\r\n", b"101", b"99",
    b"HTTP/1.1 103 Early\r\n\r\n", b"A" * 9000, b"A: b\r\n" * 200, b"ffffffffffffffff\r\n", b";",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Set-Cookie: a=b\r\n", b"\xff\xfe", b"z\r\n",
    b"Content-Type: x; charset=hex\r\n", b"Location: //[\r\n", b"Retry-After: nan\r\n",
)  # fmt: skip


def segments(rng: random.Random) -> tuple[bytes, ...]:
    """An HTTP response, damaged or not, in the segments that carry it."""
    complete = rng.choice(VALID)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        if rng.random() < 0.5:
            complete = mutated(rng, complete)
        else:
            at = rng.randint(0, len(complete))
            complete = complete[:at] + rng.choice(HTTP_BITS) + complete[at:]
    cuts = sorted(rng.randint(0, len(complete)) for _ in range(rng.choice((0, 0, 1, 3))))
    return tuple(
        part
        for start, end in zip([0, *cuts], [*cuts, len(complete)], strict=True)
        if (part := complete[start:end])
    )
