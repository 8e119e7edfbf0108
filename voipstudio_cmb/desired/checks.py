"""What is wrong with a document: found in what tomllib has read, all of it at once. No I/O.

A mistake is a path to a key and what to say of it. No value is quoted, and of unknown names only
those that are surely none: somebody may have put a token there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias

from voipstudio_cmb.boundary.checks import is_quotable
from voipstudio_cmb.boundary.text import nearest
from voipstudio_cmb.codec.payloads import write_payload
from voipstudio_cmb.errors import ClientMisuse

from .forms import FIELDS, UNKNOWN, Kind, attributes, canonical
from .lines import Path

Mistake: TypeAlias = tuple[Path, str]
"""Where it is, and what it is."""

KINDS: tuple[Kind, ...] = ("buttons", "settings")
"""In the order in which they are applied: a setting uses a button."""

_NAME = re.compile(r"[\w-][\w .-]{0,63}")
_PART = ("account", *KINDS, "managed")
_SECRETS = ("token", "api_token", "password")
_MAX_ID = 2**63 - 1


def mistakes_of(data: Mapping[str, Any]) -> list[Mistake]:
    """Everything that is wrong with the document `data`."""
    checks = _Checks()
    checks.known((), data, (*_PART, "accounts"), "key")
    if "accounts" not in data:
        checks.part((), data)
        return checks.found
    for key in filter(data.__contains__, _PART):
        checks.add((key,), "a document that has [accounts.NAME] has this below one of them")
    for name, part in checks.tables(("accounts",), data["accounts"]).items():
        checks.known(("accounts", name), part, _PART, "key")
        checks.part(("accounts", name), part)
    return checks.found


def is_name(name: str) -> bool:
    """Whether `name` is one that a section or an account may have in a document."""
    return _NAME.fullmatch(name) is not None


def _is_id(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MAX_ID


class _Checks:
    """What is found to be wrong, on the way through a document."""

    def __init__(self) -> None:
        self.found: list[Mistake] = []

    def add(self, at: Path, message: str) -> None:
        self.found.append((at, message))

    def known(self, at: Path, keys: Collection[str], known: Collection[str], what: str) -> None:
        """Checks that all `keys` of the table `at` are `known`."""
        for key in (key for key in keys if key not in known):
            near = get_close_matches(key.lower(), known, 1)
            shown = repr(key) if near or is_quotable(key) else "of that name"
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            if key.lower() in _SECRETS:
                hint = "tokens do not belong here"
            self.add((*at, key), f"no {what} {shown}; {hint}")

    def tables(self, at: Path, tables: Any) -> dict[str, dict[str, Any]]:
        """Those of `tables` that are some, and have a name that can be used."""
        if not isinstance(tables, dict) or (at == ("accounts",) and not tables):
            self.add(at, f"write [{'.'.join(at)}.NAME], and what belongs to it below")
            return {}
        for name, table in tables.items():
            if not is_name(name):
                self.add((*at, name), "a name is 1 to 64 letters, digits, '-', '_', '.', blanks")
            elif not isinstance(table, dict):
                self.add((*at, name), f"write [{'.'.join(at)}.NAME], and what belongs to it below")
        return {
            name: table for name, table in tables.items()
            if isinstance(table, dict) and is_name(name)
        }  # fmt: skip

    def part(self, at: Path, part: Mapping[str, Any]) -> None:
        """Checks what a document says of one account."""
        if not isinstance(part.get("account", ""), str):
            self.add((*at, "account"), 'it must be as `pull` writes it: "id 1001"')
        buttons = part.get("buttons")
        locals_ = set(buttons) if isinstance(buttons, dict) else set()
        for kind in filter(part.__contains__, KINDS):
            sections = self.tables((*at, kind), part[kind])
            for local, section in sections.items():
                self.section((*at, kind, local), kind, section)
                self.nulls((*at, kind, local), section, attributes(kind))
                if kind == "settings" and "button" in section:
                    self.button((*at, kind, local), section, locals_)
            self.twice((*at, kind), sections)
        self.managed((*at, "managed"), part.get("managed", {}))

    def managed(self, at: Path, managed: Any) -> None:
        if not isinstance(managed, dict):
            self.add(at, "write [managed], and lists of ids below")
            return
        self.known(at, managed, KINDS, "list")
        for kind in filter(managed.__contains__, KINDS):
            ids = managed[kind]
            if not isinstance(ids, list) or not all(map(_is_id, ids)) or len(set(ids)) < len(ids):
                self.add((*at, kind), "it must be a list of ids, each once")

    def section(self, at: Path, kind: Kind, section: Mapping[str, Any]) -> None:
        own = ("id", "null", "creating") + (("button",) if kind == "settings" else ())
        self.known(at, section, (*attributes(kind), *own), "attribute")
        if "id" in section and not _is_id(section["id"]):
            self.add((*at, "id"), "it must be the id of a resource, an integer from 1")
        if section.get("creating", True) is not True:
            self.add((*at, "creating"), "apply writes this: take it out")
        for attribute in filter(section.__contains__, attributes(kind)):
            try:
                write_payload({attribute: section[attribute]}, FIELDS[kind])
            except ClientMisuse as error:
                self.add((*at, attribute), error.message)
            else:
                if canonical(attribute, section[attribute]) is UNKNOWN:
                    self.add((*at, attribute), f"{attribute} has a value that is out of its range")
        name = section.get("name", "")
        findable = not isinstance(name, str) or (name and name == name.strip())
        if "id" not in section and not findable:
            self.add(at, "without an id it needs a name, with no blanks around it, to be found by")

    def nulls(self, at: Path, section: Mapping[str, Any], known: Collection[str]) -> None:
        nulls = section.get("null", [])
        if not isinstance(nulls, list) or not all(isinstance(name, str) for name in nulls):
            self.add((*at, "null"), "it must be a list of the attributes that are to be null")
            return
        before = len(self.found)
        self.known((*at, "null"), nulls, known, "attribute")
        # A name in a list has no line of its own.
        self.found[before:] = [((*at, "null"), message) for _, message in self.found[before:]]
        for name in nulls:
            if name in section and name in known:
                self.add((*at, name), f"{name} is in null too: take it out of one of them")
        if len(set(nulls)) < len(nulls):
            self.add((*at, "null"), "it names an attribute twice")

    def button(self, at: Path, section: Mapping[str, Any], buttons: Collection[str]) -> None:
        button, nulls = section["button"], section.get("null")
        if "button_id" in section or (isinstance(nulls, list) and "button_id" in nulls):
            self.add((*at, "button"), "button and button_id say the same: take out one of them")
        elif not isinstance(button, str) or button not in buttons:
            hint = nearest(str(button), buttons) or ": add it, or give button_id"
            self.add((*at, "button"), f"there is no [buttons.NAME] of that name{hint}")

    def twice(self, at: Path, sections: Mapping[str, Mapping[str, Any]]) -> None:
        names = Counter(str(section.get("name")) for section in sections.values())
        first: dict[Any, str] = {}
        for local, section in sections.items():
            if "id" not in section and "name" in section and names[str(section["name"])] > 1:
                self.add((*at, local, "name"), "another section has this name: give it an id")
            elif _is_id(id := section.get("id")) and first.setdefault(id, local) != local:
                self.add((*at, local, "id"), f"{first[id]} has this id too")
