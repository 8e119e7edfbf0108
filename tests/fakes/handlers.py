"""A handler in place of the network that follows a script, and the standard chain before one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.fakes.secrets import CANARY
from voipstudio_cmb.auth.credentials import Token
from voipstudio_cmb.auth.secret import Secret
from voipstudio_cmb.events import OnEvent, Usage
from voipstudio_cmb.http import Handler, Request, Response, chain
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.chain import standard
from voipstudio_cmb.middleware.deadline import Deadline
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.observe import Observe
from voipstudio_cmb.retry import Backoff, RetryBudget


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


def full_chain(
    network: Handler, on_event: OnEvent | None = None, usage: Usage | None = None, **more: Any
) -> Handler:
    """The standard middlewares in front of `network`, with settings that differ."""
    settings: dict[str, Any] = {
        "observe": Observe(on_event, usage or Usage()),
        "auth": Auth(Token(Secret(CANARY))),
        "policy": Backoff(rng=lambda: 1.0),
        "budget": RetryBudget(),
        "limit": Limit(),
        **more,
        "deadline": Deadline(more.get("deadline", 60.0), 30.0),
    }
    return chain(network, standard(**settings))
