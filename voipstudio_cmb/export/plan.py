"""What to export, to where and how: checked before the first request. Writes nothing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.arguments import MAX_PAGE_SIZE, MAX_WINDOW, checked_integer
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.filters import Filter, checked

from .checkpoint import Checkpoint, load
from .disk import side_file
from .sinks import Sink, sink

RESOURCES = ("cdrs", "visitors", "websites", "settings", "buttons")
"""All that can be exported; each goes to one file of that name."""


def _directory(to: object) -> Path:
    if not isinstance(to, str | os.PathLike) or not os.fspath(to):
        raise ClientMisuse(f"an export needs the path of a directory to write to, not {to!r}")
    return Path(to)


def _resources(names: Iterable[str]) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else names
    found = tuple(dict.fromkeys(names)) or RESOURCES
    for name in found:
        if name not in RESOURCES:
            raise ClientMisuse(f"unknown resource {name!r} (known: {', '.join(RESOURCES)})")
    return found


@attrs.frozen(kw_only=True)
class Plan:
    """One export: *resources* (all five if none is named) into the directory *to*.

    *format* is "jsonl", "csv", "sqlite" or "parquet", or a `Sink` of your own; *compress* is "gzip"
    or "zstd" where the format has it. Only rows that meet all *filters* are exported (buttons know
    none). *limit* is the page size in rows, *window* the page requests in flight for each resource.

    An existing file is refused unless *overwrite*. An export that was interrupted goes on where it
    stopped, unless *restart*; at most the last *checkpoint* seconds are fetched again.
    """

    to: Path = attrs.field(converter=_directory)
    resources: tuple[str, ...] = attrs.field(default=(), converter=_resources)
    format: str | Sink = "jsonl"
    compress: str | None = None
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=checked)
    limit: int = 500
    window: int = 4
    overwrite: bool = False
    restart: bool = False
    checkpoint: float = 2.0
    sink: Sink = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        made = sink(self.format, self.compress) if isinstance(self.format, str) else self.format
        object.__setattr__(self, "sink", made)
        checked_integer("limit", self.limit, 1, MAX_PAGE_SIZE)
        checked_integer("window", self.window, 1, MAX_WINDOW)
        if not self.checkpoint >= 0:
            raise ClientMisuse(
                f"checkpoint must be a number of seconds from 0, not {self.checkpoint!r}"
            )

    def path(self, resource: str) -> Path:
        """The file that *resource* goes to."""
        return self.to / f"{resource}.{self.sink.suffix}"

    def of(self, resource: str, base_url: str) -> Mapping[str, Any]:
        """What an interrupted export must have been of, for this one to go on with it."""
        return {
            "API": base_url,
            "resource": resource,
            "format": self.sink.suffix,
            "compress": self.compress,
            "filters": [str(condition) for condition in self.filters],
            "limit": self.limit,
        }

    def prepare(self, base_url: str) -> dict[str, Checkpoint | None]:
        """Makes the directory, sees that all files can be written, and finds what was interrupted.

        A checkpoint of None stands for a file that is there already, left by a run that was
        interrupted when all that was left to do was to say so.

        Raises:
            ClientMisuse: the files can't be written, or exist, or another export was interrupted.
        """
        self._writable()
        kept: dict[str, Checkpoint | None] = {}
        exist = []
        for resource in self.resources:
            path = self.path(resource)
            found = None if self.restart else load(side_file(path, "checkpoint"))
            if found is not None:
                self._same(resource, found, base_url)
                kept[resource] = found
            if not self._free(path, found):
                exist.append(resource)
        made = [found and found.file and self.path(name).exists() for name, found in kept.items()]
        if exist and made and all(made) and len(exist) + len(made) == len(self.resources):
            # A run that had ended was interrupted while it removed its checkpoints.
            return kept | dict.fromkeys(exist)
        if exist:
            raise ClientMisuse(
                f"{str(self.path(exist[0]))!r} exists: choose another directory, or allow it to be "
                "replaced with --overwrite (overwrite=True)"
            )
        return kept

    def _writable(self) -> None:
        try:
            self.to.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.to):
                pass
        except (OSError, ValueError) as error:
            reason = (
                os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            )
            raise ClientMisuse(
                f"the export directory {str(self.to)!r} can't be written ({reason}): "
                "choose another with --to, or mend its permissions"
            ) from None

    def _free(self, path: Path, found: Checkpoint | None) -> bool:
        """Whether nothing is in the way of the file *path*, or only what may be replaced.

        Raises:
            ClientMisuse: something is that can't be replaced.
        """
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return True
        if stat.S_ISDIR(mode):
            raise ClientMisuse(f"{str(path)!r} is a directory where a file should go")
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise ClientMisuse(f"{str(path)!r} exists and is {kind}: remove it first")
        return self.overwrite or (found is not None and found.file is not None)

    def _same(self, resource: str, found: Checkpoint, base_url: str) -> None:
        differences = found.differences(self.of(resource, base_url))
        if differences:
            raise ClientMisuse(
                f"an export of {resource} to {str(self.to)!r} was interrupted, and this is another "
                f"one: {'; '.join(differences)}. Run that one again to end it, or begin anew with "
                "--restart (restart=True)"
            )
