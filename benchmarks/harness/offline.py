"""An account without a network: a client for exports, whose services read tables in memory."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, cast

from benchmarks.harness.responses import json_response
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import BadRequest, NotFound
from voipstudio_cmb.events import Usage
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.services import Buttons, Cdrs, Settings, Visitors, Websites
from voipstudio_cmb.walk import Capabilities, Tasks

HOSTILE = "=cmd|' /c' \x00 \u2028 \ud83d\ude00 \" , \r\n <b>"


def rows(count: int, first: int = 1, step: int = 1) -> list[dict[str, Any]]:
    """Rows with documented fields, undocumented ones, and some that other tools choke on."""
    return [
        {
            "id": id,
            "name": f"caller {id}" if id % 7 else HOSTILE,
            "created_at": f"2026-01-{id % 28 + 1:02} 10:00:{id % 60:02}",
            "ddi": 442012345678 + id,
            "max_call_rate": "100.00" if id % 3 else None,
            "floating_icon": bool(id % 2),
            "button_id": id % 5 or None,
            "culture": 1 if id % 2 else "en",
            "billsec": id * 1.5,
            "big": 10**30 + id,
            "nested": {"a": [id, None, "x" * (id % 50)]},
        }
        for id in range(first, first + count * step, step)
    ]


class Offline:
    """Responds as the API would, from `tables`.

    Unless it is `deaf`, it sorts, filters by `id` (with `dates` by other fields too) and pages. If
    it is, it only pages, and with `sorts` sorts.
    """

    def __init__(
        self, count: int = 60, *, deaf: bool = False, dates: bool = False, user: int = 7
    ) -> None:
        self.tables: dict[str, list[Any]] = {
            "cdrs": rows(count),
            "visitors": rows(count // 2, 5, 3),
            "websites": rows(3),
            "settings": rows(9),
        }
        self.deaf = deaf
        self.dates = dates
        self.sorts = False
        self.user = user
        # Awaited before each response.
        self.hook: Callable[[Request], Awaitable[None]] | None = None
        # A query that contains this gets a 400.
        self.refuses: str | None = None
        # The websites whose ids come as strings.
        self.broken: set[int] = set()
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        if self.hook is not None:
            await self.hook(request)
        if self.refuses is not None and any(self.refuses in "".join(q) for q in request.query):
            raise BadRequest("Filtration error", status=400, sent="yes")
        _, resource, *id = request.path.strip("/").split("/")
        if resource == "buttons":
            if int(id[0]) == 4:
                raise NotFound("no such button", status=404, sent="yes")
            return json_response(
                {"data": {"id": int(id[0]), "name": f"button {id[0]}"}, "links": {}}
            )
        query = dict(request.query)
        matching = list(self.tables[resource])
        if (not self.deaf or self.sorts) and dict(request.query).get("dir") == "DESC":
            matching.reverse()
        if not self.deaf:
            for condition in json.loads(query.get("filter", "[]")):
                if condition["property"] == "id" or self.dates:
                    matching = [row for row in matching if _meets(row, condition)]
        total = len(matching)
        limit = int(query["limit"])
        start = (int(query.get("page", 1)) - 1) * limit
        page = matching[start : start + limit]
        if resource == "websites":
            page = [
                row | {"id": str(row["id"])} if row.get("id") in self.broken else row
                for row in page
            ]
        return json_response({"data": page, "total": total})

    def client(self) -> CallMeBackClient:
        """A client of this account."""
        return cast(CallMeBackClient, _Client(self))


def _meets(row: Any, condition: dict[str, Any]) -> bool:
    found, value = row[condition["property"]], condition["value"]
    return {"gt": found > value, "lte": found <= value, "gte": found >= value, "lt": found < value}[
        condition["operator"]
    ]


class _Client:
    base_url = "https://api.example/v1.2/voipstudio"

    def __init__(self, account: Offline) -> None:
        self._account = account
        tasks, proofs = Tasks(), Capabilities()
        self.usage = Usage()
        self.cdrs = Cdrs(account, tasks, proofs)
        self.visitors = Visitors(account, tasks, proofs)
        self.websites = Websites(account, tasks, proofs)
        self.settings = Settings(account, tasks, proofs)
        self.buttons = Buttons(account, tasks)

    async def __aenter__(self) -> _Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def identities(self, *, wait: bool = False) -> tuple[list[str], None]:
        return [f"id {self._account.user}"], None
