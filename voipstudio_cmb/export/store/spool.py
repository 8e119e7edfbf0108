"""The rows of an export so far: one JSON object a line, in a hidden file that is only added to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from .disk import AppendedFile, Disk, sync

BLOCK = 1 << 18


class Spool(AppendedFile):
    """The file `path`, of which `size` bytes are known to be rows. Call `open` before all else."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path, disk)
        self.size: int = 0
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of the rows."""
        return self._hash.hexdigest()

    def open(self, size: int, digest: str) -> bool:
        """Continues after the first `size` bytes if they have that `digest`, or else begins again.

        Returns whether it continues. Bytes behind them are cut off.
        """
        self._hash, self.size = hashlib.sha256(), 0
        while block := os.pread(self.file, min(BLOCK, size - self.size), self.size):
            self._hash.update(block)
            self.size += len(block)
        intact = self.size == size and self.digest == digest
        if not intact:
            self._hash, self.size = hashlib.sha256(), 0
        if os.fstat(self.file).st_size != self.size:
            self.disk.truncate(self.file, self.size)
        return intact

    def append(self, rows: bytes) -> None:
        """Adds `rows`, each with its line end."""
        self.disk.write(self.file, rows)
        self._hash.update(rows)
        self.size += len(rows)

    def sync(self) -> None:
        """Returns when all rows are on the disk."""
        sync(self.disk, self.file)

    def blocks(self, step: int = 1) -> Iterator[bytes]:
        """All rows with their line ends, some at a time; or one in `step` of these blocks."""
        with open(self.path, "rb") as file:
            while block := file.read(BLOCK):
                yield block + (b"" if block.endswith(b"\n") else file.readline())
                if step > 1:
                    file.seek((step - 1) * BLOCK, os.SEEK_CUR)
                    file.readline()
