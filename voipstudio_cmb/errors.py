"""Everything that this package raises.

    CallMeBackError
    ├── ClientMisuse (ValueError, RuntimeError)   the caller's to fix; nothing was sent
    │   ├── ConfigError                           token, base URL or profile file
    │   │   └── NoToken                           no token was found at all
    │   └── DocumentError                         settings as code: the document can't be used
    ├── TransportError                            no usable response
    │   ├── ConnectFailed                         certainly not sent
    │   ├── ConnectionLost                        sent or partly sent, then the line broke
    │   ├── RequestTimeout (TimeoutError)         .phase: connect, pool, read, attempt, deadline
    │   ├── TLSFailed                             certificate or handshake; never retried
    │   └── ProtocolFault                         the peer sent broken HTTP; status unknown
    ├── HTTPStatusError                           a well-formed status that is not a success
    │   ├── BadRequest (400)                      .messages names the fields
    │   ├── Unauthorized (401)
    │   ├── Forbidden (403)
    │   ├── NotFound (404)
    │   ├── RateLimited (429)                     .retry_after
    │   ├── ServerFault (5xx)
    │   ├── UnexpectedRedirect (3xx)              never followed: the token would follow too
    │   └── UnexpectedStatus                      anything else; 304 is a cache's
    ├── BadPayload                                a 2xx whose body is not as documented
    │   ├── EmptyBody
    │   ├── NotJSON
    │   ├── WrongShape
    │   └── TooLarge
    ├── WalkError
    │   ├── FilterIgnored                         rows contradict a condition; .condition
    │   ├── SortIgnored                           rows contradict the order; .sort
    │   ├── PageDrift                             pages contradict each other; rows may be missing
    │   └── IncompleteWalk                        a page stayed empty in the middle
    └── ExportError                               a file could not be written

None holds an aiohttp object, all pickle, none contains the token.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from .http import Sent


class CallMeBackError(Exception):
    """The root. `str()` says what went wrong and in which request."""

    message: str
    """What went wrong, without the request."""
    sent: Sent
    """Whether the request reached the server; after "maybe", look before you create again."""
    attempts: int = 0
    """How often it was tried."""
    waited: float = 0.0
    """Seconds spent in back-off and pacing."""
    method: str | None = None
    """The request's method; None if no request was made."""
    path: str | None = None
    """The request's path below the base URL; None if no request was made."""
    page: int | None = None
    """The page that was requested, if any."""
    retryable: bool = False
    """Whether the same request may succeed later, and can do no harm if it is made again."""
    request_id: str | None = None
    """The server's name for the request, or None."""
    repeated: bool = False
    """Whether an earlier attempt of the call may have been carried out."""

    def __init__(self, message: str, *, sent: Sent = "no", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.sent = sent
        # Plain attributes and one positional argument: this is what makes every error pickle.
        self.__dict__.update(details)

    def __str__(self) -> str:
        tried = f" (after {self.attempts} attempts)" if self.attempts > 1 else ""
        page = f" page {self.page}" if self.page else ""
        where = f"{self.method} {self.path}{page}: " if self.path else ""
        return where + self.message + tried

    def with_context(self, **attributes: Any) -> Self:
        """A copy of the same type with other `attributes`; its cause stays.

        Traceback and context stay behind, as their frames may hold a response or a secret.
        """
        # Not by calling the class: a subclass of yours may take other arguments.
        copied = type(self).__new__(type(self))
        vars(copied).update(vars(self) | attributes)
        copied.args = (copied.message,)
        copied.__cause__ = self.__cause__
        return copied

    def with_detail(self, detail: str) -> Self:
        """A copy whose message goes on with `detail`."""
        return self.with_context(message=f"{self.message}; {detail}")


class ClientMisuse(CallMeBackError, ValueError, RuntimeError):
    """The call can't work as it was made; the message says what to do. Nothing was sent."""


class ConfigError(ClientMisuse):
    """The token, the base URL or the profile file is missing or unusable."""


class NoToken(ConfigError):
    """No token was found; the message says where to put one."""


class DocumentError(ClientMisuse):
    """A document of settings can't be used as it stands; the message names the lines."""


class TransportError(CallMeBackError):
    """No usable response came back."""

    retryable = True


class ConnectFailed(TransportError):
    """No connection could be made, so the request was certainly not sent."""

    peer: str = ""
    """What could not be reached, if it is not the API: what keeps a shared rate."""


class ConnectionLost(TransportError):
    """The connection broke before the whole response had arrived."""


class RequestTimeout(TransportError, TimeoutError):
    """A time limit passed."""

    phase: Literal["connect", "pool", "read", "attempt", "deadline"] = "deadline"
    """Which limit."""


class TLSFailed(TransportError):
    """The server's certificate or handshake was refused. Never retried."""

    retryable = False


class ProtocolFault(TransportError):
    """The response is not HTTP; its status is unknown."""


class HTTPStatusError(CallMeBackError):
    """The server responded with a status that is not a success."""

    status: int = 0
    """The HTTP status."""
    messages: dict[str, list[str]]
    """The API's own words by field; "" holds those about the whole request."""
    headers: dict[str, str]
    """The response's headers that are harmless to log."""
    retry_after: float | None = None
    """Seconds that the server asked to wait, or None."""
    body: str = ""
    """At most 200 characters of the response's text."""

    def __init__(self, message: str, **details: Any) -> None:
        details.setdefault("messages", {})
        details.setdefault("headers", {})
        super().__init__(message, **details)


class BadRequest(HTTPStatusError):
    """400 or 422: the API's validation refused it; `messages` says which fields, and why."""


class Unauthorized(HTTPStatusError):
    """401: the token is missing, wrong or has expired."""


class Forbidden(HTTPStatusError):
    """403: the token may not do this; some servers say so of a wrong one too."""


class NotFound(HTTPStatusError):
    """404: there is no such resource."""


class RateLimited(HTTPStatusError):
    """429, or another refusal that speaks of too many requests."""

    retryable = True


class ServerFault(HTTPStatusError):
    """5xx: the server failed."""


class UnexpectedRedirect(HTTPStatusError):
    """3xx: the server points elsewhere. It is not followed, or the token would follow too."""


class UnexpectedStatus(HTTPStatusError):
    """A status that the API does not document. 304 is that of a cache in between."""


class BadPayload(CallMeBackError):
    """The server reported success with a body that is not as documented."""


class EmptyBody(BadPayload):
    """A success without a body where one is documented. Never the end of a collection."""

    retryable = True


class NotJSON(BadPayload):
    """The body is not JSON: a proxy's page, or a response cut short."""

    retryable = True


class WrongShape(BadPayload):
    """JSON, but not the documented shape."""


class TooLarge(BadPayload):
    """The body is larger than `ClientConfig.max_body`; reading stopped there."""


class WalkError(CallMeBackError):
    """A walk over a collection can't go on."""


class FilterIgnored(WalkError):
    """The server sent rows that certainly do not meet a condition: it ignores it.

    Raised before any row of that page is handed out.
    """

    condition: str = ""
    """The condition, as on a command line."""


class SortIgnored(WalkError):
    """The server sent rows that are certainly not in the order that was asked for."""

    sort: str = ""
    """The property that the rows were to be sorted by."""


class PageDrift(WalkError):
    """Pages contradict each other, so rows may have been missed.

    `retryable` unless the server would do the same again, as one that ignores `page`.
    """

    retryable = True
    evidence: str = ""
    """How they contradict each other."""


class IncompleteWalk(WalkError):
    """A page stayed empty, however often it was read, and there are rows after it."""


class ExportError(CallMeBackError):
    """A file of an export could not be written. An earlier file is untouched."""

    resumable: bool = True
    """Whether the same export, run again, may get further."""
    busy: bool = False
    """Whether another export is writing the file."""
