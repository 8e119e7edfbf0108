"""One request in, one response out: the shape that every stage of the chain shares. No I/O here.

`Handler` responds to a request; the wire is one, and in a test a plain function is one.
`Middleware` wraps a handler. The shape is that of aiohttp's client middlewares, one level higher:
it stands above the session and sees whole responses, their bodies read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from inspect import isroutine
from math import inf
from typing import Any, Literal, Protocol, TypeAlias

from .boundary.text import on_one_line
from .boundary.value import Frozen, State, field

Sent: TypeAlias = Literal["no", "maybe", "yes"]
"""What is known of a request that failed: it did not arrive, nobody knows, or it was answered.

A gateway's 5xx to a POST, PATCH or DELETE leaves open whether that arrived: "maybe"."""


UNREAD: Any = object()
"""What `Response.value` is until somebody has parsed the body; None is a value."""


class Masking(Protocol):
    """A secret, or what holds one."""

    def mask(self, text: str) -> str:
        """`text` without the secret, in any form that was sent."""
        ...


class Call(State, kw_only=True):
    """What one call has cost so far: shared by all its attempts, written by the middlewares."""

    deadline: float = inf
    """When the call must have ended, on the running loop's clock."""
    timeout: float | None = None
    """Seconds for one attempt; None leaves it to the session."""
    attempts: int = 0
    """Attempts begun."""
    unsent: int = 0
    """Those that had no turn, as whoever gives the turns was away."""
    throttled: int = 0
    """Attempts that ended in "slow down"; they are charged to the deadline, not to the attempts."""
    waited: float = 0.0
    """Seconds spent in back-off and in the limiter."""
    sent: Sent = "no"
    """What is known over all attempts so far; see `Request.book`."""
    repeated: bool = False
    """An earlier attempt may have been carried out, though its response was lost or a fault."""
    queued: bool = False
    """It waits for a free connection."""
    left_at: float = -inf
    """When its present attempt had its turn, on the running loop's clock."""
    refusals: int | None = None
    """How often the client's callers had been made to wait by then; None if it needs no turn."""
    renewed: bool = False
    """A 401 has already cost this call a fresh token."""
    tries: list[Any] | None = None
    """An `events.AttemptEvent` for each attempt so far; None where nobody listens."""
    spent: int = 0
    """What its retries have cost of the client's budget."""
    once: bool = False
    """It is not to be tried again."""
    shared: bool = False
    """This attempt ended by the failure of another call, which pays for the retry."""
    source: str = ""
    """Where token and base URL come from, for messages."""
    credentials: Callable[[], Mapping[str, str]] = dict
    """Makes the headers that say who asks: called by what sends the request, and kept nowhere."""
    secrets: list[Masking] = field(default_factory=list)
    """What its messages must not show."""

    def hide(self, secret: Masking) -> None:
        """Adds to `secrets`: a server may echo the token that has just been replaced, too."""
        if secret not in self.secrets:
            self.secrets.append(secret)

    def quote(self, text: str) -> str:
        """A server's `text` as it may stand in a message: without secrets, on one line.

        What is longer than any message is cut first; masking knows what a cut leaves of a secret.
        """
        text = text[:16384]
        for secret in self.secrets:
            text = secret.mask(text)
        return on_one_line(text)


class Request(Frozen, frozen=True, kw_only=True):
    """One operation to perform, before it is known where and with which token."""

    _hidden = frozenset({"body", "parse", "call"})

    method: str
    path: str
    """Below the base URL."""
    operation: str = ""
    """Its name in events: `cdrs.list`."""
    query: tuple[tuple[str, str], ...] = ()
    """Decoded pairs."""
    page: int | None = None
    """The number of the page that is requested, or None."""
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    parse: Callable[[Response], Any] | None = None
    """Makes the value of a 2xx response, or raises `BadPayload`; called inside the retry."""
    call: Call = field(default_factory=Call)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing at the server."""
        return self.method in ("GET", "HEAD")

    def book(self, sent: Sent) -> None:
        """Adds to the call what is known of one more attempt.

        Of a read the most counts, and of all else the worst: an attempt that was refused does not
        say what came of another.
        """
        order = ("no", "maybe", "yes") if self.reads else ("no", "yes", "maybe")
        if order.index(sent) > order.index(self.call.sent):
            self.call.sent = sent

    def place(self) -> dict[str, Any]:
        """Method, path and page, as the attributes of an error."""
        return {"method": self.method, "path": self.path, "page": self.page}

    def describe(self) -> str:
        """Method, path and page, for messages: "GET /callmeback/cdrs page 3"."""
        return f"{self.method} {self.path}" + (f" page {self.page}" if self.page else "")


class Response(Frozen, frozen=True, kw_only=True):
    """One whole response."""

    _hidden = frozenset({"headers", "body", "value"})  # a Location may echo what was sent

    status: int
    headers: Mapping[str, str] = {}
    """To be asked by their lower-case names."""
    body: bytes = b""
    """Decoded."""
    value: Any = UNREAD
    """What the request's `parse` made of it."""
    renew: bool = False
    """The token was refused, and the next attempt will have a fresh one."""
    already_gone: bool = False
    """A deletion was sent again after its response was lost, and found nothing left to delete."""

    def with_value(self, value: Any) -> Response:
        """The same response with the value that its body was parsed to."""
        return Response(
            status=self.status,
            headers=self.headers,
            body=self.body,
            value=value,
            renew=self.renew,
            already_gone=self.already_gone,
        )


LEAVES: ContextVar[Callable[[], None] | None] = ContextVar("LEAVES", default=None)
"""What the limiter that has given this task its turn wants to be called when the request leaves.

A new connection may take its time before.
"""

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""An async function that takes a request and returns its response."""

Middleware: TypeAlias = Callable[[Request, Handler], Awaitable[Response]]
"""An async function around a handler; it ends with `return await handler(request)`."""


def chain(handler: Handler, middlewares: Iterable[Middleware]) -> Handler:
    """`handler` wrapped in `middlewares`, the first of them outermost."""
    for middleware in reversed(tuple(middlewares)):
        handler = _wrapped(middleware, handler)
    return handler


def _wrapped(middleware: Middleware, handler: Handler) -> Handler:
    # Not the object: Python would look its method up for each call.
    stage = middleware if isroutine(middleware) else middleware.__call__  # type: ignore[operator]
    return lambda request: stage(request, handler)
