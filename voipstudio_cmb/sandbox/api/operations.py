"""The operations: each reads or changes the data, and knows neither faults nor credentials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import attrs
import msgspec
from aiohttp import web

from voipstudio_cmb.sandbox.data import Data, Row, Table
from voipstudio_cmb.sandbox.refusal import Complaint, Refusal
from voipstudio_cmb.sandbox.temper import Temper

from . import bodies
from .account import Account
from .collections import Listing

Handler = Callable[[web.Request], Awaitable[web.Response]]


def json_answer(content: object, status: int = 200) -> web.Response:
    """Returns *content* as a JSON answer."""
    return _raw_json(msgspec.json.encode(content), status)


def _raw_json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(body=body, status=status, content_type="application/json", charset="utf-8")


@attrs.frozen(kw_only=True)
class Operations:
    """The twelve operations of the module, and the three of the account that clients use."""

    data: Data
    account: Account
    temper: Temper
    listings: Mapping[str, Listing]

    def routes(self, base: str) -> list[web.RouteDef]:
        """Returns what is served below the path *base*."""
        routes = [
            web.get(f"{base}/callmeback/{name}", self._list(listing), allow_head=False)
            for name, listing in self.listings.items()
        ]
        for name, table, attributes in (
            ("settings", self.data.settings, bodies.SETTING),
            ("buttons", self.data.buttons, bodies.BUTTON),
        ):
            item = f"{base}/callmeback/{name}/{{id}}"
            routes += [
                web.post(f"{base}/callmeback/{name}", self._create(table, attributes)),
                web.get(item, self._get(table), allow_head=False),
                web.patch(item, self._update(table, attributes)),
                web.delete(item, self._delete(table)),
            ]
        return [
            *routes,
            web.get(f"{base}/ping", self._ping, allow_head=False),
            web.get(f"{base}/me", self._me, allow_head=False),
            web.post(f"{base}/login", self._login),
        ]

    def _list(self, listing: Listing) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return _raw_json(listing.answer(request.query))

        return answer

    def _create(self, table: Table, attributes: bodies.Attributes) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            body = await request.read()
            # The creation of a button documents no body at all, so none is needed.
            optional = attributes is bodies.BUTTON and not body
            fields = {} if optional else bodies.fields(body, attributes)
            return _single(table.insert(**fields), 201)

        return answer

    def _get(self, table: Table) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            return _single(table.get(self._existing(request, table)))

        return answer

    def _update(self, table: Table, attributes: bodies.Attributes) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            row_id = self._existing(request, table)
            fields = bodies.fields(await request.read(), attributes)
            return _single(table.update(row_id, **fields))

        return answer

    def _delete(self, table: Table) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            try:
                table.delete(self._existing(request, table))
            except Refusal as refusal:
                if refusal.status != 404 or self.temper.missing_delete != 204:
                    raise self._as_missing_delete(refusal) from None
            return web.Response(status=204)

        return answer

    def _as_missing_delete(self, refusal: Refusal) -> Refusal:
        if refusal.status != 404 or self.temper.missing_delete == 404:
            return refusal
        return Refusal(self.temper.missing_delete, "Access denied")

    def _existing(self, request: web.Request, table: Table) -> int:
        """Returns the id in the path; refuses it when it is forbidden or not there."""
        text = request.match_info["id"]
        row_id = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        if row_id in self.temper.forbidden:
            raise Refusal(403, "Access denied")
        if row_id not in table:
            raise Refusal(404, "Resource not found")
        return row_id

    async def _ping(self, request: web.Request) -> web.Response:
        return json_answer({"data": {"response": "Pong", "user_id": self.account.user_id}})

    async def _me(self, request: web.Request) -> web.Response:
        person = {
            "id": self.account.user_id,
            "email": "jane.doe@example.com",
            "first_name": "Jane",
            "last_name": "Doe",
            "timezone": "Europe/London",
        }
        return _single(person)

    async def _login(self, request: web.Request) -> web.Response:
        given = bodies.json_object(await request.read())
        complaints = [
            Complaint(name, "Must be a string.")
            for name in ("email", "password")
            if not isinstance(given.get(name), str) or not given[name]
        ]
        if complaints:
            raise Refusal(400, "Validation error", complaints)
        if self.temper.two_factor:
            return json_answer({"message": "Two-factor code sent", "nonce": "sandbox-nonce"}, 202)
        return json_answer(
            {
                "message": "Login successful",
                "user_token": self.account.token,
                "user_id": self.account.user_id,
            }
        )


def _single(row: Row, status: int = 200) -> web.Response:
    return json_answer({"data": row, "links": {}}, status)
