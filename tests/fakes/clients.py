"""Clients that do not wait, and one call for each HTTP method."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp.http_parser as parsers

from tests.fakes.secrets import CANARY
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.http import Request
from voipstudio_cmb.retry import Backoff, RetryPolicy

ATTEMPTS = 3
PYTHON_PARSER = parsers.HttpResponseParser is getattr(parsers, "HttpResponseParserPy", None)
"""Whether aiohttp reads HTTP with its parser in Python, not with the one in C."""

CALLS: dict[str, Callable[[CallMeBackClient], Awaitable[Any]]] = {
    "GET": lambda cmb: cmb.settings.get(7),
    "DELETE": lambda cmb: cmb.settings.delete(7),
    "PATCH": lambda cmb: cmb.settings.update(7, name="x"),
    "POST": lambda cmb: cmb.settings.create(name="x"),
}


def without_waiting(**options: Any) -> RetryPolicy:
    """What `Backoff` decides, without its delays."""
    policy = Backoff(attempts=ATTEMPTS, **options)

    def decide(error: CallMeBackError, request: Request, attempts: int) -> float | None:
        return None if policy(error, request, attempts) is None else 0.0

    return decide


def client(url: str, *, session: Any = None, **config: Any) -> CallMeBackClient:
    """A client with one connection and without waits."""
    settings = {"deadline": 5.0, "connections": 1, "retry": without_waiting(), **config}
    return CallMeBackClient(CANARY, base_url=url, session=session, config=ClientConfig(**settings))
