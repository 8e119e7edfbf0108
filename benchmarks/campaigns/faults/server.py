"""The server of one schedule, which knows what really happened; and ports that refuse."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter
from typing import Any

import attrs
from aiohttp.abc import AbstractResolver, ResolveResult

from benchmarks.campaigns.faults.kinds import FINE, KINDS, UNSOLICITED, Kind, scripted
from benchmarks.harness.peer import RawRequest, Reply, http

COLLECTIONS = ("websites", "settings", "cdrs", "visitors")


@attrs.frozen
class Seen:
    """A request that the server received."""

    kind: Kind
    """The fault that it met."""
    stale: bool
    """Whether its connection held something unsolicited from before."""
    status: int
    """The status of the well-formed response."""


class ScheduleServer:
    """The server of one schedule: rows, drawn faults, and what really happened."""

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

    def respond(self, request: RawRequest, path: str) -> Reply:
        page = request.query.get("page")
        key = f"{request.method} {path}" + (f" page {page}" if page else "")
        before = self.seen.setdefault(key, [])
        rng = random.Random(f"{self.seed} {key} {len(before)}")
        fits = [kind for kind in KINDS if request.method in kind.methods]
        kind = rng.choice(fits) if rng.random() < self.rate else FINE
        stale = "stale" in request.connection
        # Both ends take so long for what is due at once; a wait that is skipped is longer.
        if request.connection.get("spoke", -math.inf) > asyncio.get_running_loop().time() - 0.01:
            self.crossed = True
        acted = rng.choice(kind.acts)
        response = self._act(request, path, key) if acted else http(b"{}")
        if kind.errors == ("",) and self.closing and kind.name not in UNSOLICITED:
            head, _, body = response.partition(b"\r\n\r\n")
            response = head + b"\r\nConnection: close\r\n\r\n" + body
        if kind.name in UNSOLICITED:
            request.connection["stale"] = True
        reply = kind.make(rng, response)
        if self.closing and kind is FINE:
            reply = attrs.evolve(reply, end="close")
        before.append(Seen(kind, stale, int(response.split(b" ", 2)[1])))
        return reply

    def _rows(self, resource: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """The rows that match the query, as far as this server supports it."""
        rows = self.rows[resource]
        for condition in json.loads(query.get("filter", "[]")) if self.filters else ():
            bound = condition["value"]
            above = condition["operator"] == "gt"
            rows = [row for row in rows if (row["id"] > bound if above else row["id"] <= bound)]
        return rows[::-1] if self.sorts and query.get("dir") == "DESC" else rows

    def _act(self, request: RawRequest, path: str, key: str) -> bytes:
        self.executed[key] += 1
        _, resource, *rest = path.strip("/").split("/")
        if not rest and request.method == "GET":
            size, page = int(request.query["limit"]), int(request.query.get("page", 1))
            size = min(size, self.cap)
            rows = self._rows(resource, request.query)
            content: dict[str, Any] = {"data": rows[(page - 1) * size : page * size]}
            if self.total:
                content["total"] = len(rows)
            return http(json.dumps(content).encode())
        if request.method == "POST":
            return _item({"id": 7000, **json.loads(request.body)}, "201 Created")
        id = int(rest[0])
        if (resource, id) not in self.items:
            status = self.missing if request.method == "DELETE" else 404
            return scripted(f"{status} Not There")
        if request.method == "DELETE":
            self.items.discard((resource, id))
            return http(b"", "204 No Content")
        sent = json.loads(request.body) if request.body else {}
        return _item({"id": id, "name": f"{resource} {id}", **sent})


def _item(row: dict[str, Any], status: str = "200 OK") -> bytes:
    return http(json.dumps({"data": row, "links": {}}).encode(), status)


class Ports(AbstractResolver):
    """Sends a share of all connections to a port where nobody listens."""

    def __init__(self, rng: random.Random, rate: float, live: int, dead: int) -> None:
        self._draw = lambda: dead if rng.random() < rate else live

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        result = ResolveResult(
            hostname=host, host="127.0.0.1", port=self._draw(), family=family, proto=0, flags=0
        )
        return [result]

    async def close(self) -> None:
        pass
