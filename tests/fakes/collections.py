"""Handlers that serve a collection, each with the habits of some server."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from operator import eq, ge, gt, le, lt
from typing import Any, TypeVar

import attrs

from benchmarks.harness.responses import json_response
from voipstudio_cmb.errors import BadRequest
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.walk import Walk

T = TypeVar("T")


def row(id: int) -> dict[str, Any]:
    return {"id": id, "name": f"row {id}"}


def page(ids_or_rows: Iterable[Any], total: Any = None) -> Response:
    """A page with these rows; a row may be given by its id."""
    rows = [each if isinstance(each, dict) else {"id": each} for each in ids_or_rows]
    return json_response({"data": rows} | ({} if total is None else {"total": total}))


async def take(walk: Walk[T], count: int) -> list[T]:
    """Returns the first `count` items of `walk`, and ends it."""
    async with walk:
        return [await anext(walk) for _ in range(count)]


@attrs.define(kw_only=True)
class _Served:
    cap: int = 5000
    """The most rows on a page."""
    ignore_sort: bool = False
    total: Callable[[int], Any] = lambda count: count
    """What is sent as the total for the true count; nothing if it is `None`."""
    flying: int = 0
    """Requests that have no response yet."""
    most_flying: int = 0

    async def wait(self, seconds: float) -> None:
        self.flying += 1
        self.most_flying = max(self.most_flying, self.flying)
        try:
            await asyncio.sleep(seconds)
        finally:
            self.flying -= 1


@attrs.define
class Collection(_Served):
    """Serves rows in their order, by page; it filters nothing."""

    rows: list[dict[str, Any]]
    ignore_page: bool = False
    ignore_limit: bool = False
    empty_once: set[int] = attrs.field(factory=set)
    """Pages that are empty when they are first requested."""
    latency: Callable[[int], float] = lambda page: 0.0
    """Seconds until the response, by page."""
    fail: dict[int, Exception] = attrs.field(factory=dict)
    """What is raised instead of a page."""
    asked: list[int] = attrs.field(factory=list)
    """The pages that were requested in ascending order."""
    tops: int = 0
    """How many were requested in descending order."""

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        number = int(query.get("page", 1))
        backwards = query.get("dir") == "DESC" and not self.ignore_sort
        self.tops += backwards
        if not backwards:
            self.asked.append(number)
        await self.wait(self.latency(number))
        if number in self.fail and not backwards:
            raise self.fail[number]
        size = len(self.rows) if self.ignore_limit else min(int(query["limit"]), self.cap)
        start = 0 if self.ignore_page else (number - 1) * size
        rows = (self.rows[::-1] if backwards else self.rows)[start : start + size]
        if number in self.empty_once and not backwards:
            self.empty_once.discard(number)
            rows = []
        return page(rows, self.total(len(self.rows)))


@attrs.define
class Table(_Served):
    """Serves rows that come and go; supports `page`, `limit`, `sort`, `dir` and `filter`."""

    ids: list[int]
    ignore_filter: bool = False
    refuse_filter: bool = False
    change: Callable[[Table], None] = lambda table: None
    """Is called before each response."""
    latency: float = 0.0
    asked: list[dict[str, str]] = attrs.field(factory=list)
    """The queries."""

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(query)
        await self.wait(self.latency)
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
        start = (int(query.get("page", 1)) - 1) * size
        return page(ids[start : start + size], self.total(len(ids)))


class Jumbling:
    """Is asked at some moment, and answers what its collection is then at some other."""

    draw: random.Random

    async def __call__(self, request: Request) -> Response:
        await asyncio.sleep(self.draw.random())
        response: Response = await super().__call__(request)  # type: ignore[misc]
        await asyncio.sleep(self.draw.random())
        return response


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


def _up_to(most: int) -> Callable[[int, list[Condition]], bool]:
    """Takes a value above `most` for this one."""
    return lambda id, all_: all(
        meets(id, {**one, "value": min(one["value"], most)}) for one in all_
    )


RIGHT_FOR_SOME: dict[str, Callable[[int, list[Condition]], bool]] = {
    "as text": lambda id, all_: all(
        RIGHT[one["operator"]](str(id), str(one["value"])) for one in all_
    ),
    "up to 2^31": _up_to(2**31 - 1),
    "up to 2^53": _up_to(2**53),
    "up to 20,100": _up_to(20_100),
    "for no bound in the 1060s": lambda id, all_: all(
        meets(id, one) and one["value"] // 10 != 106 for one in all_
    ),
}
"""Ways that are right for ids of one length, or only for low ones."""


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
    """Takes conditions and `sort` in a way of its own."""

    ids: list[int]
    conditions: str = ""
    order: str = "by id"
    turns: bool = False
    """Whether `sort` orders only the rows of a page; the pages are in the server's order."""
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
        right = {"": lambda id, all_: all(meets(id, one) for one in all_)}
        take = {**right, **FILTERS, **RIGHT_FOR_SOME}[self.conditions]
        down = query["dir"] == "DESC"
        ids = [id for id in self.ids if not conditions or take(id, conditions)]
        ids = ORDERS[self.order](ids, down)
        page_size = self.fixed or min(int(query["limit"]), self.cap)
        start = (int(query.get("page", 1)) - 1) * page_size
        found = ids[start : start + min(page_size, self.rows_cap)]
        if self.turns:
            found.sort(reverse=down)
        return page(found, TOTALS[self.total](len(ids), len(found)))


@attrs.define
class Pages:
    """Serves the ids that a function returns for a page and its size, without a total."""

    ids_of: Callable[[int, int], list[int]]
    asked: list[int] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(int(query.get("page", 1)))
        ids = self.ids_of(int(query.get("page", 1)), int(query["limit"]))
        return page(ids)


@attrs.define(kw_only=True)
class Database:
    """Serves `rows` as a database would; what it ignores, it ignores without a word."""

    rows: list[dict[str, Any]]
    ignores: frozenset[str] = attrs.field(default=frozenset(), converter=frozenset)
    """Of "filter", "sort" and "dir"."""
    shown: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """How a row is written in a response."""
    key: Callable[[Any], Any] = lambda value: value
    """What a value is compared and sorted by."""
    cap: int = 10**6
    asked: list[dict[str, str]] = attrs.field(factory=list)

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        self.asked.append(query)
        rows = self.rows
        for condition in json.loads(query.get("filter", "[]")):
            if "filter" not in self.ignores:
                rows = [each for each in rows if self.takes(each, condition)]
        if "sort" not in self.ignores and "sort" in query:
            down = query["dir"] == "DESC" and "dir" not in self.ignores
            name = query["sort"]
            rows = sorted(rows, key=lambda each: self._rank(each.get(name)), reverse=down)
        size = min(int(query["limit"]), self.cap)
        start = (int(query.get("page", 1)) - 1) * size
        return page([self.shown(each) for each in rows[start : start + size]], len(rows))

    def _rank(self, value: Any) -> tuple[bool, Any]:
        return value is not None, None if value is None else self.key(value)

    def takes(self, each: dict[str, Any], condition: Condition) -> bool:
        found, wanted = each.get(condition["property"]), condition["value"]
        if found is None:
            return False
        if isinstance(found, float) and isinstance(wanted, str):
            wanted = float(wanted)
        if condition["property"] == "created_at" and len(wanted) == 10:
            wanted += " 00:00:00"
        if condition["operator"] == "like":
            return str(self.key(wanted)) in str(self.key(found))
        return bool(RIGHT[condition["operator"]](self.key(found), self.key(wanted)))
