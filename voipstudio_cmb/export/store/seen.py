"""What an object store had of one series of files when a run looked last: a hidden file.

A workspace does not keep what is published. This says which of its files the store has, and from
what an interrupted run began: where the store has moved on, what that run has left counts for
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.codec.json import decode_as

from .disk import Disk, read, sidecar, write_atomic
from .manifest import Entry


@attrs.frozen(kw_only=True)
class Seen:
    """What the store had."""

    entries: Mapping[str, Entry]
    """What its manifest said of the files of the series."""
    present: Sequence[str]
    """Those of them that were there."""


def load_seen(first: Path) -> Seen | None:
    """What was seen last of the series that begins with the file `first`; None: nothing."""
    try:
        return decode_as(Seen, read(sidecar(first, "store")))
    except (FileNotFoundError, ValueError):
        return None


def write_seen(disk: Disk, first: Path, seen: Seen) -> None:
    """Notes what was seen."""
    write_atomic(disk, sidecar(first, "store"), json.dumps(attrs.asdict(seen)).encode())


def kept(first: Path) -> Collection[str]:
    """The names of the files of the series that the store has."""
    seen = load_seen(first)
    return () if seen is None else seen.present
