"""Whether a file that an export builds upon is as the manifest says."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.store.disk import status
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry
from voipstudio_cmb.models import RECORDS

from .plan import Plan


def check_unchanged(plan: Plan, path: Path, entry: Entry) -> None:
    """Checks that the file `path` is the one of `entry`, unless it has gone.

    By its size, with `plan.verify` by its SHA-256. A database may have been given indexes or tables
    since, so that its size says nothing: it is verified by what it holds.

    Raises:
        ClientMisuse: it was changed since it was exported.
        OSError: it can't be read now.
    """
    if status(path) is None:
        return
    try:
        found = os.stat(path)  # it may have been moved, and a link left in its place
    except FileNotFoundError:
        raise _changed(path, "it is a link to nothing") from None
    if not stat.S_ISREG(found.st_mode):
        raise _changed(path, "it is no regular file")
    if plan.sink.appends:
        if plan.verify and _sha256(path) != entry.sha256:
            resource = entry.identity["resource"]
            plan.sink.verify(path, resource, RECORDS[resource], entry.rows)
    elif found.st_size != entry.bytes:
        raise _changed(path, f"it has {found.st_size:,} bytes, not {entry.bytes:,}")
    elif plan.verify and _sha256(path) != entry.sha256:
        raise _changed(path, "its SHA-256 is another one")


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(path: Path, how: str) -> ClientMisuse:
    return ClientMisuse(
        f"{str(path)!r} is not as {MANIFEST} says ({how}): it was changed or damaged since it was "
        "exported. Move it away, so that the same command makes it again, or export to another "
        "directory"
    )
