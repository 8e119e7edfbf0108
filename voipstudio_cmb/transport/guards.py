"""Guards for an aiohttp session: one request stays one request, on a clean connection."""

from __future__ import annotations

import aiohttp
from aiohttp.connector import Connection

from voipstudio_cmb.http import LEAVES


class _Dropped(Exception):
    """Carries `ServerDisconnectedError` or `ClientOSError` past aiohttp's own resend."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


async def send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """An aiohttp client middleware that keeps aiohttp from sending a request twice.

    aiohttp resends GET, PUT, DELETE and others once after a lost connection, and can't be told not
    to (its issue 10790). It does so on two exception types; under another name they pass. The
    client's own session has it; put it last in the `middlewares=` of a session that you pass in.
    """
    try:
        return await handler(request)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        dropped = _Dropped(error)
    try:
        raise dropped
    finally:
        del dropped  # or frame and error would keep each other alive


class _Unclean(Exception):
    """A pooled connection was found to hold a response that nobody has requested."""


class CleanRequest(aiohttp.ClientRequest):
    """An aiohttp request that is sent only on a connection with nothing left to read.

    aiohttp takes whatever a server has sent on an idle connection for the response to the next
    request on it. The client's own session has it; pass it as the `request_class=` of a session
    that you pass in.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Sends the request, or raises before anything is sent."""
        if conn.protocol is None or conn.protocol.should_close:
            raise _Unclean
        if (leaves := LEAVES.get()) is not None:
            LEAVES.set(None)
            leaves()
        return await super().send(conn)
