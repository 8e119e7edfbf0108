"""A document: what it wants, as values. Reading it checks all of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from .forms import Kind


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
    """In the order of the document."""
    managed: Mapping[Kind, tuple[int, ...]] = attrs.field(factory=dict)
    """The ids that apply has made or adopted, which alone may be deleted."""


@attrs.frozen(kw_only=True)
class Document:
    """A document, as it was read."""

    path: Path
    sha256: str
    """Of the file's bytes."""
    parts: Mapping[str, Part]
    """What it wants of each account, by the account's name in it; one, called "", of just one."""

    @property
    def accounts(self) -> tuple[str, ...]:
        """The names of the accounts that it has sections for; () if it is about one account."""
        return tuple(filter(None, self.parts))


def read(path: str | Path) -> Document:
    """The document in the TOML file `path`.

    Raises:
        DocumentError: it can't be read or used; the message names each line with a mistake.
    """
    raise NotImplementedError
