"""The files of an export: which rows go where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.export.store.ended import Made
from voipstudio_cmb.export.store.manifest import Entry, joined
from voipstudio_cmb.export.store.marks import KnownRow, Mark, time_of
from voipstudio_cmb.filters import Filter, where


@attrs.frozen
class Share:
    """Which rows belong to a file: each row of a resource belongs to one of the files of a series.

    Those that the files before it have left, and it does not leave to the next one.
    """

    after: int = 0
    """Rows above this id were left by the files before it."""
    since: str | None = None
    """Rows that were created then or later were left too; None: no others were."""
    recent: int = 0
    """Rows up to this id were created before `since`, where ids and times have one order."""
    others: frozenset[KnownRow] = frozenset()
    """Rows that other files have all the same."""
    end: Mark | None = None
    """What it leaves to the next file; None: that is still to be found out."""
    known: frozenset[KnownRow] = frozenset()
    """Rows behind its end that it has all the same."""
    span: tuple[int, int] | None = None
    """The lowest and the highest id that it may have, where it is made again."""
    _begin: Mark = attrs.field(
        init=False, default=attrs.Factory(lambda self: Mark(self.after, self.since), True)
    )
    _highest_other: int = attrs.field(
        init=False, default=attrs.Factory(lambda self: max(self.others, default=(0, ""))[0], True)
    )

    def has(self, id: int, created: object) -> bool:
        """Whether the row belongs to it."""
        row = id, time_of(created)
        if row in self.others or not self._begin.leaves(*row):
            return False
        return self.end is None or row in self.known or not self.end.leaves(*row)

    def has_all(self, ids: Sequence[int], created: Sequence[Any]) -> bool:
        """Whether it has all these rows; False too where looking would take long."""
        if self.end is not None or not ids or min(ids) <= self.after:
            return not ids
        return min(ids) > self._highest_other

    def conditions(self) -> list[Filter]:
        """What to ask the API for, but for rows of `since`."""
        low, high = (self.after, None) if self.span is None else (self.span[0] - 1, self.span[1])
        lower = [where("id") > low] if low else []
        return lower if high is None else [*lower, where("id") <= high]

    @property
    def reaches_back(self) -> bool:
        """Whether it may have rows that the `conditions` exclude."""
        return self.since is not None and self.span is None


@attrs.frozen(kw_only=True)
class OutputFile:
    """One file of an export."""

    resource: str
    """The resource that its rows are of."""
    path: Path
    """Where it goes."""
    share: Share = attrs.field(factory=Share)
    """Which of them."""
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
    untold: Made | None = None
    """What an export has brought which made it, and may not have told so."""

    @property
    def finished(self) -> Entry | None:
        """What the manifest says of it, if that export has left nothing to do."""
        made = self.untold is not None and not self.append and not self.recreate
        return self.entry if made else None

    @property
    def before(self) -> Entry | None:
        """What the manifest says of the file that the rows are added to and continue, if any."""
        return self.entry if self.append and self.incremental else None

    def entry_of(self, made: Entry) -> Entry:
        """What the manifest is to say of it, where the rows of this export have `made` it."""
        if self.before is not None:
            return joined(self.before, made)
        if self.entry is None or self.share.end is None:
            return made
        # It is made again: what it leaves to the files after it stays what it was.
        return attrs.evolve(
            self.entry,
            owner_hash=made.owner_hash,
            rows=made.rows,
            rejected=made.rejected,
            rejects=made.rejects,
            bytes=made.bytes,
            sha256=made.sha256,
        )

    def keep_reject(self, digest: str) -> bool:
        """Whether a rejected row of that `digest` goes beside it, and to no other file."""
        only = self.only_rejects
        return digest not in self.rejects if only is None else digest in only
