"""Standard output and standard error, whatever is behind them: pipes that break, disks that fill.

What is printed on standard output arrives whole, or `OutputError` is raised. Standard error is a
log: an export neither waits for its reader nor fails because it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from typing import IO, Any

PAUSE = 0.005
"""Seconds until a file that takes nothing for now is asked again."""


class OutputError(Exception):
    """Standard output has not taken what was printed on it.

    No OSError: whoever passes over those, as argparse does, does not mean this one.
    """

    def __init__(self, error: OSError) -> None:
        self.errno = error.errno
        closed = error.errno == errno.EBADF
        super().__init__("it is closed" if closed else error.strerror or str(error))

    @property
    def reader_gone(self) -> bool:
        """Whether a reader has seen what it wanted, and has closed the pipe."""
        return self.errno == errno.EPIPE


class _File(io.RawIOBase):
    """An open file that is given as much as it takes, and does not stop who writes to it."""

    def __init__(self, number: int) -> None:
        self._number = self.name = number
        self._poll = select.poll()
        self._poll.register(number, select.POLLOUT)

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def put(self, data: bytes | bytearray | memoryview) -> int:
        """Writes as much of `data` as fits now; returns how much that is."""
        try:
            # So many bytes fit into a pipe that can be written to at all.
            return os.write(self._number, data[: select.PIPE_BUF]) if self._poll.poll(0) else 0
        except BlockingIOError:
            return 0


class Output(_File):
    """Standard output."""

    def write(self, data: Any) -> int:
        """Writes all of `data`, in a process that does nothing else meanwhile."""
        left = memoryview(data)
        while left:
            left = self._rest(left)
            if left:
                time.sleep(PAUSE)
        return len(data)

    async def send(self, data: bytes) -> None:
        """Writes all of `data`. A reader that takes its time stops neither the loop nor Ctrl-C."""
        left = self._rest(memoryview(data))
        while left:
            await asyncio.sleep(PAUSE)
            left = self._rest(left)

    def _rest(self, data: memoryview) -> memoryview:
        """What of `data` does not fit now."""
        try:
            while data and (written := self.put(data)):
                data = data[written:]
        except OSError as error:
            raise OutputError(error) from None
        return data


class Log(_File):
    """Standard error: what can't be written now is kept, and what fails to be written is lost."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self._kept = bytearray()
        self._in_line = self._torn = False
        self._lock = threading.Lock()

    @property
    def behind(self) -> bool:
        """Whether its reader has not taken yet what it was given."""
        return bool(self._kept)

    def write(self, data: Any) -> int:
        with self._lock:
            if self._torn:
                self._torn = False
                self._kept += b"\n"  # what comes now, if it can be written, is no part of that line
            self._kept += data
            self._push()
        return len(data)

    def drain(self, patience: float = 60.0) -> None:
        """Returns when all is written, or can't be, or nothing of it was read for `patience` s."""
        until = time.monotonic() + patience
        while (before := len(self._kept)) and time.monotonic() < until:
            with self._lock:
                self._push()
            if len(self._kept) < before:
                until = time.monotonic() + patience
            elif self._kept:
                time.sleep(PAUSE)

    def _push(self) -> None:
        try:
            while self._kept and (written := self.put(self._kept)):
                self._in_line = self._kept[written - 1] != ord("\n")
                del self._kept[:written]
        except OSError:
            self._kept.clear()
            self._torn = self._in_line


@contextlib.contextmanager
def guarded_stdio() -> Iterator[None]:
    """Makes `sys.stdout` an `Output` and `sys.stderr` a `Log` as long as the block runs."""
    _occupy_closed()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _guarded(sys.stdout, Output, 1), _guarded(sys.stderr, Log, 2)
    try:
        yield
    finally:
        if (log := _log()) is not None:
            with contextlib.suppress(KeyboardInterrupt):  # of somebody who reads no further
                sys.stderr.flush()
                log.drain()
        sys.stdout, sys.stderr = before


def _occupy_closed() -> None:
    """Opens the standard files that are closed, or the next connection or file would be one.

    In the wrong direction: what is written to them fails as it did before.
    """
    for number, mode in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free: this one


def _guarded(stream: IO[str] | None, kind: type[_File], number: int) -> Any:
    if stream is not None:
        try:
            number = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return stream  # no file: a test's or a notebook's
        with contextlib.suppress(OSError):
            stream.flush()
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # Words that a terminal does not know are no reason to fail.
    return io.TextIOWrapper(
        kind(number), encoding=encoding, errors="backslashreplace", line_buffering=True
    )


async def print_data(data: bytes) -> None:
    """Prints `data` on standard output: these bytes, whatever the locale is."""
    output = getattr(sys.stdout, "buffer", None)
    if isinstance(output, Output):
        await output.send(data)
    else:
        sys.stdout.write(data.decode("utf-8", "backslashreplace"))


async def print_text(text: str) -> None:
    """Prints `text` on standard output for people: what their locale can't show is escaped."""
    output = getattr(sys.stdout, "buffer", None)
    if isinstance(output, Output):
        await output.send(text.encode(sys.stdout.encoding, "backslashreplace"))
    else:
        sys.stdout.write(text)


def log_is_behind() -> bool:
    """Whether the reader of standard error has not taken yet what it was given."""
    log = _log()
    return log is not None and log.behind


def _log() -> Log | None:
    log = getattr(sys.stderr, "buffer", None)
    return log if isinstance(log, Log) else None
