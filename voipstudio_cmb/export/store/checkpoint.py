"""What an interrupted export needs to resume, in a hidden file with a checksum.

A checkpoint that is damaged counts for nothing: the export begins again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.codec.json import decode_as

from .contents import Contents
from .disk import read
from .ended import Made
from .manifest import Entry

VERSION = 1
"""Of the checkpoints and of the rows that they count."""

_NOTHING = hashlib.sha256(b"").hexdigest()


@attrs.frozen(kw_only=True)
class Checkpoint(Contents):
    """How far an export has come."""

    page_size: int
    """The rows asked for in one request."""
    adds: bool = False
    """Whether its rows are added to a file that has others."""
    begun: str = ""
    """When the export began (UTC)."""
    cursor: str | None = None
    """Where its walk is resumed."""
    size: int = 0
    """The bytes of rows that are saved."""
    digest: str = _NOTHING
    """Their SHA-256."""
    pages: int = 0
    """How many pages they came in."""
    total: int | None = None
    """How many rows there are, as the API last claimed."""
    missing: Sequence[int] = ()
    """The ids of buttons that do not exist."""
    altered: int = 0
    """How many values could not be written as they are."""
    complete: bool = False
    """Whether all rows are saved."""
    entry: Entry | None = None
    """What the manifest is to say of the finished file."""
    untold: Made | None = None
    """What an interrupted export has brought before, whose file this one adds to."""

    @property
    def file(self) -> tuple[int, str] | None:
        """The size and the SHA-256 of the finished file."""
        return None if self.entry is None else (self.entry.bytes, self.entry.sha256)

    def entry_of(self, made: tuple[int, str], rejects: Sequence[str]) -> Entry:
        """What a manifest says of the finished file, of which size and SHA-256 are `made`."""
        contents = {field.name: getattr(self, field.name) for field in attrs.fields(Contents)}
        return Entry(**contents, bytes=made[0], sha256=made[1], rejects=rejects)

    def to_bytes(self) -> bytes:
        """What goes into its file."""
        held = json.dumps(attrs.asdict(self), sort_keys=True)
        return json.dumps({"version": VERSION, "checksum": _sum(held), "held": held}).encode()

    def differences(self, other: Checkpoint) -> list[str]:
        """In what the export differs from that of `other`, as text."""
        before, now = self._asked(), other._asked()
        return [
            f"{name} was {before[name]!r} and is {now[name]!r}"
            for name in sorted(before)
            if before[name] != now[name]
        ]

    def _asked(self) -> dict[str, Any]:
        begins = {"after": self.after, "since": self.since}
        return {**self.identity, **begins, "page_size": self.page_size}


def _sum(held: str) -> str:
    return hashlib.sha256(held.encode()).hexdigest()


def saved_rows(path: Path) -> int | None:
    """How many rows the checkpoint in the file `path` counts; None if there is none to resume."""
    with contextlib.suppress(OSError):
        if checkpoint := load(path):
            return checkpoint.rows + checkpoint.rejected
    return None


def load(path: Path) -> Checkpoint | None:
    """The checkpoint in the file `path`, or None if it has none that can be trusted.

    Raises:
        OSError: it can't be read now. To begin again would lose what it counts.
    """
    try:
        data = read(path)
    except FileNotFoundError:
        return None
    try:
        saved = json.loads(data)
        if saved["version"] != VERSION or saved["checksum"] != _sum(saved["held"]):
            return None
        return decode_as(Checkpoint, saved["held"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
