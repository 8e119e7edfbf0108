"""What a walk promises, and whether one that has been watched has kept it.

The promise is about the rows that existed throughout a walk (`stayed`). A walk that was ended and
gone on with from its position is one walk of several parts.
"""

from __future__ import annotations

import json
from itertools import pairwise

import attrs

from tests.model import HONEST, Server
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
    """How a walk is asked for."""

    walk: WalkStrategy = "page"
    page_size: int = 3
    concurrency: int = 4
    descending: bool = False


@attrs.define(eq=False)
class Verdict:
    """What was there and what was handed out since the walk over *server* began, in all *parts*.

    *strict* is whether the server is one that the promise of completeness is made for.
    """

    server: Server
    options: Options
    strict: bool = True
    got: list[int] = attrs.field(factory=list)
    cursor: str | None = None
    parts: int = 0
    inserted: int = 0
    deleted: int = 0
    stayed: set[int] = attrs.field(init=False)
    ever: set[int] = attrs.field(init=False)
    _versions: dict[int, int] = attrs.field(init=False)
    _calls: int = attrs.field(init=False)
    _spoilt: int = attrs.field(init=False)
    _part: int = 0

    def __attrs_post_init__(self) -> None:
        server = self.server
        self.stayed, self.ever = set(server.ids), set(server.ids)
        self._versions = dict(server.versions)
        self._calls, self._spoilt = len(server.calls), len(server.spoilt)

    def part(self, options: Options) -> None:
        """Another part of the walk begins."""
        self.options, self._part = options, len(self.got)
        self.parts += 1
        self.server.troubles.clear()

    @property
    def orderly(self) -> bool:
        """Whether the ids that were handed out ascend."""
        return all(a < b for a, b in pairwise(self.got))

    @property
    def asked(self) -> int:
        """Calls so far, however often each was tried."""
        return len(self.server.calls) - self._calls

    @property
    def state(self) -> str:
        """What became of the table meanwhile."""
        return "deleting" if self.deleted else "inserting" if self.inserted else "quiet"

    @property
    def _size(self) -> int:
        temper, page_size = self.server.temper, self.options.page_size
        return temper.fixed or min(page_size, temper.cap or page_size, temper.rows_cap or page_size)

    def _strategy(self, walk: Walk[Cdr]) -> str | None:
        if self.options.walk != "auto":
            return self.options.walk
        return walk.progress.strategy

    def underway(self) -> None:
        """Judges what is asked for while the walk goes on."""
        server = self.server
        flying = sum(not asked.login for asked in (*server.waiting, *server.ready))
        assert flying <= self.options.concurrency, "more in flight than the window allows"
        most = 80 * self.parts + 20 * len(self.ever) / self._size
        assert self.asked <= most, "it does not end"

    def take(self, record: Cdr, walk: Walk[Cdr]) -> None:
        """Judges one record that was handed out."""
        id, version = map(int, (record.title or "").split("."))
        assert record.id == id
        assert id in self.ever, f"never there: {id}"
        assert id not in self.got, f"twice: {id}"
        first = self._versions.get(id, 0)
        assert first <= version <= self.server.versions[id], f"as it was before: {id}"
        if self._strategy(walk) == "keyset" and self.got:
            assert id > self.got[-1], f"out of order: {id} after {self.got[-1]}"
        self.got.append(id)
        self.cursor = walk.cursor
        assert isinstance(self.cursor, str)

    def refused(self, walk: Walk[Cdr], coming: Options) -> None:
        """Judges that a walk as *coming* refused the position that the last part, *walk*, left."""
        if coming.walk != "auto" and not (self.cursor or "").startswith(coming.walk):
            return  # one kind of walk can't go on for the other
        late = walk.progress.repaired
        fit = self.orderly and self.server.temper.ascends and not self.options.descending
        # While rows are deleted, or come twice, an answer may look as if the server kept no order.
        fit = fit and not self.deleted and self.server.temper.spoils != "twice"
        assert late or not fit, "a position was refused that can be gone on with"

    def accepted(self) -> None:
        """Judges that a position was not refused."""
        assert self.orderly, "a position was taken that can't be gone on with"
        assert not self.options.descending, "a position was taken of another order"

    def ended(self, walk: Walk[Cdr], error: CallMeBackError | None, closed: bool) -> str:
        """Judges the end of a walk, or the *error* instead; returns the outcome in a word."""
        progress, part = walk.progress, len(self.got) - self._part
        outcome = "complete" if error is None else type(error).__name__
        if error is None:
            if lost := self.stayed.difference(self.got):
                # Nothing tells such a loss from a total that is too low by as much.
                blind = self.server.temper.low and self._strategy(walk) == "page" and self.deleted
                # Nor do pages of one row show that rows are inserted before others.
                moved = self.inserted and self.deleted and self._size == 1
                blind = blind or (moved and not self.server.temper.ascends)
                assert blind or not self.strict, f"lost in silence: {sorted(lost)}"
                outcome = "lost"
            else:
                self._judge_order(walk)
            assert progress.seen == part, f"seen is {progress.seen} after {part} rows"
        elif isinstance(error, WalkError):
            assert self._may_complain(error, walk), f"it complains: {error!r}"
        elif not (closed and isinstance(error, ClientMisuse)):
            self._judge_error(error, walk)
        assert progress.seen >= part
        # One that was cancelled on its way has been counted and not received, in each pass.
        assert closed or progress.requests <= self.asked + 3 * self.options.concurrency
        assert self.options.walk == "auto" or progress.strategy in (None, self.options.walk)
        assert 0 <= progress.repaired <= progress.seen
        assert progress.repeated >= 0
        return outcome

    def _judge_order(self, walk: Walk[Cdr]) -> None:
        temper, options = self.server.temper, self.options
        undisturbed = self.state == "quiet" and len(self.server.spoilt) == self._spoilt
        if undisturbed and self.strict and not temper.deaf_page:
            assert self.got == self.server.ordered(options.descending), "out of order"
        if not temper.upright or not temper.ascends or options.descending or self.deleted:
            return
        kept = [id for id in self.got if id in self.stayed]
        assert kept == sorted(kept), "out of order though nothing was deleted"
        # Where a page is larger than was asked for, the total promises more pages than there are.
        if options.walk == "page" and self.parts == 1 and not temper.fixed:
            pages = -(-len(self.ever) // self._size)
            # The highest id, the first two pages again, and an empty one; without `sort`, the last.
            most = pages + (5 if temper.order else 4) + 2 * self.inserted
            assert self.asked <= most, f"{self.asked} requests for {pages} pages"

    def _may_complain(self, error: WalkError, walk: Walk[Cdr]) -> bool:
        temper, quiet = self.server.temper, self.state == "quiet"
        if not self.strict:
            return True
        part = self.got[self._part :]
        if self._strategy(walk) == "keyset" and type(error) is WalkError and not part:
            # A tiny table may change too fast to prove anything, to another client once more.
            return not quiet or not temper.by_id or bool(temper.spoils)
        if temper.by_id and not temper.spoils and self._strategy(walk) == "keyset":
            return False
        if temper.upright and quiet:
            # What came before a position may have looked as if it were in order.
            return self.parts > 1 and not temper.ascends
        if temper.upright and temper.ascends and not self.deleted:
            # With rows on the move, the last page once more looks like a page that is ignored, and
            # rows that came right after an empty page look like some that were left out of it.
            moved = self.options.descending or temper.past == "last"
            return moved or isinstance(error, IncompleteWalk)
        return True

    def _judge_error(self, error: CallMeBackError, walk: Walk[Cdr]) -> None:
        """Judges whether a request failed for good, and what was handed out before it."""
        if isinstance(error, BadRequest) and self.server.temper.refuse_sort:
            return
        failed = [call for call, met in self.server.troubles.items() if _hopeless(met)]
        assert failed, f"an error without a cause: {error!r}"
        assert isinstance(error, Unauthorized | NotJSON) or error.retryable
        queries = [dict(self.server.calls[call].query) for call in failed]
        part = self.got[self._part :]
        if self.options.walk == "keyset":
            # The first range that failed is where the rows end.
            last = max(part, default=0)
            # A call that met as many faults may have been answered all the same.
            lows = [low for low in map(_low, queries) if low >= last]
            assert lows, "rows after the error"
            low = min(lows)
            lost = {id for id in self.stayed if id <= low}.difference(self.got)
            # Nothing is handed out before the server has proved what the walk takes.
            assert not lost or not part or not self.strict, f"lost before an error: {sorted(lost)}"
        elif self.options.walk == "page" and self.server.temper == HONEST and self.parts == 1:
            page = min(int(query["page"]) for query in queries)
            full = (page - 1) * self.options.page_size
            if self.state == "quiet":
                # The first two are asked for again, while others are handed out.
                assert len(part) == full or (page <= 2 and len(part) > full)
                assert part == self.server.ordered(self.options.descending)[: len(part)]


def _hopeless(met: list[str]) -> bool:
    """Whether a call that has *met* such answers has used up its attempts."""
    charged = [kind for kind in met if kind != "429"]
    garbled = any(kind in ("garbage", "cut") for kind in charged)
    return met.count("401") > 1 or len(charged) >= (3 if garbled else 4)


def _low(query: dict[str, str]) -> int:
    conditions = json.loads(query.get("filter", "[]"))
    return max((c["value"] for c in conditions if c["operator"] == "gt"), default=0)
