"""Records what an export does to a directory, by whatever means, as a list of events.

The directory is looked at after each step of the disk, and before it: so what SQLite, pyarrow and
shutil write is recorded too, though only by its result.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from voipstudio_cmb.export.store.disk import Disk


@attrs.frozen
class Made:
    """There is a file, or a directory, that has no name yet."""

    node: int
    mode: int
    directory: bool


@attrs.frozen
class Named:
    """A name is that of `node` now, or of nothing."""

    path: str
    node: int | None
    renamed: Named | None = None
    """What its file is called instead, if it was renamed."""


@attrs.frozen
class Wrote:
    """Bytes were written."""

    node: int
    offset: int
    data: bytes


@attrs.frozen
class Cut:
    """A file was cut off."""

    node: int
    size: int


@attrs.frozen
class ModeSet:
    """A file has another mode."""

    node: int
    mode: int


@attrs.frozen
class Synced:
    """A file was synced, at a `site` of the code."""

    node: int
    site: str


@attrs.frozen
class NamesSynced:
    """A directory was synced, at a `site` of the code."""

    path: str
    site: str


@attrs.frozen
class Told:
    """The caller was told that all is complete."""


Event: TypeAlias = Made | Named | Wrote | Cut | ModeSet | Synced | NamesSynced | Told


@attrs.frozen
class File:
    """A file or a directory as it was seen."""

    data: bytes | None
    mode: int


class RecordingDisk(Disk):
    """Works below the directory `root`, which exists, and records all `events` there.

    Nothing is really synced. Locks are not recorded: whoever finds one can take it.
    """

    def __init__(self, root: Path) -> None:
        self.events: list[Event] = []
        self.root = root
        self._names: dict[str, int] = {}
        self._files: dict[int, File] = {}
        self._nodes: dict[int, int] = {}  # by the system's numbers, which it uses again
        self._count = 0
        self._lock = threading.RLock()
        self.look()

    def step(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """Does one step, and records what has changed before and by it."""
        with self._lock:
            self.look()
            try:
                return operation(self, *arguments)
            finally:
                self.look()

    def look(self) -> None:
        """Records what has changed."""
        names, files = self._seen()
        made = {path: node for path, node in names.items() if self._names.get(path) != node}
        for path, node in made.items():
            if node not in self._files:
                directory = files[node].data is None
                self._files[node] = File(None if directory else b"", files[node].mode)
                self.events.append(Made(node, files[node].mode, directory))
            self.events.append(Named(path, node))
        renamed = {node: Named(path, node) for path, node in made.items()}
        for path in sorted(self._names.keys() - names.keys(), reverse=True):  # a directory last
            self.events.append(Named(path, None, renamed.get(self._names[path])))
        for node, file in files.items():
            self._changed(node, self._files[node], file)
        self._names, self._files = names, files

    def _changed(self, node: int, before: File, after: File) -> None:
        old, new = before.data or b"", after.data or b""
        same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
                    min(len(old), len(new)))  # fmt: skip
        if len(new) < len(old):
            self.events.append(Cut(node, len(new)))
        if new[same:]:
            self.events.append(Wrote(node, same, new[same:]))
        if before.mode != after.mode:
            self.events.append(ModeSet(node, after.mode))

    def _seen(self) -> tuple[dict[str, int], dict[int, File]]:
        names: dict[str, int] = {}
        files: dict[int, File] = {}
        nodes: dict[int, int] = {}
        for path in sorted(self.root.rglob("*")):
            if path.suffix == ".lock":
                continue
            found = path.lstat()
            if found.st_ino not in nodes:
                if found.st_ino not in self._nodes:
                    self._count += 1
                node = nodes[found.st_ino] = self._nodes.get(found.st_ino, self._count)
                data = None if stat.S_ISDIR(found.st_mode) else path.read_bytes()
                files[node] = File(data, found.st_mode & 0o777)
            names[str(path.relative_to(self.root))] = nodes[found.st_ino]
        self._nodes = nodes
        return names, files

    def sync(self, file: int) -> None:
        with self._lock:
            self.look()
            if (node := self._nodes.get(os.fstat(file).st_ino)) is not None:
                name = next(path for path, each in self._names.items() if each == node)
                self.events.append(Synced(node, f"sync {_kind(name)}: {_site()}"))

    def sync_directory(self, path: Path) -> None:
        with self._lock:
            self.look()
            name = str(path.relative_to(self.root))
            self.events.append(NamesSynced(name, f"sync directory: {_site()}"))

    def told(self) -> None:
        """Notes that the caller has been told that all is complete."""
        with self._lock:
            self.look()
            self.events.append(Told())


def _recorded(name: str) -> Any:
    operation = getattr(Disk, name)
    return lambda self, *arguments: self.step(operation, *arguments)


for _name in ("open", "write", "truncate", "replace", "link", "chmod", "unlink"):
    setattr(RecordingDisk, _name, _recorded(_name))


def _kind(path: str) -> str:
    name = Path(path).name
    return name.rpartition(".")[2] if name.startswith(".") and name.count(".") > 1 else name


def _site() -> str:
    """The functions of the export that led to a sync, the last one first."""
    frame, functions = sys._getframe(2), list[str]()
    while frame.f_back is not None and len(functions) < 4:
        code = frame.f_code
        if f"{os.sep}export{os.sep}" in code.co_filename:
            functions.append(code.co_name)
        frame = frame.f_back
    return " < ".join(each for each in functions if each not in ("sync", "sync_directory"))
