"""Test doubles for the network: plain functions that answer requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from voipstudio_cmb.http import Request, Response


def answer(value: Any, status: int = 200, **headers: str) -> Response:
    """A response with *value* as JSON."""
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    return Response(status=status, body=json.dumps(value).encode(), headers=names)


class Script:
    """A handler that gives the *outcomes* one after the other: a response, or an error to raise.

    The last one is repeated. `requests` are those received, `times` when.
    """

    def __init__(self, outcomes: Iterable[Response | Exception]) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[Request] = []
        self.times: list[float] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
