"""One export at a time for a file, and one at a time that changes a manifest.

A lock is the system's (flock), so that it ends with its holder in whatever way that ends. Where
the file system of an export has none, a file in the temporary directory is locked in its place.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from voipstudio_cmb.errors import ExportError

from .disk import sidecar, status
from .failures import as_export_error, unsupported

_TRIES = 100
"""How often a lock file may vanish before it is locked."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[str]:
    """Locks the file `path` for one export, until that ends; yields what is to know about it.

    Raises:
        ExportError: another export has locked it, or it can't be locked.
    """
    with contextlib.ExitStack() as stack:
        with as_export_error(path, lambda: "Nothing was exported"):
            try:
                known = _lock(stack, sidecar(path, "lock"), path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportError(
                    f"another export is writing {str(path)!r}: run the same export again when "
                    "that has ended",
                    retryable=True,
                    busy=True,
                ) from None
        yield known


def remove_left_lock(path: Path) -> None:
    """Removes the lock file that a killed export of the file `path` has left, if there is one."""
    with contextlib.suppress(OSError, ExportError):
        if status(sidecar(path, "lock")) is not None:
            with locked(path):
                pass


@contextlib.contextmanager
def directory_locked(path: Path) -> Iterator[None]:
    """Waits until nobody else has locked the directory `path`; leaves no file behind in it."""
    with contextlib.ExitStack() as stack:
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            if not unsupported("lock", error):
                raise
            _lock(stack, _stand_in(path), path, fcntl.LOCK_EX)
        yield


def _lock(stack: contextlib.ExitStack, lock: Path, path: Path, operation: int) -> str:
    """Locks the file `lock`, or a stand-in, until the `stack` is left."""
    try:
        file = _acquired(lock, operation)
    except OSError as error:
        if not unsupported("lock", error):
            raise
        _remove(lock)
        stand_in = _stand_in(path)
        if lock == stand_in:
            raise _no_locks(path, error) from None
        _lock(stack, stand_in, path, operation)
        return "its file system has no locks: an export of another machine to it is not noticed"
    stack.callback(os.close, file)
    # Removed before it is closed: closing ends the lock, and then it may be somebody else's.
    stack.callback(_remove, lock)
    return ""


def _acquired(lock: Path, operation: int) -> int:
    """The open and locked file `lock`."""
    for _ in range(_TRIES):
        with contextlib.ExitStack() as stack:
            file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            stack.callback(os.close, file)
            fcntl.flock(file, operation)
            # Its last holder may have removed it meanwhile.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), os.stat(lock)):
                    stack.pop_all()
                    return file
    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(lock))


def _stand_in(path: Path) -> Path:
    name = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()
    return Path(tempfile.gettempdir(), f"voipstudio-cmb-{os.geteuid()}-{name[:32]}.lock")


def _remove(lock: Path) -> None:
    with contextlib.suppress(OSError):
        lock.unlink()


def _no_locks(path: Path, error: OSError) -> ExportError:
    return ExportError(
        f"{str(path)!r} can't be locked: {os.strerror(error.errno or 0)}, neither there nor in "
        f"{tempfile.gettempdir()!r}, and two exports at once would damage it. Nothing was "
        "exported: set TMPDIR to a directory of a local disk, or export to another directory",
        resumable=False,
    )
