"""The status stage: makes errors of bad statuses and bodies, and parses good ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from voipstudio_cmb.codec.envelopes import excerpt, is_throttling, read_messages
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
from voipstudio_cmb.http import Handler, Request, Response, Sent
from voipstudio_cmb.retry import RETRYABLE_STATUSES, asked_to_wait

_BY_STATUS: dict[int, type[HTTPStatusError]] = {
    400: BadRequest,
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
    if 300 <= status < 400:
        return UnexpectedRedirect
    return ServerFault if 500 <= status < 600 else UnexpectedStatus


_HINTS: dict[type[HTTPStatusError], str] = {
    Unauthorized: (
        "the token is wrong or has expired: check VOIPSTUDIO_API_TOKEN, the profile or token=…, "
        "or make an API key in the dashboard"
    ),
    Forbidden: (
        "the token may not do this, or it is wrong: check the user's rights in the dashboard, and "
        "VOIPSTUDIO_API_TOKEN, the profile or token=…"
    ),
}


_REFUSALS = frozenset({301, 307, 308, *range(400, 500)} - {408, 499})
"""Statuses that say for certain that a request was not carried out.

A 5xx may be a gateway's, which has passed the request on and then given up; so may a 408 or 499. A
302 or 303 may follow upon what was done."""


def _sent(request: Request, status: int) -> Sent:
    return "yes" if request.reads or status in _REFUSALS else "maybe"


def _id_of(response: Response, mask: Callable[[str], str]) -> dict[str, Any]:
    """The server's name for the request, if it gave one, as an attribute of an error."""
    name = mask(response.headers.get("x-request-id", ""))[:100]
    return {"request_id": name} if name else {}


def _origin(location: str) -> str:
    """Scheme and host of `location`: whatever follows the host may hold a secret."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "what is no URL"
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"


def status_error(request: Request, response: Response) -> HTTPStatusError:
    """The error that `response`, which is no success, stands for. Performs no I/O."""
    kind = _kind_of(response)
    mask = request.call.mask
    text = excerpt(response.body, mask)
    messages = {
        mask(field): [mask(words) for words in said]
        for field, said in read_messages(response.body).items()
    }
    said = "; ".join(
        f"{field}: {words}" if field else words
        for field, all_words in messages.items()
        for words in all_words
    )
    if kind is UnexpectedRedirect:
        origin = mask(_origin(response.headers.get("location", "")))
        said = f"to {origin}, not followed: check the base URL"
    asked = asked_to_wait(response)
    named = _id_of(response, mask)
    words = [f"{response.status} {said or text or 'without a body'}"]
    if kind in _HINTS:
        words.append(_HINTS[kind])
    if asked is not None:
        words.append(f"it asks to wait {asked:g} s")
    if named:
        words.append(f"request id {named['request_id']}")
    return kind(
        "; ".join(words),
        status=response.status,
        messages=messages,
        retry_after=asked,
        headers=harmless_headers(response.headers, mask),
        body=text,
        sent=_sent(request, response.status),
        retryable=kind is RateLimited or response.status in RETRYABLE_STATUSES or response.renew,
        **request.place(),
        **named,
    )


async def check_status(request: Request, handler: Handler) -> Response:
    """Raises for every response that is no success, and for a success with the wrong body.

    The body is parsed here (`Request.parse`), inside the retry, so that a page cut short on the way
    is requested again.
    """
    success = Response(status=0)
    try:
        response = await handler(request)
        if not isinstance(response, Response):
            raise ClientMisuse(
                f"a middleware returned {type(response).__name__} and no Response: "
                "end it with `return await handler(request)`",
                sent="maybe",  # it may have called the handler
            )
        if not 200 <= response.status < 300:
            raise status_error(request, response)
        if request.parse is None:
            return response
        success = response
        return response.with_value(request.parse(response))
    except CallMeBackError as error:
        changes = request.place() if error.path is None else {}
        if isinstance(error, BadPayload):
            mask = request.call.mask
            quoted = f": {excerpt(success.body, mask)}" if success.body else ""
            changes |= _id_of(success, mask)
            named = f"; request id {changes['request_id']}" if "request_id" in changes else ""
            changes["message"] = mask(error.message + quoted) + named
        elif not changes:
            raise
        # Without the frames of the error: the parser's hold the body, which may echo the token.
        failure = error.with_context(**changes)
    try:
        raise failure
    finally:
        del failure  # or frame and error would keep each other alive
