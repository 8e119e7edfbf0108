"""A server that responds to each request when a test lets it, in any order.

A request is pending until it is evaluated against the table as it is then; its response is ready
until it is delivered. `Temper` says what kind of server it is.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import attrs

from benchmarks.harness.clocks import SteppedLoop
from benchmarks.harness.responses import json_response
from benchmarks.harness.walk_model.table import Table, Tables
from benchmarks.harness.walk_model.temper import NONE, TOTALS, Counts, Temper
from voipstudio_cmb.errors import ConnectionLost
from voipstudio_cmb.http import Request, Response


@attrs.define(eq=False)
class PendingRequest:
    """One request in flight."""

    request: Request
    future: asyncio.Future[Response]
    token: str | None
    """What it was sent with."""
    response: Response | Exception | None = None
    """Set when the request is evaluated."""

    def __str__(self) -> str:
        return f"{self.asked} -> {self.answered}"

    @property
    def asked(self) -> str:
        """What the request asks for, in short."""
        query = dict(self.request.query)
        conditions = json.loads(query.get("filter", "[]"))
        parts = [query.get(name, "") for name in ("page", "limit", "dir")]
        parts += [f"{one['operator']} {one['value']}" for one in conditions]
        return " ".join([self.request.path, *parts])

    @property
    def answered(self) -> str:
        """The ids and the total of the response, or what it is instead."""
        if not isinstance(self.response, Response):
            return repr(self.response)
        try:
            content = json.loads(self.response.body)
            ids = " ".join(str(row["id"]) for row in content["data"])
        except (ValueError, KeyError):
            return f"{self.response.status} {self.response.body.decode()}"
        return f"[{ids}], total {content.get('total', 'missing')}"

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
    first: list[int]
    """The ids of the rows at first, ascending."""
    tables: Tables = attrs.field(init=False)
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
    too_low: set[int] = attrs.field(factory=set)
    """The totals of all rows that were below their number, with which a walk may have begun."""
    spoilt: Counter[Any] = attrs.field(factory=Counter)
    """How often each page was spoilt."""
    evaluations: int = 0
    """How many requests for rows were evaluated."""
    _cache: dict[Any, tuple[int, Response, Table]] = attrs.field(factory=dict)
    """By URL: when a response was made, the response, and the table that it was made from."""
    _counted: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    """By filter: when rows were counted, and how many they were."""

    def __attrs_post_init__(self) -> None:
        self.tables = Tables.of(self.first, self.temper.lag)

    @property
    def ids(self) -> list[int]:
        """The ids of the rows, ascending."""
        return self.tables.now.ids

    @property
    def versions(self) -> dict[int, int]:
        """How often each row that ever existed was written."""
        return self.tables.now.versions

    def views(self) -> Iterator[Table]:
        """The tables that a response may show: what is on every one of them is visible."""
        yield self.tables.now
        if self.temper.replicas:
            yield self.tables.behind
        for made, _, table in self._cache.values():
            if self.evaluations - made < self.temper.cached:
                yield table

    async def __call__(self, request: Request) -> Response:
        # Read as it is sent: later the token may have been renewed.
        token = request.call.credentials().get("X-Auth-Token")
        pending = PendingRequest(request, self.loop.create_future(), token)
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

    def coming(self) -> set[int]:
        """The ids of rows that a replica shows soon, though they may have gone."""
        return {id for _, id in self.tables.changes} if self.temper.replicas else set()

    def evaluate(self, pending: PendingRequest, spoil: int = 0) -> None:
        """Answers from the table as it is now; `spoil` lets the page be spoilt, if it may be."""
        self.waiting.remove(pending)
        self.ready.append(pending)
        pending.response = self._response(pending.request, pending.token, spoil)

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

    def ordered(self, descending: bool = False, table: Table | None = None) -> list[int]:
        """The ids in the order in which pages show them."""
        ids = (table or self.tables.now).ids
        if self.temper.order == "shuffled":
            return sorted(ids, key=lambda id: id * 2654435761 % 2**32)
        ids = sorted(ids, key=str) if self.temper.order == "text" else list(ids)
        if self.temper.order == "newest" or (descending and self.temper.order in ("", "text")):
            ids.reverse()
        return ids

    def _response(self, request: Request, token: str | None, spoil: int) -> Response:
        if request.path == "/login":
            return json_response({"user_token": self.token})
        if token != self.token:
            self.troubles.setdefault(id(request.call), []).append("401")
            return json_response({"message": "expired"}, 401)
        self.evaluations += 1
        url = tuple(sorted(request.query))
        if url in self._cache:
            made, response, _ = self._cache[url]
            if self.evaluations - made < self.temper.cached:
                return response
        table = self._replica()
        response = self._page(dict(request.query), table, spoil)
        if self.temper.cached:
            self._cache[url] = self.evaluations, response, table.copy()
        return response

    def _replica(self) -> Table:
        """The table that the next response is made from."""
        turn = self.evaluations
        if self.temper.replicas == "random":
            turn = turn * 2654435761 % 2**32 >> 9
        return self.tables.behind if self.temper.replicas and turn % 2 else self.tables.now

    def _page(self, query: dict[str, str], table: Table, spoil: int) -> Response:
        temper = self.temper
        conditions = json.loads(query.get("filter", "[]"))
        if temper.refuse_sort or (conditions and temper.filter == "refused"):
            return json_response({"message": "no such parameter"}, 400)
        ids = self.ordered(query.get("dir") == "DESC", table)
        for condition in () if temper.filter else conditions:
            meets, bound = condition["operator"], condition["value"]
            ids = [id for id in ids if temper.meets(id, meets, bound)]
        number = int(query.get("page", 1 - temper.from_zero))
        shown = self._shown(ids, number, int(query["limit"]))
        if shown is not None:
            shown = self._spoilt(shown, query, spoil)
        if shown is None:
            status = 400 if temper.past == "400" else 404
            return json_response({"message": "no such page"}, status)
        content: dict[str, Any] = {"data": [content_of(i, table.versions[i]) for i in shown]}
        counts = Counts(
            len(ids), len(shown), len(table.ids), self._count(query.get("filter", ""), len(ids))
        )
        if (total := TOTALS[temper.total](counts)) is not NONE:
            content["total"] = total
            begins = query.get("dir") == "DESC" or query.get("page", "1") == "1"
            if begins and not conditions and str(total).isdigit() and int(total) < len(ids):
                self.too_low.add(int(total))
        return json_response(content)

    def _shown(self, ids: list[int], page: int, page_size: int) -> list[int] | None:
        """The ids that are on a page; None if it is not found."""
        temper = self.temper
        step = temper.fixed or min(page_size, temper.cap or page_size)
        size = min(step, temper.rows_cap or step)
        ids = ids[: temper.last_row or None][: temper.last_page * step or None]
        if temper.later and page > 2:
            size = temper.later
            step = size if temper.later_by == "own" else step
        if temper.varying:
            size = min(size, 1 + self.evaluations * 7 % 5)
        number = page if temper.from_zero else page - 1
        start = 0 if temper.deaf_page else number * step
        if page > 1 and start >= len(ids):
            if temper.past in ("404", "400"):
                return None
            if temper.past == "last":
                start = max(0, len(ids) - 1) // step * step
        shown = ids[start : start + size]
        if page == temper.short_page > 0:
            shown = shown[: max(1, 3 * len(shown) // 4)]
        return _within(shown, temper.weight) if temper.weight else shown

    def _spoilt(self, shown: list[int], query: dict[str, str], spoil: int) -> list[int] | None:
        """What becomes of a page, where it may be spoilt; None if it is not found."""
        spoils, key = (
            self.temper.spoils,
            (query.get("page", "1"), query.get("dir"), query.get("filter")),
        )
        begun = 0 < self.spoilt[key] < self.temper.times
        if not spoils or not shown or not (begun or (spoil and not self.spoilt[key])):
            return shown
        if spoils == "404" and key[::2] == ("1", None):
            return shown  # a collection without a beginning
        self.spoilt[key] += 1
        if spoils == "twice":
            return [*shown[: spoil % len(shown)], shown[0], *shown[spoil % len(shown) :]]
        if spoils == "short":
            return shown[: 1 + spoil % len(shown)]
        return [] if spoils == "empty" else None

    def _count(self, filter: str, rows: int) -> int:
        """How many rows met this filter when they were counted last, a few requests ago."""
        counted = self._counted.get(filter)
        if counted is None or self.evaluations - counted[0] > 6:
            counted = self._counted[filter] = self.evaluations, rows
        return counted[1]


def _within(ids: list[int], weight: int) -> list[int]:
    """The first of `ids` whose rows weigh no more than that, one at least."""
    for rows, id in enumerate(ids):
        weight -= 3 if id // 4 % 2 else 1
        if weight < 0:
            return ids[: max(1, rows)]
    return ids
