"""The file of a document: what apply writes into it, without losing what anybody else does there.

Each edit reads the file again, changes one section, and replaces the file as a whole. One edit at a
time, also of other processes: the directory is locked meanwhile.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from voipstudio_cmb.boundary.files import read_regular
from voipstudio_cmb.errors import DocumentError

from .edits import Edit, edited

MAX_SIZE = 16 * 1024 * 1024
"""The size in bytes of a document that nobody means: buttons may hold pictures."""


class DocumentFile:
    """A file, and what it held when this process last read or wrote it."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self._known = content

    def check(self) -> None:
        """Checks that nobody else has written into it.

        Raises:
            DocumentError: somebody has, or it can't be read.
        """
        with self._named():
            if read_regular(self.path, MAX_SIZE) != self._known:
                raise DocumentError("it was edited after it was read: look at a new plan")

    def write(self, edit: Edit, *, anyway: bool = False) -> bool:
        """Writes `edit` into it, as it is now, and returns whether it has.

        If somebody else has written into it, that is only done `anyway`.

        Raises:
            DocumentError: the section is not there any more, or it can't be written.
        """
        with self._named(), self._locked():
            while True:
                content = read_regular(self.path, MAX_SIZE)
                if content != self._known and not anyway:
                    return False
                new = edited(content, edit)
                if self._replace(content, new):
                    break
            if content == self._known:  # else it stays unknown what else is in it
                self._known = new
            return True

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Names the file in what is raised."""
        try:
            yield
        except DocumentError as error:
            raise DocumentError(f"{self.path}: {error.message}") from None
        except OSError as error:
            raise DocumentError(f"{self.path}: {error.strerror or 'it is no file'}") from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        file = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):  # some file systems have no locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
            with contextlib.suppress(OSError):  # nor can all of them sync a directory
                os.fsync(file)
        finally:
            os.close(file)

    @property
    def _target(self) -> Path:
        return self.path.resolve()  # what a link leads to: the link stays

    def _replace(self, old: bytes, new: bytes) -> bool:
        """Puts `new` in the place of `old`: after a crash the file holds one of them.

        Returns whether it held `old`: an editor knows no locks.
        """
        target = self._target
        part = target.with_name(f".{target.name}.new")
        part.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            with open(os.open(part, flags, 0o600), "wb") as file:
                os.fchmod(file.fileno(), os.stat(target).st_mode & 0o7777)
                file.write(new)
                file.flush()
                os.fsync(file.fileno())
            same = read_regular(target, MAX_SIZE) == old
            if same:
                os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
        return same
