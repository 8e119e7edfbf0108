"""The files of one resource that continue each other, as a manifest lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import attrs

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export.sinks.base import Sink
from voipstudio_cmb.export.store.disk import status
from voipstudio_cmb.export.store.manifest import MANIFEST, Entry
from voipstudio_cmb.export.store.marks import KnownRow, Mark, unpacked
from voipstudio_cmb.export.store.seen import kept

from .files import OutputFile, Share


@attrs.frozen(kw_only=True)
class Series:
    """What incremental exports of `resource` have made in `directory`."""

    resource: str
    directory: Path
    sink: Sink
    entries: Mapping[str, Entry]
    """The entries of its files, by their names."""
    known: Mapping[str, frozenset[KnownRow]]
    """The rows that each of them has all the same, though they are behind its mark."""

    @classmethod
    def of(cls, resource: str, directory: Path, sink: Sink, entries: Mapping[str, Entry]) -> Self:
        """Those of a manifest's `entries` that belong to it.

        Raises:
            ClientMisuse: one of them was edited.
        """
        form = series_form(resource, sink)
        own = {name: entry for name, entry in entries.items() if form.fullmatch(name)}
        try:
            known = {name: frozenset(unpacked(entry.known)) for name, entry in own.items()}
        except ValueError as error:
            raise ClientMisuse(f"{str(directory / MANIFEST)!r} was edited ({error})") from None
        return cls(resource=resource, directory=directory, sink=sink, entries=own, known=known)

    def next(self, *, append: bool) -> OutputFile:
        """The file of what is new: another one, or with `append` the one that there is."""
        name = f"{self.resource}.{self.sink.suffix}"
        entry, entries = self.entries.get(name), self.entries
        if self.sink.appends and not append:
            entries = {}  # the file that had all the rows was removed
        elif entries and not append:
            name = f"{self.resource}.{self._last_number() + 1:04}.{self.sink.suffix}"
            entry = None
        after = max((entry.through for entry in entries.values()), default=0)
        since = max((entry.until for entry in entries.values() if entry.until), default=None)
        left = Mark(after, since)
        # Older files know rows that do not matter any more.
        known = {
            name: self.known[name]
            for name in entries
            if any(left.leaves(*row) for row in self.known[name])
        }
        share = Share(
            after=after,
            since=since,
            recent=min((entries[name].recent for name in known), default=after),
            others=frozenset().union(*known.values()),
        )
        return OutputFile(
            resource=self.resource,
            path=self.directory / name,
            share=share,
            append=append,
            incremental=bool(entries),
            recreate=entry is not None and not append,
            entry=entry,
            rejects=frozenset(digest for entry in entries.values() for digest in entry.rejects),
        )

    def _last_number(self) -> int:
        form = series_form(self.resource, self.sink)
        return max(int(form.sub(r"\1", name)[1:] or 1) for name in self.entries)

    def again(self, left: Callable[[Path], bool]) -> Iterator[OutputFile]:
        """The files that were removed, or that an interrupted run has `left` without saying so."""
        stored = kept(self.directory / f"{self.resource}.{self.sink.suffix}")
        for name, entry in self.entries.items():
            path = self.directory / name
            removed = status(path) is None and name not in stored
            if not removed and not left(path):
                continue
            others = (self.known[other] for other in self.entries if other != name)
            share = Share(
                after=entry.after,
                since=entry.since,
                others=frozenset().union(*others),
                end=entry.mark,
                known=self.known[name],
                # A range of ids does not bring rows without one.
                span=None if entry.rejects else (entry.lowest or 1, entry.highest or 0),
            )
            yield OutputFile(
                resource=self.resource,
                path=path,
                share=share,
                recreate=removed,
                entry=entry,
                only_rejects=frozenset(entry.rejects),
            )


def series_form(resource: str, sink: Sink) -> re.Pattern[str]:
    """How the files are called, with their number behind the first one."""
    return re.compile(rf"{resource}(\.\d{{4,}})?\.{re.escape(sink.suffix)}")
