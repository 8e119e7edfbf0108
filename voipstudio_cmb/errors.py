"""Everything that this package raises.

    CallMeBackError
    ├── ClientMisuse (ValueError, RuntimeError)   the caller's to mend; nothing was sent
    │   └── ConfigError                           token, base URL or profile file
    │       └── NoToken                           no token was found at all
    ├── TransportError                            no usable answer
    │   ├── ConnectFailed                         certainly not sent
    │   ├── ConnectionLost                        sent or partly sent, then the line broke
    │   ├── RequestTimeout (TimeoutError)         .phase: connect, pool, read, attempt, deadline
    │   ├── TLSFailed                             certificate or handshake; never retried
    │   └── ProtocolFault                         the peer spoke broken HTTP; status unknown
    ├── HTTPStatusError                           a well-formed status that is not a success
    │   ├── BadRequest (400)                      .messages names the fields
    │   ├── Unauthorized (401)
    │   ├── Forbidden (403)
    │   ├── NotFound (404)
    │   ├── RateLimited (429)                     .retry_after
    │   ├── ServerFault (5xx)
    │   ├── UnexpectedRedirect (3xx)              never followed: the token would go along
    │   └── UnexpectedStatus                      anything else
    ├── BadPayload                                a 2xx whose body is not what was promised
    │   ├── EmptyBody
    │   ├── NotJSON
    │   ├── WrongShape
    │   └── TooLarge
    ├── WalkError
    │   ├── PageDrift                             pages contradict each other; rows may be missing
    │   └── IncompleteWalk                        a page stayed empty in the middle
    └── ExportError                               a file could not be written

None holds an aiohttp object, all pickle, none contains the token.
"""

from __future__ import annotations

from typing import Any, Literal

from .http import Request, Sent


class CallMeBackError(Exception):
    """The root. `str()` says what went wrong and in which request.

    *sent* says whether the request reached the server, *attempts* how often it was tried,
    *waited* how many seconds of that went into back-off and pacing, *retryable* whether the same
    request may succeed later, *repeated* whether an earlier attempt of the call may have been
    carried out. *method*, *path* and *page* say which request it was (None: none was made).
    """

    retryable: bool = False
    repeated: bool = False

    def __init__(
        self,
        message: str,
        *,
        sent: Sent = "no",
        attempts: int = 0,
        waited: float = 0.0,
        method: str | None = None,
        path: str | None = None,
        page: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sent: Sent = sent
        self.attempts = attempts
        self.waited = waited
        self.method = method
        self.path = path
        self.page = page
        # Plain attributes and one positional argument: this is what makes every error pickle.
        self.__dict__.update(details)

    def __str__(self) -> str:
        tried = f" (after {self.attempts} attempts)" if self.attempts > 1 else ""
        page = f" page {self.page}" if self.page else ""
        where = f"{self.method} {self.path}{page}: " if self.path else ""
        return where + self.message + tried

    def about(self, request: Request) -> None:
        """Notes which request this is about, unless that is known."""
        if self.path is None:
            self.method, self.path, self.page = request.method, request.path, request.page


class ClientMisuse(CallMeBackError, ValueError, RuntimeError):
    """The call can't work as it is made; the message says what to do. Nothing was sent."""


class ConfigError(ClientMisuse):
    """The token, the base URL or the profile file is missing or unusable."""


class NoToken(ConfigError):
    """No token was found where one is looked for; the message says where."""


class TransportError(CallMeBackError):
    """No usable answer came back."""

    retryable = True


class ConnectFailed(TransportError):
    """No connection could be made, so the request was certainly not sent."""


class ConnectionLost(TransportError):
    """The connection broke before the whole answer was there."""


class RequestTimeout(TransportError, TimeoutError):
    """A time limit passed; *phase* says which: connect, pool, read, attempt or deadline."""

    phase: Literal["connect", "pool", "read", "attempt", "deadline"] = "deadline"


class TLSFailed(TransportError):
    """The server's certificate or handshake was refused. Never retried."""

    retryable = False


class ProtocolFault(TransportError):
    """The peer's answer is not HTTP; its status is unknown."""


class HTTPStatusError(CallMeBackError):
    """The server answered with a status that is not a success.

    *status* is that status, *messages* the API's own words by field ("" for those about the whole
    request), *retry_after* the seconds it asked to wait or None, *body* at most 200 characters of
    its text, *request_id* the server's name for the request or None, *headers* those of the answer
    that are harmless to log.
    """

    status: int = 0
    messages: dict[str, list[str]]
    headers: dict[str, str]
    retry_after: float | None = None
    request_id: str | None = None
    body: str = ""

    def __init__(self, message: str, **details: Any) -> None:
        details.setdefault("messages", {})
        details.setdefault("headers", {})
        super().__init__(message, **details)


class BadRequest(HTTPStatusError):
    """400: the API's validation refused the request; `messages` says which fields and why."""


class Unauthorized(HTTPStatusError):
    """401: the token is missing, wrong or has expired."""


class Forbidden(HTTPStatusError):
    """403: the token is valid and may not do this."""


class NotFound(HTTPStatusError):
    """404: there is no such resource."""


class RateLimited(HTTPStatusError):
    """429: too many requests."""

    retryable = True


class ServerFault(HTTPStatusError):
    """5xx: the server failed."""


class UnexpectedRedirect(HTTPStatusError):
    """3xx: the server points elsewhere. It is not followed, or the token would follow too."""


class UnexpectedStatus(HTTPStatusError):
    """A status that the API does not document."""


class BadPayload(CallMeBackError):
    """The server reported success and sent something else than it promised."""


class EmptyBody(BadPayload):
    """A success without a body where one is documented. Never the end of a collection."""

    retryable = True


class NotJSON(BadPayload):
    """The body is not JSON: a proxy's page, or an answer cut short."""

    retryable = True


class WrongShape(BadPayload):
    """JSON, but not the documented shape."""


class TooLarge(BadPayload):
    """The body is larger than `ClientConfig.max_body`; reading stopped there."""


class WalkError(CallMeBackError):
    """A walk over a collection can't go on."""


class PageDrift(WalkError):
    """Pages contradict each other, so rows may have been missed; `evidence` says how."""

    evidence: str = ""


class IncompleteWalk(WalkError):
    """A page stayed empty although there are rows after it, so rows are missing."""


class ExportError(CallMeBackError):
    """A file of an export could not be written. What was there before is untouched."""
