"""Disks for exports that count their steps, die or fail at one of them, or are full."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.export import Sink
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.models import Record


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


@attrs.frozen
class _SteppedRows:
    """The `rows`, with a `step` before each."""

    rows: Iterable[bytes]
    step: Callable[[], None]

    def __iter__(self) -> Iterator[bytes]:
        for row in self.rows:
            self.step()
            yield row


class SteppedSink(Sink):
    """Writes as `sink` does: with a `step` before, one for each row, and one after."""

    def __init__(self, sink: Sink, step: Callable[[], None]) -> None:
        self.suffix, self.appends = sink.suffix, sink.appends
        self.spool_is_output = sink.spool_is_output
        self._sink = sink
        self._step = step

    def check(self, path: Path) -> None:
        self._sink.check(path)

    def highest_id(self, path: Path, resource: str, record: type[Record]) -> int | None:
        return self._sink.highest_id(path, resource, record)

    def verify(self, path: Path, resource: str, record: type[Record], rows: int) -> None:
        self._sink.verify(path, resource, record, rows)

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        self._step()
        altered = self._sink.write(_SteppedRows(rows, self._step), resource, record, path, about)
        self._step()
        return altered
