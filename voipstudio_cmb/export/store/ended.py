"""The mark of an export that is complete, until it has told so: a hidden file.

It is there from before the checkpoints are removed until nothing can be interrupted any more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from voipstudio_cmb.codec.json import decode_as

from .disk import Disk, read, write_atomic


def end_mark(directory: Path) -> Path:
    """The mark of an export to `directory`."""
    return directory / ".export-ended"


def write_mark(disk: Disk, mark: Path, made: Mapping[Path, int]) -> None:
    """Makes the file `mark`, which names the files that were `made`, with their rows."""
    names = {str(path.relative_to(mark.parent)): rows for path, rows in made.items()}
    write_atomic(disk, mark, json.dumps(names).encode())


def untold(mark: Path, directory: Path) -> dict[str, int]:
    """The files in `directory`, with their rows, that an export made which could not tell so.

    Raises:
        OSError: the mark can't be read now.
    """
    try:
        names = decode_as(dict[str, int], read(mark))
    except (FileNotFoundError, ValueError):
        return {}
    paths = {mark.parent / name: rows for name, rows in names.items()}
    return {path.name: rows for path, rows in paths.items() if path.parent == directory}
