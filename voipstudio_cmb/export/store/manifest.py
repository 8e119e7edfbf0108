"""What a directory of exports holds: files, their rows, ids and hashes, in its `manifest.json`.

An incremental export reads there where the last one ended, and which files it had made. A checksum
over the entries tells whether they are as an export wrote them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import attrs

from voipstudio_cmb.codec.json import decode_as
from voipstudio_cmb.errors import ClientMisuse

from .contents import Contents
from .disk import Disk, read, write_atomic
from .lock import directory_locked
from .marks import Mark, packed, unpacked

MANIFEST = "manifest.json"
VERSION = 3

_ADVICE = "move it away, or export to another directory"


@attrs.frozen(kw_only=True)
class Entry(Contents):
    """One file in a manifest."""

    through: int  # pyright: ignore[reportGeneralTypeIssues] - every entry has to say it
    """Rows with ids above this one are left to the next file."""
    bytes: int
    """The size of the file."""
    sha256: str
    """The SHA-256 of the file."""
    rejects: Sequence[str] = ()
    """Digests of the rows that could not be used, so that they are known again."""


class _Manifest(TypedDict):
    version: int
    checksum: str
    files: dict[str, Entry]
    replacing: NotRequired[dict[str, str]]


def read_manifest(directory: Path) -> dict[str, Entry]:
    """The entries of the manifest in `directory` by the names of their files.

    Raises:
        ClientMisuse: the file of that name is no such manifest, or not as it was written.
        OSError: it can't be read now.
    """
    path = directory / MANIFEST
    try:
        data = read(path)
    except FileNotFoundError:
        return {}
    return parse_manifest(data, str(path))


def parse_manifest(data: bytes, path: str) -> dict[str, Entry]:
    """The entries of a manifest that is at `path`.

    Raises:
        ClientMisuse: it is none, or not as it was written.
    """
    try:
        manifest = decode_as(_Manifest, data)
    except ValueError as error:
        raise ClientMisuse(f"{path!r} is no manifest of exports ({error}): {_ADVICE}") from None
    if manifest["version"] != VERSION:
        raise ClientMisuse(
            f"{path!r} is no manifest of exports that this version knows (its version is "
            f"{manifest['version']}, not {VERSION}): {_ADVICE}"
        )
    if manifest["checksum"] != _sum(_as_dicts(manifest["files"])):
        raise ClientMisuse(
            f"{path!r} was changed or damaged since an export wrote it (its checksum is that "
            "of another content): restore it from a copy, or move it away together with the files "
            "that it lists, so that they are exported again, or export to another directory"
        )
    return manifest["files"]


def replacing_in(data: bytes) -> dict[str, str]:
    """The objects that exports are replacing, as a manifest says that `parse_manifest` takes.

    By their names, with what stands for the workspace that does it.
    """
    return decode_as(_Manifest, data).get("replacing", {})


def manifest_of(entries: Mapping[str, Entry], replacing: Mapping[str, str] | None = None) -> bytes:
    """The manifest with these `entries`, and with the objects that exports are `replacing`."""
    files = _as_dicts(entries)
    held: dict[str, Any] = {"version": VERSION, "checksum": _sum(files), "files": files}
    if replacing:
        held["replacing"] = {**replacing}
    return json.dumps(held, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"


def record(disk: Disk, path: Path, entry: Entry) -> Entry | None:
    """Records the file `path` in the manifest of its directory; returns its older entry, if any."""
    with directory_locked(path.parent):  # jobs of this process and of others write it
        entries = read_manifest(path.parent)
        before = entries.get(path.name)
        made = manifest_of({**entries, path.name: entry})
        write_atomic(disk, path.parent / MANIFEST, made)
        return before


def _as_dicts(entries: Mapping[str, Entry]) -> dict[str, dict[str, Any]]:
    return {name: attrs.asdict(entry) for name, entry in entries.items()}


def _sum(files: Mapping[str, Any]) -> str:
    """The checksum of the entries, however they are laid out as text."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def joined(before: Entry, entry: Entry) -> Entry:
    """The file of `before`, to which the rows of `entry` were added."""
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
        rejects=[*before.rejects, *entry.rejects],
    )
