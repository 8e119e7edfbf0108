"""Claim: no bytes that a server can send, as JSON or as HTTP, get past the documented exceptions,
hang the client, or make it grow; and what decodes gives back the row as it was sent.

`--payloads` go through the decoder and the records, `--bytes` through a session over loopback. Run
it a second time with AIOHTTP_NO_EXTENSIONS=1 for aiohttp's other parser.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import attrs
from aiohttp import http_parser

from benchmarks.harness.peer import Asked, Reply, http, serving
from voipstudio_cmb.answers import read_item, read_messages, read_page, read_total
from voipstudio_cmb.codec import to_dict
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import BadPayload, CallMeBackError
from voipstudio_cmb.http import Call, Request, Response
from voipstudio_cmb.models import Button, Cdr, Record, Setting, Visitor, Website
from voipstudio_cmb.session import Session

RECORDS: tuple[type[Record], ...] = (Website, Setting, Cdr, Visitor, Button)
NAMES = (*(field.alias or "" for field in attrs.fields(Setting)), "extra", "_row", "", "é", "a b")
SLOWEST = 1.0
GROWTH = 32 * 2**20


def resident() -> int:
    """Bytes of memory that this process holds now."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:  # no Linux: the most that it ever held
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


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
    answer: dict[str, Any] = {"total": rng.choice((3, "3", -1, None, 2**70, 1.5, True, []))}
    if rng.random() < 0.7:
        answer["data"] = [_row(rng) for _ in range(rng.choice((0, 1, 3, 8)))]
    else:
        answer["data"] = _row(rng)
    return answer


def mutated(rng: random.Random, whole: bytes) -> bytes:
    """*whole* with a few bytes flipped, cut out, doubled, inserted or replaced."""
    text = bytearray(whole)
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
        whole = json.dumps(_envelope(rng), ensure_ascii=rng.random() < 0.5).encode(
            "utf-8", "surrogatepass"
        )
        yield mutated(rng, whole) if rng.random() < 0.5 else whole


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and so are their types and the order of their keys."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and repr(one) == repr(other)  # which tells -0.0 from 0.0


def _exact(text: str) -> Any:
    """A float, or what a float can't hold as it was written."""
    number = float(text)
    return number if abs(number) != float("inf") else Decimal(text)


@attrs.define
class Findings:
    """What a campaign has met, and what it should not have met."""

    met: Counter[str] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)
    slowest: float = 0.0

    def note(self, said: str) -> None:
        if len(self.wrong) < 20:
            print(f"  {said}"[:600])
        self.wrong.append(said)


def _decode(
    findings: Findings, body: bytes, what: str, read: Callable[..., Any], *given: Any
) -> Any:
    began = time.perf_counter()
    found = None
    try:
        found = read(*given)
        findings.met[what] += 1
    except BadPayload as error:
        findings.met[type(error).__name__] += 1
    except Exception as error:
        findings.note(f"{what} raised {error!r} for {body!r}")
    took = time.perf_counter() - began
    findings.slowest = max(findings.slowest, took)
    if took > SLOWEST:
        findings.note(f"{what} took {took:.2f} s for {body!r}")
    return found


def _check_rows(findings: Findings, body: bytes, records: list[Any]) -> None:
    rows = json.loads(body, parse_float=_exact)["data"]
    rows = rows if isinstance(rows, list) else [rows]
    for record, row in zip(records, rows, strict=True):
        if not same(to_dict(record), row):
            findings.note(f"{to_dict(record)!r} is not {row!r}")


def fuzz_payloads(count: int, seed: int) -> Findings:
    """Sends *count* payloads through the decoder and the records."""
    findings, rng = Findings(), random.Random(f"records {seed}")
    for body in payloads(count, seed):
        response, record = Response(status=200, body=body), rng.choice(RECORDS)
        page = _decode(findings, body, "page", read_page, response, record, 1)
        if page is not None:
            _check_rows(findings, body, page.records)
        item = _decode(findings, body, "item", read_item, response, record)
        if item is not None:
            _check_rows(findings, body, [item])
        _decode(findings, body, "total", read_total, response)
        _decode(findings, body, "messages", read_messages, body)
    return findings


WHOLE = b'{"data": [{"id": 1, "name": "Zo\xc3\xab"}, {"id": 2, "name": null}], "total": 2}'
CHUNKED = b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
VALID = (
    http(WHOLE),
    http(gzip.compress(WHOLE, mtime=0), "200 OK", "Content-Encoding: gzip"),
    http(b"", "204 No Content"),
    http(b'{"message": "no"}', "400 Bad Request", "X-Request-Id: 1"),
    http(b'{"message": "slow"}', "429 Too Many Requests", "Retry-After: 1"),
    http(b"<html>", "503 Service Unavailable", "Connection: close"),
    http(b"", "302 Found", "Location: https://elsewhere.example/"),
    b"HTTP/1.1 200 OK" + CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(WHOLE), WHOLE),
    b"HTTP/1.1 200 OK" + CHUNKED + b'5;x=y\r\n{"dat\r\n9\r\na": [], "t\r\n0\r\nA: b\r\n\r\n',
    b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + WHOLE,
)
HTTP_BITS = (
    b"\r\n", b"\n", b"\r", b"\x00", b":", b" ", b"\r\n\r\n", b"Content-Length: 5\r\n", b"0\r\n\r\n",
    b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: gzip\r\n",
    b"Content-Encoding: br\r\n", b"Content-Encoding: x\r\n", b"HTTP/1.1 200 OK\r\n", b"101", b"99",
    b"HTTP/1.1 103 Early\r\n\r\n", b"A" * 9000, b"A: b\r\n" * 200, b"ffffffffffffffff\r\n", b";",
    b"Upgrade: websocket\r\nConnection: upgrade\r\n", b"Set-Cookie: a=b\r\n", b"\xff\xfe", b"z\r\n",
    b"Content-Type: x; charset=hex\r\n", b"Location: //[\r\n", b"Retry-After: nan\r\n",
)  # fmt: skip


def _segments(rng: random.Random) -> tuple[bytes, ...]:
    whole = rng.choice(VALID)
    for _ in range(rng.choice((0, 1, 1, 2, 4))):
        if rng.random() < 0.5:
            whole = mutated(rng, whole)
        else:
            at = rng.randint(0, len(whole))
            whole = whole[:at] + rng.choice(HTTP_BITS) + whole[at:]
    cuts = sorted(rng.randint(0, len(whole)) for _ in range(rng.choice((0, 0, 1, 3))))
    return tuple(
        part
        for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)
        if (part := whole[start:end])
    )


async def fuzz_bytes(count: int, seed: int, timeout: float = 0.4, at_once: int = 32) -> Findings:
    """Sends *count* damaged answers to a session, several at once."""
    findings, rng = Findings(), random.Random(seed)
    clock = asyncio.get_running_loop().time
    sent: dict[str, Reply] = {}

    def answer(asked: Asked) -> Reply:
        return sent.get(asked.path, Reply(end="close"))

    async def attempt(session: Session, number: int, method: str) -> None:
        body = b"{}" if method in ("POST", "PATCH") else None
        request = Request(method=method, path=f"/{number}", body=body, call=Call(timeout=timeout))
        began = clock()
        try:
            response = await session(request)
            findings.met[f"{response.status // 100}xx"] += 1
        except CallMeBackError as error:
            findings.met[type(error).__name__] += 1
        except Exception as error:
            findings.note(f"{error!r} for {sent[request.path]}")
        took = clock() - began
        findings.slowest = max(findings.slowest, took)
        if took > 1.1 * timeout + 0.05:
            findings.note(f"{took:.3f} s for {sent[request.path]}")

    left = iter(range(count))

    async def worker(session: Session) -> None:
        for number in left:
            sent[f"/{number}"] = Reply(
                parts=_segments(rng), pause=0.001, end=rng.choice(("keep", "close", "reset"))
            )
            await attempt(session, number, rng.choice(("GET", "GET", "POST", "PATCH", "DELETE")))
            del sent[f"/{number}"]

    async with serving(answer) as (_, port):
        session = Session(f"http://127.0.0.1:{port}", ClientConfig(connections=at_once))
        try:
            await asyncio.gather(*(worker(session) for _ in range(at_once)))
        finally:
            await session.aclose()
    return findings


def _report(what: str, count: int, run: Callable[[], Findings]) -> bool:
    before, began = resident(), time.monotonic()
    findings = run()
    grown, took = resident() - before, time.monotonic() - began
    if grown > GROWTH:
        findings.note(f"the process has grown by {grown / 2**20:.1f} MiB")
    print(
        f"{count} {what} in {took:.1f} s: {len(findings.wrong)} wrong, slowest "
        f"{findings.slowest * 1000:.1f} ms, memory {grown / 2**20:+.1f} MiB"
    )
    print("  met:", ", ".join(f"{name} {n}" for name, n in findings.met.most_common()))
    return not findings.wrong


def run(payload_count: int, byte_count: int, seed: int) -> bool:
    """Runs both campaigns and prints their figures; returns whether the claim holds."""
    fuzz_payloads(300, seed + 1)  # what is made once and kept is no growth
    fine = _report("payloads", payload_count, lambda: fuzz_payloads(payload_count, seed))
    parser = "C" if http_parser.HttpResponseParser is not http_parser.HttpResponseParserPy else "PY"
    raw = _report(
        f"answers ({parser} parser)", byte_count, lambda: asyncio.run(fuzz_bytes(byte_count, seed))
    )
    print("the claim holds" if fine and raw else "the claim does NOT hold")
    return fine and raw


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.fuzz", description=__doc__
    )
    parser.add_argument("--payloads", type=int, default=100_000)
    parser.add_argument("--bytes", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    return not run(given.payloads, given.bytes, given.seed)


if __name__ == "__main__":
    sys.exit(main())
