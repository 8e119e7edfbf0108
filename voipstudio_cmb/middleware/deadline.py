"""The deadline stage: the time bound of a whole call."""

from __future__ import annotations

import asyncio

import attrs

from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, RequestTimeout
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.timeouts import Timeouts


@attrs.frozen
class Deadline:
    """Ends a call after *seconds*, whatever it is doing then, and an attempt after *timeout*.

    Ends it at once when the *bounds* are closed, as they are with their client.
    """

    seconds: float
    timeout: float | None = None
    timeouts: Timeouts = attrs.field(factory=Timeouts)

    async def __call__(self, request: Request, handler: Handler) -> Response:
        if self.timeouts.closed:
            raise ClientMisuse("the client is closed: make a new one (or keep the async with open)")
        call = request.call
        now = asyncio.get_running_loop().time()
        call.deadline = min(call.deadline, now + self.seconds)
        call.timeout = self.timeout
        bound = self.timeouts.at(call.deadline)
        try:
            with bound:
                return await handler(request)
        except TimeoutError as error:
            if isinstance(error, CallMeBackError) or not bound.expired:
                raise
        details = {
            "sent": call.sent,
            "attempts": call.attempts,
            "waited": call.waited,
            **request.place(),
        }
        if self.timeouts.closed:
            raise ClientMisuse("the client was closed while this call was running", **details)
        raise RequestTimeout(
            f"the call's deadline of {self.seconds:g} s passed"
            + (" while it waited for a free connection" if call.queued else ""),
            phase="pool" if call.queued else "deadline",
            **details,
        )
