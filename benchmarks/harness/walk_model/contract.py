"""What a walk promises, and whether one that was watched kept it.

The promise is about the rows that existed throughout a walk: each comes exactly once, or the walk
raises. A row exists while it is visible in every response that the server may give: in the table,
in its replica, and in what is cached. `excuses` has the only reasons for a loss that is not told.
A walk that ended and was resumed from its cursor is one walk of several parts.
"""

from __future__ import annotations

import json
from itertools import pairwise

import attrs

from benchmarks.harness.walk_model.excuses import Circumstances, excuse_of
from benchmarks.harness.walk_model.server import ModelServer
from benchmarks.harness.walk_model.table import Table
from benchmarks.harness.walk_model.temper import HONEST
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    IncompleteWalk,
    NotFound,
    NotJSON,
    SortIgnored,
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
    keeps: bool = False
    """Whether a walk that is resumed is given the ids of the rows before."""


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
    keeps: bool = True
    """Whether each part but the first was given the ids of the rows before."""
    jumbled: bool = False
    """Whether several responses may have been made at once, in any order."""
    inserted: int = 0
    inserted_before: int = 0
    """How many rows were inserted before others, in the order of ids."""
    deleted: int = 0
    throughout: set[int] = attrs.field(init=False)
    """The ids that existed since the walk began."""
    ever: set[int] = attrs.field(init=False)
    """The ids that existed at any time since."""
    _versions: dict[int, int] = attrs.field(init=False)
    _calls: int = attrs.field(init=False)
    _spoilt: int = attrs.field(init=False)
    _first: int = attrs.field(init=False)
    """How many rows there were when the walk began."""
    _part: int = 0
    _evaluations: int = 0

    def __attrs_post_init__(self) -> None:
        server = self.server
        views = list(server.views())
        ids = [set(view.ids) for view in views]
        self.throughout, self.ever = set.intersection(*ids), set.union(*ids)
        self._versions = {id: min(_versions(views, id)) for id in self.ever}
        for id in server.coming():  # as it was at any time
            self.ever.add(id)
            self._versions[id] = 0
        self._calls, self._spoilt = len(server.calls), server.spoilt.total()
        self._first = len(self.ever)
        server.too_low.clear()

    def begin_part(self, options: Options) -> None:
        """Begins a part: the first, or one from a cursor."""
        self.options, self._part = options, len(self.received)
        self.parts += 1
        self.keeps = self.keeps and (self.parts == 1 or options.keeps)
        self.jumbled = self.jumbled or options.concurrency > 1
        self._evaluations = self.server.evaluations
        self.server.troubles.clear()

    def inserting(self, id: int, before: bool) -> None:
        """Notes that the row `id` came, and whether `before` others."""
        self.ever.add(id)
        self.inserted += 1
        self.inserted_before += before

    def deleting(self, id: int) -> None:
        """Notes that the row `id` has gone."""
        self.throughout.discard(id)
        self.deleted += 1

    @property
    def ascending(self) -> bool:
        """Whether the received ids ascend."""
        return all(a < b for a, b in pairwise(self.received))

    @property
    def calls(self) -> int:
        """How many calls were made, however often each was tried."""
        return len(self.server.calls) - self._calls

    @property
    def evaluated(self) -> int:
        """How many responses were made since this part began."""
        return self.server.evaluations - self._evaluations

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
        # Of rows that come with each response there are as many as there are requests.
        rows = self._first if server.temper.writes == "flood" else len(self.ever)
        most = 80 * self.parts + 20 * rows / self._size
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
        temper = self.server.temper
        fit = fit and not self.deleted and temper.spoils != "twice" and temper.even
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
                excuse = excuse_of(self._met(walk))
                assert excuse or not self.strict, f"lost silently: {sorted(lost)}"
                outcome = f"lost: {excuse.name}" if excuse else "lost"
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

    def _met(self, walk: Walk[Cdr]) -> Circumstances:
        return Circumstances(
            temper=self.server.temper, strategy=self._strategy(walk), page_size=self._size,
            inserted=self.inserted, inserted_before=self.inserted_before, deleted=self.deleted,
            came=sum(id <= (walk.progress.through or id) for id in self.received),
            too_low=self.server.too_low,
        )  # fmt: skip

    def _check_order(self, walk: Walk[Cdr]) -> None:
        temper, options = self.server.temper, self.options
        undisturbed = self.state == "quiet" and self.server.spoilt.total() == self._spoilt
        # Where a total of the page hides that it was capped, the rows behind it come late.
        late = temper.total == "of the page" and temper.rows_cap and walk.progress.repaired
        plain = temper.even and temper.single and not (temper.misreads or late)
        if undisturbed and self.strict and plain:
            assert self.received == self.server.ordered(options.descending), "out of order"
        moved = self.deleted or self.inserted_before or options.descending
        if not temper.upright or not temper.ascends or moved:
            return
        lasting = [id for id in self.received if id in self.throughout]
        assert lasting == sorted(lasting), "out of order though nothing was deleted"
        # A page larger than requested makes the total promise more pages than exist.
        if options.walk == "page" and self.parts == 1 and not temper.fixed:
            pages = -(-len(self.ever) // self._size)
            # The highest id, the first two pages again, an empty one, and the one named 1;
            # without `sort`, the last.
            most = pages + (6 if temper.order else 5) + 2 * self.inserted
            if self.jumbled and self.inserted:
                # As above: it looks across each border again, twice where they move meanwhile. And
                # it asks for the one named 1, as rows may be there that came after page 1 was read.
                most += 2 * pages + 5
            assert self.calls <= most, f"{self.calls} requests for {pages} pages"

    def _may_complain(self, error: WalkError, walk: Walk[Cdr]) -> bool:
        temper, quiet = self.server.temper, self.state == "quiet"
        if not self.strict:
            return True
        if isinstance(error, SortIgnored):
            odd = temper.order or temper.spoils or not temper.single
            return self.options.descending and bool(odd)
        part = self.received[self._part :]
        if self._strategy(walk) == "keyset" and not part:
            sound = temper.by_id and temper.single and not temper.spoils
            if type(error) is WalkError:  # what comes and goes is no verdict on a server
                return not sound
            if error.retryable:  # a tiny table may change too fast to prove anything
                return not quiet or not sound
        if self._strategy(walk) == "keyset" and temper.by_id and not temper.spoils:
            return not temper.single
        if temper.upright and quiet:
            # What came before a cursor may have looked as if it were in order.
            return self.parts > 1 and not temper.ascends
        if temper.upright and temper.ascends and not self.deleted:
            # With rows on the move, the last page once more looks like a page that is ignored, and
            # rows that came right after an empty page look like some that were left out of it.
            moved = self.options.descending or temper.past == "last" or self.inserted_before > 0
            # Responses that overtake each other make totals seem to rise and fall. Then the count
            # proves nothing, and of what came before a cursor nothing else is known.
            jumbled = not self.keeps and self.inserted > 0 and self.jumbled and error.retryable
            # Where no page holds more rows, some borders are those of each size, and nothing shows
            # what lies between two pages.
            capped = 0 < (temper.cap or temper.fixed) <= 3 and self.inserted > 0 and error.retryable
            return moved or jumbled or capped or isinstance(error, IncompleteWalk)
        return True

    def _check_error(self, error: CallMeBackError, walk: Walk[Cdr]) -> None:
        """Checks that a request failed for good, and which rows came before it."""
        temper = self.server.temper
        if isinstance(error, BadRequest) and (temper.refuse_sort or temper.past == "400"):
            return
        if isinstance(error, NotFound) and temper.spoils == "404" and temper.cached:
            return  # a cache gives it again longer than a walk asks
        failed = [call for call, met in self.server.troubles.items() if _hopeless(met)]
        assert failed, f"an error without a cause: {error!r}"
        assert isinstance(error, Unauthorized | NotJSON) or error.retryable
        queries = [dict(self.server.calls[call].query) for call in failed]
        part = self.received[self._part :]
        if self.options.walk == "keyset" and not all(map(_low, queries)):
            return  # at the beginning, or at the end, where it makes sure that nothing was left out
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
            page = min(int(query.get("page", 1)) for query in queries)
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


def _versions(views: list[Table], id: int) -> list[int]:
    return [view.versions[id] for view in views if id in view.versions]
