"""A document: what it wants, as values. Reading it checks all of it."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.boundary.files import read_regular
from voipstudio_cmb.errors import DocumentError

from .checks import KINDS, is_name, mistakes_of
from .edits import plain_text
from .file import MAX_SIZE, DocumentFile
from .forms import Kind, attributes
from .lines import line_of, lines_of


@attrs.frozen(kw_only=True)
class Section:
    """What a document wants of one button or one setting."""

    kind: Kind
    local: str
    """Its name in the document."""
    id: int | None
    """The id in the account; None if it is to be found by its name, or created."""
    values: Mapping[str, Any]
    """The attributes that it names, as they stand there; None for those in its `null`."""
    button: str | None = None
    """The local name of the button that a setting uses, if it names one by that."""
    creating: bool = False
    """An earlier apply has begun to create it, and did not see the end of that."""
    line: int = 0
    """Where it stands, from 1."""


@attrs.frozen(kw_only=True)
class Part:
    """What a document wants of one account."""

    name: str
    """The NAME of `[accounts.NAME]`; "" where the document is about one account."""
    account: str | None = None
    """Whose it is, as `client.identity()` says it."""
    sections: tuple[Section, ...] = ()
    """The buttons and then the settings, in the order of the document."""
    managed: Mapping[Kind, tuple[int, ...]] = attrs.field(factory=dict)
    """The ids that apply has made or adopted, which alone may be deleted."""
    line: int = 1
    """Where its account is named, from 1."""


@attrs.frozen(kw_only=True)
class Document:
    """A document, as it was read."""

    path: Path
    sha256: str
    """Of the file's bytes."""
    parts: Mapping[str, Part]
    """What it wants of each account, by the account's name in it; one, called "", of just one."""
    file: DocumentFile = attrs.field(eq=False, repr=False)
    """What apply writes into."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts that it has sections for; () if it is about one account."""
        return tuple(filter(None, self.parts))


def read(path: str | Path) -> Document:
    """The document in the TOML file `path`.

    Raises:
        DocumentError: it can't be read or used; the message names each line with a mistake.
    """
    path = Path(path)
    try:
        content = read_regular(path, MAX_SIZE)
    except (OSError, ValueError) as error:  # a NUL in its path
        reason = getattr(error, "strerror", None) or "its path can't be used"
        raise DocumentError(f"{path}: it can't be read: {reason}") from None
    return parse(path, content)


def parse(path: Path, content: bytes) -> Document:
    """The document in a file's `content`; raises `DocumentError` as `read`. No I/O."""
    if mark := _encoding(content):
        raise DocumentError(f"{path}:1: it {mark}: save it as UTF-8 without a byte order mark")
    if not content.strip():  # as a `pull > FILE` that failed has left it
        raise DocumentError(f"{path}:1: it is empty: pull it, or write [settings.NAME]")
    text = ""
    try:
        text = plain_text(content)
        data = tomllib.loads(text, parse_float=Decimal)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DocumentError(f"{path}:{line}: it is no text in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{path}:{_syntax(error, text)}") from None
    return _checked(path, content, data)


def _encoding(content: bytes) -> str:
    if content.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark"
    encoding = json.detect_encoding(content)
    return "" if encoding == "utf-8" else f"is in {encoding[:6].upper()}"


_HINTS = {
    "null|none|nil": 'TOML has no null: write null = ["NAME"], with the names of all that are null',
    "true|false|yes|no|on|off": "write true or false, in lower case",
    "[^\\W\\d].*": "a text stands in quotes",
}
"""What somebody had in mind who wrote a value that TOML does not have."""


def _syntax(error: Exception, text: str) -> str:
    """The line and what is wrong there, in words that quote nothing."""
    found = re.search(r"at line (\d+)", str(error))
    line = int(found[1]) if found else text.rstrip().count("\n") + 1
    if isinstance(error, RecursionError):
        return "1: it is nested too deeply"
    if re.search(r"twice|overwrite|mutate|redefine|[Dd]uplicate", str(error)):
        return f"{line}: a table or a key stands there that stands above already"
    value = text.split("\n")[line - 1].partition("=")[2].partition("#")[0].strip()
    for form, hint in _HINTS.items():
        if re.fullmatch(form, value, re.IGNORECASE):
            return f"{line}: it is no TOML: {hint}"
    return f"{line}: it is no TOML: fix it there, or right above"


def _checked(path: Path, content: bytes, data: Mapping[str, Any]) -> Document:
    lines = lines_of(plain_text(content))
    if mistakes := mistakes_of(data):
        found = sorted((line_of(lines, at), _where(at), message) for at, message in mistakes)
        raise DocumentError(
            "\n".join(f"{path}:{line}: {at}{message}" for line, at, message in found)
        )
    named = data.get("accounts") or {"": data}
    prefix = ("accounts",) if "accounts" in data else ()
    parts = {
        name: _part(name, part, lines, (*prefix, name) if prefix else ())
        for name, part in named.items()
    }
    digest = hashlib.sha256(content).hexdigest()
    return Document(path=path, sha256=digest, parts=parts, file=DocumentFile(path, content))


def _where(at: tuple[str, ...]) -> str:
    """The section that the key `at` is in, for messages."""
    kind = 2 if at[0] == "accounts" else 0
    section = at[: kind + 2] if at[kind : kind + 1] and at[kind] in KINDS else at[:-1]
    return f"{'.'.join(section)}: " if section and all(map(is_name, section)) else ""


def _part(
    name: str, part: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], at: tuple[str, ...]
) -> Part:
    sections = [
        _section(kind, local, section, line_of(lines, (*at, kind, local)))
        for kind in KINDS
        for local, section in part.get(kind, {}).items()
    ]
    managed = {kind: tuple(ids) for kind, ids in part.get("managed", {}).items()}
    return Part(
        name=name,
        account=part.get("account"),
        sections=tuple(sections),
        managed=managed,
        line=line_of(lines, (*at, "account")),
    )


def _section(kind: Kind, local: str, section: Mapping[str, Any], line: int) -> Section:
    named = {key: section[key] for key in attributes(kind) if key in section}
    return Section(
        kind=kind,
        local=local,
        id=section.get("id"),
        values=named | dict.fromkeys(section.get("null", [])),
        button=section.get("button"),
        creating=section.get("creating", False),
        line=line,
    )
