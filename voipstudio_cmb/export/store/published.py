"""Which files of exports a directory holds: those of its manifest, and those that have just come.

A run can be killed after it has published a file, and before the manifest says so.
"""

from __future__ import annotations

from pathlib import Path

from .checkpoint import load
from .disk import fingerprint, status
from .manifest import Entry, read_manifest


def published(directory: Path) -> dict[str, Entry]:
    """What the manifest of `directory` says of its files, or would say if no run had been killed.

    Raises:
        ClientMisuse: the manifest is none, or not as it was written.
        OSError: something can't be read now.
    """
    entries = read_manifest(directory)
    for path in directory.glob(".*.checkpoint"):
        name = path.name[1:].removesuffix(".checkpoint")
        checkpoint = load(path)
        if checkpoint is None or checkpoint.entry is None or checkpoint.entry == entries.get(name):
            continue
        found = status(directory / name)
        if found is None or found.st_size != checkpoint.entry.bytes:
            continue
        if fingerprint(directory / name) == checkpoint.file:
            entries[name] = checkpoint.entry
    return entries
