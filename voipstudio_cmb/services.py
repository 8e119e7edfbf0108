"""The five resources and their twelve operations, exactly those that the API documents.

A service is given a handler and knows nothing of what is behind it. Paths and attributes are those
of the vendor's page for the module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar, Unpack

from .boundary.checks import checked_integer
from .codec import envelopes
from .codec.payloads import write_payload
from .codec.rows import as_rows
from .errors import ClientMisuse
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
    Rows,
    Setting,
    SettingFields,
    Visitor,
    Website,
)
from .query import PageRequest, RawWalkOptions, WalkOptions, WalkQuery
from .walk import Capabilities, Strategy, Tasks, Walk, check_conditions

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Item = TypeVar("Item", bound=Identified)


def _total_and_row(response: Response, request: PageRequest) -> int:
    total = envelopes.read_total(response)
    if request.conditions:
        page = envelopes.read_rows(response, 1, reject=lambda _: None)
        check_conditions(page, request)
    return total


class _Service(Generic[R]):
    """A path, a record class and a handler, which all services have."""

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
        parse: Callable[[Response], T],
        *,
        path: str = "",
        query: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
    ) -> T:
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
        value: T = parse(response) if response.value is UNREAD else response.value
        return value

    def _item(self, response: Response) -> R:
        return envelopes.read_item(response, self.record)


class Collection(_Service[R]):
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
        return Walk(self._strategy(query).records, query.cursor, {"of": self.path, **query.options})

    def pages(self, **options: Unpack[WalkOptions]) -> Walk[Page[R]]:
        """The same walk as `list`, a `Page` at a time. An empty collection has no pages."""
        query = WalkQuery.of("pages", options, WalkOptions)
        return Walk(self._strategy(query).pages, query.cursor, {"of": self.path, **query.options})

    def raw_pages(
        self, *, reject: Callable[[Sequence[Reject]], None], **options: Unpack[RawWalkOptions]
    ) -> Walk[Page[Row]]:
        """The same walk as `pages`, in the order of ids, with the rows as the API sent them.

        Rows that are no objects or have no usable id, for which the other walks raise, are left out
        and passed to `reject`: those of a response when it arrives, which may be before the walk
        gets there, and again each time that a page is read again.
        """
        query = WalkQuery.of("raw_pages", options, RawWalkOptions)
        judged = {each.property for each in query.conditions} - {"id", "created_at"}
        parse = partial(envelopes.read_rows, reject=reject, fields=tuple(sorted(judged)))
        return Walk(
            self._strategy(query, parse).pages, query.cursor, {"of": self.path, **query.options}
        )

    async def count(self, *, filters: Filter | Iterable[Filter] | None = None) -> int:
        """The collection's total (of what meets `filters`), by one request for one row.

        All that can be seen of a server that ignores filters is that row. Where it contradicts them
        the count raises; where it meets them by chance, the total is that of all rows.

        Raises:
            FilterIgnored: the row contradicts a filter.
            WrongShape: the server claims no total.
        """
        conditions = checked(filters)
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
        request = PageRequest(page_size=rows, sort=by, descending=True, conditions=checked(filters))
        parse = partial(envelopes.read_rows, number=1, reject=lambda _: None)
        page = await self._send("GET", "newest", parse, query=request.query())
        return as_rows(page.records)

    async def _fetch(self, parse: Callable[..., Page[Any]], request: PageRequest) -> Page[Any]:
        parse = partial(parse, number=request.number)
        return await self._send("GET", "list", parse, query=request.query())

    def _strategy(
        self, query: WalkQuery, parse: Callable[..., Page[Any]] | None = None
    ) -> Strategy[Any]:
        return Strategy(
            fetch=partial(self._fetch, parse or partial(envelopes.read_page, record=self.record)),
            resource=self.path,
            query=query,
            tasks=self._tasks,
            capabilities=self._capabilities,
        )


class Editable(_Service[R]):
    """A resource whose single items can be read and changed."""

    fields: ClassVar[type]

    async def get(self, id: int) -> R:
        """Fetches the resource with this `id`.

        Raises:
            NotFound: it does not exist. Forbidden: it is not this account's.
        """
        return await self._get(self._path(id), self._item)

    async def raw(self, id: int) -> Row:
        """Fetches the resource with this `id`, its bytes as the API sent them."""
        return await self._get(self._path(id), envelopes.read_row)

    async def _get(self, path: str, parse: Callable[[Response], Item]) -> Item:
        item = await self._send("GET", "get", parse, path=path)
        if path != f"/{item.id}":
            # A response that a server left on an idle connection is taken for that of the next
            # request. If it is asked again, the response is the API's own, whatever it says.
            item = await self._send("GET", "get", parse, path=path)
        return item

    async def delete(self, id: int) -> None:
        """Deletes the resource with this `id`.

        A deletion whose response was lost is sent again, and has succeeded if nothing is left then.

        Raises:
            NotFound: it does not exist. Forbidden: it is not this account's.
        """
        await self._send("DELETE", "delete", envelopes.read_nothing, path=self._path(id))

    async def _create(self, values: dict[str, Any]) -> R:
        body = write_payload(values, self.fields)
        return await self._send("POST", "create", self._item, body=body)

    async def _update(self, id: int, values: dict[str, Any]) -> R:
        path = self._path(id)
        body = write_payload(values, self.fields)
        if body is None:
            raise ClientMisuse("nothing to update: name at least one attribute")
        return await self._send("PATCH", "update", self._item, path=path, body=body)

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
        """Creates settings with these `attributes`; pass None to send null.

        Never sent twice unless the first was certainly not received: after any error whose `sent`
        is "maybe", as a gateway's 5xx is, look before creating again.

        Raises:
            ClientMisuse: an unknown attribute or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it; `messages` says why.
        """
        if not attributes:
            raise ClientMisuse("nothing to create: name at least one attribute")
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[SettingFields]) -> Setting:
        """Changes these `attributes`; leave one out to keep its value, pass None to send null.

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
        """Creates a button, with the promises and errors of `settings.create`.

        The API documents no attributes for this and takes those of `update`.
        """
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[ButtonFields]) -> Button:
        """Changes these `attributes`, as `settings.update` does."""
        return await self._update(id, dict(attributes))
