"""What a directory of exports holds: files, their rows, ids and hashes, in its `manifest.json`.

From it an incremental export knows where the last one ended, and which of its files have gone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.errors import ClientMisuse

from .disk import Disk, sidecar, write_atomic

NAME = "manifest.json"
VERSION = 1


@attrs.frozen(kw_only=True)
class Entry:
    """One file: what it is *of* (see `Plan.of`), whose (a hash), its *rows*, *bytes* and *sha256*.

    It holds ids from above *after*, the highest of which is *highest*, and *lowest* the lowest;
    both None if it has no rows; *late* are lower ones among them, of rows that came later.
    *created_at* is the latest time at which a row was created, and *last* the ids of those.
    *rejected* rows are in its `.rejects.jsonl`.
    """

    of: Mapping[str, Any]
    account: str
    rows: int
    bytes: int
    sha256: str
    after: int = 0
    lowest: int | None = None
    highest: int | None = None
    late: Sequence[int] = ()
    created_at: str | None = None
    last: Sequence[int] = ()
    rejected: int = 0


def read(directory: Path) -> dict[str, Entry]:
    """The entries of the manifest in *directory* by the names of the files; none if there is none.

    Raises:
        ClientMisuse: there is something of that name that is no such manifest.
    """
    path = directory / NAME
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != VERSION:
            raise ValueError(f"its version is {found['version']}")
        return {name: _entry(**entry) for name, entry in found["files"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ClientMisuse(
            f"{str(path)!r} is no manifest of exports ({error}): move it away, or export to "
            "another directory"
        ) from None


def _entry(**held: Any) -> Entry:
    """The entry with these members.

    Raises:
        ValueError, TypeError, KeyError: they are not what an entry has.
    """
    entry = Entry(**held)
    known = {"resource": str, "format": str, "API": str, "filters": list, "csv_null": str}
    numbers = [entry.rows, entry.bytes, entry.after, entry.rejected, *entry.late, *entry.last]
    numbers += [id for id in (entry.lowest, entry.highest) if id is not None]
    texts = [entry.account, entry.sha256, entry.created_at or ""]
    if (
        any(not isinstance(entry.of[name], kind) for name, kind in known.items())
        or any(type(number) is not int for number in numbers)
        or any(not isinstance(text, str) for text in texts)
    ):
        raise ValueError("an entry has another form")
    return entry


def note(disk: Disk, path: Path, entry: Entry) -> Entry | None:
    """Enters the file *path* into the manifest of its directory; returns its older entry, if any.

    One with ids above those of the older one goes on from it: its file holds both.
    """
    manifest = path.parent / NAME
    # Jobs of this process and of others write it. A lock on the directory leaves nothing behind.
    lock = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = read(path.parent)
        before = entries.get(path.name)
        if before is not None and before.highest is not None and 0 < before.highest <= entry.after:
            entry = _both(before, entry)
        if before == entry or (before is not None and before.sha256 == entry.sha256):
            disk.unlink(sidecar(manifest, "new"))  # of a run that was killed behind this
            return before
        entries[path.name] = entry
        files = {name: attrs.asdict(entry) for name, entry in entries.items()}
        held = {"version": VERSION, "files": files}
        text = json.dumps(held, indent=1, ensure_ascii=False, sort_keys=True)
        write_atomic(disk, manifest, text.encode() + b"\n")
        return before
    finally:
        os.close(lock)


def latest(entries: Iterable[Entry]) -> tuple[str, frozenset[int]] | None:
    """The latest time at which a row of *entries* was created, and the ids of that time's."""
    dated = [(entry.created_at, entry.last) for entry in entries if entry.created_at]
    if not dated:
        return None
    last = max(time for time, _ in dated)
    return last, frozenset(id for time, ids in dated if time == last for id in ids)


def _both(before: Entry, entry: Entry) -> Entry:
    """A file as it is with what was added to it."""
    dated = latest([before, entry])
    highest = [id for id in (before.highest, entry.highest) if id is not None]
    return attrs.evolve(
        entry,
        rows=before.rows + entry.rows,
        after=before.after,
        lowest=before.lowest,
        highest=max(highest, default=None),
        late=(),
        created_at=dated and dated[0],
        last=sorted(dated[1]) if dated else (),
        rejected=before.rejected + entry.rejected,
    )
