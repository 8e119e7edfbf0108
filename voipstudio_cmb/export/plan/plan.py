"""What to export, to where and how: checked before the first request. Writes nothing."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.checks import checked_integer
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.sinks import FORMATS, Sink, SqliteSink, sink
from voipstudio_cmb.export.store.checkpoint import Checkpoint, load
from voipstudio_cmb.export.store.disk import fingerprint, rejects_path, sidecar
from voipstudio_cmb.export.store.manifest import NAME, Entry, latest, read
from voipstudio_cmb.filters import Filter, checked
from voipstudio_cmb.models import Button, Cdr, Record, Setting, Visitor, Website
from voipstudio_cmb.query import MAX_CONCURRENCY, MAX_PAGE_SIZE

from .files import IdRange, Late, OutputFile

RECORDS: dict[str, type[Record]] = {
    "cdrs": Cdr, "visitors": Visitor, "websites": Website, "settings": Setting, "buttons": Button
}  # fmt: skip

RESOURCES = tuple(RECORDS)
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
    or "zstd" where the format has it, and *csv_null* what stands for null in CSV. Only rows that
    meet all *filters* are exported (buttons know none). *limit* is the page size in rows, *window*
    the page requests in flight for each resource.

    *since* "last" goes on from the last complete export to the same directory (`manifest.json`
    there): rows with higher ids go to new numbered files, or into the same SQLite file, and files
    that have gone are made again.

    An existing file is refused unless *overwrite*. An export that was interrupted goes on where it
    stopped, unless *restart*; at most the last *checkpoint* seconds are fetched again.
    """

    to: Path = attrs.field(converter=_directory)
    resources: tuple[str, ...] = attrs.field(default=(), converter=_resources)
    format: str | Sink = "jsonl"
    compress: str | None = None
    csv_null: str = ""
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=checked)
    page_size: int = 500
    concurrency: int = 4
    since: str | None = None
    overwrite: bool = False
    restart: bool = False
    checkpoint: float = 2.0
    sink: Sink = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        made = self.format
        if isinstance(made, str):
            made = sink(made, self.compress, csv_null=self.csv_null)
        if not isinstance(getattr(made, "suffix", None), str) or not callable(
            getattr(made, "write", None)
        ):
            raise ClientMisuse(
                f"a format is a name ({', '.join(FORMATS)}) or an object with a suffix and a "
                f"write, not {made!r}"
            )
        object.__setattr__(self, "sink", made)
        checked_integer("page_size", self.page_size, 1, MAX_PAGE_SIZE)
        checked_integer("concurrency", self.concurrency, 1, MAX_CONCURRENCY)
        if self.since not in (None, "last"):
            raise ClientMisuse(f'since must be "last" or None, not {self.since!r}')
        if self.since and self.overwrite:
            raise ClientMisuse(
                "since and overwrite do not go together: an incremental export adds to what is "
                "there"
            )
        if not self.checkpoint >= 0:
            raise ClientMisuse(
                f"checkpoint must be a number of seconds from 0, not {self.checkpoint!r}"
            )

    def path(self, resource: str) -> Path:
        """The file that *resource* goes to."""
        return self.to / f"{resource}.{self.sink.suffix}"

    def of(self, part: OutputFile, base_url: str) -> Mapping[str, Any]:
        """What an interrupted export must have been of, for this one to go on with it."""
        return {
            "API": base_url,
            "resource": part.resource,
            "after": part.ids.after,
            "upto": part.ids.upto,
            "format": self.sink.suffix,
            "compress": self.compress,
            "csv_null": self.csv_null,
            "filters": [str(condition) for condition in self.filters],
            "page_size": self.page_size,
        }

    def parts(self) -> list[OutputFile]:
        """The files to make.

        Raises:
            ClientMisuse: the last export can't be gone on from.
        """
        if self.since is None:
            return [OutputFile(resource=name, path=self.path(name), adds=self._adds(name))
                    for name in self.resources]  # fmt: skip
        entries = read(self.to)
        return [part for name in self.resources for part in self._since_last(name, entries)]

    def _adds(self, resource: str) -> bool:
        return (
            getattr(self.sink, "upserts", False)
            and not self.overwrite
            and self.path(resource).is_file()
        )

    def _since_last(self, resource: str, entries: Mapping[str, Entry]) -> Iterator[OutputFile]:
        path = self.path(resource)
        numbered = re.compile(rf"{resource}(\.\d{{4,}})?\.{re.escape(self.sink.suffix)}")
        made = {name: entry for name, entry in entries.items() if numbered.fullmatch(name)}
        last = max((entry.highest or 0 for entry in made.values()), default=0)
        dated = latest(made.values())
        late = Late(*dated) if dated and resource != "buttons" else None
        if getattr(self.sink, "upserts", False):
            there = path.is_file()
            after = last if there and made else 0
            late = late if after else None
            more = there and bool(made)
            yield OutputFile(
                resource=resource, path=path, ids=IdRange(after), late=late, adds=there, more=more
            )
            return
        for name, entry in made.items():
            gone = not os.path.lexists(self.to / name)
            # An interrupted run has made it, which this one goes on with.
            ended = not self.restart and os.path.lexists(sidecar(self.to / name, "checkpoint"))
            if gone or ended:
                upto = entry.after if entry.highest is None else entry.highest
                others = (id for other in made if other != name for id in made[other].late)
                ids = IdRange(entry.after, upto, frozenset(entry.late), frozenset(others))
                yield OutputFile(resource=resource, path=self.to / name, ids=ids, again=gone)
        if made:
            number = max(int(name.split(".")[1]) if "." in name[: -len(self.sink.suffix) - 1] else 1
                         for name in made)  # fmt: skip
            path = self.to / f"{resource}.{number + 1:04}.{self.sink.suffix}"
        yield OutputFile(
            resource=resource, path=path, ids=IdRange(last), late=late, more=bool(made)
        )

    def prepare(self, base_url: str, parts: Sequence[OutputFile]) -> dict[Path, Checkpoint | None]:
        """Makes the directory, sees that all files can be written, and finds what was interrupted.

        A checkpoint of None stands for a file that is there already, left by a run that was
        interrupted when all that was left to do was to say so.

        Raises:
            ClientMisuse: the files can't be written, or exist, or another export was interrupted.
        """
        self._writable()
        entries = read(self.to)
        if not self.since:
            self._not_incremental(entries)
        kept: dict[Path, Checkpoint | None] = {}
        exist = []
        for part in parts:
            of = self.of(part, base_url)
            found = None if self.restart else load(sidecar(part.path, "checkpoint"))
            if found is not None:
                entry = entries.get(part.path.name)
                done = found.file is not None and entry and entry.sha256 == found.file[1]
                # Where an interrupted run has ended with this file, that is what is there now.
                again = found.of if done and self.since else of
                differences = found.differences({**of, **{k: again[k] for k in ("after", "upto")}})
                if differences:
                    raise ClientMisuse(
                        f"an export to {str(part.path)!r} was interrupted, and this is another "
                        f"one: {'; '.join(differences)}. Run that one again to end it, or begin "
                        "anew with --restart (restart=True)"
                    )
                kept[part.path] = found
            if self.since:
                self._same_series(part, entries, of)
            if isinstance(self.sink, SqliteSink):
                self._check_database(self.sink, part, entries)
            if not self._free(part, found):
                there = os.path.lexists(part.path)
                exist.append(part.path if there else rejects_path(part.path))
        made = [found and found.file and path.exists() for path, found in kept.items()]
        ours = [self._told_of(path, entries) for path in exist]
        if exist and made and all([*made, *ours]) and len(exist) + len(made) == len(parts):
            # A run that had ended was interrupted while it removed its checkpoints.
            return kept | dict.fromkeys(exist)
        if exist and self.since:
            raise ClientMisuse(
                f"{str(exist[0])!r} exists, and {NAME} does not tell of it: move it away, or "
                "export to another directory"
            )
        if exist:
            raise ClientMisuse(
                f"{str(exist[0])!r} exists: choose another directory, or allow it to be "
                "replaced with --overwrite (overwrite=True)"
            )
        return kept

    @staticmethod
    def _told_of(path: Path, entries: Mapping[str, Entry]) -> bool:
        """Whether the file *path* is what the manifest says that it is."""
        entry = entries.get(path.name)
        return entry is not None and fingerprint(path) == (entry.bytes, entry.sha256)

    def _check_database(
        self, sink: SqliteSink, part: OutputFile, entries: Mapping[str, Entry]
    ) -> None:
        sink.free(part.path)
        if not part.adds:
            return
        last = sink.check(part.path, part.resource, RECORDS[part.resource])
        if part.more and last < part.ids.after:
            raise ClientMisuse(
                f"{str(part.path)!r} has ids up to {last}, and {NAME} tells of {part.ids.after}: "
                "it is another file, or rows were deleted from it. Export once without --since"
            )

    def _not_incremental(self, entries: Mapping[str, Entry]) -> None:
        for name, entry in entries.items():
            resource = entry.of["resource"]
            numbered = name.endswith(f".{self.sink.suffix}") and name != self.path(resource).name
            if resource in self.resources and numbered:
                raise ClientMisuse(
                    f"{str(self.to)!r} holds an incremental export ({name}): go on with it by "
                    '--since last (since="last"), or export to another directory'
                )

    def _same_series(
        self, part: OutputFile, entries: Mapping[str, Entry], of: Mapping[str, Any]
    ) -> None:
        """Sees that the file goes on with those before it."""
        for name, entry in entries.items():
            if entry.of["resource"] != part.resource or entry.of["format"] != of["format"]:
                continue
            for what in ("API", "filters", "csv_null"):
                if entry.of[what] != of[what]:
                    raise ClientMisuse(
                        f"{name!r} in {str(self.to)!r} is another export ({what} was "
                        f"{entry.of[what]!r} and is {of[what]!r}): ask for the same again, or "
                        "export to another directory"
                    )

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

    def _free(self, part: OutputFile, found: Checkpoint | None) -> bool:
        """Whether nothing is in the way of the file, or only what may be replaced.

        Raises:
            ClientMisuse: something is that can't be replaced.
        """
        path = part.path
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            rejects = rejects_path(path)
            return self.overwrite or part.again or found is not None or not os.path.lexists(rejects)
        if stat.S_ISDIR(mode):
            raise ClientMisuse(f"{str(path)!r} is a directory where a file should go")
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no regular file"
            raise ClientMisuse(f"{str(path)!r} exists and is {kind}: remove it first")
        if self.overwrite or part.adds:
            return True
        return found is not None and found.file is not None and fingerprint(path) == found.file
