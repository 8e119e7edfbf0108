"""What a file of an export holds, finished or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs


@attrs.frozen(kw_only=True)
class Contents:
    """What a file of an export holds."""

    identity: Mapping[str, Any]
    """Of which API, resource, filters and format it is: see `Plan.identity`."""
    owner_hash: str = ""
    """The account that the rows are of, as a hash."""
    rows: int = 0
    """How many rows it has."""
    lowest: int | None = None
    """The lowest id among them; None if there are none."""
    highest: int | None = None
    """The highest id among them; None if there are none."""
    late: Sequence[int] = ()
    """The ids not above those of earlier files: of rows that appeared later."""
    created_at: str | None = None
    """The latest time at which a row was created, as the API sent it."""
    last: Sequence[int] = ()
    """The ids of the rows that were created then."""
    rejected: int = 0
    """How many rows could not be used; they are in `<name>.rejects.jsonl`."""

    def with_ids(self, ids: Sequence[int], after: int) -> Self:
        """The same with rows of these `ids`; late are those not above `after`."""
        lowest, highest = min(ids, default=None), max(ids, default=None)
        late = [id for id in ids if id <= after] if lowest is not None and lowest <= after else []
        return attrs.evolve(
            self,
            rows=self.rows + len(ids),
            lowest=min(filter(None, (self.lowest, lowest)), default=None),
            highest=max(filter(None, (self.highest, highest)), default=None),
            late=[*self.late, *late],
        )
