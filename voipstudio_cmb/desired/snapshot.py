"""`pull`: a document of what there is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse

from .checks import is_name
from .forms import UNKNOWN, Kind, quoted, read_row, spelt
from .remote import Rows, read_buttons, read_settings


async def pull(client: CallMeBackClient, ids: Iterable[int] = (), *, account: str = "") -> str:
    """A document of the settings with these `ids`, or of all, and of the buttons that they use.

    With `account` its sections are those of `[accounts.NAME]`; several of them make one document.
    Attributes that the API sends in an unknown form are left out.

    Raises:
        NotFound: there is no setting with one of the `ids`.
        CallMeBackError: the account can't be read.
    """
    if account and not is_name(account):
        raise ClientMisuse("an account's name is 1 to 64 letters, digits, '-', '_', '.', blanks")
    identity = await client.identity()
    if chosen := list(dict.fromkeys(ids)):
        settings = {
            id: read_row("settings", (await client.settings.get(id)).to_dict()) for id in chosen
        }
    else:
        settings = await read_settings(client)
    used = {row["button_id"] for row in settings.values()}
    buttons = await read_buttons(
        client, {id for id in used if isinstance(id, int) and id > 0}, set()
    )
    return document_of(settings, buttons, identity if identity.startswith("id ") else "", account)


def document_of(settings: Rows, buttons: Rows, identity: str, account: str) -> str:
    """The text of a document of these rows, which are in canonical form."""
    prefix = f"accounts.{_key(account)}" if account else ""
    blocks = []
    if identity:
        header = [f"[{prefix}]"] if prefix else []
        blocks.append("\n".join([*header, f"account = {quoted(identity)}"]))
    names = _local_names("buttons", buttons)
    for id, local in names.items():
        blocks.append(_section(prefix, "buttons", local, id, buttons[id], names))
    for id, local in _local_names("settings", settings).items():
        blocks.append(_section(prefix, "settings", local, id, settings[id], names))
    return "\n\n".join(blocks) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)


def _local_names(kind: Kind, rows: Rows) -> dict[int, str]:
    """A name for each row, made of its own: short, of ASCII letters, and each once."""
    names: dict[int, str] = {}
    for id, row in sorted(rows.items()):
        text = row["name"] if isinstance(row["name"], str) else ""
        ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
        slug = "-".join(re.findall(r"[a-z0-9]+", ascii_))[:40].strip("-") or kind[:-1]
        while slug in names.values():
            slug += f"-{id}"
        names[id] = slug
    return names


def _section(
    prefix: str,
    kind: Kind,
    local: str,
    id: int,
    row: Mapping[str, Any],
    buttons: Mapping[int, str],
) -> str:
    header = ".".join([*filter(None, [prefix]), kind, _key(local)])
    lines, nulls, left_out = [f"[{header}]", f"id = {id}"], [], []
    for name, form in row.items():
        if form is UNKNOWN:
            left_out.append(name)
        elif form is None:
            nulls.append(name)
        elif name == "button_id" and form in buttons:
            lines.append(f"button = {quoted(buttons[form])}")
        else:
            lines.append(f"{name} = {spelt(form)}")
    if nulls:
        lines.append(f"null = {spelt(tuple(nulls))}")
    if left_out:
        lines.append(f"# not sent by the API, or in an unknown form: {', '.join(left_out)}")
    return "\n".join(lines)
