"""SQLite files that other programs use too: read without a trace, replaced when nobody has them.

What such a program has beside the file, a write-ahead log (-wal) or a rollback journal (-journal),
is a part of it, and would be taken for a part of the file that replaces it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from voipstudio_cmb.errors import ClientMisuse, ExportError

WAIT = 5.0
"""Seconds to wait for another program."""

_MODES = slice(18, 20)
"""Where the header says how the file is written and read."""
_WAL = b"\2\2"
_ROLLBACK = b"\1\1"

_ERRNOS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
    sqlite3.SQLITE_LOCKED: errno.EBUSY,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_READONLY: errno.EROFS,
}


def code_of(error: sqlite3.Error) -> int:
    """What SQLite calls `error`, without its details."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def as_os_error(error: sqlite3.Error, path: Path) -> OSError:
    """What the system would have raised for `error`."""
    number = _ERRNOS.get(code_of(error), errno.EIO)
    return OSError(number, f"{os.strerror(number)} (SQLite: {error})", str(path))


def opened(path: Path) -> sqlite3.Connection:
    """The database in the file `path`, to be read; nothing is made beside it.

    Raises:
        sqlite3.Error: it can't be opened.
        OSError: it has a log of a program that has ended, which has to become a part of it first.
    """
    # Who opens a file of this mode makes a log, which only who may write can take away again.
    wal = _mode(path) == _WAL
    alone = wal and not _exists(_beside(path, "-wal"))
    if wal and not alone and not _exists(_beside(path, "-shm")):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
    query = "mode=ro&immutable=1" if alone else "mode=ro"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{query}", uri=True, timeout=WAIT)


def settle(path: Path) -> None:
    """Completes the database in the file `path`, if a program has left it with a log or a journal.

    Raises:
        ClientMisuse: they can't be told to belong to it.
        ExportError: a program still has it open, after some seconds.
        OSError: it can't be read or written now.
    """
    until = time.monotonic() + WAIT
    while left := next(_left_beside(path), None):
        if not _exists(path):
            raise ClientMisuse(
                f"{str(left)!r} is left of a database that has gone, and would be taken for a part "
                "of the new one: move it away"
            )
        held = _completed(path, left)
        if not held and not _exists(left):
            continue
        if time.monotonic() >= until:
            raise ExportError(
                f"another program has {str(path)!r} open ({left.name!r} is in use): let it close "
                "the file, and run the same export again",
                retryable=True,
            )
        time.sleep(min(0.05, WAIT))


def _completed(path: Path, left: Path) -> bool:
    """Reads and closes the database, as whoever does it last completes it; whether it is busy."""
    uri = f"{path.resolve().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=0)) as database:
            database.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.Error as error:
        if code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return True
        if code_of(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise ClientMisuse(
                f"{left.name!r} can't be made a part of {str(path)!r} ({error}): move both away"
            ) from None
        raise as_os_error(error, path) from None
    return False


def use_rollback(path: Path) -> None:
    """Lets the private file `path`, a copy without a log, be written without one too."""
    if _mode(path) == _WAL:
        with open(path, "r+b") as file:
            file.seek(_MODES.start)
            file.write(_ROLLBACK)


def _mode(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MODES.stop)[_MODES]


def _left_beside(path: Path) -> Iterator[Path]:
    log, journal = _beside(path, "-wal"), _beside(path, "-journal")
    if _exists(log):
        yield log
    # A journal without a header counts for nothing: some programs keep it like that.
    with suppress(FileNotFoundError), open(journal, "rb") as file:
        if file.read(1) not in (b"", b"\0"):
            yield journal


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(f"{path.name}{kind}")


def _exists(path: Path) -> bool:
    return os.path.lexists(path)
