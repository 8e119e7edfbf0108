"""Claim: whatever goes wrong on the wire, a walk loses, doubles and reorders no row, a POST is
executed at most once, every failure is a documented exception that tells the truth, and what could
succeed within its attempts does.

Each schedule is a client of its own, one to four operations and a fault for a random share of their
requests, all drawn from one number. `--only NUMBER` runs a schedule alone and prints what it did.

An answer that nobody has asked for, and that crosses the next request on its way, can't be told
from the answer to that request by anybody: a schedule in which that happens is counted, not judged.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult

from benchmarks.harness.clocks import HurriedLoop
from benchmarks.harness.peer import Asked, Reply, dead_port, http, serving
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.codec import to_dict
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.observe import AttemptEvent, CallEvent
from voipstudio_cmb.retry import Backoff
from voipstudio_cmb.session import CleanRequest, send_once

COLLECTIONS = ("websites", "settings", "cdrs", "visitors")
IDEMPOTENT = ("GET", "DELETE")
GARBLED = 3

Make = Callable[[random.Random, bytes], Reply]


@attrs.frozen
class Kind:
    """A fault: how to make its reply from the well-formed one, and what may be made of it.

    *acts* says whether the server has carried the request out. *errors* are the names of what the
    attempt may end with; "" is a success.
    """

    name: str
    make: Make
    errors: tuple[str, ...]
    acts: tuple[bool, ...] = (True,)
    methods: tuple[str, ...] = ("GET", "POST", "PATCH", "DELETE")


def _body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


def _chunked(body: bytes, *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + b"%x\r\n%s\r\n" % (len(body), body)


def _ends(rng: random.Random) -> Any:
    return rng.choice(("close", "reset"))


def _hang_up(rng: random.Random, answer: bytes) -> Reply:
    return Reply(end=_ends(rng), delay=rng.choice((0.0, 0.01)))


def _cut_head(rng: random.Random, answer: bytes) -> Reply:
    head = answer.partition(b"\r\n\r\n")[0]
    return Reply(parts=(head[: rng.randint(1, len(head))],), pause=0.001, end=_ends(rng))


def _cut_body(rng: random.Random, answer: bytes) -> Reply:
    whole = answer if _body(answer) else http(b'{"data": {}, "links": {}}')
    head, body = whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", _body(whole)
    cut = head + body[: rng.randint(0, len(body) - 1)]
    return Reply(parts=(cut,), pause=rng.choice((0.0, 0.001)), end=_ends(rng))


def _cut_chunked(rng: random.Random, answer: bytes) -> Reply:
    whole = _chunked(_body(answer) or b"{}")
    first = whole.index(b"\r\n\r\n") + 4
    return Reply(parts=(whole[: rng.randint(first, len(whole))],), pause=0.001, end="close")


def _bad_chunk(rng: random.Random, answer: bytes) -> Reply:
    end = rng.choice(("keep", "close"))
    return Reply(parts=(_chunked(_body(answer) or b"{}"), b"zz\r\nwhat\r\n"), pause=0.001, end=end)


def _slow(rng: random.Random, answer: bytes) -> Reply:
    first, second = sorted(rng.randint(1, len(answer)) for _ in range(2))
    parts = (answer[:first], answer[first:second], answer[second:])
    return Reply(parts=parts, delay=rng.uniform(0, 2), pause=rng.uniform(0, 1))


def _answers(*replies: bytes) -> Make:
    return lambda rng, answer: Reply(parts=(rng.choice(replies),))


def _says(status: str, *headers: str) -> bytes:
    return http(b'{"message": "scripted"}', status, *headers)


def _compressed(mangle: Callable[[random.Random, bytes], bytes]) -> Make:
    def make(rng: random.Random, answer: bytes) -> Reply:
        mangled = mangle(rng, gzip.compress(_body(answer) or b'{"data": {}, "links": {}}'))
        return Reply(parts=(http(mangled, "200 OK", "Content-Encoding: gzip"),))

    return make


def _gzip_cut(rng: random.Random, packed: bytes) -> bytes:
    return packed[: rng.randint(1, len(packed) - 9)]


def _gzip_garbage(rng: random.Random, packed: bytes) -> bytes:
    return b"\x1f\x8b\x08" + rng.randbytes(len(packed))


def _stray(*replies: bytes) -> Make:
    def make(rng: random.Random, answer: bytes) -> Reply:
        stray = rng.choice(replies)
        if stray.startswith(b"HTTP/1.1 20"):
            # One that comes when the next request is under way can't be told from its answer.
            return Reply(parts=(answer, stray), pause=rng.uniform(0.001, 0.2), idly=True)
        if rng.random() < 0.3:
            return Reply(parts=(answer + stray,))
        return Reply(parts=(answer, stray), pause=rng.choice((0.0, 0.001, 0.2)))

    return make


def _then_closes(rng: random.Random, answer: bytes) -> Reply:
    return Reply(parts=(answer,), pause=rng.choice((0.0001, 0.001, 0.1)), end=_ends(rng))


LOST = ("ConnectionLost",)
# What may become of a request whose answer comes behind something that nobody asked for.
STALE = (
    "", "ConnectionLost", "ProtocolFault", "UnexpectedStatus", "NotJSON", "RequestTimeout",
    "WrongShape", "EmptyBody",
)  # fmt: skip
# A cut may miss nothing but the check sum, and a deletion needs no content: both are successes.
UNPACKED = ("", "BadPayload", "NotJSON", "EmptyBody")
MAYBE = (True, False)
HTML = http(b"<html><body>Down for maintenance</body></html>")
FAILING = tuple(
    _says(f"{status} Failing", *more)
    for status in (500, 502, 503, 504, 520, 527, 529)
    for more in ((), ("Retry-After: 1",))
)
ASKED = ("0", "0.05", "1", "Thu, 01 Jan 1970 00:00:00 GMT", "-1", "nan", "inf", "120s", "5, 10", "")
SLOW_DOWN = tuple(_says("429 Too Many Requests", f"Retry-After: {text}") for text in ASKED)

KINDS = (
    Kind("hang up", _hang_up, LOST, MAYBE),
    Kind("cut head", _cut_head, LOST, MAYBE),
    Kind("cut body", _cut_body, LOST),
    Kind("cut chunked", _cut_chunked, LOST),
    Kind("bad chunk", _bad_chunk, ("RequestTimeout", "ProtocolFault", "ConnectionLost")),
    Kind("slow", _slow, ("",)),
    Kind("429", _answers(_says("429 Slow Down"), *SLOW_DOWN), ("RateLimited",), (False,)),
    Kind(
        "429 for days",
        _answers(_says("429 Slow Down", "Retry-After: 200000")),
        ("RateLimited",),
        (False,),
    ),
    Kind(
        "broken 429",
        _answers(b"HTTP/1.1 429 Too Many Requests\r\nno header\r\n\r\n"),
        ("ProtocolFault",),
        MAYBE,
    ),
    Kind("failing", _answers(*FAILING), ("ServerFault",), MAYBE),
    Kind("408", _answers(_says("408 Timeout"), _says("425 Early")), ("UnexpectedStatus",), MAYBE),
    Kind("501", _answers(_says("501 Not Implemented")), ("ServerFault",), (False,)),
    Kind("html", _answers(HTML), ("NotJSON",), MAYBE),
    Kind("empty", _answers(http()), ("EmptyBody",), MAYBE, ("GET", "POST", "PATCH")),
    Kind("gzip cut", _compressed(_gzip_cut), UNPACKED),
    Kind("gzip garbage", _compressed(_gzip_garbage), UNPACKED),
    Kind(
        "wrong shape",
        _answers(*map(http, (b"[]", b"null", b'{"error": "no"}', b'{"data": null}', b'"x"'))),
        ("WrongShape",),
        MAYBE,
        ("GET", "POST", "PATCH"),
    ),
    Kind(
        "redirect",
        _answers(
            *(_says(f"{n} Moved", "Location: http://127.0.0.1:1/") for n in (301, 302, 303, 307))
        ),
        ("UnexpectedRedirect",),
        (False,),
    ),
    Kind(
        "stray bytes",
        _stray(_says("408 Timeout", "Connection: close"), b"\x00\x01garbage\r\n\r\n", b"HTTP/1.1 "),
        ("", "ProtocolFault", "ConnectionLost"),
    ),
    Kind(
        "stray answer",
        _stray(
            http(b'{"data": [{"id": 1}, {"id": 999}], "total": 2}'),
            http(b'{"data": [], "total": 0}'),
            http(b'{"data": {"id": 5003}, "links": {}}'),
            http(b"", "204 No Content"),
        ),
        ("", "ProtocolFault", "ConnectionLost"),
    ),
    Kind("then closes", _then_closes, ("",)),
    Kind("401", _answers(_says("401 Unauthorized")), ("Unauthorized",), (False,)),
    Kind("403", _answers(_says("403 Forbidden")), ("Forbidden",), (False,)),
)
BY_NAME = {kind.name: kind for kind in KINDS}
FINE = Kind("fine", lambda rng, answer: Reply(parts=(answer,)), ("",))


@attrs.frozen
class Seen:
    """A request at the server: what it met, and whether its socket held something from before."""

    kind: Kind
    acted: bool
    stale: bool
    status: int


class Truth:
    """The server of one schedule: rows, a plan of faults, and what really happened."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.seed = seed
        self.rate = rng.choice((0.0, 0.1, 0.3, 0.6))
        self.closing = rng.random() < 0.25
        self.missing = rng.choice((404, 403))
        self.total = rng.random() < 0.8
        self.cap = rng.choice((3, 10**6))
        self.sorts, self.filters = rng.random() < 0.7, rng.random() < 0.7
        self.rows: dict[str, list[dict[str, Any]]] = {}
        for name in COLLECTIONS:
            ids = sorted(rng.sample(range(1, 1000), rng.choice((0, 1, 7, 20, 45))))
            self.rows[name] = [{"id": id, "name": f"{name} {id}", "more": [id]} for id in ids]
        self.items = {("settings", id) for id in (5001, 5002)} | {("buttons", 6001)}
        self.seen: dict[str, list[Seen]] = {}
        self.executed: Counter[str] = Counter()
        self.crossed = False

    def answer(self, asked: Asked, path: str) -> Reply:
        page = asked.query.get("page")
        key = f"{asked.method} {path}" + (f" page {page}" if page else "")
        before = self.seen.setdefault(key, [])
        rng = random.Random(f"{self.seed} {key} {len(before)}")
        fits = [kind for kind in KINDS if asked.method in kind.methods]
        kind = rng.choice(fits) if rng.random() < self.rate else FINE
        stale = "stale" in asked.connection
        # The time that both ends take for what is due at once; a wait that is skipped is longer.
        if asked.connection.get("spoke", -math.inf) > asyncio.get_running_loop().time() - 0.01:
            self.crossed = True
        acted = rng.choice(kind.acts)
        whole = self._act(asked, path, key) if acted else http(b"{}")
        if kind.errors == ("",) and self.closing and kind is not BY_NAME["then closes"]:
            head, _, body = whole.partition(b"\r\n\r\n")
            whole = head + b"\r\nConnection: close\r\n\r\n" + body
        if kind.name in ("stray bytes", "stray answer", "then closes"):
            asked.connection["stale"] = True
        reply = kind.make(rng, whole)
        if self.closing and kind is FINE:
            reply = attrs.evolve(reply, end="close")
        before.append(Seen(kind, acted, stale, int(whole.split(b" ", 2)[1])))
        return reply

    def _rows(self, resource: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """The rows that are asked for, as far as this server listens."""
        rows = self.rows[resource]
        for condition in json.loads(query.get("filter", "[]")) if self.filters else ():
            bound = condition["value"]
            above = condition["operator"] == "gt"
            rows = [row for row in rows if (row["id"] > bound if above else row["id"] <= bound)]
        return rows[::-1] if self.sorts and query.get("dir") == "DESC" else rows

    def _act(self, asked: Asked, path: str, key: str) -> bytes:
        self.executed[key] += 1
        _, resource, *rest = path.strip("/").split("/")
        if not rest and asked.method == "GET":
            size, page = int(asked.query["limit"]), int(asked.query["page"])
            size = min(size, self.cap)
            rows = self._rows(resource, asked.query)
            content: dict[str, Any] = {"data": rows[(page - 1) * size : page * size]}
            if self.total:
                content["total"] = len(rows)
            return http(json.dumps(content).encode())
        if asked.method == "POST":
            return _item({"id": 7000, **json.loads(asked.body)}, "201 Created")
        id = int(rest[0])
        if (resource, id) not in self.items:
            status = self.missing if asked.method == "DELETE" else 404
            return _says(f"{status} Not There")
        if asked.method == "DELETE":
            self.items.discard((resource, id))
            return http(b"", "204 No Content")
        sent = json.loads(asked.body) if asked.body else {}
        return _item({"id": id, "name": f"{resource} {id}", **sent})


def _item(row: dict[str, Any], status: str = "200 OK") -> bytes:
    return http(json.dumps({"data": row, "links": {}}).encode(), status)


class Ports(AbstractResolver):
    """Sends a share of all connections to a port where nobody listens."""

    def __init__(self, rng: random.Random, rate: float, live: int, dead: int) -> None:
        self._draw = lambda: dead if rng.random() < rate else live

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = ResolveResult(
            hostname=host, host="127.0.0.1", port=self._draw(), family=family, proto=0, flags=0
        )
        return [found]

    async def close(self) -> None:
        pass


@attrs.define
class Result:
    """What became of a schedule: *wrong* says what should not have been."""

    seed: int
    outcomes: Counter[str] = attrs.field(factory=Counter)
    kinds: Counter[str] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)
    rows: int = 0
    requests: int = 0
    log: list[str] = attrs.field(factory=list)

    def check(self, holds: bool, said: str) -> None:
        if not holds:
            self.wrong.append(said)


Operation = Callable[[], Awaitable[None]]


class Schedule:
    """A client, its operations, and the checks of what they gave."""

    def __init__(self, seed: int, truth: Truth, client: CallMeBackClient, window_max: int) -> None:
        self.unsent: list[tuple[str, str]] = []
        self.truth = truth
        self.client = client
        self.rng = random.Random(f"operations {seed}")
        self.window_max = window_max
        self.result = Result(seed)

    def operations(self) -> list[Operation]:
        client, rng = self.client, self.rng
        chosen: list[Operation] = []
        for name in rng.sample(COLLECTIONS, rng.choice((0, 1, 1, 2))):
            window, limit = rng.randint(1, self.window_max), rng.randint(1, 12)
            chosen.append(lambda name=name, w=window, n=limit: self._walk(name, w, n))
        singles: list[tuple[str, Callable[[], Awaitable[Any]], dict[str, Any] | None]] = [
            (
                "GET /callmeback/settings/5001",
                lambda: client.settings.get(5001),
                {"id": 5001, "name": "settings 5001"},
            ),
            (
                "POST /callmeback/settings",
                lambda: client.settings.create(name="a"),
                {"id": 7000, "name": "a"},
            ),
            (
                "POST /callmeback/buttons",
                lambda: client.buttons.create(name="b"),
                {"id": 7000, "name": "b"},
            ),
            (
                "PATCH /callmeback/settings/5001",
                lambda: client.settings.update(5001, name="c"),
                {"id": 5001, "name": "c"},
            ),
            ("DELETE /callmeback/settings/5002", lambda: client.settings.delete(5002), None),
            ("DELETE /callmeback/buttons/6001", lambda: client.buttons.delete(6001), None),
        ]
        for key, call, row in rng.sample(singles, rng.choice((1, 2)) if chosen else 2):
            chosen.append(lambda key=key, call=call, row=row: self._single(key, call, row))
        rng.shuffle(chosen)
        return chosen

    async def run(self) -> None:
        operations = self.operations()
        if self.rng.random() < 0.5:
            await asyncio.gather(*(operation() for operation in operations))
        else:
            for operation in operations:
                await operation()

    def _failed(self, what: str, error: BaseException) -> None:
        result = self.result
        result.outcomes[type(error).__name__] += 1
        result.log.append(f"{what}: {error!r}")
        if not isinstance(error, CallMeBackError):
            result.wrong.append(f"{what}: {error!r} is not documented")
        elif error.sent == "no":
            place = f"{error.method} {error.path}" + (f" page {error.page}" if error.page else "")
            self.unsent.append((place, what))

    async def _walk(self, name: str, window: int, limit: int) -> None:
        got: list[dict[str, Any]] = []
        failure: BaseException | None = None
        try:
            async with getattr(self.client, name).list(limit=limit, window=window) as walk:
                async for record in walk:
                    got.append(to_dict(record))
        except Exception as error:
            failure = error
        rows, result = self.truth.rows[name], self.result
        what = f"walk over {name} (window {window}, limit {limit})"
        result.rows += len(got)
        result.check(got == rows[: len(got)], f"{what}: the rows are no prefix of the truth: {got}")
        if failure is None:
            result.outcomes["walk done"] += 1
            result.check(len(got) == len(rows), f"{what}: {len(got)} of {len(rows)} rows, no error")
        else:
            self._failed(what, failure)

    async def _single(
        self, key: str, call: Callable[[], Awaitable[Any]], row: dict[str, Any] | None
    ) -> None:
        result, truth = self.result, self.truth
        try:
            answer = await call()
        except Exception as error:
            self._failed(key, error)
        else:
            result.outcomes["done"] += 1
            if row is not None:
                result.check(_is(row, answer), f"{key} gave {answer}")
            result.check(truth.executed[key] >= 1, f"{key}: a success, and nothing was done")
        method, _, resource, id = f"{key}/".replace(" /", "/").split("/")[:4]
        if method == "DELETE" and key not in [e.split(":")[0] for e in result.log]:
            result.check((resource, int(id)) not in truth.items, f"{key}: it is still there")
        if method in ("POST", "PATCH"):
            result.check(truth.executed[key] <= 1, f"{key}: done {truth.executed[key]} times")
            doubtful = [seen.kind.name for seen in truth.seen.get(key, [])][:-1]
            result.check(set(doubtful) <= {"429", "401"}, f"{key}: sent again after {doubtful}")


def _is(row: dict[str, Any], record: Any) -> bool:
    given = to_dict(record)
    return all(given.get(name) == value for name, value in row.items())


def _again(method: str, attempt: AttemptEvent, provider: bool, renewed: bool) -> bool:
    """Whether the rules call for another attempt after this one: the oracle, by the table."""
    name, status = attempt.error, attempt.status
    if name == "RateLimited":
        return "200000" not in attempt.headers.get("retry-after", "")
    if name == "Unauthorized":
        return provider and not renewed
    if attempt.sent == "no":
        return True
    if name == "ServerFault":
        return status != 501 and method in IDEMPOTENT
    if name == "UnexpectedStatus":
        return status in (408, 425) and method in IDEMPOTENT
    lasting = ("WrongShape", "UnexpectedRedirect", "Forbidden", "NotFound", "BadRequest")
    return name not in lasting and method in IDEMPOTENT


def check_call(
    result: Result, event: CallEvent, seen: list[Seen], attempts: int, provider: bool
) -> None:
    """Compares a call, as the client tells of it, with what the server saw and with the rules."""
    tries = [t for t in event.tries if t.method == event.method]  # without a deletion's second look
    names = [t.error or "" for t in tries]
    charged = len(tries) - names.count("RateLimited")
    renewed = provider and "Unauthorized" in names
    where = f"{event.where} {[f'{n}/{t.sent}' for n, t in zip(names, tries, strict=True)]}"
    met = [s.kind.name + ("*" if s.stale else "") for s in seen]
    result.log.append(f"{where} met {met}")
    result.check(charged - renewed <= attempts, f"{where}: more than {attempts} attempts")
    reached = [t for t in tries if t.sent != "no"]
    result.check(len(seen) <= len(reached), f"{where}: the server saw {len(seen)}: {met}")
    if event.error == "CancelledError" or not tries:
        return
    if len(seen) == len(reached):
        for attempt, at in zip(reached, seen, strict=True):
            allowed = at.kind.errors + (STALE if at.stale else ())
            if at.kind.acts != (False,) and at.status in (403, 404):
                allowed += ("NotFound", "Forbidden")  # an earlier deletion did it
            result.check(
                (attempt.error or "") in allowed,
                f"{where}: {at.kind.name} became {attempt.error or 'a success'}",
            )
    for number, attempt in enumerate(tries[:-1]):
        result.check(
            _again(event.method, attempt, provider, "Unauthorized" in names[:number]),
            f"{where}: tried again after {attempt.error}",
        )
    last = tries[-1]
    if event.error and last.error:
        over = charged >= attempts or (last.error == "NotJSON" and charged >= GARBLED)
        again = _again(event.method, last, provider, "Unauthorized" in names[:-1])
        result.check(over or not again, f"{where}: gave up after {last.error}")


async def run_schedule(
    seed: int, window_max: int, peers: dict[str, Truth], live: int, dead: int
) -> Result:
    rng = random.Random(f"client {seed}")
    truth = peers[str(seed)] = Truth(seed)
    attempts, provider = rng.choice((1, 2, 4, 4, 5)), rng.random() < 0.5
    events: list[CallEvent] = []
    token: Any = "token"
    if provider:

        async def token() -> str:
            return f"token-{rng.random()}"

    config = ClientConfig(
        attempts=attempts,
        deadline=36_000.0,
        retry=Backoff(attempts=attempts, rng=rng.random),
        retry_budget=10**6,
        on_event=lambda event: events.append(event) if isinstance(event, CallEvent) else None,
    )
    refusing = rng.choice((0.0, 0.0, 0.1, 0.4)) if truth.rate else 0.0
    connector = aiohttp.TCPConnector(
        resolver=Ports(rng, refusing, live, dead), use_dns_cache=False, limit=32
    )
    async with (
        aiohttp.ClientSession(
            connector=connector, middlewares=(send_once,), request_class=CleanRequest
        ) as session,
        CallMeBackClient(
            token, base_url=f"http://localhost:{live}/{seed}", session=session, config=config
        ) as client,
    ):
        schedule = Schedule(seed, truth, client, window_max)
        await schedule.run()
        left = sum(not task.done() for task in client._tasks._running)
    result = schedule.result
    result.check(not left, f"{left} tasks left over")
    # A walk may ask for a page by several calls (a page 2 that came with the wrong limit, an empty
    # page looked at again); whose of them the server saw can't be told, but how many it saw can.
    calls: dict[str, list[CallEvent]] = {}
    for event in events:
        calls.setdefault(event.where, []).append(event)
    for where, what in schedule.unsent:
        if len(calls[where]) == 1:
            result.check(not truth.seen.get(where), f'{what}: sent="no", and it was received')
    for where, group in calls.items():
        seen = truth.seen.get(where, [])
        reached = sum(t.sent != "no" for e in group for t in e.tries if t.method == e.method)
        result.check(len(seen) <= reached, f"{where}: the server saw {len(seen)} of {reached}")
        for event in group:
            check_call(result, event, seen if len(group) == 1 else [], attempts, provider)
    for seen in truth.seen.values():
        result.requests += len(seen)
        result.kinds.update(s.kind.name for s in seen)
    result.kinds["refused"] += sum(t.error == "ConnectFailed" for e in events for t in e.tries)
    if truth.crossed:
        result.outcomes["crossed, not judged"] += 1
        result.wrong.clear()
    del peers[str(seed)]
    return result


async def campaign(
    seeds: range, window_max: int, each: Callable[[Result], None], stop_at: float
) -> None:
    """Runs the schedules one after the other, until *stop_at* at the latest."""
    peers: dict[str, Truth] = {}

    def answer(asked: Asked) -> Reply:
        seed, _, path = asked.path.lstrip("/").partition("/")
        truth = peers.get(seed)  # None: a request whose schedule has ended
        return Reply(end="close") if truth is None else truth.answer(asked, f"/{path}")

    with dead_port() as dead:
        async with serving(answer) as (_, live):
            for seed in seeds:
                each(await run_schedule(seed, window_max, peers, live, dead))
                if time.monotonic() > stop_at:
                    break


def run(
    schedules: int, seed: int, window_max: int = 16, only: int | None = None, limit: float = 3600.0
) -> int:
    """Runs the campaign and prints what came of it; returns how many schedules went wrong."""
    seeds = range(only, only + 1) if only is not None else range(seed, seed + schedules)
    outcomes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    totals: Counter[str] = Counter()

    def each(result: Result) -> None:
        outcomes.update(result.outcomes)
        kinds.update(result.kinds)
        totals.update(schedules=1, rows=result.rows, requests=result.requests)
        if only is not None:
            print(*result.log, sep="\n")
        if result.wrong:
            totals["wrong"] += 1
            print(f"schedule {result.seed} is wrong (--only {result.seed}):")
            print(*(f"  {said}" for said in result.wrong), sep="\n")
            if only is None:
                print(*(f"    {line}" for line in result.log), sep="\n", flush=True)

    began = time.monotonic()
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        runner.run(campaign(seeds, window_max, each, began + limit))
    took = time.monotonic() - began
    print(
        f"{totals['schedules']} schedules from {seeds.start}, {totals['requests']} requests, "
        f"{totals['rows']} rows in {took:.1f} s ({totals['schedules'] / took:.0f} schedules/s)"
    )
    print("outcomes:", ", ".join(f"{name} {count}" for name, count in outcomes.most_common()))
    print("met:", ", ".join(f"{name} {count}" for name, count in kinds.most_common()))
    print(f"wrong: {totals['wrong']}")
    return totals["wrong"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.faults", description=__doc__
    )
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1, help="the first schedule's number")
    parser.add_argument("--window-max", type=int, default=16)
    parser.add_argument("--only", type=int, help="run this schedule alone and print what it did")
    parser.add_argument("--limit", type=float, default=3600.0, help="stop after these seconds")
    given = parser.parse_args(arguments)
    return bool(run(given.schedules, given.seed, given.window_max, given.only, given.limit))


if __name__ == "__main__":
    sys.exit(main())
