"""A server that responds to each request when a test lets it, in any order.

A request is pending until it is evaluated against the table as it is then; its response is ready
until it is delivered. `Temper` is what kind of server it is.
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
    """The habits of a server."""

    cap: int = 0
    """The most rows of a page; pages are counted by it."""
    rows_cap: int = 0
    """The most rows of a page; pages are counted by the size that was requested."""
    fixed: int = 0
    """The size of all pages, whatever is requested."""
    deaf_page: bool = False
    """Whether `page` is ignored."""
    order: str = ""
    """The order of a server that ignores `sort`: ascending, newest, shuffled."""
    filter: str = ""
    """What becomes of a filter: ignored, refused."""
    refuse_sort: bool = False
    past: str = ""
    """What comes past the end instead of an empty page: 404, last."""
    total: str = "exact"
    """One of `TOTALS`."""
    spoils: str = ""
    """What a page may be once instead of itself: empty, short, twice."""

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
        """Whether it supports a keyset walk."""
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
        """Whether a walk over it can't fail while nothing changes."""
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
"""One habit at a time, or one and a total: with more, the contract promises little."""


@attrs.define(eq=False)
class PendingRequest:
    """One request in flight."""

    request: Request
    future: asyncio.Future[Response]
    response: Response | Exception | None = None
    """Set when the request is evaluated."""

    def __str__(self) -> str:
        query = dict(self.request.query)
        shown = " ".join(query.get(name, "") for name in ("page", "limit", "dir", "filter"))
        response = self.response
        text = response.body.decode() if isinstance(response, Response) else repr(response)
        return f"{self.request.path} {shown} -> {text}"

    @property
    def login(self) -> bool:
        return self.request.path == "/login"


def content_of(id: int, version: int) -> dict[str, Any]:
    return {"id": id, "title": f"{id}.{version}"}


@attrs.define(eq=False)
class ModelServer:
    """A table, and the requests that wait to be evaluated or are ready to be delivered."""

    temper: Temper
    loop: SteppedLoop
    ids: list[int]
    """The ids of the rows, ascending."""
    versions: dict[int, int] = attrs.field(factory=dict)
    """How often each row that ever existed was written."""
    token: str = "token-0"
    """The only valid one."""
    waiting: list[PendingRequest] = attrs.field(factory=list)
    """Requests to evaluate, the oldest first."""
    ready: list[PendingRequest] = attrs.field(factory=list)
    """Responses to deliver, in the order in which they were evaluated."""
    calls: dict[int, Request] = attrs.field(factory=dict)
    """The first request of each call, by the id of the call."""
    troubles: dict[int, list[str]] = attrs.field(factory=dict)
    """The faults that each call met."""
    spoilt: set[Any] = attrs.field(factory=set)
    """The pages that were spoilt once."""

    def __attrs_post_init__(self) -> None:
        self.versions.update(dict.fromkeys(self.ids, 0))

    async def __call__(self, request: Request) -> Response:
        pending = PendingRequest(request, self.loop.create_future())
        self.waiting.append(pending)
        if not pending.login:
            self.calls.setdefault(id(request.call), request)
        try:
            return await pending.future
        finally:
            for place in (self.waiting, self.ready):
                if pending in place:
                    place.remove(pending)

    async def renewed(self) -> str:
        """Returns the valid token: a token provider."""
        return self.token

    def insert(self, id: int) -> None:
        insort(self.ids, id)
        self.versions[id] = self.versions.get(id, -1) + 1

    def delete(self, id: int) -> None:
        del self.ids[bisect_left(self.ids, id)]

    def evaluate(self, pending: PendingRequest, spoil: int = 0) -> None:
        """Answers from the table as it is now; `spoil` lets the page be spoilt, if it may be."""
        self.waiting.remove(pending)
        self.ready.append(pending)
        pending.response = self._response(pending.request, spoil)

    def fault(self, pending: PendingRequest, kind: str) -> None:
        """Answers with a fault."""
        self.waiting.remove(pending)
        self.ready.append(pending)
        faults: dict[str, Response | Exception] = {
            "503": Response(status=503, body=b"{}"),
            "429": Response(status=429, body=b"{}", headers={"retry-after": "1"}),
            "lost": ConnectionLost("the line broke", sent="maybe"),
            "garbage": Response(status=200, body=b"<html>"),
            "cut": Response(status=200, body=b'{"data": [{"id": 1'),
        }
        pending.response = faults[kind]
        self.troubles.setdefault(id(pending.request.call), []).append(kind)

    def deliver(self, pending: PendingRequest) -> None:
        """Delivers the response to the client."""
        self.ready.remove(pending)
        if isinstance(pending.response, Exception):
            pending.future.set_exception(pending.response)
        else:
            assert pending.response is not None
            pending.future.set_result(pending.response)

    def ordered(self, descending: bool = False) -> list[int]:
        """The ids in the order in which pages show them."""
        if self.temper.order == "shuffled":
            return sorted(self.ids, key=lambda id: id * 2654435761 % 2**32)
        ids = list(self.ids)
        if self.temper.order == "newest" or (descending and not self.temper.order):
            ids.reverse()
        return ids

    def _response(self, request: Request, spoil: int) -> Response:
        temper = self.temper
        if request.path == "/login":
            return json_response({"user_token": self.token})
        if request.credentials().get("X-Auth-Token") != self.token:
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
        page_size, page = int(query["limit"]), int(query["page"])
        step = temper.fixed or min(page_size, temper.cap or page_size)
        size = min(step, temper.rows_cap or step)
        start = 0 if temper.deaf_page else (page - 1) * step
        if page > 1 and start >= len(ids):
            if temper.past == "404":
                return json_response({"message": "no such page"}, 404)
            if temper.past == "last":
                start = max(0, len(ids) - 1) // step * step
        shown = ids[start : start + size]
        key = (page, query["dir"], query.get("filter"))
        if spoil and temper.spoils and shown and key not in self.spoilt:
            self.spoilt.add(key)
            if temper.spoils == "twice":
                shown.insert(spoil % len(shown), shown[0])
            else:
                shown = [] if temper.spoils == "empty" else shown[: 1 + spoil % len(shown)]
        content: dict[str, Any] = {"data": [content_of(i, self.versions[i]) for i in shown]}
        if (total := TOTALS[temper.total](len(ids))) is not _NONE:
            content["total"] = total
        return json_response(content)
