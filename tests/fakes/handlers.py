"""A handler in place of the network that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from voipstudio_cmb.http import Request, Response


class ScriptedHandler:
    """Returns or raises each of `outcomes` in turn, and the last one from then on."""

    def __init__(self, outcomes: Iterable[Response | Exception]) -> None:
        self._outcomes = list(outcomes)
        self.requests: list[Request] = []
        self.times: list[float] = []
        """When each request arrived, by the loop's clock."""

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(0)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
