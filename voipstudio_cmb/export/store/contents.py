"""What a file of an export holds, finished or not, and whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Self, TypedDict

import attrs


class Identity(TypedDict):
    """Of what an export is: the same in all files that continue each other."""

    API: str
    resource: str
    format: str
    compress: str | None
    csv_null: str
    filters: list[str]


@attrs.frozen(kw_only=True)
class Contents:
    """What a file of an export holds."""

    identity: Identity
    """Of what it is an export."""
    owner_hash: str = ""
    """The account that the rows are of, as a hash: the same in all files of an account."""
    after: int = 0
    """The id that all others are above, but for those that are late."""
    rows: int = 0
    """How many rows it has."""
    lowest: int | None = None
    """The lowest id among them; None if there are none."""
    highest: int | None = None
    """The highest id among them; None if there are none."""
    late: Sequence[int] = ()
    """The ids not above `after`: of rows that appeared later."""
    created_at: str | None = None
    """The latest time at which a row was created, as the API sent it."""
    last: Sequence[int] = ()
    """The ids of the rows that were created then."""
    rejected: int = 0
    """How many rows could not be used; they are in `<name>.rejects.jsonl`."""

    def with_ids(self, ids: Sequence[int]) -> Self:
        """The same with rows of these `ids`."""
        lowest, highest = min(ids, default=None), max(ids, default=None)
        late = [id for id in ids if id <= self.after] if (lowest or 0) <= self.after else []
        return attrs.evolve(
            self,
            rows=self.rows + len(ids),
            lowest=min(filter(None, (self.lowest, lowest)), default=None),
            highest=max(filter(None, (self.highest, highest)), default=None),
            late=[*self.late, *late],
        )


def owner_hash(identity: str, base_url: str) -> str:
    """The hash of an account's `identity` at the API at `base_url`, so that no file names it."""
    return f"{base_url}:{hashlib.sha256(f'{base_url}:{identity}'.encode()).hexdigest()}"
