"""What apply writes into the text of a document: ids, and what it has begun. No I/O.

Comments and layout stay, and what comes out is read again before it counts. The only module that
knows tomlkit.
"""

from __future__ import annotations

import tomllib
from collections.abc import MutableMapping
from difflib import SequenceMatcher
from operator import add
from typing import Any

import attrs

from voipstudio_cmb.errors import ClientMisuse, DocumentError

from .forms import Kind

_ANY_ID = 2**63 - 1


@attrs.frozen(kw_only=True)
class Edit:
    """What to write into one section, and into `managed`."""

    part: str
    """The account's name in the document; "" in one that is about one account."""
    kind: Kind
    local: str = ""
    """The section; "" if only `managed` changes."""
    known_id: int | None = None
    """The id that the section had when the document was read."""
    id: int | None = None
    """The id that it gets."""
    creating: bool | None = None
    """Whether it gets `creating`, or loses it."""
    release: int | None = None
    """The id that `managed` loses."""


def check_editor() -> None:
    """Checks that documents can be written into.

    Raises:
        ClientMisuse: tomlkit is not installed.
    """
    try:
        import tomlkit  # noqa: F401 - only an apply needs it
    except ImportError:
        raise ClientMisuse("apply needs another package: install voipstudio-cmb[desired]") from None


def plain_text(content: bytes) -> str:
    """The text of a document, with lines that end in LF.

    Raises:
        UnicodeDecodeError: it is no UTF-8.
    """
    return content.decode().replace("\r\n", "\n")


def edited(content: bytes, edit: Edit) -> bytes:
    """The document `content` with `edit` in it.

    Raises:
        DocumentError: the section is not there, or has got another id; or the text can't be edited.
    """
    import tomlkit

    try:
        text = plain_text(content)
        wanted = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise DocumentError("it is no TOML any more") from None
    _check(wanted, edit)
    try:
        if (edit.id or edit.release) and "managed" not in _part(wanted, edit):
            header = f"accounts.{tomlkit.key(edit.part).as_string()}." if edit.part else ""
            blank = "\n" if text.endswith("\n") else "\n\n"
            text = f"{text}{blank}[{header}managed]\n"
            _part(wanted, edit)["managed"] = {}
        _change(wanted, edit)
        document = tomlkit.parse(text)
        _change(document, edit)
        text = tomlkit.dumps(document)
        same = tomllib.loads(text) == wanted
    except Exception:  # of a form of TOML that tomlkit does not know well: nothing is written
        same = False
    if not same:
        raise DocumentError("it is written in a way that can't be edited: use [headers]")
    new = _with_ends(text, content.decode()).encode()
    if edit.creating:  # what could not get its id then must not be created
        edited(new, attrs.evolve(edit, creating=False, id=_ANY_ID))
    return new


def _with_ends(text: str, old: str) -> str:
    """`text` with the ends of lines that `old` has; of several kinds a new line gets CRLF."""
    count = old.count("\r\n")
    if count in (0, old.count("\n")):
        return text.replace("\n", "\r\n") if count else text
    before, lines = old.split("\n"), text.split("\n")
    ends = ["\r"] * len(lines)
    matcher = SequenceMatcher(None, [line.removesuffix("\r") for line in before], lines)
    for here, there, size in matcher.get_matching_blocks():
        for line in range(size):
            ends[there + line] = before[here + line][len(lines[there + line]) :]
    return "\n".join([*map(add, lines[:-1], ends), lines[-1]])


def _part(data: Any, edit: Edit) -> MutableMapping[str, Any]:
    part: MutableMapping[str, Any] = data["accounts"][edit.part] if edit.part else data
    return part


def _check(data: Any, edit: Edit) -> None:
    if not edit.local:
        return
    try:
        section = _part(data, edit)[edit.kind][edit.local]
        id = section.get("id")
    except (KeyError, TypeError, AttributeError):
        raise DocumentError(f"it has no [{edit.kind}.{edit.local}] any more") from None
    if id not in (edit.known_id, edit.id):
        raise DocumentError(f"[{edit.kind}.{edit.local}] has got another id")


def _change(data: Any, edit: Edit) -> None:
    """Makes the same change in what tomllib has read and in what tomlkit has."""
    part = _part(data, edit)
    section = part[edit.kind][edit.local] if edit.local else {}
    if edit.creating:
        _put(section, "creating", True)
    elif edit.creating is False:
        section.pop("creating", None)
    if edit.id is not None:
        _put(section, "id", edit.id)
    if edit.id is None and edit.release is None:
        return
    managed = part["managed"]
    if edit.kind not in managed:
        _put(managed, edit.kind, [])
    ids = managed[edit.kind]
    for gone in {edit.release, edit.known_id if edit.id else None} - {None, edit.id}:
        if gone in ids:
            ids.remove(gone)
    if edit.id is not None and edit.id not in ids:
        ids.append(edit.id)


def _put(table: Any, key: str, value: Any) -> None:
    """Sets `key`; a new one comes below the others, and above blank lines and comments there.

    Those belong to the next table.
    """
    body = getattr(getattr(table, "value", None), "body", None)
    if key in table or body is None:
        table[key] = value
        return
    end = len(body)
    while end and body[end - 1][0] is None:
        end -= 1
    tail = body[end:]
    del body[end:]
    table[key] = value
    body.extend(tail)
