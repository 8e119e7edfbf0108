"""The deadline stage: the time bound of a whole call."""

from __future__ import annotations

import asyncio
from typing import Any

from voipstudio_cmb.boundary.value import Frozen, field
from voipstudio_cmb.errors import ClientMisuse, RequestTimeout
from voipstudio_cmb.http import Handler, Request, Response
from voipstudio_cmb.retry import concluded
from voipstudio_cmb.timeouts import Timeouts


class Deadline(Frozen, frozen=True):
    """Ends a call when its time is up, whatever it is doing then, or when its client is closed."""

    seconds: float
    """How long the call may take."""
    timeout: float | None = None
    """How long one attempt may take; None leaves it to the session."""
    timeouts: Timeouts = field(default_factory=Timeouts)
    """Those of the client, which are closed with it."""

    async def __call__(self, request: Request, handler: Handler) -> Response:
        call = request.call
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now + self.seconds < call.deadline:
            call.deadline = now + self.seconds
        seconds = call.deadline - now
        call.timeout = self.timeout
        timeout = self.timeouts.begin(call.deadline, loop)
        try:
            return await handler(request)
        except asyncio.CancelledError:
            if not timeout.is_cause():
                raise
        finally:
            self.timeouts.end(timeout)
        known: dict[str, Any] = request.place()
        known |= {"attempts": call.attempts, "waited": call.waited}
        if self.timeouts.guard.closed:
            closed = ClientMisuse("the client was closed while this call was running", **known)
            raise concluded(closed, request)
        late = RequestTimeout(
            f"the call's deadline of {seconds:.6g} s passed"
            + (" while it waited for a free connection" if call.queued else ""),
            phase="pool" if call.queued else "deadline",
            **known,
        )
        raise concluded(late, request)
