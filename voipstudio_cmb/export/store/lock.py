"""One export at a time for a file."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from voipstudio_cmb.errors import ExportError

from .disk import as_export_error, sidecar


class Lock:
    """One export at a time for the file *path*: a lock that ends with its holder, however it ends.

    Raises:
        ExportError: another export holds it, or there can be no lock file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = sidecar(path, "lock")
        self._file: int | None = None

    def __enter__(self) -> Self:
        with as_export_error(self._path, "Nothing was exported"):
            while not self._taken():
                pass
        return self

    def _taken(self) -> bool:
        """Whether the lock is ours; not if its file has gone meanwhile, with its last holder."""
        file = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file), os.stat(self._lock)):
                raise FileNotFoundError
        except BlockingIOError:
            os.close(file)
            raise ExportError(
                f"another export is writing {str(self._path)!r}: wait until it has ended"
            ) from None
        except FileNotFoundError:
            os.close(file)
            return False
        except BaseException:
            os.close(file)
            raise
        self._file = file
        return True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._file is not None
        # Removed before it is closed: closing ends the lock, and then it may be somebody else's.
        with contextlib.suppress(OSError):
            self._lock.unlink()
        os.close(self._file)
