"""Test doubles for the network: plain functions that answer requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from voipstudio_cmb.http import Request, Response


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A response with *value* as JSON."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status=status, body=json.dumps(value).encode(), headers=names)


class Script:
    """A handler that gives the *outcomes* one after the other: a response, or an error to raise.

    The last one is repeated. `requests` are those received, `times` when.
    """

    def __init__(self, outcomes: Iterable[Response | Exception]) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[Request] = []
        self.times: list[float] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


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
        return answer(content)
