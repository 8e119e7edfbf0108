"""What an account has of buttons and settings, as far as a document can tell. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import Forbidden, NotFound

from .document import Part
from .forms import Kind, read_row
from .items import Uses

Rows: TypeAlias = dict[int, dict[str, Any]]
"""The attributes of each resource in canonical form, by id."""


async def read_one(client: CallMeBackClient, kind: Kind, id: int) -> dict[str, Any] | None:
    """The attributes of one resource; None if it is gone."""
    service = client.buttons if kind == "buttons" else client.settings
    try:
        return read_row(kind, (await service.get(id)).to_dict())
    except NotFound:
        return None


async def read_settings(client: CallMeBackClient) -> Rows:
    """All settings of the account."""
    return {
        setting.id: read_row("settings", setting.to_dict())
        async for setting in client.settings.list()
    }


async def read_websites(client: CallMeBackClient) -> Uses:
    """The button of each website, in canonical form."""
    return {
        website.id: read_row("settings", website.to_dict())["button_id"]
        async for website in client.websites.list()
    }


async def read_buttons(client: CallMeBackClient, ids: set[int], named: set[int]) -> Rows:
    """The buttons with these `ids`, as far as the account has them.

    One of those `named` by a document that is another account's is an error.
    """
    rows: Rows = {}
    for id in sorted(ids | named):
        try:
            row = await read_one(client, "buttons", id)
        except Forbidden:
            if id in named:
                raise
            continue
        if row is not None:
            rows[id] = row
    return rows


async def read_account(client: CallMeBackClient, part: Part) -> tuple[Mapping[Kind, Rows], Uses]:
    """All settings, the buttons that settings, websites or `part` name, and the use by websites.

    There is no list of buttons.
    """
    named: dict[Kind, set[int]] = {"buttons": set(), "settings": set()}
    for section in part.sections:
        if section.id is not None:
            named[section.kind].add(section.id)
    settings = await read_settings(client)
    for id in sorted(named["settings"] - settings.keys()):
        # The collection may lack it: only its own 404 says that it is gone.
        if (row := await read_one(client, "settings", id)) is not None:
            settings[id] = row
    websites = await read_websites(client)
    used = {row["button_id"] for row in settings.values()} | {*websites.values()}
    used.update(part.managed.get("buttons", ()))
    buttons = {id for id in used if isinstance(id, int) and id > 0}
    rows = await read_buttons(client, buttons, named["buttons"])
    return {"buttons": rows, "settings": settings}, websites
