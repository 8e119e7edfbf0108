"""The files of an export: which rows go where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.export.store.manifest import Entry
from voipstudio_cmb.filters import Filter, where


@attrs.frozen
class IdRange:
    """A range of ids, with single ones included or excluded."""

    after: int = 0
    """The range begins above this id."""
    through: int | None = None
    """The last id of the range; None: it has no end."""
    include: frozenset[int] = frozenset()
    """Lower ids that belong to it too."""
    exclude: frozenset[int] = frozenset()
    """Ids that belong to other files."""

    def __contains__(self, id: int) -> bool:
        if id in self.exclude:
            return False
        in_range = id > self.after and (self.through is None or id <= self.through)
        return in_range or id in self.include

    def has_all(self, ids: Sequence[int]) -> bool:
        """Whether it has all `ids`; False too where looking would take long."""
        if self.exclude or not ids:
            return not ids
        above = not self.after or min(ids) > self.after
        return above and (self.through is None or max(ids) <= self.through)

    def conditions(self) -> list[Filter]:
        """What to ask the API for."""
        after = min([self.after, *(id - 1 for id in self.include)])
        lower = [where("id") > after] if after else []
        return lower if self.through is None else [*lower, where("id") <= self.through]


@attrs.frozen
class LateRows:
    """Rows with ids that are not new, but were created after all that were exported.

    An id can be lower than one of an earlier row where rows come from several writers.
    """

    since: str
    """The latest time of creation that an export has met."""
    known: frozenset[int]
    """The ids of the rows of that time that were exported."""


@attrs.frozen(kw_only=True)
class OutputFile:
    """One file of an export."""

    resource: str
    """The resource that its rows are of."""
    path: Path
    """Where it goes."""
    ids: IdRange = attrs.field(factory=IdRange)
    """The ids of its rows."""
    late: LateRows | None = None
    """Further rows, if the API can tell which they are."""
    append: bool = False
    """Whether the rows go into an existing file."""
    incremental: bool = False
    """Whether the rows continue those of other files, or of the same one."""
    recreate: bool = False
    """Whether the file existed and was removed."""
    entry: Entry | None = None
    """What the manifest says of it, if it lists it."""
    rejects: frozenset[str] = frozenset()
    """Digests of the rejected rows that are left to other files."""
    only_rejects: frozenset[str] | None = None
    """Digests of those that it had before it was removed: all others are left to other files."""

    @property
    def before(self) -> Entry | None:
        """What the manifest says of the file that the rows are added to and continue, if any."""
        return self.entry if self.append and self.incremental else None

    def keep_reject(self, digest: str) -> bool:
        """Whether a rejected row of that `digest` goes beside it, and to no other file."""
        only = self.only_rejects
        return digest not in self.rejects if only is None else digest in only
