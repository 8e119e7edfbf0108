"""Rows of the exports in a directory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from voipstudio_cmb.boundary.checks import quoted_path
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.sinks.reading import read_rows
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry, read_manifest


def exported_rows(path: Path, resource: str, members: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """The `members` of each row of `resource` in the exports at `path`: a directory, or one file.

    Raises:
        ClientMisuse: there is no export of it, or several that have the same rows; from the
            iteration, a file is damaged or has lost rows.
        OSError: a file can't be read.
    """
    directory = path if path.is_dir() else path.parent
    entries = {
        name: entry
        for name, entry in read_manifest(directory).items()
        if entry.identity["resource"] == resource and path in (directory, directory / name)
    }
    if not entries:
        raise ClientMisuse(_nothing(path, resource))
    kinds = {repr(sorted(entry.identity.items())): name for name, entry in entries.items()}
    if len(kinds) > 1:
        names = ", ".join(sorted(kinds.values()))
        raise ClientMisuse(
            f"{str(path)!r} has several exports of {resource} ({names}): name one file of it"
        )
    return _rows(directory, resource, members, entries)


def _rows(
    directory: Path, resource: str, members: Sequence[str], entries: Mapping[str, Entry]
) -> Iterator[Mapping[str, Any]]:
    for name, entry in sorted(entries.items()):
        found, null = 0, entry.identity["csv_null"]
        for row in read_rows(directory / name, resource, members, null):
            yield row
            found += 1
        if found < entry.rows:
            raise ClientMisuse(
                f"{str(directory / name)!r} was cut: it has {found:,} rows, and {entry.rows:,} "
                "were written; export it again"
            )


def _nothing(path: Path, resource: str) -> str:
    """Why there are no rows of `resource` at `path`, and what to name instead."""
    if re.match(r"\w+:/", str(path)):
        return "--files reads files of this machine: copy the export from there first"
    if not path.exists():
        return f"--files: {quoted_path(path)} does not exist"
    text = f"{str(path)!r} has no finished export of {resource}"
    accounts = sorted(each.parent.name for each in path.glob(f"*/{MANIFEST}"))[:8]
    return f"{text}: name one of the accounts in it ({', '.join(accounts)})" if accounts else text
