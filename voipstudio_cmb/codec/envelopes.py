"""What the API's answers hold: a page, an item, a total, nothing, or its own words on an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from voipstudio_cmb.errors import BadPayload, WrongShape
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Page, Record, Reject, Row, Rows

from .json import INTEGER, decode, kind_of
from .records import records
from .rows import raw_item, raw_rows, why_unusable

R = TypeVar("R", bound=Record)


def excerpt(body: bytes, mask: Callable[[str], str], length: int = 200) -> str:
    """The beginning of *body* for a message: at most *length* characters, on one line.

    Masked before it is cut, or the cut could leave most of a secret standing.
    """
    text = " ".join(mask(body[:65536].decode("utf-8", "replace")).split())
    return text if len(text) <= length else text[: length - 1] + "…"


def read_whole(response: Response) -> dict[str, Any]:
    """The answer itself, which must be an object.

    Raises:
        BadPayload: empty, not JSON, or no object.
    """
    answer = decode(response)
    if isinstance(answer, dict):
        return answer
    raise WrongShape(f"the answer is not an object but {kind_of(answer)}", sent="yes")


def _data(response: Response, kind: type) -> Any:
    """`{"data": …}` with data of the *kind* that is documented, as the whole object."""
    answer = read_whole(response)
    if not isinstance(answer.get("data"), kind):
        found = f"data is {kind_of(answer['data'])}" if "data" in answer else "there is no data"
        wanted = "an array" if kind is list else "an object"
        raise WrongShape(
            f"the answer should hold {wanted} in data, but {found}",
            sent="yes",
        )
    return answer


def _total(value: object) -> int | None:
    """A collection's claimed total, or None for what can't be one."""
    if isinstance(value, str) and INTEGER.fullmatch(value):
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def read_page(response: Response, record: type[R], number: int) -> Page[R]:
    """A collection's answer, `{"data": […], "total": N}`, as page *number*.

    Raises:
        BadPayload: empty, not JSON, or not of that shape; a row that is no object or has no id.
    """
    answer = _data(response, list)
    return Page(
        records=records(answer["data"], record), number=number, total=_total(answer.get("total"))
    )


def read_rows(
    response: Response, number: int, reject: Callable[[Sequence[Reject]], None]
) -> Page[Row]:
    """A collection's answer as `read_page`, with its rows as they came.

    Those that are no objects or have no usable id are left out, of the total too, and told to
    *reject*.

    Raises:
        BadPayload: empty, not JSON, or not of that shape.
    """
    found = raw_rows(response)
    if found is None:
        answer = _data(response, list)  # says what it is instead
        raise WrongShape(f"the answer can't be read: {kind_of(answer)}", sent="yes")
    total = _total(found.total)
    rows = Rows(found.ids, found.created, found.rows)
    if found.unusable:
        objects = [bytes(row) for row in found.rows]
        reject(
            [
                Reject(number, at + 1, why_unusable(objects[at]), objects[at])
                for at in sorted(found.unusable)
            ]
        )
        usable = [at for at in range(len(objects)) if at not in found.unusable]
        rows = Rows(
            [found.ids[at] for at in usable],
            [found.created[at] for at in usable],
            [objects[at] for at in usable],
        )
        if total is not None:
            total = max(len(rows), total - len(found.unusable))
    return Page(records=rows, number=number, total=total)


def read_row(response: Response) -> Row:
    """A single resource's answer as `read_item`, as it came.

    Raises:
        BadPayload: empty, not JSON, or not of that shape.
    """
    found = raw_item(response)
    if found is None:
        read_object(response)  # says what it is instead
        raise WrongShape("the answer's object has no usable id", sent="yes")
    return Row(*found)


def read_total(response: Response) -> int:
    """The total in a collection's answer.

    Raises:
        BadPayload: as `read_page`, and if the total is missing or no count.
    """
    answer = _data(response, list)
    total = _total(answer.get("total"))
    if total is None:
        raise WrongShape("the answer holds no usable total", sent="yes")
    return total


def read_item(response: Response, record: type[R]) -> R:
    """A single resource's answer, `{"data": {…}, "links": {}}`.

    Raises:
        BadPayload: empty, not JSON, or not of that shape.
    """
    return records([read_object(response)], record)[0]


def read_object(response: Response) -> dict[str, Any]:
    """The object in `{"data": {…}}`, as it is.

    Raises:
        BadPayload: empty, not JSON, or not of that shape.
    """
    found: dict[str, Any] = _data(response, dict)["data"]
    return found


def read_identity(response: Response) -> int:
    """The account's id in the answer to `GET /me`, whose shape is not documented.

    Raises:
        BadPayload: there is none.
    """
    answer = read_whole(response)
    found = answer["data"] if isinstance(answer.get("data"), dict) else answer
    for name in ("id", "user_id"):
        if type(found.get(name)) is int:
            id: int = found[name]
            return id
    raise WrongShape("the answer holds no id of an account", sent="yes")


def read_nothing(response: Response) -> None:
    """The answer to a deletion, which is documented as 204 without a body.

    Raises:
        BadPayload: another success that holds something else than an object, as a login page does,
            or an object that speaks of an error.
    """
    if response.status == 204 or not response.body.strip():
        return
    answer = read_whole(response)
    if answer.get("error") or answer.get("errors") or answer.get("success") is False:
        raise WrongShape(
            f"the deletion was answered with {response.status}, and the answer speaks of an error",
            sent="yes",
        )


def read_messages(body: bytes) -> dict[str, list[str]]:
    """The API's own words in an error's *body*, by field; "" holds those about the whole request.

    Takes the documented forms `{"message": …}` and `{"errors": [{"message": …}]}`; anything else
    (HTML, nothing) gives an empty dict.
    """
    try:
        answer = decode(Response(status=0, body=body))
    except BadPayload:
        return {}  # HTML, nothing, or something cut short
    if not isinstance(answer, dict):
        return {}
    found: dict[str, list[str]] = {}
    if isinstance(answer.get("message"), str):
        found[""] = [answer["message"]]
    errors = answer.get("errors")
    for item in errors if isinstance(errors, list) else []:
        if isinstance(item, dict) and isinstance(item.get("message"), str):
            names = (item.get(key) for key in ("field", "property", "name", "attribute"))
            field = next((name for name in names if isinstance(name, str)), "")
            found.setdefault(field, []).append(item["message"])
    return found
