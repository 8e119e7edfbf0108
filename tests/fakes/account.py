"""An account without a network: the stand-in's rows behind a plain handler, with faults."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ConnectionLost,
    NotFound,
    RateLimited,
    ServerFault,
)
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.sandbox.api.bodies import BUTTON, SETTING, fields_of
from voipstudio_cmb.sandbox.api.collections import Collection
from voipstudio_cmb.sandbox.data import Drift, Table, TableDrift
from voipstudio_cmb.sandbox.refusal import Refusal
from voipstudio_cmb.sandbox.temper import Temper
from voipstudio_cmb.services import Buttons, Settings, Websites

_EMPTY = {
    "name": None, "created_at": "2026-01-01 10:00:00", "title": "made", "allowed_countries": None,
    "button_id": None, "culture": 0, "ddi": 442079460000, "floating_icon": False, "position": 0,
    "privacy_policy_url": None, "show_to_allowed_countries_only": False, "max_call_rate": 0.15,
    "welcome_screen_msg": "Hello",
}  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


def _row(id: int) -> dict[str, Any]:
    return {"id": id, **_EMPTY}


def _button(id: int) -> dict[str, Any]:
    return {"id": id, "name": None, "data_online": "on", "data_offline": "off"}


class FakeAccount:
    """What `desired` needs of a client, over tables that a test may change."""

    base_url = "https://api.example/v1.2/voipstudio"

    def __init__(self) -> None:
        self.tables = {
            "settings": Table([], _row, first=1),
            "buttons": Table([], _button, first=201),
            "websites": Table([], _row, first=901),
        }
        self.requests: list[tuple[str, str, int | None]] = []
        """Method, kind and id of each request that arrived."""
        self.bodies: list[dict[str, Any]] = []
        """What each POST and PATCH that was carried out has set."""
        self.made: list[tuple[str, int]] = []
        """Kind and id of all that was created by a request."""
        self.fault: Callable[[Request], str] = lambda request: ""
        """What goes wrong with a request."""
        self.names = ["id 1001"]
        self.settings = Settings(self.handle)
        self.buttons = Buttons(self.handle)
        self.websites = Websites(self.handle)

    async def identities(self) -> tuple[list[str], CallMeBackError | None]:
        return self.names, None

    async def identity(self) -> str:
        return self.names[0]

    def add(self, kind: str, **fields: Any) -> int:
        """Adds a row by hand."""
        return int(self.tables[kind].insert(**fields)["id"])

    def writes(self) -> list[tuple[str, str, int | None]]:
        """The requests that may have changed something."""
        return [each for each in self.requests if each[0] != "GET"]

    async def handle(self, request: Request) -> Response:
        fault = self.fault(request)
        if fault == "killed before":
            raise Killed
        if fault == "429":
            raise self._error(RateLimited, request, "yes")
        response = self.respond(request)
        if fault == "killed after":
            raise Killed
        doubt = "yes" if request.reads else "maybe"
        if fault == "lost":
            raise self._error(ConnectionLost, request, doubt)
        if fault == "504":
            raise self._error(ServerFault, request, doubt)
        return response

    def respond(self, request: Request) -> Response:
        kind, _, last = request.path.removeprefix("/callmeback/").partition("/")
        id, table = int(last) if last else None, self.tables[kind]
        self.requests.append((request.method, kind, id))
        attributes: Mapping[str, Any] = BUTTON if kind == "buttons" else SETTING
        if id is not None and id not in table:
            raise self._error(NotFound, request, "yes")
        try:
            if request.method == "GET" and id is None:
                return Response(status=200, body=bytes(self._page(table, request)))
            fields = fields_of(request.body, attributes) if request.body else {}
        except Refusal as refusal:
            raise self._error(BadRequest, request, "yes") from refusal
        if request.method == "DELETE":
            table.delete(id or 0)
            return Response(status=204)
        if request.body:
            self.bodies.append(msgspec.json.decode(request.body))
        if request.method == "POST":
            row = table.insert(**fields)
            self.made.append((kind, row["id"]))
            return self._item(row, 201)
        return self._item(table.update(id or 0, **fields) if fields else table.get(id or 0))

    def _page(self, table: Table, request: Request) -> msgspec.Raw:
        drift = TableDrift(Drift(), table, "")
        collection = Collection(
            table=table, temper=Temper(), limit_cap=1000, drift=drift, random=random.Random(0)
        )
        return collection.page(dict(request.query))

    @staticmethod
    def _item(row: dict[str, Any], status: int = 200) -> Response:
        return Response(status=status, body=msgspec.json.encode({"data": row, "links": {}}))

    @staticmethod
    def _error(kind: type[CallMeBackError], request: Request, sent: Any) -> CallMeBackError:
        return kind(kind.__name__, sent=sent, method=request.method, path=request.path)
