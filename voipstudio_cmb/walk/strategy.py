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
from .ledger import HighWaterMark, Ledger
from .pages import PageWalk
from .probe import Capabilities, KeysetUnsupported
from .reader import Source
from .tasks import Tasks
from .walk import WalkState

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
    capabilities: Capabilities
    conditions: tuple[Filter, ...]
    sort: str
    descending: bool
    page_size: int
    concurrency: int
    by: WalkBy
    cursor: str | None
    _of: str = attrs.field(init=False)
    _cursor: Position | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        if self.by not in get_args(WalkBy):
            names = ", ".join(get_args(WalkBy))
            raise ClientMisuse(f"walk must be one of {names}, not {self.by!r}")
        if self.by == "keyset" and not self._by_id:
            raise ClientMisuse(
                "a keyset walk is in the order of ids: leave out sort and descending"
            )
        if self.cursor is not None and not self._by_id:
            raise ClientMisuse(
                "a walk goes on from a position in the order of ids: leave out sort and descending"
            )
        what = repr((self.resource, *self._query(self.conditions)))
        object.__setattr__(self, "_of", f"{zlib.crc32(what.encode()):08x}")
        cursor = None if self.cursor is None else Position.parse(self.cursor, self._of)
        object.__setattr__(self, "_cursor", cursor)
        if cursor is not None and self.by not in ("auto", cursor.kind):
            raise ClientMisuse(f'this is the cursor of a walk by {cursor.kind}: use walk="auto"')
        keyset = "keyset" in (self.by, cursor and cursor.kind)
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

    async def pages(self, state: WalkState) -> AsyncGenerator[Page[R]]:
        """The pages, each id once.

        Raises:
            WalkError: the collection can't be walked so.
        """
        kind = self.by if self._cursor is None else self._cursor.kind
        opening: tuple[Page[R], Page[R]] | None = None
        refusal: BadRequest | None = None
        can_not = self.capabilities.refused | self.capabilities.unsorted
        refused = self.resource in can_not and kind == "auto"
        if kind != "page" and self._by_id and self._fits and not refused:
            keyset = self._keyset(state)
            try:
                async with aclosing(keyset.pages()) as pages:
                    async for page in pages:
                        yield page
                return
            except KeysetUnsupported:
                opening, refusal = keyset.opening.pages, keyset.opening.refusal
                if self._cursor is not None:
                    raise WalkError(
                        f"{self.resource} can't be gone on with from this position: it takes a "
                        "server that honours conditions on id, and this one has not shown that it "
                        "does, or no longer does. Begin again, without cursor",
                        sent="yes",
                    ) from None
                if kind == "keyset":
                    raise WalkError(
                        f"{self.resource} can't be walked by keyset: the server refuses or ignores "
                        'filter or sort on id. Use walk="auto" or walk="page"',
                        sent="yes",
                    ) from None
        async with aclosing(self._by_page(state, opening, refusal)) as pages:
            async for page in pages:
                yield page

    def _keyset(self, state: WalkState) -> KeysetWalk[R]:
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
            state.progress.requests += 2
            await self.ask(1, (("limit", "1"), *self._query(self.conditions)))
            try:
                return await self.ask(1, (("limit", str(size)), *query))
            except NotFound:
                return Page(records=[], number=1, total=None)

        walk = KeysetWalk(
            fetch,
            self.resource,
            self.capabilities,
            self.page_size,
            self.concurrency,
            self.tasks,
            state.progress,
            self._cursor,
        )

        def cursor(last: int) -> str:
            opening = walk.opening.pages
            proved = self.by == "keyset" or self.resource in self.capabilities.supported
            if proved or self._cursor is not None or opening is None:
                return str(Position("keyset", self._of, walk.cursor(last)))
            # Nothing is proved while the first page is all there is: it can only be counted from.
            first, rows = opening[0], len(opening[0])
            mark = HighWaterMark(first.records[-1].id, rows)
            ledger = Ledger(
                top=mark.id, highest=first.total or 0, mark=mark, under=rows, count=rows
            )
            ledger.doubt(1, rows, checksum(first, rows))
            return str(Position("page", self._of, ledger.cursor(first, self.page_size, last)))

        state.cursor = cursor
        return walk

    async def _by_page(
        self,
        state: WalkState,
        opening: tuple[Page[R], Page[R]] | None,
        refusal: BadRequest | None,
    ) -> AsyncGenerator[Page[R]]:
        unsorted = self._by_id and self.resource in self.capabilities.unsorted
        if refusal is None:
            try:
                async with aclosing(self._page_walk(state, unsorted).pages(opening)) as pages:
                    async for page in pages:
                        yield page
                return
            except BadRequest as error:
                if unsorted or not self._by_id or state.progress.pages or self._cursor:
                    raise
                refusal = error
        if "filter" in refusal.messages or "filtration" in str(refusal).lower():
            raise refusal
        # The caller named no order, so the server's own will do if it is ours that it refuses.
        try:
            async with aclosing(self._page_walk(state, True).pages()) as pages:
                async for page in pages:
                    self.capabilities.unsorted.add(self.resource)
                    yield page
        except BadRequest:
            raise refusal from None

    def _page_walk(self, state: WalkState, unsorted: bool) -> PageWalk[R]:
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
            page_size=self.page_size,
            concurrency=self.concurrency,
            tasks=self.tasks,
            progress=state.progress,
            ordered=self._by_id,
        )
        walk = PageWalk(source, self._by_id, self._cursor)

        def cursor(last: int) -> str:
            kind, numbers = walk.cursor(last)
            return str(Position(kind, self._of, numbers))

        state.cursor = cursor
        return walk
