"""A client for the sandbox's own tests: plain aiohttp, nothing of the package's client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import attrs

from voipstudio_cmb.sandbox import Sandbox

CDRS, VISITORS = "/callmeback/cdrs", "/callmeback/visitors"
SETTINGS, BUTTONS = "/callmeback/settings", "/callmeback/buttons"
DOCUMENTED = {
    "id", "allowed_countries", "button_id", "created_at", "culture", "ddi", "floating_icon", "name",
    "position", "privacy_policy_url", "show_to_allowed_countries_only", "title",
    "welcome_screen_msg",
}  # fmt: skip


@attrs.frozen
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ids(self) -> list[int]:
        return [row["id"] for row in self.json["data"]]


async def send(api: Sandbox, method: str, path: str, **options: Any) -> Response:
    options.setdefault("headers", {"X-Auth-Token": api.token})
    url = options.pop("base", api.base_url) + path
    async with aiohttp.ClientSession() as session, session.request(method, url, **options) as got:
        return Response(got.status, got.headers, await got.read())


async def get_page(api: Sandbox, path: str = CDRS, **query: Any) -> Response:
    where = query.pop("where", None)
    if where is not None:
        names = ("property", "operator", "value")
        query["filter"] = json.dumps([dict(zip(names, each, strict=True)) for each in where])
    return await send(api, "GET", path, params=query)
