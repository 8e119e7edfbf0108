"""The operations of the account beside the module: who one is, logins, and API tokens."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
from aiohttp import web

from voipstudio_cmb.sandbox.data import matches, parse
from voipstudio_cmb.sandbox.refusal import Refusal
from voipstudio_cmb.sandbox.temper import Temper

from .account import Account
from .bodies import json_object
from .operations import json_response

_TOKEN_COLUMNS: Final = frozenset({"id", "name", "token", "expiry"})
_CODE_DIGITS: Final = 6


@attrs.frozen(kw_only=True)
class Sessions:
    """What clients of the account use. A login takes any password and any code of six digits."""

    account: Account
    temper: Temper

    def routes(self, base: str) -> list[web.RouteDef]:
        get = partial(web.get, allow_head=False)
        return [
            get(f"{base}/ping", self._ping),
            get(f"{base}/me", self._me),
            web.post(f"{base}/login", self._login),
            web.post(f"{base}/login2fa", self._login2fa),
            web.post(f"{base}/logout", self._logout),
            get(f"{base}/apitokens", self._list_tokens),
            web.post(f"{base}/apitokens", self._create_token),
            web.delete(f"{base}/apitokens/{{token}}", self._delete_token),
        ]

    async def _ping(self, request: web.Request) -> web.Response:
        return json_response({"data": {"response": "Pong", "user_id": self.account.user_id}})

    async def _me(self, request: web.Request) -> web.Response:
        user = {"email": "jane.doe@example.com", "first_name": "Jane", "last_name": "Doe"}
        row = {"id": self.account.user_id, **user, "timezone": "Europe/London"}
        return json_response({"data": row, "links": {}})

    async def _login(self, request: web.Request) -> web.Response:
        await _strings(request, "email", "password")
        if not self.temper.two_factor:
            return self._logged_in()
        nonce = self.account.new_secret()
        self.account.nonces.add(nonce)
        return json_response({"message": "Two-factor code sent", "nonce": nonce}, 202)

    async def _login2fa(self, request: web.Request) -> web.Response:
        code, nonce = await _strings(request, "code", "nonce")
        if nonce not in self.account.nonces or not (code.isdigit() and len(code) == _CODE_DIGITS):
            raise Refusal(401, "Unauthorized")
        self.account.nonces.discard(nonce)
        return self._logged_in()

    def _logged_in(self) -> web.Response:
        token, user_id = self.account.token, self.account.user_id
        content = {"message": "Login successful", "user_token": token, "user_id": user_id}
        return json_response(content)

    async def _logout(self, request: web.Request) -> web.Response:
        if self.account.presented(request.headers) == self.account.token:
            self.account.token = self.account.new_secret()
        return json_response({"message": "Logout successful"})

    async def _list_tokens(self, request: web.Request) -> web.Response:
        query = parse(request.query, _TOKEN_COLUMNS)
        rows = [row for row in self.account.api_tokens.values() if matches(row, query.conditions)]
        size = query.limit or len(rows)
        page = rows[(query.page - 1) * size : query.page * size]
        return json_response({"data": page, "total": len(rows)})

    async def _create_token(self, request: web.Request) -> web.Response:
        body = json_object(await request.read())
        [name] = await _strings(request, "name")
        tokens, token = self.account.api_tokens, self.account.new_secret()
        row = {"id": len(tokens) + 1, "name": name, "token": token, "expiry": body.get("expiry")}
        tokens[token] = row
        return json_response({"data": row, "links": {}}, 201)

    async def _delete_token(self, request: web.Request) -> web.Response:
        if self.account.api_tokens.pop(request.match_info["token"], None) is None:
            raise Refusal(404, "Resource not found")
        return web.Response(status=204)


async def _strings(request: web.Request, *names: str) -> list[str]:
    """Returns these attributes of the body; raises `Refusal` (400) unless each is a text."""
    body = json_object(await request.read())
    values = {name: body.get(name) for name in names}
    if wrong := [name for name, value in values.items() if not isinstance(value, str) or not value]:
        raise Refusal(400, "Validation error", dict.fromkeys(wrong, "Must be a string."))
    return [str(value) for value in values.values()]
