"""The operations: each reads or changes the data, and knows neither faults nor credentials."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import attrs
import msgspec
from aiohttp import web

from voipstudio_cmb.sandbox.data import Data, Row, Table
from voipstudio_cmb.sandbox.refusal import Refusal
from voipstudio_cmb.sandbox.temper import Temper

from .bodies import BUTTON, SETTING, Attributes, fields_of
from .collections import Collection


def json_response(content: object, status: int = 200) -> web.Response:
    body = msgspec.json.encode(content)
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


@attrs.frozen(kw_only=True)
class Operations:
    """The twelve operations of the module."""

    data: Data
    temper: Temper
    collections: Mapping[str, Collection]

    def routes(self, base: str) -> list[web.RouteDef]:
        parent, get = f"{base}/callmeback", partial(web.get, allow_head=False)
        routes = [
            get(f"{parent}/{name}", partial(self._list, collection))
            for name, collection in self.collections.items()
        ]
        for name, table, attributes in (
            ("settings", self.data.settings, SETTING),
            ("buttons", self.data.buttons, BUTTON),
        ):
            item = f"{parent}/{name}/{{id}}"
            routes += [
                web.post(f"{parent}/{name}", partial(self._create, table, attributes)),
                get(item, partial(self._get, table)),
                web.patch(item, partial(self._update, table, attributes)),
                web.delete(item, partial(self._delete, table)),
            ]
        return routes

    async def _list(self, collection: Collection, request: web.Request) -> web.Response:
        return json_response(collection.page(request.query))

    async def _create(
        self, table: Table, attributes: Attributes, request: web.Request
    ) -> web.Response:
        body = await request.read()
        # The creation of a button documents no body, so none is needed.
        bodiless = attributes is BUTTON and not body
        return _single(table.insert(**({} if bodiless else fields_of(body, attributes))), 201)

    async def _get(self, table: Table, request: web.Request) -> web.Response:
        return _single(table.get(self._existing_id(request, table)))

    async def _update(
        self, table: Table, attributes: Attributes, request: web.Request
    ) -> web.Response:
        row_id = self._existing_id(request, table)
        return _single(table.update(row_id, **fields_of(await request.read(), attributes)))

    async def _delete(self, table: Table, request: web.Request) -> web.Response:
        row_id, missing = self._allowed_id(request), self.temper.delete_missing_status
        if row_id in table:
            table.delete(row_id)
        elif missing != 204:
            raise Refusal(missing, "Resource not found" if missing == 404 else "Access denied")
        return web.Response(status=204)

    def _allowed_id(self, request: web.Request) -> int:
        text = request.match_info["id"]
        row_id = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if row_id in self.temper.forbidden_ids:
            raise Refusal(403, "Access denied")
        return row_id

    def _existing_id(self, request: web.Request, table: Table) -> int:
        row_id = self._allowed_id(request)
        if row_id not in table:
            raise Refusal(404, "Resource not found")
        return row_id


def _single(row: Row, status: int = 200) -> web.Response:
    return json_response({"data": row, "links": {}}, status)
