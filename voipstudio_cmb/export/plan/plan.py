"""What to export, to where and how: a value that is checked when it is made, and writes nothing."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self, get_args

import attrs

from voipstudio_cmb.boundary.checks import (
    checked_duration,
    checked_integer,
    checked_number,
    described,
)
from voipstudio_cmb.boundary.text import nearest
from voipstudio_cmb.columns import Chosen, absent_columns, checked_columns
from voipstudio_cmb.errors import ClientMisuse, ExportError
from voipstudio_cmb.export.sinks.base import Sink
from voipstudio_cmb.export.sinks.compression import Compression
from voipstudio_cmb.export.sinks.formats import FORMATS, Format, sink
from voipstudio_cmb.export.store.checkpoint import Checkpoint, load
from voipstudio_cmb.export.store.contents import Identity
from voipstudio_cmb.export.store.disk import fingerprint, sidecar, status
from voipstudio_cmb.export.store.ended import untold
from voipstudio_cmb.export.store.failures import before_sending
from voipstudio_cmb.export.store.manifest import Entry
from voipstudio_cmb.export.store.published import published
from voipstudio_cmb.filters import Filter
from voipstudio_cmb.models import RECORDS
from voipstudio_cmb.query import MAX_CONCURRENCY, MAX_PAGE_SIZE, OnIgnoredFilter, checked_filters
from voipstudio_cmb.resources import RESOURCES, Resource

from .files import OutputFile
from .place import StoreUrl, default_workspace, local_path, place
from .series import Series


def _resources(names: Resource | Iterable[Resource]) -> tuple[Resource, ...]:
    chosen: Any = (names,) if isinstance(names, str) else names
    unique: tuple[Any, ...] = tuple(dict.fromkeys(chosen)) or RESOURCES
    for name in unique:
        if name not in RESOURCES:
            meant = nearest(str(name), RESOURCES)
            raise ClientMisuse(f"unknown resource{meant} (known: {', '.join(RESOURCES)})")
    return unique


def _overlap(value: float | str | timedelta) -> float:
    return checked_duration("overlap (--overlap)", value)


def _workspace(path: Path) -> Path:
    otherwise = "files are made there before they go to the one that --to (to=) names"
    return local_path(path, "--workspace (workspace=)", otherwise)


def _sink_of(plan: Plan) -> Sink:
    if isinstance(plan.format, str):
        return sink(plan.format, plan.compress, csv_null=plan.csv_null, columns=plan.columns)
    if isinstance(plan.format, type) or not hasattr(plan.format, "spool_is_output"):
        raise ClientMisuse(
            f"a format is a name ({', '.join(FORMATS)}) or an instance of a subclass of "
            f"export.Sink, not {described(plan.format)}"
        )
    return plan.format


@attrs.frozen(kw_only=True)
class Plan:
    """One export of some resources into a directory. Nothing happens before it is run.

    An export that was interrupted is resumed by the same plan. An existing file is refused unless
    it is to be replaced (`overwrite`), or its format can be added to.
    """

    to: Path | StoreUrl = attrs.field(converter=place)
    """The directory that the files go to, or an address such as "s3://bucket/prefix"."""
    workspace: Path | None = attrs.field(
        default=None, converter=attrs.converters.optional(_workspace), kw_only=True
    )
    """Where the files for such an address are made before they are published.

    By default a directory below `~/.cache` (`XDG_CACHE_HOME`), the same in every run."""
    resources: tuple[Resource, ...] = attrs.field(default=(), converter=_resources)
    """What to export; all five if none is named."""
    format: Format | Sink = "jsonl"
    """The format of the files, by name, or one of your own."""
    compress: Compression | None = None
    """How to compress them, if the format can be compressed."""
    csv_null: str = ""
    """What stands for null in CSV."""
    columns: Chosen = attrs.field(default="all", converter=checked_columns)
    """Which members of the rows are columns, in formats that have columns: "all", the "documented"
    fields, or those of these names. What no column holds is in the last one, `extra`; where names
    are given, only of these members."""
    filters: tuple[Filter, ...] = attrs.field(default=(), converter=checked_filters)
    """Only rows that meet all of them are exported. Buttons are not filtered."""
    on_ignored_filter: OnIgnoredFilter = "raise"
    """What to do about a server that ignores filters: "client" sends none and compares all rows
    here, "raise" fails what is certain to be ignored."""
    page_size: int = 500
    """The rows asked for in one request."""
    concurrency: int = 4
    """The page requests in flight for each resource."""
    since: Literal["last"] | None = None
    """"last" exports only what is new since the last complete export to the directory.

    Rows with higher ids go to new numbered files, or into the same SQLite file, and files that
    were removed are made again. `manifest.json` in the directory says what is new.
    """
    overlap: float = attrs.field(default=0, converter=_overlap)
    """How long a row can take to show after it was created: seconds, a timedelta, or "1h".

    With `since`, the last so many seconds before an export began are read again by the next one,
    which adds what is new."""
    overwrite: bool = False
    """Whether existing files are replaced."""
    restart: bool = False
    """Whether to begin again where an interrupted export could be resumed."""
    checkpoint: float = 2.0
    """Seconds from one checkpoint to the next: at most so much is fetched again."""
    verify: bool = False
    """Whether the files that `since` continues are compared with the manifest by their SHA-256.

    Without it only their sizes are. Databases, which others may change too, are counted.
    """
    sink: Sink = attrs.field(init=False, eq=False, default=attrs.Factory(_sink_of, takes_self=True))
    """The format that writes the files."""

    def __new__(cls, **options: Any) -> Self:
        for old, new in (("limit", "page_size"), ("window", "concurrency")):
            if old in options:
                raise ClientMisuse(f"a plan takes no `{old}`: it is called `{new}`")
        return super().__new__(cls)

    def __attrs_post_init__(self) -> None:
        checked_integer("page_size", self.page_size, 1, MAX_PAGE_SIZE)
        checked_integer("concurrency", self.concurrency, 1, MAX_CONCURRENCY)
        if self.on_ignored_filter not in get_args(OnIgnoredFilter):
            raise ClientMisuse('on_ignored_filter must be "raise" or "client"')
        if self.since not in (None, "last"):
            raise ClientMisuse('since must be "last" or None')
        if self.since and self.overwrite:
            raise ClientMisuse(
                "since and overwrite do not go together: an incremental export adds to the "
                "existing files"
            )
        if self.overlap and not self.since:
            raise ClientMisuse('an overlap is of exports with --since last (since="last")')
        if self.verify and not self.since:
            raise ClientMisuse(
                "verify (--verify) compares the files that an incremental export continues: give "
                'since="last" (--since last) too'
            )
        if self.checkpoint != 0:
            checked_number("checkpoint", self.checkpoint)
        self._check_store()

    def _check_store(self) -> None:
        if isinstance(self.to, Path) and self.workspace is not None:
            raise ClientMisuse(
                "--workspace (workspace=) is for an export to a store, as --to s3://bucket/prefix: "
                "leave it out, or name a store"
            )
        if isinstance(self.to, StoreUrl) and self.sink.appends and self.since:
            raise ClientMisuse(
                f"a {self.sink.suffix} file is added to by since (--since last), and objects of a "
                "store are not: choose another format"
            )

    @property
    def directory(self) -> Path:
        """The local directory that the files are made in."""
        if isinstance(self.to, Path):
            return self.to
        return self.to.below(self.workspace or default_workspace())

    def shown(self, path: Path | None = None) -> str:
        """Where `path`, a file in the directory, or the directory is for who reads the export."""
        if isinstance(self.to, Path):
            return str(path or self.to)
        return str(self.to if path is None else self.to / path.name)

    @property
    def sent_filters(self) -> tuple[Filter, ...]:
        """The filters that the API is asked to apply."""
        return self.filters if self.on_ignored_filter == "raise" else ()

    @property
    def filters_here(self) -> tuple[Filter, ...]:
        """The filters that rows are compared with when they have come."""
        return self.filters if self.on_ignored_filter == "client" else ()

    def path(self, resource: str) -> Path:
        """The file that `resource` goes to."""
        return self.directory / f"{resource}.{self.sink.suffix}"

    def note(self, resource: str, rows: Iterable[bytes]) -> str:
        """What is to be said of the file of `resource` with these `rows`."""
        return absent_columns(self.columns, RECORDS[resource], rows)

    def begin(self, file: OutputFile, base_url: str) -> Checkpoint:
        """The checkpoint of an export to `file` from the API at `base_url`, with nothing yet."""
        identity: Identity = {
            "API": base_url,
            "resource": file.resource,
            "format": self.sink.suffix,
            "compress": self.compress,
            "csv_null": self.csv_null,
            "columns": self.columns if isinstance(self.columns, str) else [*self.columns],
            "filters": [str(condition) for condition in self.filters],
        }
        share = file.share
        checkpoint = Checkpoint(
            identity=identity,
            after=share.after,
            since=share.since,
            adds=file.before is not None,
            page_size=self.page_size,
        )
        return checkpoint if share.end is None else checkpoint.with_mark(share.end)

    def files(self, mark: Path | None = None) -> list[OutputFile]:
        """The files to make, as far as the manifest and the directory tell.

        With those that an export has made which was interrupted before it told so, as its `mark`
        says.

        Raises:
            ClientMisuse: the last export can't be continued.
            ExportError: what it has left can't be read now.
        """
        with before_sending(self.directory):
            if self.since is None:
                paths = [(name, self.path(name)) for name in self.resources]
                return [OutputFile(resource=name, path=path, append=self._appends_to(path))
                        for name, path in paths]  # fmt: skip
            entries = published(self.directory)
            ended = (mark and untold(mark, self.directory, restart=self.restart)) or {}
            return [
                attrs.evolve(file, untold=ended.get(file.path.name))
                for name in self.resources
                for file in self._since_last(name, entries, ended)
            ]

    def check_planned(self, file: OutputFile, entries: Mapping[str, Entry]) -> None:
        """Raises ExportError if another run has made `file` since it was planned."""
        if self.since and entries.get(file.path.name) != file.entry:
            raise ExportError(
                f"another export has written {str(file.path)!r} meanwhile: run the same export "
                "again",
                retryable=True,
            )

    def _appends_to(self, path: Path) -> bool:
        if not self.sink.appends or self.overwrite:
            return False
        found = status(path)
        return found is not None and stat.S_ISREG(found.st_mode)

    def _since_last(
        self, resource: str, entries: Mapping[str, Entry], ended: Iterable[str]
    ) -> Iterator[OutputFile]:
        def left(path: Path) -> bool:
            if path.name in ended:
                return True
            checkpoint = load(sidecar(path, "checkpoint"))
            made = None if checkpoint is None else checkpoint.file
            return made is not None and made == fingerprint(path)

        series = Series.of(resource, self.directory, self.sink, entries)
        if not self.sink.appends:
            yield from series.again(left)
        yield series.next(append=self._appends_to(self.path(resource)))
