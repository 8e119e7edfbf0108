"""The mark of an export that is complete, until it has told so: a hidden file.

It is there from before the checkpoints are removed until nothing can be interrupted any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import attrs

from voipstudio_cmb.codec.json import decode_as

from .disk import Disk, read, write_atomic


@attrs.frozen(kw_only=True)
class Made:
    """What an export has brought into a file."""

    rows: int
    """How many rows."""
    rejected: int
    """How many could not be used."""


class _Mark(TypedDict):
    restart: bool
    made: dict[str, Made]


def end_mark(directory: Path, *parts: str) -> Path:
    """The mark of an export to `directory`, or of one of the `parts` that others export too."""
    return directory / "-".join((".export-ended", *parts))


def write_mark(disk: Disk, mark: Path, made: Mapping[Path, Made], *, restart: bool) -> None:
    """Makes the file `mark` of an export that has `made` files, with or without `restart`."""
    names = {str(path.relative_to(mark.parent)): attrs.asdict(each) for path, each in made.items()}
    held: dict[str, Any] = {"restart": restart, "made": names}
    write_atomic(disk, mark, json.dumps(held).encode())


def untold(mark: Path, directory: Path, *, restart: bool) -> dict[str, Made] | None:
    """The files in `directory` that an export made which may not have told so; None: no such one.

    With `restart` only one that had begun again too: it was the same command. Any other is to be
    made again.

    Raises:
        OSError: the mark can't be read now.
    """
    try:
        held = decode_as(_Mark, read(mark))
    except (FileNotFoundError, ValueError):
        return None
    if restart and not held["restart"]:
        return None
    paths = {mark.parent / name: made for name, made in held["made"].items()}
    return {path.name: made for path, made in paths.items() if path.parent == directory}
