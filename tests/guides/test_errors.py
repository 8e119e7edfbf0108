"""The guide on errors: each cell of its table is what a client does, and its tree is complete."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.handlers import ScriptedHandler, full_chain
from voipstudio_cmb import errors
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.guides import read
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.retry import Backoff
from voipstudio_cmb.services import Settings

GUIDE = read("errors")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in GUIDE.partition("| situation |")[2].partition("\n\n")[0].splitlines()[2:]
]
CALLS: dict[str, Callable[[Settings], Any]] = {
    "GET": lambda settings: settings.get(7),
    "DELETE": lambda settings: settings.delete(7),
    "POST": lambda settings: settings.create(name="x"),
    "PATCH": lambda settings: settings.update(7, name="x"),
}
OTHERS: dict[str, list[Response | CallMeBackError]] = {
    "no connection": [errors.ConnectFailed("refused")],
    "certificate refused": [errors.TLSFailed("unknown")],
    "connection lost, or cut short": [errors.ConnectionLost("lost", sent="maybe")],
    "attempt timed out": [errors.RequestTimeout("late", phase="attempt", sent="maybe")],
    "not HTTP": [errors.ProtocolFault("broken", sent="maybe")],
    "2xx, not JSON": [Response(status=200, body=b"<html>")],
    "2xx, empty": [Response(status=200)],
    "2xx, another shape": [Response(status=200, body=b'{"x": 1}')],
    "2xx, larger than `max_body`": [errors.TooLarge("large", sent="yes")],
    "compressed body damaged": [errors.BadPayload("damaged", sent="yes", retryable=True)],
}


def named(text: str) -> set[int]:
    """The statuses that `text` names: "500, 502 to 504"."""
    found = re.findall(r"\b(\d{3})(?: to (\d{3}))?", text)
    return {status for low, high in found for status in range(int(low), int(high or low) + 1)}


def outcomes(situation: str) -> list[Response | CallMeBackError]:
    """What the network may do in this situation."""
    if situation in OTHERS:
        return OTHERS[situation]
    if other := re.fullmatch(r"other (\d)xx", situation):
        first = int(other[1]) * 100
        rest = {*range(first, first + 100)} - {each for row in ROWS for each in named(row[0])}
        return [Response(status=status) for status in sorted(rest)]
    return [Response(status=status) for status in sorted(named(situation))]


async def at_once(request: Request, handler: Handler) -> Response:
    """In place of the limit stage: without its pauses."""
    return await handler(request)


async def outcome_of(method: str, outcome: Response | CallMeBackError, fetched: bool) -> str:
    """What a cell says of `outcome`, and after a colon the error."""
    policy, script = Backoff(rng=lambda: 0.0), [outcome]
    if (
        isinstance(outcome, Response) and outcome.status == 429
    ):  # it is tried until it asks too much
        script.append(Response(status=429, headers={"retry-after": "999"}))

    async def token() -> str:
        return "sandbox-token"

    more: dict[str, Any] = {"auth": Auth(token)} if fetched else {}
    network = ScriptedHandler(script)
    handler = full_chain(network, policy=policy, limit=at_once, **more)
    try:
        await CALLS[method](Settings(handler))
    except CallMeBackError as error:
        tried = "again" if len(network.requests) > 1 else "once"
        return f"{tried}, {error.sent}: {type(error).__name__}"
    return "success"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
async def test_each_cell_is_what_a_client_does(row: list[str]) -> None:
    situation, error, get, delete, edit = row
    expected = {"GET": get, "DELETE": delete, "POST": edit, "PATCH": edit}
    for outcome in outcomes(situation):
        for method, cell in expected.items():
            wanted = cell if cell == "success" else f"{cell}: {error.strip('`')}"
            found = await outcome_of(method, outcome, "fetched" in situation)
            assert found == wanted, (method, outcome)


def test_the_tree_has_every_error() -> None:
    tree = GUIDE.partition("## The tree")[2].partition("##")[0]
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, CallMeBackError):
            assert re.search(rf"\b{name}\b", tree), name
