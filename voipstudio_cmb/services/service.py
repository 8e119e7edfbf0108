"""What all services have: a path, a record class, and a handler to send requests through."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import ClassVar, Generic, TypeVar

from voipstudio_cmb.codec import envelopes
from voipstudio_cmb.http import UNREAD, Call, Handler, Request, Response
from voipstudio_cmb.models import Record
from voipstudio_cmb.walk import Capabilities, Tasks

R = TypeVar("R", bound=Record)
T = TypeVar("T")
Elsewhere = Callable[[], AbstractAsyncContextManager[Handler]]
"""Opens a handler like the one at hand for another event loop."""


class Service(Generic[R]):
    """A path, a record class and a handler, which all services have."""

    path: ClassVar[str]
    record: type[R]

    def __init__(
        self,
        handler: Handler,
        tasks: Tasks | None = None,
        capabilities: Capabilities | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._handler = handler
        self._elsewhere: Elsewhere = elsewhere or (lambda: nullcontext(handler))
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
        page: int | None = None,
        body: bytes | None = None,
        once: bool = False,
    ) -> T:
        request = Request(
            method=method,
            path=self.path + path,
            operation=f"{self.path.rpartition('/')[2]}.{operation}",
            query=query,
            page=page,
            body=body,
            parse=parse,
            call=Call(once=once),
        )
        response = await self._handler(request)
        # A handler without the standard chain, as in a test, leaves the parsing to the service.
        value: T = parse(response) if response.value is UNREAD else response.value
        return value

    def _item(self, response: Response) -> R:
        return envelopes.read_item(response, self.record)
