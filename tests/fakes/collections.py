"""Handlers that serve a collection, each with the habits of some server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from operator import eq, ge, gt, le, lt
from typing import Any

import attrs

from benchmarks.harness.responses import json_response
from voipstudio_cmb.errors import BadRequest
from voipstudio_cmb.http import Request, Response


def row(id: int, **more: Any) -> dict[str, Any]:
    return {"id": id, "name": f"row {id}", **more}


@attrs.define
class Collection:
    """A collection's handler with the habits of a server: *cap* on `limit`, deaf to parameters.

    *total* is a function of the true count. *latency* gives the seconds an answer takes, by page.
    `asked` holds the pages that were asked for in ascending order. Filters are not honoured.
    """

    rows: list[dict[str, Any]]
    cap: int = 5000
    ignore_page: bool = False
    ignore_limit: bool = False
    ignore_sort: bool = False
    total: Callable[[int], Any] = lambda count: count
    empty_once: set[int] = attrs.field(factory=set)
    latency: Callable[[int], float] = lambda page: 0.0
    fail: dict[int, Exception] = attrs.field(factory=dict)
    asked: list[int] = attrs.field(factory=list)
    tops: int = 0
    flying: int = 0
    most_flying: int = 0

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        page = int(query.get("page", 1))
        backwards = query.get("dir") == "DESC" and not self.ignore_sort
        self.tops += backwards
        if not backwards:
            self.asked.append(page)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(self.latency(page))
        finally:
            self.flying -= 1
        if page in self.fail and not backwards:
            raise self.fail[page]
        size = len(self.rows) if self.ignore_limit else min(int(query["limit"]), self.cap)
        start = 0 if self.ignore_page else (page - 1) * size
        rows = (self.rows[::-1] if backwards else self.rows)[start : start + size]
        if page in self.empty_once and not backwards:
            self.empty_once.discard(page)
            rows = []
        content: dict[str, Any] = {"data": rows}
        total = self.total(len(self.rows))
        if total is not None:
            content["total"] = total
        return json_response(content)


@attrs.define
class Table:
    """A collection that honours page, limit, sort, dir and filter, as far as it is not told not to.

    *change* alters the ids before each answer. `asked` holds the queries.
    """

    ids: list[int]
    cap: int = 5000
    ignore_filter: bool = False
    refuse_filter: bool = False
    ignore_sort: bool = False
    total: Callable[[int], Any] = lambda count: count
    change: Callable[[Table], None] = lambda table: None
    latency: float = 0.0
    asked: list[dict[str, str]] = attrs.field(factory=list)
    flying: int = 0
    most_flying: int = 0

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(query)
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.flying -= 1
        self.change(self)
        conditions = json.loads(query.get("filter", "[]"))
        if conditions and self.refuse_filter:
            raise BadRequest("Filtration error", status=400, sent="yes")
        ids = list(self.ids) if self.ignore_sort else sorted(self.ids)
        if query["dir"] == "DESC" and not self.ignore_sort:
            ids.reverse()
        for condition in [] if self.ignore_filter else conditions:
            bound = condition["value"]
            ids = [i for i in ids if (i > bound if condition["operator"] == "gt" else i <= bound)]
        size = min(int(query["limit"]), self.cap)
        start = (int(query["page"]) - 1) * size
        content: dict[str, Any] = {"data": [{"id": i} for i in ids[start : start + size]]}
        if (total := self.total(len(ids))) is not None:
            content["total"] = total
        return json_response(content)


HABITS: dict[str, dict[str, Any]] = {
    "honest": {},
    "caps limit": {"cap": 7},
    "total missing": {"total": lambda count: None},
    "total a string": {"total": str},
    "total too high": {"total": lambda count: count + 1000},
    "total too low": {"total": lambda count: count // 3},
    "total zero": {"total": lambda count: 0},
}


Condition = dict[str, Any]


RIGHT = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq}


def meets(id: int, condition: Condition, **otherwise: Any) -> bool:
    return bool({**RIGHT, **otherwise}[condition["operator"]](id, condition["value"]))


FILTERS: dict[str, Callable[[int, list[Condition]], bool]] = {
    "only the last": lambda id, all_: meets(id, all_[-1]),
    "only the first": lambda id, all_: meets(id, all_[0]),
    "any of them": lambda id, all_: any(meets(id, one) for one in all_),
    "each as an equality": lambda id, all_: all(id == one["value"] for one in all_),
    "the last as an equality": lambda id, all_: id == all_[-1]["value"],
    "the first as an equality": lambda id, all_: id == all_[0]["value"],
    "gt as gte": lambda id, all_: all(meets(id, one, gt=ge) for one in all_),
    "lte as lt": lambda id, all_: all(meets(id, one, lte=lt) for one in all_),
    "for no row": lambda id, all_: False,
    "for every row": lambda id, all_: True,
}


ORDERS: dict[str, Callable[[list[int], bool], list[int]]] = {
    "by id": lambda ids, down: sorted(ids, reverse=down),
    "as text": lambda ids, down: sorted(ids, key=str, reverse=down),
    "oldest first": lambda ids, down: sorted(ids),
    "newest first": lambda ids, down: sorted(ids, reverse=True),
}


TOTALS: dict[str, Callable[[int, int], int | None]] = {
    "exact": lambda all_, here: all_,
    "missing": lambda all_, here: None,
    "too high": lambda all_, here: all_ + 5,
    "of the page": lambda all_, here: here,
}


@attrs.define(eq=False, kw_only=True)
class Odd:
    """A server that takes conditions and `sort` in a way of its own.

    *turns*: `sort` orders a page only, and the pages themselves are in the server's *order*.
    """

    ids: list[int]
    conditions: str = ""
    order: str = "by id"
    turns: bool = False
    total: str = "exact"
    cap: int = 10**6
    fixed: int = 0
    rows_cap: int = 10**6
    change: Callable[[Odd, dict[str, str]], None] = lambda server, query: None
    asked: list[dict[str, str]] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(query)
        assert len(self.asked) < 500, "it does not end"
        self.change(self, query)
        conditions = json.loads(query.get("filter", "[]"))
        take = FILTERS.get(self.conditions, lambda id, all_: all(meets(id, one) for one in all_))
        down = query["dir"] == "DESC"
        ids = [id for id in self.ids if not conditions or take(id, conditions)]
        ids = ORDERS[self.order](ids, down)
        page_size = self.fixed or min(int(query["limit"]), self.cap)
        start = (int(query["page"]) - 1) * page_size
        found = ids[start : start + min(page_size, self.rows_cap)]
        if self.turns:
            found.sort(reverse=down)
        content: dict[str, Any] = {"data": [{"id": id} for id in found]}
        if (total := TOTALS[self.total](len(ids), len(found))) is not None:
            content["total"] = total
        return json_response(content)


@attrs.define
class Pages:
    """Answers page *n* with the ids that *answer* gives for it, and no total."""

    answer: Callable[[int, int], list[int]]
    asked: list[int] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(int(query["page"]))
        ids = self.answer(int(query["page"]), int(query["limit"]))
        return json_response({"data": [{"id": id} for id in ids]})
