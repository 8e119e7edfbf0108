"""What an interrupted export needs to go on: how far it has come, of what, and with what in hand.

It is kept in a hidden file beside the one that is being made, with a checksum. One that is damaged
counts for nothing: the export begins anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

VERSION = 1
"""Of the checkpoints and of the rows that they count."""

_NOTHING = hashlib.sha256(b"").hexdigest()


@attrs.frozen(kw_only=True)
class Checkpoint:
    """How far an export has come.

    *of* says of what it is, *account* whose (a salted hash), *begun* when it began (UTC). *size*
    bytes of rows are in hand, with that SHA-256 *digest*; a walk goes on from *position*.
    *lowest* and *highest* are the ids among its *rows*, and *late*, *created_at* and *last* what
    the manifest tells of them; *whole* says that all rows are there, and
    *file* what the finished file is: its size and SHA-256. *missing* are buttons that do not exist;
    *rejected* rows could not be used, *altered* values could not be written as they are.
    """

    of: Mapping[str, Any]
    account: str = ""
    begun: str = ""
    cursor: str | None = None
    size: int = 0
    digest: str = _NOTHING
    rows: int = 0
    pages: int = 0
    total: int | None = None
    lowest: int | None = None
    highest: int | None = None
    late: Sequence[int] = ()
    created_at: str | None = None
    last: Sequence[int] = ()
    missing: Sequence[int] = ()
    rejected: int = 0
    altered: int = 0
    whole: bool = False
    file: tuple[int, str] | None = None

    def to_bytes(self) -> bytes:
        """What goes into its file."""
        held = json.dumps(attrs.asdict(self), sort_keys=True)
        return json.dumps({"version": VERSION, "checksum": _sum(held), "held": held}).encode()

    def differences(self, of: Mapping[str, Any]) -> list[str]:
        """In what the export differs from one of *of*, as text."""
        return [
            f"{name} was {self.of.get(name)!r} and is {of.get(name)!r}"
            for name in sorted({*self.of, *of})
            if self.of.get(name) != of.get(name)
        ]


def _sum(held: str) -> str:
    return hashlib.sha256(held.encode()).hexdigest()


def load(path: Path) -> Checkpoint | None:
    """The checkpoint in the file *path*, or None if there is none that can be trusted."""
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != VERSION or found["checksum"] != _sum(found["held"]):
            return None
        held = json.loads(found["held"])
        held["file"] = tuple(held["file"]) if held["file"] else None
        return Checkpoint(**held)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
