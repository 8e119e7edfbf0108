"""The mark of files that are complete, until an export has told so: a hidden file.

It is there from before the checkpoints are removed until nothing can be interrupted any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
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


def end_mark(directory: Path, *parts: object) -> Path:
    """The mark of an export to `directory`, or of `parts` of it, to which others export too."""
    return directory / "-".join((".export-ended", *map(str, parts)))


def write_mark(disk: Disk, mark: Path, made: Mapping[Path, Made], *, restart: bool) -> None:
    """Makes the file `mark` of exports that have `made` files, with or without `restart`."""
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
    held = _read(mark)
    if held is None or (restart and not held["restart"]):
        return None
    paths = _paths(mark, held)
    return {path.name: made for path, made in paths.items() if path.parent == directory}


def left_untold(mark: Path, told: Collection[Path]) -> dict[Path, Made]:
    """The files that the mark names beside those that are `told`.

    Raises:
        OSError: the mark can't be read now.
    """
    held = _read(mark)
    paths = {} if held is None else _paths(mark, held)
    return {path: made for path, made in paths.items() if path not in told}


def _read(mark: Path) -> _Mark | None:
    try:
        return decode_as(_Mark, read(mark))
    except (FileNotFoundError, ValueError):
        return None


def _paths(mark: Path, held: _Mark) -> dict[Path, Made]:
    return {mark.parent / name: made for name, made in held["made"].items()}
