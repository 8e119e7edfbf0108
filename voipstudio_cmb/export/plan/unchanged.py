"""Whether a file of an export is as the manifest says."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.sinks.base import Sink
from voipstudio_cmb.export.store.disk import status
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry
from voipstudio_cmb.models import RECORDS

from .plan import Plan


def check_unchanged(plan: Plan, path: Path, entry: Entry) -> None:
    """Checks that the file `path` is the one of `entry`, unless it has gone.

    By its size, with `plan.verify` by its SHA-256.

    Raises:
        ClientMisuse: it was changed since it was exported.
        OSError: it can't be read now.
    """
    if status(path) is None:
        return
    if how := change(path, entry, plan.sink, content=plan.verify):
        raise ClientMisuse(
            f"{plan.shown(path)!r} is not as {MANIFEST} says ({how}): it was changed or damaged "
            "since it was exported. Move it away, so that the same command makes it again, or "
            "export to another directory"
        )


def change(path: Path, entry: Entry, sink: Sink | None, *, content: bool) -> str | None:
    """How the file `path` is not the one of `entry`, in words; None: it is.

    By its size, and its SHA-256 if its `content` counts. A database may have been given indexes or
    tables since, so that its size says nothing: it is verified by what it holds.

    Raises:
        ClientMisuse: a database lacks something.
        OSError: it can't be read now.
    """
    try:
        found = os.stat(path)  # it may have been moved, and a link left in its place
    except FileNotFoundError:
        return "it is a link to nothing"
    if not stat.S_ISREG(found.st_mode):
        return "it is no regular file"
    if sink is not None and sink.appends:
        if content and _sha256(path) != entry.sha256:
            resource = entry.identity["resource"]
            sink.verify(path, resource, RECORDS[resource], entry.rows)
    elif found.st_size != entry.bytes:
        return f"it has {found.st_size:,} bytes, not {entry.bytes:,}"
    elif content and _sha256(path) != entry.sha256:
        return "its SHA-256 is another one"
    return None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
