"""What a file of an export holds, finished or not, and whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self, TypedDict

import attrs

from .marks import Known, Mark


class Identity(TypedDict):
    """Of what an export is: the same in all files that continue each other."""

    API: str
    resource: str
    format: str
    compress: str | None
    csv_null: str
    columns: str | list[str]
    filters: list[str]


@attrs.frozen(kw_only=True)
class Contents:
    """What a file of an export holds."""

    identity: Identity
    """Of what it is an export."""
    owner_hash: str = ""
    """The account that the rows are of, as a hash: the same in all files of an account."""
    after: int = 0
    """Where it begins: all rows have ids above this one, but for those of `since`."""
    since: str | None = None
    """It also has rows with other ids that were created then or later; None: no such rows."""
    through: int | None = None
    """Rows with ids above this one are left to the next file; None: not known yet."""
    until: str | None = None
    """Rows that were created then or later are left to it too; None: no such rows."""
    known: Known = attrs.field(factory=dict)
    """The rows that it has all the same, because they came while it was made."""
    recent: int = 0
    """An id below all of those, from which an API that knows no times is asked again."""
    rows: int = 0
    """How many rows it has."""
    lowest: int | None = None
    """The lowest id among them; None if there are none."""
    highest: int | None = None
    """The highest id among them; None if there are none."""
    rejected: int = 0
    """How many rows could not be used; they are in `<name>.rejects.jsonl`."""

    @property
    def mark(self) -> Mark | None:
        """Where the next file begins; None: not known yet."""
        return None if self.through is None else Mark(self.through, self.until)

    def with_mark(self, mark: Mark) -> Self:
        """The same, where the next file begins at `mark`."""
        return attrs.evolve(self, through=mark.id, until=mark.time)

    def with_ids(self, ids: Sequence[int]) -> Self:
        """The same with rows of these `ids`."""
        lowest, highest = min(ids, default=None), max(ids, default=None)
        return attrs.evolve(
            self,
            rows=self.rows + len(ids),
            lowest=min(filter(None, (self.lowest, lowest)), default=None),
            highest=max(filter(None, (self.highest, highest)), default=None),
        )


def owner_hash(identity: str, base_url: str) -> str:
    """The hash of an account's `identity` at the API at `base_url`, so that no file names it."""
    return f"{base_url}:{hashlib.sha256(f'{base_url}:{identity}'.encode()).hexdigest()}"
