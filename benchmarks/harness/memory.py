"""How much memory this process holds, has held at most, and held while a block ran."""

from __future__ import annotations

import resource
import sys
import threading
from pathlib import Path

MIB = 2**20


def resident() -> int:
    """Bytes of memory that this process holds now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: the most that it ever held
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def peak() -> int:
    """The most bytes of memory that this process ever held."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resident()
    # Not what getrusage says: there a process begins with the most that its parent ever held.
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


class MemoryWatch:
    """Measures the most memory that this process holds in a block beyond what it held before."""

    growth: int
    """Bytes, once the block has ended."""

    def __enter__(self) -> MemoryWatch:
        self._before = self._most = resident()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def _poll(self) -> None:
        while not self._over.wait(0.002):
            self._most = max(self._most, resident())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.growth = max(self._most, resident()) - self._before


def limit_memory(more: int) -> None:
    """Lets this process have so many bytes of addresses more than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
