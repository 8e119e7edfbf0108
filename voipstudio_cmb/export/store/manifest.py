"""What a directory of exports holds: files, their rows, ids and hashes, in its `manifest.json`.

An incremental export reads there where the last one ended, and which files it had made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, TypedDict

import attrs

from voipstudio_cmb.codec.json import decode_as
from voipstudio_cmb.errors import ClientMisuse

from .contents import Contents
from .disk import Disk, read, sidecar, write_atomic
from .lock import directory_locked
from .marks import Mark, packed, unpacked

MANIFEST = "manifest.json"
VERSION = 1


@attrs.frozen(kw_only=True)
class Entry(Contents):
    """One file in a manifest."""

    through: int  # pyright: ignore[reportGeneralTypeIssues] - every entry has to say it
    """Rows with ids above this one are left to the next file."""
    bytes: int
    """The size of the file."""
    sha256: str
    """The SHA-256 of the file."""


class _Manifest(TypedDict):
    version: Literal[1]
    files: dict[str, Entry]


def read_manifest(directory: Path) -> dict[str, Entry]:
    """The entries of the manifest in `directory` by the names of their files.

    Raises:
        ClientMisuse: the file of that name is no such manifest.
        OSError: it can't be read now.
    """
    path = directory / MANIFEST
    try:
        return decode_as(_Manifest, read(path))["files"]
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ClientMisuse(
            f"{str(path)!r} is no manifest of exports ({error}): move it away, or export to "
            "another directory"
        ) from None


def record(disk: Disk, path: Path, entry: Entry, *, adds: bool) -> Entry | None:
    """Records the file `path` in the manifest of its directory; returns its older entry, if any.

    Where it `adds` to the file of the older one, the file holds both.
    """
    manifest = path.parent / MANIFEST
    with directory_locked(path.parent):  # jobs of this process and of others write it
        entries = read_manifest(path.parent)
        before = entries.get(path.name)
        if before is not None and before.sha256 == entry.sha256:
            disk.unlink(sidecar(manifest, "new"))  # of a run that was killed behind this
            return before
        entries[path.name] = entry if before is None or not adds else _both(before, entry)
        files = {name: attrs.asdict(entry) for name, entry in entries.items()}
        held = {"version": VERSION, "files": files}
        text = json.dumps(held, indent=1, ensure_ascii=False, sort_keys=True)
        write_atomic(disk, manifest, text.encode() + b"\n")
        return before


def _both(before: Entry, entry: Entry) -> Entry:
    """The file of `before`, to which that of `entry` was added."""
    mark = Mark(entry.through, entry.until)
    known = [
        (each.recent, {row for row in unpacked(each.known) if mark.leaves(*row)})
        for each in (before, entry)
    ]
    return attrs.evolve(
        entry,
        rows=before.rows + entry.rows,
        after=before.after,
        since=before.since,
        known=packed(row for _, rows in known for row in rows),
        recent=min((recent for recent, rows in known if rows), default=entry.recent),
        lowest=min(filter(None, (before.lowest, entry.lowest)), default=None),
        highest=max(filter(None, (before.highest, entry.highest)), default=None),
        rejected=before.rejected + entry.rejected,
    )
