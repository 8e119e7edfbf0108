"""Guards for an aiohttp session: one request stays one request, on a clean connection."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp.connector import Connection

from voipstudio_cmb.http import LEAVES


class _Dropped(Exception):
    """Carries `ServerDisconnectedError` or `ClientOSError` past aiohttp's own resend."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


class OnceResponse(aiohttp.ClientResponse):
    """A response of aiohttp's that keeps it from sending the request twice.

    aiohttp resends GET, PUT, DELETE and others once after a lost connection, and can't be told not
    to (its issue 10790). It does so on two exception types; under another name they pass. The
    client's own session has it; pass it as the `response_class=` of a session that you pass in.
    """

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Waits for the response, or raises what aiohttp does not resend for."""
        try:
            return await super().start(connection)
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

    # Not async: that would be a coroutine around the one that it returns.
    def send(self, conn: Connection) -> Any:
        """Sends the request, or raises before anything is sent."""
        if conn.protocol is None or conn.protocol.should_close:
            raise _Unclean
        if (leaves := LEAVES.get()) is not None:
            LEAVES.set(None)
            leaves()
        return super().send(conn)
