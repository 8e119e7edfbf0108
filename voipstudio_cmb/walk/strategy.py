"""How a collection is walked: by keyset where the server supports it, by page where not."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic

import attrs

from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.boundary.value import replace
from voipstudio_cmb.errors import BadRequest, ClientMisuse, PageDrift, WalkError
from voipstudio_cmb.filters import Filter, matching
from voipstudio_cmb.models import Page
from voipstudio_cmb.query import Fetch, R, WalkQuery

from .capabilities import Capabilities
from .cursor import Cursor, Kept, KeysetCursor, PageCursor, no_cursor, parse_cursor
from .fetcher import PageFetcher
from .ids import ids_of
from .keyset import KeysetWalk
from .pages import PageWalk
from .probe import Probe
from .reader import PageReader
from .tasks import Tasks
from .verdicts import KeysetUnproved, KeysetUnsupported
from .walk import Progress, WalkState


@attrs.define(eq=False, kw_only=True)
class Strategy(Generic[R]):
    """Chooses how to walk over one collection.

    Raises:
        ClientMisuse: the cursor is of another walk, or a keyset walk can't take the filters.
    """

    fetch: Fetch[R]
    resource: str
    """The collection's path."""
    query: WalkQuery
    tasks: Tasks
    capabilities: Capabilities
    kept: Kept | None = None
    """What was kept of the rows before the cursor."""
    early: bool = False
    """Whether the first page is wanted as soon as it has come, whatever its cursor is."""
    here: tuple[Filter, ...] = attrs.field(init=False)
    """The filters that rows are compared with here."""
    checksum: str = attrs.field(init=False)
    """Identifies the collection, the filters and the order."""
    cursor: Cursor | None = attrs.field(init=False)
    """Where to resume."""

    def __attrs_post_init__(self) -> None:
        self.here = self.query.conditions_here
        rows = repr((self.resource, *self.query.rows))
        self.checksum = f"{zlib.crc32(rows.encode()):08x}"
        text = self.query.cursor
        self.cursor = None if text is None else parse_cursor(text, self.checksum)
        if self.cursor is not None and self.query.walk not in ("auto", self.cursor.kind):
            raise ClientMisuse(
                f'this is the cursor of a walk by {self.cursor.kind}: use walk="auto"'
            )
        if self._kind == "keyset" and not self.query.fits_keyset:
            raise ClientMisuse(
                "the filters are too long for a keyset walk, which adds two conditions on id: use "
                'shorter ones, or walk="page"'
            )

    @property
    def _kind(self) -> str:
        return self.query.walk if self.cursor is None else self.cursor.kind

    async def records(self, state: WalkState) -> AsyncGenerator[R]:
        """The rows one by one, each id once."""
        async with aclosing(self.pages(state)) as pages:
            async for page in pages:
                for record in page.records:
                    state.last = record.id
                    yield record
                # Or they would live as long as an error that comes next. No page is empty.
                del page, record  # pyright: ignore[reportPossiblyUnboundVariable]

    async def pages(self, state: WalkState) -> AsyncGenerator[Page[R]]:
        """The pages, each id once, cut where the limit is reached.

        Raises:
            WalkError: the collection can't be walked so.
        """
        left = self.query.limit
        if left == 0:
            return
        try:
            async with aclosing(self._all_pages(state)) as pages:
                async for page in pages:
                    last = page.records[-1].id
                    if self.here:
                        page = replace(page, total=None, records=matching(self.here, page.records))
                        if not page.records:
                            continue
                    if left is not None and len(page.records) >= left:
                        await pages.aclose()  # before it is handed out: no more is asked for
                        page = replace(page, records=page.records[:left])
                        last = page.records[-1].id
                    state.last = last
                    left = None if left is None else left - len(page.records)
                    yield page
                    del page  # or it would live as long as an error that comes next
        except GeneratorExit:
            raise  # it was left on purpose
        except BaseException as error:
            state.interrupted = True
            forget_locals(error)
            if isinstance(error, WalkError) and state.progress.cached:
                raise _of_cached(error, state.progress.cached) from None
            raise
        finally:
            state.settle()

    async def _all_pages(self, state: WalkState) -> AsyncGenerator[Page[R]]:
        fetcher = PageFetcher(
            send=self.fetch,
            first=self.query.first,
            concurrency=self.query.concurrency,
            limit=self.query.most,
            tasks=self.tasks,
            progress=state.progress,
            names_order=self.query.names_order,
        )
        probe: Probe[R] | None = None
        shown, last, progress = set[int](), 0, state.progress
        if self._tries_keyset():
            after = self.cursor if isinstance(self.cursor, KeysetCursor) else None
            trusted = self.query.walk == "keyset"
            keyset = KeysetWalk(
                fetcher, self.resource, self.capabilities, self.checksum, after, trusted
            )
            state.cursor = keyset.cursor
            try:
                if self.early and not trusted and (first := await keyset.first()) is not None:
                    shown.update(ids_of(first))
                    last = max(shown)
                    progress.pages, progress.seen = 1, len(first.records)
                    yield first
                    del first
                async with aclosing(keyset.pages()) as pages:
                    async for page in pages:
                        if page.records[0].id <= last:  # with rows that came since, perhaps
                            rows = [each for each in page.records if each.id > last]
                            page = _cut(page, rows, progress)
                        if page.records:
                            yield page
                return
            except KeysetUnsupported as verdict:
                if self._kind == "keyset":
                    raise self._not_by_keyset(verdict) from None
                probe = keyset.probe
        async with aclosing(self._by_page(fetcher, state, probe)) as pages:
            async for page in pages:
                if not shown.isdisjoint(ids_of(page)):
                    rows = [each for each in page.records if each.id not in shown]
                    page = _cut(page, rows, progress)
                if page.records:
                    if last and min(ids_of(page)) < last:  # behind the page that came early
                        state.cursor = lambda _: no_cursor(self.checksum)
                    yield page

    def _tries_keyset(self) -> bool:
        if self._kind != "auto":
            return self._kind == "keyset"
        return self._may_try_keyset()

    def _may_try_keyset(self) -> bool:
        can_not = self.capabilities.refused | self.capabilities.unsorted
        return self.query.by_id and self.resource not in can_not and self.query.fits_keyset

    def _not_by_keyset(self, verdict: KeysetUnsupported) -> WalkError:
        if isinstance(verdict, KeysetUnproved):
            return PageDrift(
                f"{self.resource} can't be walked by keyset for now: its rows come and go too fast "
                "to tell whether the server supports filter and sort on id. Walk again when it is "
                "quieter",
                evidence="the first rows and the highest were others each time",
                sent="yes",
            )
        why = (
            "can't be walked by keyset: the server refuses or ignores filter or sort on id. Use "
            'walk="auto" or walk="page"'
        )
        if self.cursor is not None:
            why = (
                "can't be resumed from this cursor: it takes a server that supports conditions on "
                "id, and this one does not, or no longer does. Begin again, without cursor"
            )
        return WalkError(f"{self.resource} {why}", sent="yes")

    async def _by_page(
        self, fetcher: PageFetcher[R], state: WalkState, probe: Probe[R] | None
    ) -> AsyncGenerator[Page[R]]:
        """The pages by number, after a `probe` has ruled out a keyset walk, if it was tried."""
        refusal = None if probe is None else probe.refusal
        may_do_without = self.query.by_id and not self.query.names_order
        unsorted = may_do_without and self.resource in self.capabilities.unsorted
        if refusal is None:
            try:
                walk = self._page_walk(fetcher, state, unsorted)
                async with aclosing(walk.pages(probe.opening if probe else None)) as pages:
                    async for page in pages:
                        yield page
                return
            except BadRequest as error:
                begun = state.progress.pages or self.cursor
                if unsorted or not may_do_without or begun:
                    raise
                refusal = error
        if (
            not may_do_without
            or "filter" in refusal.messages
            or "filtration" in str(refusal).lower()
        ):
            raise refusal
        # The caller named no order, so the server's own will do if it is ours that it refuses.
        try:
            async with aclosing(self._page_walk(fetcher, state, True).pages()) as pages:
                async for page in pages:
                    self.capabilities.unsorted.add(self.resource)
                    yield page
        except BadRequest:
            raise refusal from None

    def _page_walk(self, fetcher: PageFetcher[R], state: WalkState, unsorted: bool) -> PageWalk[R]:
        if unsorted:
            fetcher = attrs.evolve(fetcher, first=replace(fetcher.first, sort=None))
        after = self.cursor if isinstance(self.cursor, PageCursor) else None
        # Elsewhere it was tried, or can't be.
        untried = self.query.walk == "page" and self._may_try_keyset()
        reader = PageReader(fetcher, self.query.by_id, sorts=not unsorted, tries_keyset=untried)
        limited = self.query.limit is not None
        walk = PageWalk(reader, self.checksum, after, self.kept, limited)
        state.cursor = walk.cursor
        return walk


def _cut(page: Page[R], rows: list[R], progress: Progress) -> Page[R]:
    """The `page`, which is counted in `progress`, with these `rows` only."""
    progress.seen -= len(page.records) - len(rows)
    progress.pages -= not rows
    return replace(page, records=rows)


def _of_cached(error: WalkError, cached: str) -> WalkError:
    """`error`, which names what says that responses of its walk were `cached`."""
    evidence = f"responses came out of a cache ({cached})"
    if isinstance(error, PageDrift):
        error = error.with_context(evidence=f"{error.evidence}; {evidence}")
    return error.with_detail(
        f"{evidence}, which may be why: have what caches them pass these requests on to the API"
    )
