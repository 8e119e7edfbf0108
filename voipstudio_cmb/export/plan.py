"""What to export, to where and how: checked before the first request. Writes nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import attrs

from voipstudio_cmb.arguments import MAX_PAGE_SIZE, MAX_WINDOW, checked_integer
from voipstudio_cmb.errors import ClientMisuse

RESOURCES = ("cdrs", "visitors", "websites", "settings", "buttons")
"""All that can be exported; each goes to one file of that name."""

FORMATS = ("jsonl", "csv")  # of the formats, those that can be written page by page


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

    *format* is "jsonl" or "csv"; *limit* the page size in rows, *window* the page requests in
    flight for each resource. An existing file is refused unless *overwrite*.
    """

    to: Path = attrs.field(converter=_directory)
    resources: tuple[str, ...] = attrs.field(default=(), converter=_resources)
    format: str = "jsonl"
    limit: int = 500
    window: int = 4
    overwrite: bool = False

    def __attrs_post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ClientMisuse(f"unknown format {self.format!r} (known: {', '.join(FORMATS)})")
        checked_integer("limit", self.limit, 1, MAX_PAGE_SIZE)
        checked_integer("window", self.window, 1, MAX_WINDOW)

    def path(self, resource: str) -> Path:
        """The file that *resource* goes to."""
        return self.to / f"{resource}.{self.format}"

    def prepare(self) -> None:
        """Makes the directory and sees that all files can be written there.

        Raises:
            ClientMisuse: they can't, or one exists already.
        """
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
        for resource in self.resources:
            path = self.path(resource)
            if path.is_dir():
                raise ClientMisuse(f"{str(path)!r} is a directory where a file should go")
            if os.path.lexists(path) and not self.overwrite:
                raise ClientMisuse(
                    f"{str(path)!r} exists: choose another directory, or allow it to be replaced "
                    "with --overwrite (overwrite=True)"
                )
