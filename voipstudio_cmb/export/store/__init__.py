"""What an export keeps on the disk, and how each step of it survives a crash.

    Workspace            the hidden files of one job
      |- Spool           its rows so far, only ever added to
      |- Rejects         the rows that can't be used
      `- Checkpoint      how much of these counts, and where to resume
    record, read_manifest   `manifest.json`: an Entry for each published file
    State                what is left of a file: Fresh, Interrupted or Finished
    locked               one export at a time for a file

Files are written through a `Disk`, whose steps a test can fail or be killed at. disk.py also names
the hidden files. high_water.py finds the latest `created_at`, owner.py hashes whose an export is.
"""

from .checkpoint import Checkpoint, load
from .contents import Contents, Identity
from .disk import (
    Disk,
    as_export_error,
    fingerprint,
    in_thread,
    publish,
    rejects_path,
    remove_sidecars,
    sidecar,
)
from .lock import locked
from .manifest import MANIFEST, Entry, latest, read_manifest, record
from .owner import is_owner, owner_hash
from .rejects import keyed
from .state import Finished, Fresh, Interrupted, State
from .workspace import Workspace

__all__ = [
    "MANIFEST", "Checkpoint", "Contents", "Disk", "Entry", "Finished", "Fresh", "Identity",
    "Interrupted", "State", "Workspace", "as_export_error", "fingerprint", "in_thread", "is_owner",
    "keyed", "latest", "load", "locked", "owner_hash", "publish", "read_manifest", "record",
    "rejects_path", "remove_sidecars", "sidecar"
]  # fmt: skip
