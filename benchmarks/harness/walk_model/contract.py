"""What a walk promises, and whether one that was watched kept it.

The promise is about the rows that existed throughout a walk. A walk that ended and was resumed
from its cursor is one walk of several parts.
"""

from __future__ import annotations

import json
from itertools import pairwise

import attrs

from benchmarks.harness.walk_model.server import HONEST, ModelServer
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    IncompleteWalk,
    NotJSON,
    Unauthorized,
    WalkError,
)
from voipstudio_cmb.models import Cdr
from voipstudio_cmb.query import WalkStrategy
from voipstudio_cmb.walk import Walk


@attrs.frozen
class Options:
    """The options of a walk."""

    walk: WalkStrategy = "page"
    page_size: int = 3
    concurrency: int = 4
    descending: bool = False


@attrs.define(eq=False)
class WalkChecker:
    """Checks one walk, in all its parts, against what happened to the table since it began."""

    server: ModelServer
    options: Options
    """Those of the current part."""
    strict: bool = True
    """Whether completeness is promised for a server like this one."""
    received: list[int] = attrs.field(factory=list)
    """The ids that the consumer received, in order."""
    cursor: str | None = None
    """The cursor after the last one."""
    parts: int = 0
    inserted: int = 0
    deleted: int = 0
    throughout: set[int] = attrs.field(init=False)
    """The ids that existed since the walk began."""
    ever: set[int] = attrs.field(init=False)
    """The ids that existed at any time since."""
    _versions: dict[int, int] = attrs.field(init=False)
    _calls: int = attrs.field(init=False)
    _spoilt: int = attrs.field(init=False)
    _part: int = 0

    def __attrs_post_init__(self) -> None:
        server = self.server
        self.throughout, self.ever = set(server.ids), set(server.ids)
        self._versions = dict(server.versions)
        self._calls, self._spoilt = len(server.calls), len(server.spoilt)

    def begin_part(self, options: Options) -> None:
        """Begins a part: the first, or one from a cursor."""
        self.options, self._part = options, len(self.received)
        self.parts += 1
        self.server.troubles.clear()

    @property
    def ascending(self) -> bool:
        """Whether the received ids ascend."""
        return all(a < b for a, b in pairwise(self.received))

    @property
    def calls(self) -> int:
        """How many calls were made, however often each was tried."""
        return len(self.server.calls) - self._calls

    @property
    def state(self) -> str:
        """What happened to the table since the walk began."""
        return "deleting" if self.deleted else "inserting" if self.inserted else "quiet"

    @property
    def _size(self) -> int:
        temper, limit = self.server.temper, self.options.page_size
        return temper.fixed or min(limit, temper.cap or limit, temper.rows_cap or limit)

    def _strategy(self, walk: Walk[Cdr]) -> str | None:
        if self.options.walk != "auto":
            return self.options.walk
        return walk.progress.strategy

    def check_underway(self) -> None:
        """Checks how much is requested while the walk runs."""
        server = self.server
        in_flight = sum(not each.login for each in (*server.waiting, *server.ready))
        assert in_flight <= self.options.concurrency, "more in flight than allowed"
        most = 80 * self.parts + 20 * len(self.ever) / self._size
        assert self.calls <= most, "it does not end"

    def check_record(self, record: Cdr, walk: Walk[Cdr]) -> None:
        """Checks one record that the consumer receives."""
        id, version = map(int, (record.title or "").split("."))
        assert record.id == id
        assert id in self.ever, f"never existed: {id}"
        assert id not in self.received, f"twice: {id}"
        first = self._versions.get(id, 0)
        assert first <= version <= self.server.versions[id], f"older than the walk: {id}"
        if self._strategy(walk) == "keyset" and self.received:
            assert id > self.received[-1], f"out of order: {id} after {self.received[-1]}"
        self.received.append(id)
        self.cursor = walk.cursor
        assert isinstance(self.cursor, str)

    def check_refused(self, walk: Walk[Cdr], options: Options) -> None:
        """Checks that the cursor of `walk` may be refused by a next part as in `options`."""
        if options.walk != "auto" and not (self.cursor or "").startswith(options.walk):
            return  # one kind of walk can't resume the other
        repaired = walk.progress.repaired
        fit = self.ascending and self.server.temper.ascends and not self.options.descending
        # While rows are deleted, or come twice, the server may seem to keep no order.
        fit = fit and not self.deleted and self.server.temper.spoils != "twice"
        assert repaired or not fit, "a good cursor was refused"

    def check_accepted(self) -> None:
        """Checks that a cursor may be accepted."""
        assert self.ascending, "a cursor was accepted that can't be resumed"
        assert not self.options.descending, "a cursor of another order was accepted"

    def check_end(self, walk: Walk[Cdr], error: CallMeBackError | None, closed: bool) -> str:
        """Checks the end of a walk, or the `error` instead; returns the outcome in a word."""
        progress, part = walk.progress, len(self.received) - self._part
        outcome = "complete" if error is None else type(error).__name__
        if error is None:
            if lost := self.throughout.difference(self.received):
                # Nothing tells such a loss from a total that is too low by as much.
                blind = self.server.temper.low and self._strategy(walk) == "page" and self.deleted
                # Nor do pages of one row show that rows are inserted before others.
                moved = self.inserted and self.deleted and self._size == 1
                blind = blind or (moved and not self.server.temper.ascends)
                assert blind or not self.strict, f"lost silently: {sorted(lost)}"
                outcome = "lost"
            else:
                self._check_order(walk)
            assert progress.seen == part, f"seen is {progress.seen} after {part} rows"
        elif isinstance(error, WalkError):
            assert self._may_complain(error, walk), f"it complains: {error!r}"
        elif not (closed and isinstance(error, ClientMisuse)):
            self._check_error(error, walk)
        assert progress.seen >= part
        # A cancelled request counts, though the server never received it, in each pass.
        assert closed or progress.requests <= self.calls + 3 * self.options.concurrency
        assert self.options.walk == "auto" or progress.strategy in (None, self.options.walk)
        assert 0 <= progress.repaired <= progress.seen
        assert progress.repeated >= 0
        return outcome

    def _check_order(self, walk: Walk[Cdr]) -> None:
        temper, options = self.server.temper, self.options
        undisturbed = self.state == "quiet" and len(self.server.spoilt) == self._spoilt
        if undisturbed and self.strict and not temper.deaf_page:
            assert self.received == self.server.ordered(options.descending), "out of order"
        if not temper.upright or not temper.ascends or options.descending or self.deleted:
            return
        lasting = [id for id in self.received if id in self.throughout]
        assert lasting == sorted(lasting), "out of order though nothing was deleted"
        # A page larger than requested makes the total promise more pages than exist.
        if options.walk == "page" and self.parts == 1 and not temper.fixed:
            pages = -(-len(self.ever) // self._size)
            # The highest id, the first two pages again, and an empty one; without `sort`, the last.
            most = pages + (5 if temper.order else 4) + 2 * self.inserted
            assert self.calls <= most, f"{self.calls} requests for {pages} pages"

    def _may_complain(self, error: WalkError, walk: Walk[Cdr]) -> bool:
        temper, quiet = self.server.temper, self.state == "quiet"
        if not self.strict:
            return True
        part = self.received[self._part :]
        if self._strategy(walk) == "keyset" and type(error) is WalkError and not part:
            # A tiny table may change too fast to prove anything, to another client once more.
            return not quiet or not temper.by_id or bool(temper.spoils)
        if temper.by_id and not temper.spoils and self._strategy(walk) == "keyset":
            return False
        if temper.upright and quiet:
            # What came before a cursor may have looked as if it were in order.
            return self.parts > 1 and not temper.ascends
        if temper.upright and temper.ascends and not self.deleted:
            # With rows on the move, the last page once more looks like a page that is ignored, and
            # rows that came right after an empty page look like some that were left out of it.
            moved = self.options.descending or temper.past == "last"
            return moved or isinstance(error, IncompleteWalk)
        return True

    def _check_error(self, error: CallMeBackError, walk: Walk[Cdr]) -> None:
        """Checks that a request failed for good, and which rows came before it."""
        if isinstance(error, BadRequest) and self.server.temper.refuse_sort:
            return
        failed = [call for call, met in self.server.troubles.items() if _hopeless(met)]
        assert failed, f"an error without a cause: {error!r}"
        assert isinstance(error, Unauthorized | NotJSON) or error.retryable
        queries = [dict(self.server.calls[call].query) for call in failed]
        part = self.received[self._part :]
        if self.options.walk == "keyset":
            # The first range that failed is where the rows end.
            last = max(part, default=0)
            # A call that met as many faults may have been answered all the same.
            lows = [low for low in map(_low, queries) if low >= last]
            assert lows, "rows after the error"
            low = min(lows)
            lost = {id for id in self.throughout if id <= low}.difference(self.received)
            # Nothing is yielded before the server has proved that it supports the walk.
            assert not lost or not part or not self.strict, f"lost before an error: {sorted(lost)}"
        elif self.options.walk == "page" and self.server.temper == HONEST and self.parts == 1:
            page = min(int(query["page"]) for query in queries)
            full = (page - 1) * self.options.page_size
            if self.state == "quiet":
                # The first two are requested again while later ones are yielded.
                assert len(part) == full or (page <= 2 and len(part) > full)
                assert part == self.server.ordered(self.options.descending)[: len(part)]


def _hopeless(met: list[str]) -> bool:
    """Whether a call that met these faults has used up its attempts."""
    charged = [kind for kind in met if kind != "429"]
    garbled = any(kind in ("garbage", "cut") for kind in charged)
    return met.count("401") > 1 or len(charged) >= (3 if garbled else 4)


def _low(query: dict[str, str]) -> int:
    conditions = json.loads(query.get("filter", "[]"))
    return max((c["value"] for c in conditions if c["operator"] == "gt"), default=0)
