"""A collection: walked as records, pages, rows or columns, and counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.codec import envelopes
from voipstudio_cmb.codec.rows import as_rows
from voipstudio_cmb.errors import ClientMisuse, WrongShape
from voipstudio_cmb.http import Handler, Response
from voipstudio_cmb.models import Page, Reject, Row, Rows
from voipstudio_cmb.query import (
    PageRequest,
    RawWalkOptions,
    WalkOptions,
    WalkQuery,
    checked_filters,
)
from voipstudio_cmb.walk import Kept, Walk

from .service import R, Service

if TYPE_CHECKING:
    from voipstudio_cmb.columns import Chosen, Column
    from voipstudio_cmb.columns.batches import Batches
    from voipstudio_cmb.filters import Filter
    from voipstudio_cmb.walk.strategy import Strategy


def _refuse(rejects: Sequence[Reject]) -> None:
    first = rejects[0]
    raise WrongShape(f"row {first.index} of the response can't be used: {first.why}", sent="yes")


def _total_and_row(response: Response, request: PageRequest) -> int:
    total = envelopes.read_total(response)
    if request.conditions:
        from voipstudio_cmb.walk.contradiction import check_conditions  # late, as the walks

        page = envelopes.read_rows(response, 1, reject=lambda _: None)
        check_conditions(page, request)
    return total


class Collection(Service[R]):
    """A collection that can be walked and counted."""

    def list(self, **options: Unpack[WalkOptions]) -> Walk[R]:
        """Every record, one by one, however many pages; `WalkOptions` says what it takes.

        Raises:
            ClientMisuse: an argument is unknown or out of range; at the call, nothing is sent.
            FilterIgnored, SortIgnored: from the iteration, before the first row that certainly
                contradicts what was asked for; most often before any.
            WalkError: from the iteration, if rows would be missed; `PageDrift` says how.
            CallMeBackError: from the iteration, after the rows of all pages before the failed one.
        """
        query = WalkQuery.of("list", options, WalkOptions)
        return Walk(self._strategy(query).records, query.cursor, partial(self._asked, query))

    def pages(self, **options: Unpack[WalkOptions]) -> Walk[Page[R]]:
        """The same walk as `list`, a `Page` at a time. An empty collection has no pages."""
        query = WalkQuery.of("pages", options, WalkOptions)
        return Walk(self._strategy(query).pages, query.cursor, partial(self._asked, query))

    def raw_pages(
        self,
        *,
        reject: Callable[[Sequence[Reject]], None],
        kept: Kept | None = None,
        **options: Unpack[RawWalkOptions],
    ) -> Walk[Page[Row]]:
        """The same walk as `pages`, in the order of ids, with the rows as the API sent them.

        Rows that are no objects or have no usable id, for which the other walks raise, are left out
        and passed to `reject`: those of a response when it arrives, which may be before the walk
        gets there, and again each time that a page is read again.

        `kept` is asked, where a walk by page has to know them, for the ids of the rows that were
        kept up to the one of the `cursor`: so that it can make sure of these as if it had never
        stopped. Rows that are not among them come at the end.
        """
        query = WalkQuery.of("raw_pages", options, RawWalkOptions)
        judged = {each.property for each in query.filters} - {"id", "created_at"}
        parse = partial(envelopes.read_rows, reject=reject, fields=tuple(sorted(judged)))
        pages = self._strategy(query, parse, kept).pages
        return Walk(pages, query.cursor, partial(self._asked, query))

    def batches(
        self,
        *,
        size: int = 50_000,
        columns: Chosen = "all",
        known: Iterable[Column] = (),
        reject: Callable[[Sequence[Reject]], None] | None = None,
        **options: Unpack[WalkOptions],
    ) -> Batches:
        """The same walk as `list`, `size` rows at a time as a `pyarrow.RecordBatch`.

        `columns` are "all", also those of undocumented members, which are found in the rows of the
        first batch; "documented"; or a list of names. `known` are the `Batches.columns` of an
        earlier walk: they come first and stay as they were, whatever the rows have now.

        Rows that are no objects or have no usable id raise, as in `list`, unless they are passed to
        `reject`, as in `raw_pages`.

        Raises:
            ClientMisuse: an argument is unknown or out of range, or pyarrow is not installed.
        """
        query = WalkQuery.of("batches", options, WalkOptions)
        return self._batches(query, size, columns, tuple(known), reject)

    def _batches(
        self,
        query: WalkQuery,
        size: int,
        columns: Chosen,
        known: Sequence[Column],
        reject: Callable[[Sequence[Reject]], None] | None,
    ) -> Batches:
        try:
            from voipstudio_cmb.columns.batches import Batches
        except ImportError:
            raise ClientMisuse(lacks_extra("batches()", "arrow")) from None
        judged = {each.property for each in query.filters} | {query.sort or "id"}
        fields = tuple(sorted(judged - {"id", "created_at"}))
        parse = partial(envelopes.read_rows, reject=reject or _refuse, fields=fields)

        def elsewhere() -> AbstractAsyncContextManager[Batches]:
            return self._batches_of(self._elsewhere(), query, size, columns, known, reject)

        return Batches(
            self._strategy(query, parse).pages,
            self.record,
            elsewhere,
            size=size,
            columns=columns,
            known=known,
            began=query.cursor,
            asked=partial(self._asked, query, size=size, columns=columns),
        )

    @asynccontextmanager
    async def _batches_of(
        self, opening: AbstractAsyncContextManager[Handler], *asked: Any
    ) -> AsyncIterator[Batches]:
        async with opening as handler:
            yield type(self)(handler)._batches(*asked)

    async def count(self, *, filters: Filter | Iterable[Filter] | None = None) -> int:
        """The collection's total (of what meets `filters`), by one request for one row.

        All that can be seen of a server that ignores filters is that row. Where it contradicts them
        the count raises; where it meets them by chance, the total is that of all rows.

        Raises:
            FilterIgnored: the row contradicts a filter.
            WrongShape: the server claims no total.
        """
        conditions = checked_filters(filters)
        # The end of the collection that contradicts them first.
        descending = any(each.operator in ("lt", "lte") for each in conditions) and not any(
            each.operator in ("gt", "gte") for each in conditions
        )
        request = PageRequest(page_size=1, descending=descending, conditions=conditions)
        parse = partial(_total_and_row, request=request)
        return await self._send("GET", "count", parse, query=request.query())

    async def raw_newest(
        self, by: str, rows: int, *, filters: Filter | Iterable[Filter] | None = None
    ) -> Rows:
        """So many `rows` with the highest values of `by`, by one request for them.

        Nothing is checked: of a server that ignores `sort` they are some other rows.
        """
        request = PageRequest(
            page_size=rows, sort=by, descending=True, conditions=checked_filters(filters)
        )
        parse = partial(envelopes.read_rows, number=1, reject=lambda _: None)
        page = await self._send("GET", "newest", parse, query=request.query())
        return as_rows(page.records)

    def _asked(self, query: WalkQuery, **more: object) -> dict[str, object]:
        """What a walk shows of what it was asked for."""
        return {"of": self.path, **more, **query.options}

    async def _fetch(self, parse: Callable[..., Page[Any]], request: PageRequest) -> Page[Any]:
        parse = partial(parse, number=request.number)
        query, page = request.query(), request.number
        return await self._send("GET", "list", parse, query=query, page=page, once=request.once)

    def _strategy(
        self,
        query: WalkQuery,
        parse: Callable[..., Page[Any]] | None = None,
        kept: Kept | None = None,
    ) -> Strategy[Any]:
        # With the first walk: it is a third of what the client would take to import.
        from voipstudio_cmb.walk.strategy import Strategy

        return Strategy(
            fetch=partial(self._fetch, parse or partial(envelopes.read_page, record=self.record)),
            resource=self.path,
            query=query,
            tasks=self._tasks,
            capabilities=self._capabilities,
            kept=kept,
            early=parse is None,
        )


class ListOnly(Collection[R]):
    """A collection of which single items can't be requested."""

    if not TYPE_CHECKING:  # or each name would be an attribute to it

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name == "get":
                text += ': the API has no request for one of them; list(filters=where("id") == 1)'
            raise AttributeError(text, name=name, obj=self)
