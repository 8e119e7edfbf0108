"""One export at a time for a file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from voipstudio_cmb.errors import ExportError

from .disk import as_export_error, sidecar


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Locks the file `path` for one export, until that ends, in whatever way.

    Raises:
        ExportError: another export has locked it, or the lock file can't be made.
    """
    lock = sidecar(path, "lock")
    with as_export_error(path, "Nothing was exported"):
        while (file := _acquired(lock, path)) is None:
            pass
    try:
        yield
    finally:
        # Removed before it is closed: closing ends the lock, and then it may be somebody else's.
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(file)


def _acquired(lock: Path, path: Path) -> int | None:
    """The locked file `lock`; None if it was removed meanwhile, by its last holder."""
    with contextlib.ExitStack() as stack:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        stack.callback(os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(lock)):
                stack.pop_all()
                return file
        except BlockingIOError:
            raise ExportError(
                f"another export is writing {str(path)!r}: wait until it has ended"
            ) from None
        except FileNotFoundError:
            pass
    return None
