"""Rows that could not be exported, kept beside those that were: nothing is dropped quietly."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from voipstudio_cmb.models import Reject

from .disk import AppendedFile, Disk, read, status, sync, sync_directory, write_atomic


class Rejects(AppendedFile):
    """The rejected rows of one export, each once, in the hidden file `path` until it ends.

    `keep` says by the digest of a row whether it is taken: other files may have it.
    """

    def __init__(self, path: Path, disk: Disk, keep: Callable[[str], bool]) -> None:
        super().__init__(path, disk)
        self._keep = keep
        self._lines: dict[str, bytes] = {}
        self._synced = self._name_synced = True

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def digests(self) -> list[str]:
        """The digests of their contents: rows of the same content have the same."""
        return sorted(set(map(_digest, self._lines)))

    def open(self, *, keep: bool) -> None:
        """Continues what an interrupted export has left, or begins with nothing unless `keep`."""
        self.close()
        self._lines = {}
        size = 0
        exists = self._name_synced = status(self.path) is not None
        for line in read(self.path).splitlines(True) if keep and exists else ():
            try:
                self._lines[str(json.loads(line)["key"])] = line
            except (ValueError, KeyError, AttributeError, TypeError):
                break  # the process ended while this was written
            size += len(line)
        if exists:
            self.disk.truncate(self.file, size)

    def add(self, rejects: Sequence[Reject]) -> None:
        """Keeps the `rejects` of one response, but for those that are known."""
        for key, reject in keyed(rejects):
            if key in self._lines or not self._keep(_digest(key)):
                continue
            head = {"page": reject.page, "index": reject.index, "reason": reject.why}
            line = b'%s,"row":%s,"key":"%s"}\n' % (
                json.dumps(head, separators=(",", ":"))[:-1].encode(),
                reject.json,
                key.encode(),
            )
            self.disk.write(self.file, line)
            self._lines[key], self._synced = line, False

    def sync(self) -> None:
        """Returns when they are on the disk, if they were not yet."""
        if not self._synced:
            sync(self.disk, self.file)
            if not self._name_synced:  # or a checkpoint could count what has no name
                sync_directory(self.disk, self.path.parent)
            self._synced = self._name_synced = True

    def finish(self, to: Path, *, add: bool) -> None:
        """Makes them the file `to`, by page and index; with `add`, behind the lines that it has."""
        lines = sorted(self._lines.values(), key=_place)
        sent = [line[: line.rindex(b',"key":')] + b"}\n" for line in lines]
        before = read(to).splitlines(True) if add and status(to) is not None else []
        # Once, also if this was interrupted behind its end.
        write_atomic(self.disk, to, b"".join(dict.fromkeys([*before, *sent])))


def keyed(rejects: Sequence[Reject]) -> Iterator[tuple[str, Reject]]:
    """The `rejects` of one response, each with a key that it has again when it comes again.

    The key is made of the content, because in another response, of another size, the same row has
    another place. Of rows that are the same to the byte, as many count as came in one response.
    """
    count: Counter[bytes] = Counter()
    for reject in rejects:
        count[reject.json] += 1
        digest = hashlib.sha256(reject.json).hexdigest()[:32]
        yield f"{count[reject.json]}.{digest}", reject


def digests_in(path: Path) -> set[str]:
    """The digests of the rows in the finished file `path`; lines that are none have none.

    Raises:
        OSError: it can't be read now.
    """
    rows = (line.partition(b',"row":')[2][:-2] for line in read(path).splitlines(True))
    return {hashlib.sha256(row).hexdigest()[:32] for row in rows}


def _place(line: bytes) -> tuple[int, int, bytes]:
    reject = json.loads(line)
    return reject["page"], reject["index"], line


def _digest(key: str) -> str:
    return key.rpartition(".")[2]
