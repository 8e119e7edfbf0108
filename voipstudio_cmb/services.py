"""The five resources and their twelve operations, exactly those that the API documents.

A service is given a handler and knows nothing of what is behind it. Paths, parameters and
attributes are those of the vendor's page for the module; `page limit sort dir filter` come from the
vendor's client and connector, which use them on other collections.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from typing import Any, ClassVar, Generic, TypeVar, Unpack

from .checks import checked_integer
from .codec import envelopes
from .codec.payloads import write_payload
from .errors import BadPayload, ClientMisuse
from .filters import Filter, checked
from .http import UNREAD, Handler, Request, Response
from .models import (
    Button,
    ButtonFields,
    Cdr,
    Identified,
    Page,
    Record,
    Reject,
    Row,
    Setting,
    SettingFields,
    Visitor,
    Website,
)
from .query import MAX_CONCURRENCY, MAX_PAGE_SIZE, PAGE_SIZE, collection_query
from .walk.probe import Capabilities
from .walk.strategy import Query, Strategy, WalkBy
from .walk.tasks import Tasks
from .walk.walk import Walk, WalkState, flat, marked

R = TypeVar("R", bound=Record)
AnyRow = TypeVar("AnyRow", bound=Identified)


class _Service(Generic[R]):
    """What all services have: a path, a record class and a handler."""

    path: ClassVar[str]
    record: type[R]

    def __init__(
        self, handler: Handler, tasks: Tasks | None = None, capabilities: Capabilities | None = None
    ) -> None:
        self._handler = handler
        self._tasks = Tasks() if tasks is None else tasks
        self._capabilities = Capabilities() if capabilities is None else capabilities

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    async def _send(
        self,
        method: str,
        operation: str,
        parse: Callable[[Response], Any] | None,
        *,
        path: str = "",
        query: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
    ) -> Any:
        request = Request(
            method=method,
            path=self.path + path,
            operation=f"{self.path.rpartition('/')[2]}.{operation}",
            query=query,
            body=body,
            parse=parse,
        )
        response = await self._handler(request)
        # A handler without the standard chain, as in a test, leaves the parsing to the service.
        if response.value is UNREAD and parse is not None:
            return parse(response)
        return response.value

    def _item(self, response: Response) -> R:
        return envelopes.read_item(response, self.record)


class Collection(_Service[R]):
    """A collection that can be walked and counted."""

    def list(
        self,
        *,
        filters: Filter | Iterable[Filter] | None = None,
        sort: str = "id",
        descending: bool = False,
        page_size: int = PAGE_SIZE,
        concurrency: int = 4,
        walk: WalkBy = "auto",
        cursor: str | None = None,
    ) -> Walk[R]:
        """Every record, one by one, however many pages.

        Only those that meet all *filters*, in the order of *sort*. *limit* is the page size in rows
        and *window* how many page requests may be in flight; what is in memory is their product.

        *walk* says how. "keyset" asks for ids above the last, so that rows may come and go
        meanwhile: each row that stays is yielded once, in the order of ids, up to the highest id
        of the beginning. "page" counts pages, which any server takes: rows that moved meanwhile are
        found again, at the end if need be, or it raises. "auto" walks by keyset if the server
        proves by its answers that it honours conditions on `id`, and else by page, as it does where
        the *filters* are too long for more conditions.

        *after* is the `position` of an earlier walk with the same filters, to go on from there.

        Raises:
            ClientMisuse: an argument is out of range; at the call, before anything is sent.
            WalkError: from the iteration, if rows would be missed; `PageDrift` says how.
            CallMeBackError: from the iteration, after the rows of all pages before the failed one.
        """
        pages = self._walk(
            filters, sort, descending, page_size, concurrency, walk, cursor, self._page
        )
        return Walk(lambda state: flat(pages(state), state), cursor)

    def pages(
        self,
        *,
        filters: Filter | Iterable[Filter] | None = None,
        sort: str = "id",
        descending: bool = False,
        page_size: int = PAGE_SIZE,
        concurrency: int = 4,
        walk: WalkBy = "auto",
        cursor: str | None = None,
    ) -> Walk[Page[R]]:
        """The same walk as `list`, a `Page` at a time. An empty collection has no pages."""
        pages = self._walk(
            filters, sort, descending, page_size, concurrency, walk, cursor, self._page
        )
        return Walk(lambda state: marked(pages(state), state), cursor)

    def raw_pages(
        self,
        *,
        reject: Callable[[Sequence[Reject]], None],
        filters: Filter | Iterable[Filter] | None = None,
        page_size: int = PAGE_SIZE,
        concurrency: int = 4,
        walk: WalkBy = "auto",
        cursor: str | None = None,
    ) -> Walk[Page[Row]]:
        """The same walk as `pages`, in the order of ids, with the rows as the API sent them.

        Rows that are no objects or have no usable id, for which the other walks raise, are left out
        and told to *reject*: those of an answer when it comes in, which may be before the walk is
        there, and again each time that a page is read again.
        """

        def parse(response: Response, number: int) -> Page[Row]:
            return envelopes.read_rows(response, number, reject)

        pages = self._walk(filters, "id", False, page_size, concurrency, walk, cursor, parse)
        return Walk(lambda state: marked(pages(state), state), cursor)

    async def count(self, *, filters: Filter | Iterable[Filter] | None = None) -> int:
        """The collection's total (of what meets *filters*), by one request for one row.

        Raises:
            WrongShape: the server claims no total.
        """
        query = (("page", "1"), ("limit", "1"), *collection_query(filters, "id", False))
        total: int = await self._send("GET", "count", envelopes.read_total, query=query)
        return total

    def _page(self, response: Response, number: int) -> Page[R]:
        return envelopes.read_page(response, self.record, number)

    def _walk(
        self,
        filters: Filter | Iterable[Filter] | None,
        sort: str,
        descending: bool,
        page_size: int,
        concurrency: int,
        walk: WalkBy,
        cursor: str | None,
        parse: Callable[[Response, int], Page[AnyRow]],
    ) -> Callable[[WalkState], AsyncGenerator[Page[AnyRow]]]:
        collection_query(filters, sort, descending)  # says what is wrong with them

        async def ask(number: int, query: Query) -> Page[AnyRow]:
            page: Page[AnyRow] = await self._send(
                "GET",
                "list",
                lambda response: parse(response, number),
                query=(("page", str(number)), *query),
            )
            return page

        return Strategy(
            ask=ask,
            resource=self.path,
            tasks=self._tasks,
            capabilities=self._capabilities,
            conditions=checked(filters),
            sort=sort,
            descending=descending,
            page_size=checked_integer("page_size", page_size, 1, MAX_PAGE_SIZE),
            concurrency=checked_integer("concurrency", concurrency, 1, MAX_CONCURRENCY),
            by=walk,
            cursor=cursor,
        ).pages


class Editable(_Service[R]):
    """A resource whose single items can be read and changed."""

    fields: ClassVar[type]

    async def get(self, id: int) -> R:
        """The resource with this *id*.

        Raises:
            NotFound: there is none. Forbidden: it is not this account's.
        """
        path = self._path(id)
        found: R = await self._send("GET", "get", self._item, path=path)
        if path != f"/{found.id}":
            # An answer that a server left on an idle connection is taken for that of the next
            # request. Asked again, it is the API's own, whatever it says.
            found = await self._send("GET", "get", self._item, path=path)
        return found

    async def raw(self, id: int) -> Row:
        """The resource with this *id*, as `get`, and as the API sent it."""
        path = self._path(id)
        found: Row = await self._send("GET", "get", envelopes.read_row, path=path)
        if path != f"/{found.id}":
            found = await self._send("GET", "get", envelopes.read_row, path=path)
        return found

    async def delete(self, id: int) -> None:
        """Deletes the resource with this *id*.

        A deletion whose answer was lost is sent again, and is done if there is nothing left then.

        Raises:
            NotFound: there was none. Forbidden: it is not this account's.
        """
        await self._send("DELETE", "delete", envelopes.read_nothing, path=self._path(id))

    async def _create(self, values: dict[str, Any]) -> R:
        body = write_payload(values, self.fields)
        made: R = await self._send("POST", "create", self._created, body=body)
        return made

    def _created(self, response: Response) -> R:
        try:
            return self._item(response)
        except BadPayload as error:
            what_to_do = "the resource was probably created: look before creating again"
            raise error.with_detail(what_to_do) from None

    async def _update(self, id: int, values: dict[str, Any]) -> R:
        path = self._path(id)
        body = write_payload(values, self.fields)
        if body is None:
            raise ClientMisuse("nothing to update: name at least one attribute")
        changed: R = await self._send("PATCH", "update", self._item, path=path, body=body)
        return changed

    @staticmethod
    def _path(id: int) -> str:
        return f"/{checked_integer('id', id, 1, 2**63 - 1)}"


class Websites(Collection[Website]):
    """`/callmeback/websites`: the websites that carry a widget."""

    path = "/callmeback/websites"
    record = Website


class Cdrs(Collection[Cdr]):
    """`/callmeback/cdrs`: the records of calls back."""

    path = "/callmeback/cdrs"
    record = Cdr


class Visitors(Collection[Visitor]):
    """`/callmeback/visitors`: the visitors who met a widget."""

    path = "/callmeback/visitors"
    record = Visitor


class Settings(Collection[Setting], Editable[Setting]):
    """`/callmeback/settings`: the widgets' settings."""

    path = "/callmeback/settings"
    record = Setting
    fields = SettingFields

    async def create(self, **attributes: Unpack[SettingFields]) -> Setting:
        """Creates settings with the *attributes* that are named; None is sent as null.

        Never sent twice unless the first was certainly not received: after a `ConnectionLost` or
        `RequestTimeout` whose `sent` is "maybe", look before creating again.

        Raises:
            ClientMisuse: an unknown attribute or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it; `messages` says why.
        """
        if not attributes:
            raise ClientMisuse("nothing to create: name at least one attribute")
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[SettingFields]) -> Setting:
        """Changes the *attributes* that are named and no others; None is sent as null.

        Raises:
            ClientMisuse: no or an unknown attribute, or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it. NotFound: there is no such setting.
        """
        return await self._update(id, dict(attributes))


class Buttons(Editable[Button]):
    """`/callmeback/buttons`: single buttons; the API has no collection of them."""

    path = "/callmeback/buttons"
    record = Button
    fields = ButtonFields

    async def create(self, **attributes: Unpack[ButtonFields]) -> Button:
        """Creates a button. The API documents no attributes for this and takes those of `update`.

        Never sent twice unless the first was certainly not received, as `settings.create`.

        Raises:
            ClientMisuse: an unknown attribute or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it.
        """
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[ButtonFields]) -> Button:
        """Changes the *attributes* that are named and no others; None is sent as null.

        Raises:
            ClientMisuse: no or an unknown attribute, or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it.
        """
        return await self._update(id, dict(attributes))
