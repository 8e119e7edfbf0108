"""Disks for exports that count their steps, die or fail at one of them, or are full."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from voipstudio_cmb.export.store.disk import Disk

T = TypeVar("T")


class CountingDisk(Disk):
    """Counts its steps: one before each operation, and one after it.

    At step `dies` the process is killed, in the middle of a write if it is one. With `fails`, an
    error number, that step fails instead.
    """

    def __init__(self, dies: int = 0, fails: int = 0) -> None:
        self.steps = 0
        self._dies = dies
        self._fails = fails

    def step(self) -> None:
        """Counts one, and dies or fails if it is time."""
        self.steps += 1
        if self.steps == self._dies:
            if self._fails:
                raise OSError(self._fails, os.strerror(self._fails))
            os.kill(os.getpid(), signal.SIGKILL)

    def convert(self, work: Callable[[], T]) -> T:
        self.step()
        made = work()
        self.step()
        return made

    def rows(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        for row in rows:
            self.step()
            yield row


def _counted(name: str) -> Any:
    operation = getattr(Disk, name)

    def call(self: CountingDisk, *arguments: Any) -> Any:
        self.step()
        if name == "write" and not self._fails and self.steps + 1 == self._dies:
            operation(self, arguments[0], arguments[1][: len(arguments[1]) // 2])
        result = operation(self, *arguments)
        self.step()
        return result

    return call


for _name in ("open", "write", "truncate", "sync", "sync_directory", "replace", "link", "unlink"):
    setattr(CountingDisk, _name, _counted(_name))


def limit_file_size(size: int) -> None:
    """Lets no file of this process grow beyond `size` bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


class SmallDisk(Disk):
    """Has no more room than so many bytes for a file, once a format writes its own."""

    def __init__(self, size: int) -> None:
        self._size = size

    def convert(self, work: Callable[[], T]) -> T:
        limit_file_size(self._size)
        return work()
