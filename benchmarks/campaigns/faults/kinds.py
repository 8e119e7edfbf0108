"""The faults: what goes wrong on the wire, and what an attempt may end with."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from typing import Any

import attrs

from benchmarks.harness.peer import Reply, http

Make = Callable[[random.Random, bytes], Reply]


@attrs.frozen
class Kind:
    """A fault: how its reply is made, and how the attempt that meets it may end."""

    name: str
    make: Make
    """Makes the reply from the well-formed response."""
    errors: tuple[str, ...]
    """The names of the errors that the attempt may end with; "" is a success."""
    acts: tuple[bool, ...] = (True,)
    """Whether the server carries the request out; drawn where there are two."""
    methods: tuple[str, ...] = ("GET", "POST", "PATCH", "DELETE")


def _body(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def _chunked(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"%x\r\n%s\r\n" % (len(body), body)


def _ends(rng: random.Random) -> Any:
    return rng.choice(("close", "reset"))


def _hang_up(rng: random.Random, response: bytes) -> Reply:
    return Reply(end=_ends(rng), delay=rng.choice((0.0, 0.01)))


def _cut_head(rng: random.Random, response: bytes) -> Reply:
    head = response.partition(b"\r\n\r\n")[0]
    return Reply(parts=(head[: rng.randint(1, len(head))],), pause=0.001, end=_ends(rng))


def _cut_body(rng: random.Random, response: bytes) -> Reply:
    complete = response if _body(response) else http(b'{"data": {}, "links": {}}')
    head, body = complete.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", _body(complete)
    cut = head + body[: rng.randint(0, len(body) - 1)]
    return Reply(parts=(cut,), pause=rng.choice((0.0, 0.001)), end=_ends(rng))


def _cut_chunked(rng: random.Random, response: bytes) -> Reply:
    complete = _chunked(_body(response) or b"{}")
    first = complete.index(b"\r\n\r\n") + 4
    return Reply(parts=(complete[: rng.randint(first, len(complete))],), pause=0.001, end="close")


def _bad_chunk(rng: random.Random, response: bytes) -> Reply:
    end = rng.choice(("keep", "close"))
    return Reply(
        parts=(_chunked(_body(response) or b"{}"), b"zz\r\nwhat\r\n"), pause=0.001, end=end
    )


def _late_bad_chunk(rng: random.Random, response: bytes) -> Reply:
    """A chunk that is none, in a later segment than the headers and the first chunks."""
    body = _body(response) or b'{"data": {}, "links": {}}'
    cut = rng.randint(1, len(body) - 1)
    later = b"%x\r\n%s\r\n" % (len(body) - cut, body[cut:])
    bad = rng.choice((b"zz\r\nwhat\r\n", b"-1\r\n", later[:-2] + b"what\r\n"))
    parts = (
        (_chunked(body[:cut]), later, bad) if rng.random() < 0.5 else (_chunked(body[:cut]), bad)
    )
    return Reply(parts=parts, pause=rng.choice((0.001, 0.05, 0.3)), end=_ends(rng))


def _slow(rng: random.Random, response: bytes) -> Reply:
    first, second = sorted(rng.randint(1, len(response)) for _ in range(2))
    parts = (response[:first], response[first:second], response[second:])
    return Reply(parts=parts, delay=rng.uniform(0, 2), pause=rng.uniform(0, 1))


def _any_of(*replies: bytes) -> Make:
    return lambda rng, response: Reply(parts=(rng.choice(replies),))


def scripted(status: str, *headers: str) -> bytes:
    return http(b'{"message": "scripted"}', status, *headers)


def _compressed(mangle: Callable[[random.Random, bytes], bytes]) -> Make:
    def make(rng: random.Random, response: bytes) -> Reply:
        mangled = mangle(rng, gzip.compress(_body(response) or b'{"data": {}, "links": {}}'))
        return Reply(parts=(http(mangled, "200 OK", "Content-Encoding: gzip"),))

    return make


def _gzip_cut(rng: random.Random, packed: bytes) -> bytes:
    return packed[: rng.randint(1, len(packed) - 9)]


def _gzip_garbage(rng: random.Random, packed: bytes) -> bytes:
    return b"\x1f\x8b\x08" + rng.randbytes(len(packed))


def _stray(*replies: bytes) -> Make:
    def make(rng: random.Random, response: bytes) -> Reply:
        stray = rng.choice(replies)
        if stray.startswith(b"HTTP/1.1 20"):
            # If it came during the next request, nobody could tell it from that one's response.
            return Reply(parts=(response, stray), pause=rng.uniform(0.001, 0.2), idly=True)
        if rng.random() < 0.3:
            return Reply(parts=(response + stray,))
        return Reply(parts=(response, stray), pause=rng.choice((0.0, 0.001, 0.2)))

    return make


def _then_closes(rng: random.Random, response: bytes) -> Reply:
    return Reply(parts=(response,), pause=rng.choice((0.0001, 0.001, 0.1)), end=_ends(rng))


LOST = ("ConnectionLost",)
# How a request may end whose response comes after something unsolicited.
STALE = (
    "", "ConnectionLost", "ProtocolFault", "UnexpectedStatus", "NotJSON", "RequestTimeout",
    "WrongShape", "EmptyBody",
)  # fmt: skip
# A cut may remove only the check sum, and a deletion needs no content: both are successes.
UNPACKED = ("", "BadPayload", "NotJSON", "EmptyBody")
MAYBE = (True, False)
GATEWAYS = tuple(
    http(
        body % status, f"{status} Gateway", "Content-Type: text/html", *(["Server: proxy"] * named)
    )
    for status in (500, 502, 503, 504, *range(520, 528))
    for named, body in enumerate(
        (
            b"<html><body><h1>%d Gateway Time-out</h1>\nThe server didn't respond.\n</body></html>",
            b"<html>\r\n<head><title>%d</title></head>\r\n<body>\r\n</body>\r\n</html>\r\n",
        )
    )
)
"""What proxies say that have passed a request on, and then given up on it."""
BUSY = tuple(
    http(
        b"<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>\r\n<body>\r\n"
        b"<center><h1>503 Service Temporarily Unavailable</h1></center>\r\n</body>\r\n</html>\r\n",
        "503 Service Temporarily Unavailable",
        "Content-Type: text/html",
        *more,
    )
    for more in ((), ("Retry-After: 1",))
)
"""What a proxy says that limits the rate, and passes nothing on."""
HTML = http(b"<html><body>Down for maintenance</body></html>")
FAILING = tuple(
    scripted(f"{status} Failing", *more)
    for status in (500, 502, 503, 504, 520, 527, 529)
    for more in ((), ("Retry-After: 1",))
)
RETRY_AFTER = (
    "0",
    "0.05",
    "1",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "-1",
    "nan",
    "inf",
    "120s",
    "5, 10",
    "",
)
SLOW_DOWN = tuple(scripted("429 Too Many Requests", f"Retry-After: {text}") for text in RETRY_AFTER)

KINDS = (
    Kind("hang up", _hang_up, LOST, MAYBE),
    Kind("cut head", _cut_head, LOST, MAYBE),
    Kind("cut body", _cut_body, LOST),
    Kind("cut chunked", _cut_chunked, LOST),
    Kind("bad chunk", _bad_chunk, ("ProtocolFault", "ConnectionLost")),
    Kind("late bad chunk", _late_bad_chunk, ("ProtocolFault", "ConnectionLost")),
    Kind("slow", _slow, ("",)),
    Kind("429", _any_of(scripted("429 Slow Down"), *SLOW_DOWN), ("RateLimited",), (False,)),
    Kind(
        "429 for days",
        _any_of(scripted("429 Slow Down", "Retry-After: 200000")),
        ("RateLimited",),
        (False,),
    ),
    Kind(
        "broken 429",
        _any_of(b"HTTP/1.1 429 Too Many Requests\r\nno header\r\n\r\n"),
        ("ProtocolFault",),
        MAYBE,
    ),
    Kind("failing", _any_of(*FAILING), ("ServerFault",), MAYBE),
    Kind("gateway", _any_of(*GATEWAYS), ("ServerFault",), (True,)),
    Kind("503 throttling", _any_of(*BUSY), ("ServerFault", "RateLimited"), (False,)),
    Kind("408", _any_of(scripted("408 Timeout")), ("UnexpectedStatus",), MAYBE),
    # Who says so has not processed the request (RFC 8470, 5.2).
    Kind("425", _any_of(scripted("425 Too Early")), ("UnexpectedStatus",), (False,)),
    Kind("501", _any_of(scripted("501 Not Implemented")), ("ServerFault",), (False,)),
    Kind("html", _any_of(HTML), ("NotJSON",), MAYBE),
    Kind("empty", _any_of(http()), ("EmptyBody",), MAYBE, ("GET", "POST", "PATCH")),
    Kind("gzip cut", _compressed(_gzip_cut), UNPACKED),
    Kind("gzip garbage", _compressed(_gzip_garbage), UNPACKED),
    Kind(
        "wrong shape",
        _any_of(*map(http, (b"[]", b"null", b'{"error": "no"}', b'{"data": null}', b'"x"'))),
        ("WrongShape",),
        MAYBE,
        ("GET", "POST", "PATCH"),
    ),
    Kind(
        "redirect",
        _any_of(
            *(scripted(f"{n} Moved", "Location: http://127.0.0.1:1/") for n in (301, 302, 303, 307))
        ),
        ("UnexpectedRedirect",),
        (False,),
    ),
    Kind(
        "stray bytes",
        _stray(
            scripted("408 Timeout", "Connection: close"), b"\x00\x01garbage\r\n\r\n", b"HTTP/1.1 "
        ),
        ("", "ProtocolFault", "ConnectionLost"),
    ),
    Kind(
        "stray response",
        _stray(
            http(b'{"data": [{"id": 1}, {"id": 999}], "total": 2}'),
            http(b'{"data": [], "total": 0}'),
            http(b'{"data": {"id": 5003}, "links": {}}'),
            http(b"", "204 No Content"),
        ),
        ("", "ProtocolFault", "ConnectionLost"),
    ),
    Kind("then closes", _then_closes, ("",)),
    Kind("401", _any_of(scripted("401 Unauthorized")), ("Unauthorized",), (False,)),
    Kind("403", _any_of(scripted("403 Forbidden")), ("Forbidden",), (False,)),
)
UNSOLICITED = ("stray bytes", "stray response", "then closes")
"""The kinds that leave something on a connection that the next request may meet."""

FINE = Kind("fine", lambda rng, response: Reply(parts=(response,)), ("",))
