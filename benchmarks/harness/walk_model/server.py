"""A server whose answers a test lets it give one by one, in any order.

Nothing here waits. A request lies among those that wait until it is evaluated against the table as
it is then, and its answer lies ready until it is delivered. `Temper` is how the server answers.
"""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import product
from operator import eq, ge, gt, le, lt
from typing import Any

import attrs

from benchmarks.harness.clocks import SteppedLoop
from benchmarks.harness.responses import json_response
from voipstudio_cmb.errors import ConnectionLost
from voipstudio_cmb.http import Request, Response

_NONE = object()
_OPERATORS = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq}

TOTALS: dict[str, Callable[[int], Any]] = {
    "exact": lambda count: count,
    "string": str,
    "missing": lambda count: _NONE,
    "null": lambda count: None,
    "zero": lambda count: 0,
    "one above": lambda count: count + 1,
    "five above": lambda count: count + 5,
    "one below": lambda count: max(0, count - 1),
    "five below": lambda count: max(0, count - 5),
    "threefold": lambda count: 3 * count,
    "a third": lambda count: count // 3,
}


@attrs.frozen(kw_only=True)
class Temper:
    """How a server answers.

    *cap* bounds `limit`, *rows_cap* the rows of a page whose place is counted by the limit that was
    asked for, and *fixed* is the size of all pages. *order* is that of a server without `sort`.
    *past* is what comes past the end, *spoils* what a page may be once instead of itself.
    """

    cap: int = 0
    rows_cap: int = 0
    fixed: int = 0
    deaf_page: bool = False
    order: str = ""
    filter: str = ""
    refuse_sort: bool = False
    past: str = ""
    total: str = "exact"
    spoils: str = ""

    def __str__(self) -> str:
        fields = ((f.name, getattr(self, f.name), f.default) for f in attrs.fields(Temper))
        odd = [f"{name} {value}" for name, value, default in fields if value != default]
        return ", ".join(odd).replace("deaf_page True", "ignores page") or "honest"

    @property
    def ascends(self) -> bool:
        """Whether it pages in the order of ids."""
        return self.order in ("", "ascending")

    @property
    def by_id(self) -> bool:
        """Whether it honours what a keyset walk takes."""
        return not (self.order or self.filter or self.refuse_sort)

    @property
    def counts(self) -> bool:
        """Whether its totals are right."""
        return self.total in ("exact", "string")

    @property
    def low(self) -> bool:
        """Whether its totals are too low."""
        return self.total in ("one below", "five below", "a third")

    @property
    def upright(self) -> bool:
        """Whether a walk over it has nothing to complain of while nothing changes."""
        return self.counts and not (self.deaf_page or self.refuse_sort or self.spoils)


HONEST = Temper()
TEMPERS: tuple[Temper, ...] = (
    *[HONEST] * 8,
    *(Temper(total=total) for total in TOTALS if total != "exact"),
    *(Temper(order=order, total=total) for order, total in product(
        ("ascending", "newest", "shuffled"), ("exact", "missing"))),
    *(Temper(filter=kind, total=total) for kind, total in product(
        ("ignored", "refused"), ("exact", "missing", "one below", "five above"))),
    *(Temper(cap=size) for size in (1, 2, 3, 5)),
    *(Temper(rows_cap=size) for size in (1, 2, 3, 5)),
    *(Temper(fixed=size) for size in (2, 4, 10_000)),
    *(Temper(past=past, total=total) for past, total in product(("404", "last"), TOTALS)),
    *(Temper(spoils=kind) for kind in ("empty", "short", "twice")),
    Temper(deaf_page=True),
    Temper(deaf_page=True, total="missing"),
    Temper(deaf_page=True, fixed=10_000),
    Temper(refuse_sort=True),
)  # fmt: skip
"""One habit at a time, or one and a total: what a contract can be held to."""


@attrs.define(eq=False)
class Asked:
    """One request on its way; *answer* is there once it has been evaluated."""

    request: Request
    future: asyncio.Future[Response]
    answer: Response | Exception | None = None

    def __str__(self) -> str:
        query = dict(self.request.query)
        asked = [query.get(name, "") for name in ("page", "limit", "dir", "filter")]
        told = self.answer.body.decode() if isinstance(self.answer, Response) else repr(self.answer)
        return f"{self.request.path} {' '.join(asked)} -> {told}"

    @property
    def login(self) -> bool:
        return self.request.path == "/login"


def _content(id: int, version: int) -> dict[str, Any]:
    return {"id": id, "title": f"{id}.{version}"}


@attrs.define(eq=False)
class Server:
    """The table and the requests: *waiting* to be evaluated, *ready* to be delivered."""

    temper: Temper
    loop: SteppedLoop
    ids: list[int]
    versions: dict[int, int] = attrs.field(factory=dict)
    token: str = "token-0"
    waiting: list[Asked] = attrs.field(factory=list)
    ready: list[Asked] = attrs.field(factory=list)
    calls: dict[int, Request] = attrs.field(factory=dict)
    troubles: dict[int, list[str]] = attrs.field(factory=dict)
    spoilt: set[Any] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.versions.update(dict.fromkeys(self.ids, 0))

    async def __call__(self, request: Request) -> Response:
        asked = Asked(request, self.loop.create_future())
        self.waiting.append(asked)
        if not asked.login:
            self.calls.setdefault(id(request.call), request)
        try:
            return await asked.future
        finally:
            for place in (self.waiting, self.ready):
                if asked in place:
                    place.remove(asked)

    async def renewed(self) -> str:
        """A provider of tokens."""
        return self.token

    # What the table goes through.

    def insert(self, id: int) -> None:
        insort(self.ids, id)
        self.versions[id] = self.versions.get(id, -1) + 1

    def delete(self, id: int) -> None:
        del self.ids[bisect_left(self.ids, id)]

    # What requests go through.

    def evaluate(self, asked: Asked, spoil: int = 0) -> None:
        """Answers *asked* by the table as it is now; *spoil* lets it be spoilt, if it may."""
        self.waiting.remove(asked)
        self.ready.append(asked)
        asked.answer = self._answer(asked.request, spoil)

    def fault(self, asked: Asked, kind: str) -> None:
        """Answers *asked* with a fault."""
        self.waiting.remove(asked)
        self.ready.append(asked)
        answers: dict[str, Response | Exception] = {
            "503": Response(status=503, body=b"{}"),
            "429": Response(status=429, body=b"{}", headers={"retry-after": "1"}),
            "lost": ConnectionLost("the line broke", sent="maybe"),
            "garbage": Response(status=200, body=b"<html>"),
            "cut": Response(status=200, body=b'{"data": [{"id": 1'),
        }
        asked.answer = answers[kind]
        self.troubles.setdefault(id(asked.request.call), []).append(kind)

    def deliver(self, asked: Asked) -> None:
        """Hands the answer of *asked* to the client."""
        self.ready.remove(asked)
        if isinstance(asked.answer, Exception):
            asked.future.set_exception(asked.answer)
        else:
            assert asked.answer is not None
            asked.future.set_result(asked.answer)

    def ordered(self, descending: bool = False) -> list[int]:
        """The ids in the order of the pages."""
        if self.temper.order == "shuffled":
            return sorted(self.ids, key=lambda id: id * 2654435761 % 2**32)
        ids = list(self.ids)
        if self.temper.order == "newest" or (descending and not self.temper.order):
            ids.reverse()
        return ids

    def _answer(self, request: Request, spoil: int) -> Response:
        temper = self.temper
        if request.path == "/login":
            return json_response({"user_token": self.token})
        if request.headers.get("X-Auth-Token") != self.token:
            self.troubles.setdefault(id(request.call), []).append("401")
            return json_response({"message": "expired"}, 401)
        query = dict(request.query)
        conditions = json.loads(query.get("filter", "[]"))
        if temper.refuse_sort or (conditions and temper.filter == "refused"):
            return json_response({"message": "no such parameter"}, 400)
        ids = self.ordered(query["dir"] == "DESC")
        for condition in () if temper.filter else conditions:
            meets, bound = _OPERATORS[condition["operator"]], condition["value"]
            ids = [i for i in ids if meets(i, bound)]
        limit, page = int(query["limit"]), int(query["page"])
        step = temper.fixed or min(limit, temper.cap or limit)
        size = min(step, temper.rows_cap or step)
        start = 0 if temper.deaf_page else (page - 1) * step
        if page > 1 and start >= len(ids):
            if temper.past == "404":
                return json_response({"message": "no such page"}, 404)
            if temper.past == "last":
                start = max(0, len(ids) - 1) // step * step
        found = ids[start : start + size]
        key = (page, query["dir"], query.get("filter"))
        if spoil and temper.spoils and found and key not in self.spoilt:
            self.spoilt.add(key)
            if temper.spoils == "twice":
                found.insert(spoil % len(found), found[0])
            else:
                found = [] if temper.spoils == "empty" else found[: 1 + spoil % len(found)]
        content: dict[str, Any] = {"data": [_content(i, self.versions[i]) for i in found]}
        if (total := TOTALS[temper.total](len(ids))) is not _NONE:
            content["total"] = total
        return json_response(content)
