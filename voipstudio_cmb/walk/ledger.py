"""Whether a page walk has received every row that existed when it began.

At one moment there were so many rows up to the highest id: that is the high-water mark. When so
many different rows up to that id have come, all that existed have come, whatever the order and
whatever else has come or gone meanwhile. Where totals rise and fall, rows may have come in the
place of those that are missing: then the count is doubtful. This says nothing of rows that were
received and deleted before the mark was taken. Pages that may have been read earlier are therefore
suspect: they are read again, and must hold what they held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

import attrs

from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.models import Identified, Page

from .cursor import PageCursor, SuspectPage
from .ids import ascends, checksum, ids_of, passed_over, record_ids
from .tasks import cancel_all, result_of


@attrs.frozen
class HighWaterMark:
    """At one moment there were so many `rows` with ids up to `id`."""

    id: int
    rows: int


@attrs.define(eq=False)
class Ledger:
    """Counts the rows of one walk."""

    top: int = 0
    """The highest id of its beginning, 0 if the server did not show it."""
    tops: tuple[int, ...] = ()
    """The highest ids of its beginning, as far as the server showed them."""
    highest_total: int = 0
    """The highest total so far."""
    mark: HighWaterMark | None = None
    rows_to_mark: int = 0
    """How many rows up to the mark have come."""
    rows: int = 0
    """How many rows have come in all."""
    complete: bool = False
    """Whether the first page was everything."""
    blind: bool = False
    """Whether totals have turned out to be too low, so that they prove nothing."""
    repeats: bool = False
    """Whether rows have come again on a later page."""
    _total: int | None = None
    """The total of the page before."""
    _rose: bool = False
    _fell: bool = False
    suspects: dict[int, SuspectPage] = attrs.field(factory=dict)
    """The pages that may have been read before the mark was taken, by number."""
    _reading: dict[int, asyncio.Task[Page[Any]]] = attrs.field(factory=dict)
    """Those of the suspect pages that are being read again."""

    @classmethod
    def resume(cls, cursor: PageCursor) -> Self:
        """The ledger as it was at `cursor`."""
        return cls(
            top=cursor.top,
            tops=(cursor.top,) if cursor.top else (),
            highest_total=cursor.highest_total,
            mark=HighWaterMark(cursor.mark_id, cursor.mark_rows) if cursor.mark_rows else None,
            rows_to_mark=cursor.rows_to_mark,
            rows=cursor.rows,
            suspects={page.number: page for page in cursor.suspects},
        )

    @classmethod
    def open(cls, first: Page[Any], top: Page[Any] | None) -> Self:
        """A ledger with the mark of the two highest rows, `top`, if they are the highest.

        That the first page is everything takes a total that says so.
        """
        self = cls()
        ids, tops = ids_of(first), [] if top is None else ids_of(top)
        highest, known = max(tops, default=0), max(ids, default=0)
        single = len(tops) == 1 and (highest > known or (tops == ids and first.total == 1))
        descends = len(tops) > 1 and not passed_over(ids, tops)
        # Where the first page is the lowest, it has nothing that is higher than the highest.
        low = ascends(ids, 0) and highest < known
        nothing = not ids and not tops
        if top is None or low or not (single or descends or nothing):
            return self  # refused, or in another order than was asked for
        inside, rows = {*tops} <= {*ids}, len({*ids, *tops})
        if ids and ascends(ids, 0) and (inside or ids[0] in tops) and first.total != rows:
            # There are more, or nothing says that there are not: a server that reverses a page
            # instead of the collection sends the first page's own rows for the highest.
            return self
        self.top, self.tops = highest, tuple(tops)
        self.complete = ascends(ids, 0) and inside and (first.total or 0) <= len(first.records)
        if self.complete:
            self.mark = HighWaterMark(known, len(ids))
        elif top.total is not None:
            # A total of the rows of its own page alone proves nothing.
            self.blind = top.total < len(ids) or (top.total, first.total) == (len(tops), len(ids))
            self.mark = None if self.blind else HighWaterMark(highest, top.total)
        return self

    def note(self, total: int, least: int) -> None:
        """Notes the `total` of the next page, which shows that there were `least` rows."""
        before, self._total = self._total, total
        self._rose = self._rose or (before is not None and total > before)
        self._fell = self._fell or (before is not None and total < before)
        self.highest_total = max(self.highest_total, total)
        if total < least:
            self.mark, self.blind = None, True

    @property
    def has_changed(self) -> bool:
        """Whether the totals have changed."""
        return self._rose or self._fell

    @property
    def is_exact(self) -> bool:
        """Whether as many rows up to the mark have come as there were when it was taken."""
        return self.mark is not None and self.rows_to_mark == self.mark.rows

    @property
    def is_doubtful(self) -> bool:
        """Whether rows may have come in the place of others: an exact count proves nothing then.

        Totals have risen and fallen, or rows have come again.
        """
        rose = self._rose or (self.mark is not None and self.highest_total > self.mark.rows)
        return self.repeats or (rose and self._fell)

    def add(self, records: Sequence[Identified]) -> None:
        """Counts rows that came for the first time."""
        self.rows += len(records)
        if self.mark is not None:
            self.rows_to_mark += sum(map(self.mark.id.__ge__, record_ids(records)))

    def suspect(self, page: Page[Any]) -> None:
        """Notes that `page` may have been read before the mark was taken."""
        rows = len(page.records)
        self.suspects[page.number] = SuspectPage(page.number, rows, checksum(page, rows))

    def check(self, read: Callable[[int], asyncio.Task[Page[Any]]]) -> None:
        """Begins to read the suspect pages again."""
        for number in self.suspects.keys() - self._reading.keys():
            self._reading[number] = read(number)

    def verify(self) -> None:
        """Compares the suspect pages that have been read again; drops the mark if one differs."""
        for number, task in list(self._reading.items()):
            if task.done() and not task.cancelled():
                del self._reading[number]
                page = self.suspects.pop(number)
                # Rows that were added behind them do no harm.
                if checksum(task.result(), page.rows) != page.checksum:
                    self.mark = None

    def cursor(self, checksum: str, page: Page[Any], page_size: int, last: int) -> PageCursor:
        """The place behind the row `last`, where `page` is the one that came last."""
        mark = self.mark or HighWaterMark(0, 0)
        coming = [id for id in ids_of(page) if id > last]
        return PageCursor(
            checksum=checksum,
            last=last,
            number=page.number,
            page_size=page_size,
            top=self.top,
            highest_total=self.highest_total,
            mark_id=mark.id,
            mark_rows=mark.rows,
            rows_to_mark=self.rows_to_mark - sum(id <= mark.id for id in coming),
            rows=self.rows - len(coming),
            suspects=tuple(self.suspects.values()),
        )

    def drift(self, why: str, total: int | None, *, lasting: bool, keyset: bool) -> PageDrift:
        """The error that says `why` a walk can't be complete, with what was counted.

        It advises to walk again, unless it is `lasting`, and by `keyset` where that is worth a try.
        """
        advice = "Walk again when it is quieter"
        if lasting:
            advice = (
                "This does not pass by itself: ask for pages that hold all rows (page_size, "
                "--page-size), or filter for fewer"
            )
        if keyset:
            advice += ', or walk by keyset (walk="keyset")'
        mark = "unknown" if self.mark is None else f"{self.mark.rows} up to id {self.mark.id}"
        return PageDrift(
            f"this collection can't be walked without loss by its pages: {why}. {advice}",
            evidence=f"rows at the beginning: {mark}; of these came {self.rows_to_mark}, of all "
            f"{self.rows}; the total is {total}",
            sent="yes",
            retryable=not lasting,
        )

    async def is_proved(self) -> bool:
        """Whether every row that existed when the mark was taken has come."""
        if not self.is_exact or self.suspects.keys() - self._reading.keys():
            return False
        for task in list(self._reading.values()):
            await result_of(task)
        self.verify()
        return self.mark is not None

    async def aclose(self) -> None:
        tasks = list(self._reading.values())
        self._reading.clear()
        await cancel_all(tasks)


def cursor_of_opening(
    opening: tuple[Page[Any], Page[Any]], checksum: str, page_size: int, last: int
) -> PageCursor:
    """The place behind the row `last` of the first page, while it can only be counted from there.

    The `opening` holds that page, and the top.
    """
    first, top = opening
    ledger = Ledger.open(first, top)
    highest, rows = first.records[-1].id, len(first.records)
    if highest == max(ids_of(top)):  # it is everything
        ledger = Ledger(top=highest, mark=HighWaterMark(highest, rows))
    elif first.total != rows:
        page_size = min(rows, page_size)  # the server may cap it
    ledger.highest_total = first.total or 0
    ledger.add(first.records)
    ledger.suspect(first)
    return ledger.cursor(checksum, first, page_size, last)
