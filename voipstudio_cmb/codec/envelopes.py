"""What the API's responses hold: a page, an item, a total, nothing, or its own words on an error.

Each reader takes a response, and raises `BadPayload` if the body is empty, no JSON or of another
shape.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from voipstudio_cmb.errors import BadPayload, NotJSON, WrongShape
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Page, Record, Reject, Row

from .json import decode, kind_of, total_of
from .records import collection, single
from .rows import raw_item, raw_object, raw_rows

if TYPE_CHECKING:
    from .odd_rows import OddRows

R = TypeVar("R", bound=Record)
T = TypeVar("T")

_CACHE_HEADERS = {
    name.lower(): name
    for name in ("X-Cache", "X-Cache-Status", "X-Proxy-Cache", "CF-Cache-Status", "Cache-Status")
}
# A hit after a refresh is fresh.
_HIT = r"(?i)(?<![a-z])(?<!refresh_)(?:hit|stale|updating)\b"
_AGE = r"(?a)0*([1-9][0-9]{0,9})\b"


def read_page(response: Response, record: type[R], number: int) -> Page[R]:
    """A collection's response, `{"data": […], "total": N}`, as page `number`.

    Raises:
        BadPayload: also if a row is no object or has no usable id.
    """
    cached = cache_signs(response)
    made, total = _read(response, partial(collection, record=record), list)
    return Page(records=made, number=number, total=total, cached=cached)


def read_rows(
    response: Response,
    number: int,
    reject: Callable[[Sequence[Reject]], None],
    fields: tuple[str, ...] = (),
) -> Page[Row]:
    """A collection's response as `read_page`, with its rows as they came.

    Rows that are no objects or have no usable id go to `reject`, and do not count in the total.
    """
    page = _read(response, partial(raw_rows, fields=fields), list)
    total = total_of(page.total)
    if page.unusable:
        rows = page.unusable.items()
        reject([Reject(number, index, why, json) for index, (why, json) in rows])
        if total is not None:
            total = max(len(page.rows), total - len(page.unusable))
    return Page(
        records=page.rows,
        number=number,
        total=total,
        unusable=len(page.unusable),
        cached=cache_signs(response),
    )


def read_row(response: Response) -> Row:
    """A single resource's response as `read_item`, as it came."""
    return _read(response, raw_item, dict)


def read_total(response: Response) -> int:
    """The total in a collection's response."""
    total = total_of(_read(response, raw_rows, list).total)
    if total is None:
        raise WrongShape("the response holds no usable total", sent="yes")
    return total


def read_item(response: Response, record: type[R]) -> R:
    """A single resource's response, `{"data": {…}, "links": {}}`."""
    return single(_read(response, raw_object, dict), record)


def read_data(response: Response) -> dict[str, Any]:
    """The object in `{"data": {…}}`, as it is."""
    data: dict[str, Any] = _envelope(response, dict)["data"]
    return data


def read_object(response: Response) -> dict[str, Any]:
    """The response itself, which must be an object."""
    value = decode(response)
    if isinstance(value, dict):
        return value
    raise WrongShape(f"the response is not an object but {kind_of(value)}", sent="yes")


def read_identity(response: Response) -> int:
    """The account's id in the response to `GET /me`, whose shape is not documented."""
    envelope = read_object(response)
    account = envelope["data"] if isinstance(envelope.get("data"), dict) else envelope
    for name in ("id", "user_id"):
        if type(id := account.get(name)) is int:
            return id
    raise WrongShape("the response holds no id of an account", sent="yes")


def read_nothing(response: Response) -> None:
    """The response to a deletion, which is documented as 204 without a body.

    Raises:
        BadPayload: another success that holds something else than an object, as a login page does,
            or an object that speaks of an error.
    """
    if response.status == 204 or not response.body.strip():
        return
    envelope = read_object(response)
    if envelope.get("error") or envelope.get("errors") or envelope.get("success") is False:
        raise WrongShape(
            f"the response to the deletion has status {response.status} but speaks of an error",
            sent="yes",
        )


def read_messages(body: bytes) -> dict[str, list[str]]:
    """The API's own words in an error's `body`, by field; "" holds those about the whole request.

    Takes the documented forms `{"message": …}` and `{"errors": [{"message": …}]}`; anything else
    (HTML, nothing) gives an empty dict.
    """
    try:
        envelope = read_object(Response(status=0, body=body))
    except BadPayload:
        return {}
    messages: dict[str, list[str]] = {}
    if isinstance(envelope.get("message"), str):
        messages[""] = [envelope["message"]]
    errors = envelope.get("errors")
    for item in errors if isinstance(errors, list) else []:
        if isinstance(item, dict) and isinstance(item.get("message"), str):
            names = (item.get(key) for key in ("field", "property", "name", "attribute"))
            field = next((name for name in names if isinstance(name, str)), "")
            messages.setdefault(field, []).append(item["message"])
    return messages


def cache_signs(response: Response) -> str:
    """What says that `response` came out of a cache in between: "Age: 35"; "" if nothing does.

    Not the headers' own words but those that are known: the rest may hold anything.
    """
    headers, signs = response.headers, list[str]()
    if "age" in headers and (age := re.match(_AGE, headers["age"].strip())):
        signs.append(f"Age: {age[1]}")
    for name, spelt in _CACHE_HEADERS.items():
        if name in headers and (hit := re.search(_HIT, headers[name])):
            signs.append(f"{spelt}: {hit[0]}")
    return ", ".join(signs)


_TOO_FAST = (
    r"(?i)\brate\b.{0,20}\bexceeded|\bexceeded\b.{0,20}\brate\b|\brate[ -]?limit"
    r"|\btoo many (requests|calls)"
)


def is_throttling(response: Response) -> bool:
    """Whether a request was refused because there were too many: by a 429, or in so many words.

    The API has been seen to say "Maximum per minute call rate exceeded for …" by a 400. What it
    says of a field is not meant, as there is one for the price of a call, `max_call_rate`; nor is a
    401, after which a password is better not tried again.
    """
    if response.status == 429:
        return True
    if not 400 <= response.status < 500 or response.status in (401, 404):
        return False
    messages = read_messages(response.body)
    if not messages:
        text = response.body[:500].decode("utf-8", "replace")
        return "_rate" not in text and re.search(_TOO_FAST, text) is not None
    said = [text for field, texts in messages.items() if "rate" not in field for text in texts]
    return any(re.search(_TOO_FAST, each) for each in said)


def excerpt(body: bytes, quote: Callable[[str], str]) -> str:
    """The beginning of `body` for a message: at most 200 characters, made harmless by `quote`.

    By that before it is cut, or the cut could leave most of a secret standing.
    """
    text = quote(body[:65536].decode("utf-8", "replace"))
    return text if len(text) <= 200 else text[:199] + "…"


def _envelope(response: Response, kind: type) -> dict[str, Any]:
    """`{"data": …}` with data of the documented `kind`."""
    try:
        envelope = read_object(response)
    except NotJSON:
        from .odd_rows import odd_rows  # late: few servers send any

        if odd := odd_rows(response.body):
            raise _unreadable(odd) from None
        raise
    if isinstance(envelope.get("data"), kind):
        return envelope
    found = f"data is {kind_of(envelope['data'])}" if "data" in envelope else "there is no data"
    wanted = "an array" if kind is list else "an object"
    raise WrongShape(f"the response should hold {wanted} in data, but {found}", sent="yes")


def _unreadable(odd: OddRows) -> NotJSON:
    one = next(iter(odd.rows.values()))
    return NotJSON(
        f"{len(odd.rows)} of the response's rows can't be read ({one.why}): raw_pages, and an "
        "export, leave such rows out and go on",
        sent="yes",
        retryable=False,
    )


def _read(response: Response, read: Callable[[bytes], T], kind: type) -> T:
    try:
        return read(response.body)
    except (ValueError, RecursionError) as error:
        problem = str(error)
    _envelope(response, kind)  # says what the body is instead
    raise WrongShape(f"the response can't be read: {problem}", sent="yes")
