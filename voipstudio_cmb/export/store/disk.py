"""What an export does to the file system: a few steps, each of which can fail or be the last one.

A test puts a `Disk` of its own in the place of this one to see what is left when a step fails.
`sidecar` names the hidden files beside an output: part, new, rejects, checkpoint, lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from voipstudio_cmb.boundary.files import read_regular

from .failures import left_out, unsupported

T = TypeVar("T")

_LARGEST = 1 << 30  # of a file that is read as a whole


class Disk:
    """The steps. All raise OSError; none is tried again after it has failed."""

    def open(self, path: Path) -> int:
        """A file to read and to append to, made if need be; never what is behind a link."""
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o666)

    def write(self, file: int, data: bytes) -> None:
        """Appends all of `data`."""
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]

    def truncate(self, file: int, size: int) -> None:
        """Cuts a file off after `size` bytes."""
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        """Returns when the file is on the disk."""
        os.fsync(file)

    def sync_directory(self, path: Path) -> None:
        """Returns when the names in a directory are on the disk."""
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def replace(self, path: Path, to: Path) -> None:
        """Gives a file another name, in the place of what has it now."""
        os.replace(path, to)

    def link(self, path: Path, to: Path) -> None:
        """Gives a file another name, unless something has it."""
        os.link(path, to)

    def chmod(self, path: Path, mode: int) -> None:
        """Sets the mode of a file."""
        os.chmod(path, mode)

    def unlink(self, path: Path) -> None:
        """Removes a file, if it exists."""
        path.unlink(missing_ok=True)


class AppendedFile:
    """The file `path`, which is only added to, and opened when it is needed."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self._file: int | None = None

    @property
    def file(self) -> int:
        """The open file."""
        if self._file is None:
            self._file = self.disk.open(self.path)
        return self._file

    def close(self) -> None:
        """Closes the file; it stays where it is."""
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)


def sync(disk: Disk, file: int) -> None:
    """Returns when the file is on the disk, as far as its file system can tell."""
    with left_out("sync"):
        disk.sync(file)


def sync_directory(disk: Disk, path: Path) -> None:
    """Returns when the names in a directory are on the disk, as far as that can be told."""
    with left_out("sync directory"):
        disk.sync_directory(path)


def status(path: Path) -> os.stat_result | None:
    """What there is at `path`, not behind a link; None if there is nothing.

    Raises:
        OSError: that is not known. `Path.exists` would say that there is nothing.
    """
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None


def sidecar(path: Path, kind: str) -> Path:
    """The hidden file of that `kind` beside the file `path`."""
    return path.with_name(f".{path.name}.{kind}")


def rejects_path(path: Path) -> Path:
    """The file with the rows that could not go into the file `path`."""
    return path.with_name(f"{path.name.removesuffix('.jsonl')}.rejects.jsonl")


def make_directory(disk: Disk, path: Path) -> None:
    """Makes the directory `path` and those above it, on the disk too."""
    missing = [each for each in (path, *path.parents) if status(each) is None]
    path.mkdir(parents=True, exist_ok=True)
    for made in missing or [path]:  # an interrupted run may have made it
        sync_directory(disk, made.parent)


def remove_sidecars(disk: Disk, path: Path) -> None:
    """Removes all that an export to `path` has kept for itself."""
    disk.unlink(sidecar(rejects_path(path), "new"))
    for kind in ("part", "new", "rejects", "checkpoint.new", "checkpoint"):
        disk.unlink(sidecar(path, kind))  # the checkpoint last: without it nothing else counts


def publish(disk: Disk, path: Path, to: Path, *, overwrite: bool) -> None:
    """Gives the complete file `path` the name `to` in the same directory, on the disk too."""
    if overwrite:
        disk.replace(path, to)
    else:
        try:
            disk.link(path, to)  # fails where replacing would destroy
        except OSError as error:
            if not unsupported("link", error):
                raise
            if status(to) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), to) from None
            disk.replace(path, to)
        else:
            sync_directory(disk, to.parent)  # or a power cut could leave it neither name
            disk.unlink(path)
            return
    sync_directory(disk, to.parent)


def write_atomic(disk: Disk, path: Path, data: bytes) -> None:
    """Replaces the file `path` by `data`: after a crash it holds the old or the new.

    Raises:
        OSError: that can't be done; it names `path`.
    """
    new = path.with_name(f".{path.name.removeprefix('.')}.new")
    try:
        disk.unlink(new)  # not cut off: after a power cut it may be a second name of `path`
        with contextlib.closing(AppendedFile(new, disk)) as out:
            disk.write(out.file, data)
            sync(disk, out.file)
        disk.replace(new, path)
    except OSError as error:
        if error.filename == str(new):
            error.filename = str(path)
        raise
    sync_directory(disk, path.parent)


def fingerprint(path: Path) -> tuple[int, str] | None:
    """The size of the file `path` and its SHA-256; None if it is no regular file."""
    found = status(path)
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(file, "rb") as data:
        return os.fstat(file).st_size, hashlib.file_digest(data, "sha256").hexdigest()


def read(path: Path) -> bytes:
    """What the file `path` holds, which an export has made.

    Raises:
        OSError: it can't be read, or is no such file: opening a FIFO could wait for ever.
    """
    return read_regular(path, _LARGEST)


async def in_thread(work: Callable[[], T], stop: Callable[[], None] = lambda: None) -> T:
    """What `work` returns, done in a thread. A cancellation calls `stop` and waits for its end."""
    given_up = threading.Event()

    def unless_given_up() -> T:
        if given_up.is_set():
            raise asyncio.CancelledError
        return work()

    try:
        future = asyncio.get_running_loop().run_in_executor(None, unless_given_up)
    except RuntimeError as error:
        if "new thread" not in str(error):
            raise
        given_up.set()  # it is in the queue of the threads that there are
        raise OSError(errno.EAGAIN, str(error)) from None
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        stop()
        await asyncio.wait((future,))
        if not future.cancelled():
            future.exception()  # retrieved: what counts is that it was cancelled
        raise
