"""How a collection is walked: by keyset where the server lets it, by page where not."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

import attrs

from voipstudio_cmb.errors import BadRequest, ClientMisuse, NotFound, WalkError
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.models import Identified, Page
from voipstudio_cmb.query import collection_query

from .cursor import Position
from .ids import checksum
from .keyset import KeysetWalk
from .ledger import Audit, Mark
from .pages import PageWalk
from .probe import NotHonoured, Proofs
from .reader import Source
from .tasks import Tasks
from .walk import Trail

R = TypeVar("R", bound=Identified)

WalkBy: TypeAlias = Literal["page", "keyset", "auto"]

Query: TypeAlias = tuple[tuple[str, str], ...]

AskPage = Callable[[int, Query], Coroutine[Any, Any, Page[R]]]
"""`(number, query) -> page`: one request to the collection."""


@attrs.frozen(kw_only=True)
class Strategy(Generic[R]):
    """What is walked and how; *ask* sends a request to the collection called *resource*.

    Raises:
        ClientMisuse: what is asked for does not go together.
    """

    ask: AskPage[R]
    resource: str
    tasks: Tasks
    proofs: Proofs
    conditions: tuple[Filter, ...]
    sort: str
    descending: bool
    limit: int
    window: int
    by: WalkBy
    after: str | None
    _of: str = attrs.field(init=False)
    _position: Position | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.by not in get_args(WalkBy):
            names = ", ".join(get_args(WalkBy))
            raise ClientMisuse(f"walk must be one of {names}, not {self.by!r}")
        if self.by == "keyset" and not self._by_id:
            raise ClientMisuse(
                "a keyset walk is in the order of ids: leave out sort and descending"
            )
        if self.after is not None and not self._by_id:
            raise ClientMisuse(
                "a walk goes on from a position in the order of ids: leave out sort and descending"
            )
        what = repr((self.resource, *self._query(self.conditions)))
        object.__setattr__(self, "_of", f"{zlib.crc32(what.encode()):08x}")
        position = None if self.after is None else Position.parse(self.after, self._of)
        object.__setattr__(self, "_position", position)
        if position is not None and self.by not in ("auto", position.kind):
            raise ClientMisuse(f'after is a position in a walk by {position.kind}: use walk="auto"')
        keyset = "keyset" in (self.by, position and position.kind)
        if keyset and not self._fits:
            raise ClientMisuse(
                "the filters are too long for a keyset walk, which adds two conditions on id: use "
                'shorter ones, or walk="page"'
            )

    @property
    def _by_id(self) -> bool:
        return self.sort == "id" and not self.descending

    @property
    def _fits(self) -> bool:
        """Whether a keyset walk has room for its own conditions."""
        widest = 2**63 - 1
        try:
            self._query((*self.conditions, where("id") > widest, where("id") <= widest))
        except ClientMisuse:
            return False
        return True

    def _query(self, conditions: tuple[Filter, ...], descending: bool | None = None) -> Query:
        """The query for *conditions*, in the caller's order or by id."""
        if descending is None:
            return collection_query(conditions, self.sort, self.descending)
        return collection_query(conditions, "id", descending)

    async def pages(self, trail: Trail) -> AsyncGenerator[Page[R]]:
        """The pages, each id once.

        Raises:
            WalkError: the collection can't be walked so.
        """
        kind = self.by if self._position is None else self._position.kind
        opening: tuple[Page[R], Page[R]] | None = None
        refusal: BadRequest | None = None
        can_not = self.proofs.refused | self.proofs.unsorted
        refused = self.resource in can_not and kind == "auto"
        if kind != "page" and self._by_id and self._fits and not refused:
            keyset = self._keyset(trail)
            try:
                async with aclosing(keyset.pages()) as pages:
                    async for page in pages:
                        yield page
                return
            except NotHonoured:
                opening, refusal = keyset.opening.pages, keyset.opening.refusal
                if self._position is not None:
                    raise WalkError(
                        f"{self.resource} can't be gone on with from this position: it takes a "
                        "server that honours conditions on id, and this one has not shown that it "
                        "does, or no longer does. Begin the walk anew, without after",
                        sent="yes",
                    ) from None
                if kind == "keyset":
                    raise WalkError(
                        f"{self.resource} can't be walked by keyset: the server refuses or ignores "
                        'filter or sort on id. Use walk="auto" or walk="page"',
                        sent="yes",
                    ) from None
        async with aclosing(self._by_page(trail, opening, refusal)) as pages:
            async for page in pages:
                yield page

    def _keyset(self, trail: Trail) -> KeysetWalk[R]:
        async def fetch(low: int, high: int | None, size: int, descending: bool) -> Page[R]:
            bounds = [where("id") > low] if low else []
            bounds += [] if high is None else [where("id") <= high]
            query = self._query((*self.conditions, *bounds), descending)
            try:
                return await self.ask(1, (("limit", str(size)), *query))
            except NotFound:
                if not bounds:
                    raise
            # Some say so if there is nothing; one that has lost its way says it of all there is.
            trail.progress.requests += 2
            await self.ask(1, (("limit", "1"), *self._query(self.conditions)))
            try:
                return await self.ask(1, (("limit", str(size)), *query))
            except NotFound:
                return Page(records=[], number=1, total=None)

        walk = KeysetWalk(
            fetch,
            self.resource,
            self.proofs,
            self.limit,
            self.window,
            self.tasks,
            trail.progress,
            self._position,
        )

        def position(last: int) -> str:
            opening = walk.opening.pages
            proved = self.by == "keyset" or self.resource in self.proofs.honoured
            if proved or self._position is not None or opening is None:
                return str(Position("keyset", self._of, walk.position(last)))
            # Nothing is proved while the first page is all there is: it can only be counted from.
            first, rows = opening[0], len(opening[0])
            mark = Mark(first.records[-1].id, rows)
            audit = Audit(top=mark.id, highest=first.total or 0, mark=mark, under=rows, count=rows)
            audit.doubt(1, rows, checksum(first, rows))
            return str(Position("page", self._of, audit.position(first, self.limit, last)))

        trail.position = position
        return walk

    async def _by_page(
        self,
        trail: Trail,
        opening: tuple[Page[R], Page[R]] | None,
        refusal: BadRequest | None,
    ) -> AsyncGenerator[Page[R]]:
        unsorted = self._by_id and self.resource in self.proofs.unsorted
        if refusal is None:
            try:
                async with aclosing(self._page_walk(trail, unsorted).pages(opening)) as pages:
                    async for page in pages:
                        yield page
                return
            except BadRequest as error:
                if unsorted or not self._by_id or trail.progress.pages or self._position:
                    raise
                refusal = error
        if "filter" in refusal.messages or "filtration" in str(refusal).lower():
            raise refusal
        # The caller named no order, so the server's own will do if it is ours that it refuses.
        try:
            async with aclosing(self._page_walk(trail, True).pages()) as pages:
                async for page in pages:
                    self.proofs.unsorted.add(self.resource)
                    yield page
        except BadRequest:
            raise refusal from None

    def _page_walk(self, trail: Trail, unsorted: bool) -> PageWalk[R]:
        query = self._query(self.conditions)
        if unsorted:
            query = tuple(pair for pair in query if pair[0] == "filter")

        async def fetch(number: int, size: int) -> Page[R]:
            try:
                return await self.ask(number, (("limit", str(size)), *query))
            except NotFound:
                if number == 1:
                    raise
                return Page(records=[], number=number, total=None)  # some say so past the end

        async def fetch_top(rows: int) -> Page[R]:
            return await self.ask(1, (("limit", str(rows)), *self._query(self.conditions, True)))

        source = Source(
            fetch=fetch,
            fetch_top=None if unsorted else fetch_top,
            limit=self.limit,
            window=self.window,
            tasks=self.tasks,
            progress=trail.progress,
            ordered=self._by_id,
        )
        walk = PageWalk(source, self._by_id, self._position)

        def position(last: int) -> str:
            kind, numbers = walk.position(last)
            return str(Position(kind, self._of, numbers))

        trail.position = position
        return walk
