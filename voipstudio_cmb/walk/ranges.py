"""Cuts ids into ranges of about a page of rows each. Pure arithmetic."""

from __future__ import annotations

from typing import Any

import attrs

from voipstudio_cmb.models import Page

FILL = 0.95
"""How full of rows a range is meant to be: one meant to be full would run over half of the time."""


@attrs.define
class Cutter:
    """Cuts ids into ranges of about `size` rows each.

    As long as `rows` and `near` show the same density, as many ranges are cut as may be asked for
    at once. Otherwise one is cut, and one more after each that was well filled. After one that was
    not, all that is left is one range: its first page is found behind any gap.
    """

    low: int
    """The ids to cut are above this one."""
    high: int
    """The highest id to cut."""
    rows: int
    """How many rows there should be in all."""
    size: int
    near: int
    """How many ids the page right before took."""
    _reach: int = attrs.field(init=False)
    _lost: bool = False

    def __attrs_post_init__(self) -> None:
        self._reach = 64 if self.near / 2 <= self._mean() * self.size <= self.near * 2 else 1

    def _mean(self) -> float:
        """Ids a row, by what is left of both."""
        return (self.high - self.low) / max(self.rows, 1)

    def next(self, flying: int) -> tuple[int, int] | None:
        """The next range, while `flying` are on their way; None if there is none to ask for now."""
        if self.low >= self.high or flying >= (1 if self._lost else self._reach):
            return None
        ids, page = self.high - self.low, self.size * FILL
        width = ids
        if not self._lost and self.rows > flying * page:
            # Ids that follow each other without a gap can't be more than they are.
            width = self.near if self.near == self.size else int(self.near * FILL)
        cut = (self.low, self.low + max(1, min(width, ids)))
        self.low = cut[1]
        return cut

    def learn(self, rows: int) -> None:
        """Notes how many rows a range has turned out to hold."""
        self.rows = max(0, self.rows - rows)
        self._lost = rows <= self.size / 2
        self._reach = 1 if self._lost else min(64, self._reach + 1)


def id_span(page: Page[Any]) -> int:
    """How many ids `page` takes, with as many gaps as rows."""
    ids: int = page.records[-1].id - page.records[0].id
    rows = len(page.records)
    return ids * rows // (rows - 1) if rows > 1 else 1


def left_behind(page: Page[Any]) -> int | None:
    """How many rows there should be after `page`, the first of its range."""
    return None if page.total is None else page.total - len(page.records)


def hides_rows(page: Page[Any], size: int) -> bool:
    """Whether rows may be behind those of `page`, of which none has an id to go on from.

    The server sends `size` rows at once.
    """
    return page.unusable > 0 and (bool(page.total) or page.unusable >= size)
