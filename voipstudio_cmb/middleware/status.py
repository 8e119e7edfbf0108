"""The status stage: makes errors of bad statuses and bodies, and parses good ones."""

from __future__ import annotations

from urllib.parse import urlsplit

from voipstudio_cmb.codec.envelopes import excerpt, read_messages
from voipstudio_cmb.errors import (
    BadPayload,
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    Forbidden,
    HTTPStatusError,
    NotFound,
    RateLimited,
    ServerFault,
    Unauthorized,
    UnexpectedRedirect,
    UnexpectedStatus,
)
from voipstudio_cmb.events import harmless_headers
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.retry import RETRYABLE_STATUSES, asked_to_wait
from voipstudio_cmb.tracebacks import forget_locals

_BY_STATUS: dict[int, type[HTTPStatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    429: RateLimited,
}


def _kind_of(status: int) -> type[HTTPStatusError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 300 <= status < 400:
        return UnexpectedRedirect
    return ServerFault if 500 <= status < 600 else UnexpectedStatus


_HINTS: dict[type[HTTPStatusError], str] = {
    Unauthorized: (
        "the token is wrong or has expired: check VOIPSTUDIO_API_TOKEN, the profile or token=…, "
        "or make an API key in the dashboard"
    ),
    Forbidden: "the token is valid and may not do this",
}


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


def status_error(request: Request, response: Response) -> HTTPStatusError:
    """The error that `response`, which is no success, stands for. Performs no I/O."""
    kind = _kind_of(response.status)
    quote = request.call.quote
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
    if kind is UnexpectedRedirect:
        origin = quote(_origin(response.headers.get("location", "")))
        said = f"to {origin}, not followed: check the base URL"
    asked = asked_to_wait(response)
    request_id = response.headers.get("x-request-id")
    unquoted = "with a body that is not shown here" if response.body else "without a body"
    words = [f"{response.status} {said or text or unquoted}"]
    if kind in _HINTS:
        words.append(_HINTS[kind])
    if asked is not None:
        words.append(f"it asks to wait {asked:g} s")
    return kind(
        "; ".join(words),
        status=response.status,
        messages=messages,
        retry_after=asked,
        request_id=None if request_id is None else quote(request_id),
        headers=harmless_headers(response.headers, quote),
        body=text,
        sent="yes",
        retryable=response.status in RETRYABLE_STATUSES or response.renew,
        **request.place(),
    )


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
                "end it with `return await handler(request)`"
            )
        return _checked(request, response)
    except CallMeBackError as error:
        if error.path is not None:
            raise
        message = request.call.quote(error.message)
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
        if not isinstance(error, BadPayload) or not (begins := _excerpt(request, response.body)):
            raise
        raise error.with_context(message=f"{error.message}: {begins}") from None
