"""What a directory of exports holds: files, their rows, ids and hashes, in its `manifest.json`.

An incremental export reads there where the last one ended, and which files it had made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypedDict

import attrs

from voipstudio_cmb.codec.json import decode_as
from voipstudio_cmb.errors import ClientMisuse

from .contents import Contents
from .disk import Disk, read, sidecar, write_atomic
from .lock import directory_locked

MANIFEST = "manifest.json"
VERSION = 1


@attrs.frozen(kw_only=True)
class Entry(Contents):
    """One file in a manifest."""

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


def record(disk: Disk, path: Path, entry: Entry) -> Entry | None:
    """Records the file `path` in the manifest of its directory; returns its older entry, if any.

    An entry with ids above those of the older one continues it: the file holds both.
    """
    manifest = path.parent / MANIFEST
    with directory_locked(path.parent):  # jobs of this process and of others write it
        entries = read_manifest(path.parent)
        before = entries.get(path.name)
        if before is not None and before.highest is not None and 0 < before.highest <= entry.after:
            entry = _both(before, entry)
        if before is not None and before.sha256 == entry.sha256:
            disk.unlink(sidecar(manifest, "new"))  # of a run that was killed behind this
            return before
        entries[path.name] = entry
        files = {name: attrs.asdict(entry) for name, entry in entries.items()}
        held = {"version": VERSION, "files": files}
        text = json.dumps(held, indent=1, ensure_ascii=False, sort_keys=True)
        write_atomic(disk, manifest, text.encode() + b"\n")
        return before


def latest(entries: Iterable[Entry]) -> tuple[str, frozenset[int]] | None:
    """The latest time at which a row of `entries` was created, and the ids of those rows."""
    dated = [(entry.created_at, entry.last) for entry in entries if entry.created_at]
    if not dated:
        return None
    last = max(time for time, _ in dated)
    return last, frozenset(id for time, ids in dated if time == last for id in ids)


def _both(before: Entry, entry: Entry) -> Entry:
    """The file of `before`, to which that of `entry` was added."""
    dated = latest([before, entry])
    return attrs.evolve(
        entry,
        rows=before.rows + entry.rows,
        after=before.after,
        lowest=before.lowest,
        highest=max(before.highest or 0, entry.highest or 0),
        late=(),
        created_at=dated and dated[0],
        last=sorted(dated[1]) if dated else (),
        rejected=before.rejected + entry.rejected,
    )
