"""Whether a page walk has received every row that was there when it began.

At one moment there were so many rows up to the highest id: that is the mark. When so many different
rows up to that id have come, all that were there have come, whatever the order and whatever else
has come or gone meanwhile. This says nothing of rows that were received and deleted before the
mark: pages that may have been read earlier are therefore read once more, and must be what they
were.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from voipstudio_cmb.models import Identified, Page, record_ids

from .ids import ascends, checksum, ids_of, passed_over
from .tasks import cancel_all, result_of


@attrs.frozen
class HighWaterMark:
    """At one moment there were *rows* rows with ids up to *id*."""

    id: int
    rows: int


@attrs.define(eq=False)
class Ledger:
    """The account of one walk.

    *top* is the highest id of its beginning, 0 if the server did not tell it, *highest* the highest
    total so far, *under* how many rows up to the *mark* have come, *count* how many in all.
    *whole* says that the first page was everything.
    """

    top: int = 0
    highest: int = 0
    mark: HighWaterMark | None = None
    under: int = 0
    count: int = 0
    whole: bool = False
    _early: dict[int, tuple[int, int]] = attrs.field(factory=dict)
    _checks: dict[int, asyncio.Task[Page[Any]]] = attrs.field(factory=dict)

    def open(self, first: Page[Any], top: Page[Any] | None) -> None:
        """Takes the mark from the two highest rows, *top*, if they are the highest.

        That the first page is everything takes a total that says so.
        """
        ids, tops = ids_of(first), [] if top is None else ids_of(top)
        highest, known = max(tops, default=0), max(ids, default=0)
        single = len(tops) == 1 and (highest > known or (tops == ids and first.total == 1))
        descends = len(tops) > 1 and not passed_over(ids, tops)
        # Where the first page is the lowest, it has nothing that is higher than the highest.
        low = ascends(ids, 0) and highest < known
        nothing = not ids and not tops
        if top is None or low or not (single or descends or nothing):
            return  # refused, or in another order than was asked for
        inside, rows = {*tops} <= {*ids}, len({*ids, *tops})
        if ids and ascends(ids, 0) and (inside or ids[0] in tops) and first.total != rows:
            # There are more, or nothing says that there are not: who turns a page around instead of
            # the collection sends the first page's own rows for the highest.
            return
        self.top = highest
        self.whole = ascends(ids, 0) and inside and not _more(first)
        if self.whole:
            self.mark = HighWaterMark(known, len(ids))
        elif top.total is not None:
            self.mark = HighWaterMark(highest, top.total)

    def note(self, total: int | None) -> None:
        """Takes note of a total that the server claims."""
        self.highest = max(self.highest, total or 0)

    def add(self, records: Sequence[Identified]) -> None:
        """Counts rows that came for the first time."""
        self.count += len(records)
        if self.mark is not None:
            last = self.mark.id
            self.under += sum(map(last.__ge__, record_ids(records)))

    def doubt(self, number: int, rows: int, checksum: int) -> None:
        """Page *number*, with so many *rows*, may have been read before the mark."""
        self._early[number] = rows, checksum

    @property
    def doubts(self) -> list[tuple[int, int, int]]:
        """The pages that have to be read once more, or are being so: what `doubt` was given."""
        return [(number, *held) for number, held in self._early.items()]

    def check(self, read: Callable[[int], asyncio.Task[Page[Any]]]) -> None:
        """Reads the pages that are in doubt once more."""
        for number in self._early.keys() - self._checks.keys():
            self._checks[number] = read(number)

    def settle(self) -> None:
        """Compares the pages that have been read once more by now."""
        for number, task in list(self._checks.items()):
            if task.done() and not task.cancelled():
                del self._checks[number]
                rows, before = self._early.pop(number)
                # Rows that were added behind them do no harm.
                if checksum(task.result(), rows) != before:
                    self.mark = None

    def cursor(self, page: Page[Any], page_size: int, last: int) -> tuple[int, ...]:
        """What it takes to go on after the row *last* of *page*, the page that came last."""
        ids, mark = ids_of(page), self.mark or HighWaterMark(0, 0)
        coming = ids[ids.index(last) + 1 :]
        return (
            last,
            page.number,
            page_size,
            self.top,
            self.highest,
            mark.id,
            mark.rows,
            self.under - sum(id <= mark.id for id in coming),
            self.count - len(coming),
            *(value for doubt in self.doubts for value in doubt),
        )

    async def proved(self) -> bool:
        """Whether every row that was there at the mark has come."""
        if self.mark is None or self.under != self.mark.rows or self._early.keys() - self._checks:
            return False
        for task in list(self._checks.values()):
            await result_of(task)
        self.settle()
        return self.mark is not None

    async def aclose(self) -> None:
        """Ends what is still being read."""
        await cancel_all(list(self._checks.values()))


def _more(page: Page[Any]) -> bool:
    return page.total is not None and page.total > len(page.records)
