"""The rows of a model server: one table, and what else its responses may be made from."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Self

import attrs


@attrs.define(eq=False)
class Table:
    """Rows by id."""

    ids: list[int] = attrs.field(factory=list)
    """Those of the rows, ascending."""
    versions: dict[int, int] = attrs.field(factory=dict)
    """How often each row that ever existed was written."""

    @classmethod
    def of(cls, ids: list[int]) -> Self:
        return cls(list(ids), dict.fromkeys(ids, 0))

    def copy(self) -> Table:
        return Table(list(self.ids), dict(self.versions))

    def insert(self, id: int) -> None:
        insort(self.ids, id)
        self.update(id)

    def delete(self, id: int) -> None:
        del self.ids[bisect_left(self.ids, id)]

    def update(self, id: int) -> None:
        self.versions[id] = self.versions.get(id, -1) + 1


@attrs.define(eq=False)
class Tables:
    """A table, and a replica that is `lag` changes behind it."""

    now: Table
    behind: Table
    lag: int
    changes: deque[tuple[str, int]] = attrs.field(factory=deque)
    """Those that the replica does not have yet."""

    @classmethod
    def of(cls, ids: list[int], lag: int) -> Self:
        """A table with these `ids`, of which the last came last."""
        early = max(0, len(ids) - lag)
        changes = deque(("insert", id) for id in ids[early:])
        return cls(Table.of(ids), Table.of(ids[:early]), lag, changes)

    def change(self, what: str, id: int) -> None:
        """Inserts, updates or deletes the row `id`."""
        getattr(self.now, what)(id)
        self.changes.append((what, id))
        while len(self.changes) > self.lag:
            earlier, of = self.changes.popleft()
            getattr(self.behind, earlier)(of)
