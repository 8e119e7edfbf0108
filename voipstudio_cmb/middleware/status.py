"""The status stage: makes errors of bad statuses and bodies, and parses good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.codec.envelopes import cache_signs, excerpt, is_throttling, read_messages
from voipstudio_cmb.errors import (
    BadPayload,
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    Forbidden,
    HTTPStatusError,
    NotFound,
    RateLimited,
    ServerFault,
    TLSFailed,
    Unauthorized,
    UnexpectedRedirect,
    UnexpectedStatus,
    WalkError,
)
from voipstudio_cmb.events import harmless_headers
from voipstudio_cmb.http import Handler, Request, Response, Sent
from voipstudio_cmb.retry import RETRYABLE_STATUSES, asked_to_wait

_BY_STATUS: dict[int, type[HTTPStatusError]] = {
    400: BadRequest,
    422: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
}


def _kind_of(response: Response) -> type[HTTPStatusError]:
    status = response.status
    if is_throttling(response):
        return RateLimited
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400 and status != NOT_MODIFIED:
        return UnexpectedRedirect
    return ServerFault if 500 <= status < 600 else UnexpectedStatus


NOT_MODIFIED = 304
"""What a cache says to whoever has a copy, and nobody here has one."""

_HINTS: dict[type[HTTPStatusError], str] = {
    Unauthorized: (
        "the token is wrong or has expired: check it, or make an API key in the dashboard"
    ),
    Forbidden: (
        "the token may not do this, or it is wrong: check the user's rights in the dashboard, and "
        "the token"
    ),
}


_BY_CONFIGURATION = (Unauthorized, Forbidden, UnexpectedRedirect)
"""What a wrong token or base URL leads to."""

_NO_SUCH_PATH = (
    "there is nothing at that path: check the base URL, which ends with /v1.2/voipstudio where it "
    "is the vendor's"
)

_REFUSALS = frozenset({301, 307, 308, *range(400, 500)} - {408, 499})
"""Statuses that say for certain that a request was not carried out.

A 5xx may be a gateway's, which has passed the request on and then given up; so may a 408 or 499. A
302 or 303 may follow upon what was done."""


def _sent(request: Request, status: int) -> Sent:
    return "yes" if request.reads or status in _REFUSALS else "maybe"


def _id_of(response: Response, quote: Callable[[str], str]) -> dict[str, Any]:
    """The server's name for the request, if it gave one, as an attribute of an error."""
    name = quote(response.headers.get("x-request-id", ""))[:100]
    return {"request_id": name} if name else {}


_QUOTABLE = ("/callmeback/", "/ping")
"""The paths below which responses hold no credential.

A list of what is allowed: /login and /apitokens hand out tokens, and so may what nobody thought of.
"""


def _quotable(request: Request) -> bool:
    return request.path.startswith(_QUOTABLE)


def _excerpt(request: Request, body: bytes) -> str:
    """What a message may show of a response's `body`."""
    return excerpt(body, request.call.quote) if _quotable(request) else ""


def _origin(location: str) -> str:
    """Scheme and host of `location`: whatever follows the host may hold a secret."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "what is no URL"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"


def _elsewhere(kind: type[HTTPStatusError], response: Response, quote: Callable[[str], str]) -> str:
    """What a `response` says that comes from elsewhere or points there; "" if it does neither."""
    if response.status == NOT_MODIFIED:
        return (
            "Not Modified: a cache in between has answered in the API's place, and with nothing. "
            "Have it pass these requests on to the API, or check the base URL"
        )
    if kind is not UnexpectedRedirect:
        return ""
    origin = quote(_origin(response.headers.get("location", "")))
    return f"to {origin}, not followed: check the base URL"


def status_error(request: Request, response: Response) -> HTTPStatusError:
    """The error that `response`, which is no success, stands for. Performs no I/O."""
    kind, quote = _kind_of(response), request.call.quote
    text = _excerpt(request, response.body)
    # A refusal's own words may be quoted wherever they come from: they hand out nothing.
    spoken = _quotable(request) or 400 <= response.status < 500
    messages = {
        quote(field)[:200]: [quote(words)[:500] for words in said]
        for field, said in (read_messages(response.body) if spoken else {}).items()
    }
    said = "; ".join(
        f"{field}: {words}" if field else words
        for field, all_words in messages.items()
        for words in all_words
    )[:2000]
    said = _elsewhere(kind, response, quote) or said
    asked, named = asked_to_wait(response), _id_of(response, quote)
    unquoted = "with a body that is not shown here" if response.body else "without a body"
    words = [f"{response.status} {said or text or unquoted}"]
    if kind in _HINTS:
        words.append(_HINTS[kind])
    # Of one item, in the API's own words, it says that the item does not exist.
    lost = kind is NotFound and not (messages and request.path.rpartition("/")[2].isdigit())
    if lost:
        words.append(_NO_SUCH_PATH)
    words += filter(None, [_cached(response)])
    configured = kind in _BY_CONFIGURATION or lost or response.status == NOT_MODIFIED
    if request.call.source and configured:
        words.append(request.call.source)
    if asked is not None:
        words.append(f"it asks to wait {asked:g} s")
    if named:
        words.append(f"request id {named['request_id']}")
    return kind(
        "; ".join(words),
        status=response.status,
        messages=messages,
        retry_after=asked,
        headers=harmless_headers(response.headers, quote),
        body=text,
        sent=_sent(request, response.status),
        retryable=kind is RateLimited or response.status in RETRYABLE_STATUSES or response.renew,
        **request.place(),
        **named,
    )


def _cached(response: Response) -> str:
    """That `response` came out of a cache, in words, if it did."""
    signs = cache_signs(response)
    return f"this response came out of a cache ({signs})" if signs else ""


async def check_status(request: Request, handler: Handler) -> Response:
    """Raises for every response that is no success, and for a success with the wrong body.

    The body is parsed here (`Request.parse`), inside the retry, so that a page cut short on the way
    is requested again.
    """
    try:
        response = await handler(request)
        if not isinstance(response, Response):
            raise ClientMisuse(
                f"a middleware returned {type(response).__name__} and no Response: "
                "end it with `return await handler(request)`",
                sent="maybe",  # it may have called the handler
            )
        return _checked(request, response)
    except CallMeBackError as error:
        if error.path is not None:
            raise
        message = request.call.quote(error.message)
        if isinstance(error, ConnectFailed | TLSFailed) and request.call.source:
            message = f"{message}; {request.call.source}"
        failure = error.with_context(message=message, **request.place())
    try:
        raise failure
    finally:
        del failure  # or frame and error would keep each other alive


def _checked(request: Request, response: Response) -> Response:
    """`response` with its value, if it is a success; no error has the body in its frames."""
    try:
        if not 200 <= response.status < 300:
            raise status_error(request, response)
        return response if request.parse is None else response.with_value(request.parse(response))
    except BaseException as error:
        forget_locals(error)
        cached = _cached(response)
        if isinstance(error, WalkError) and cached:
            raise error.with_detail(cached) from None
        if not isinstance(error, BadPayload):
            raise
        begins, named = _excerpt(request, response.body), _id_of(response, request.call.quote)
        message = f"{error.message}: {begins}" if begins else error.message
        if cached:
            message += f"; {cached}"
        if named:
            message += f"; request id {named['request_id']}"
        raise error.with_context(message=message, **named) from None
