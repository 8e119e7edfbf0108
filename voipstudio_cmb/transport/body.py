"""A response's body, read whole: under a cap, and no longer than its connection works.

aiohttp tells its reader of bytes, of their end and of most faults. Broken HTTP that follows the
headers is told to the connection's protocol only: with the parser in C the reader waits on.
"""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from .coding import too_large


async def read_body(response: aiohttp.ClientResponse, cap: int) -> bytes:
    """The whole body of `response`, decoded.

    Raises:
        TooLarge: it has more than `cap` bytes.
        aiohttp.ClientPayloadError: it is damaged, or its connection has failed.
    """
    content = response.content
    # Most bodies have come with the headers, and there is nothing to wait for.
    if content.is_eof() and content.exception() is None:
        body = content.read_nowait()
        if len(body) > cap:
            raise too_large(cap)
        return body
    connection = response.connection
    protocol = None if connection is None else connection.protocol
    if protocol is None or content.is_eof():
        return await _read(response, cap)
    watch = _Watch(protocol, content)
    transport = protocol.transport
    watch.check()
    if transport is None or transport.is_closing():
        # Its end may be on its way to aiohttp already, past whatever protocol is set now.
        if (closed := protocol.closed) is not None:
            closed.add_done_callback(watch.check)
        return await _read(response, cap)
    transport.set_protocol(watch)
    try:
        return await _read(response, cap)
    finally:
        # Not if the connection carries another request by now, which has a watch of its own.
        if not transport.is_closing() and transport.get_protocol() is watch:
            transport.set_protocol(protocol)


async def _read(response: aiohttp.ClientResponse, cap: int) -> bytes:
    content = response.content
    chunks: list[bytes] = []
    size = 0
    while not content.at_eof():
        try:
            chunk = await content.readany()
        except (aiohttp.ClientPayloadError, HttpProcessingError) as error:
            # Again, if it came before the response was made: that lets go of it, and its headers.
            content.set_exception(error)
            if isinstance(error, aiohttp.ClientPayloadError):
                raise
            raise aiohttp.ClientPayloadError("the body is not valid HTTP") from error
        size += len(chunk)
        if size > cap:
            response.close()
            raise too_large(cap)
        chunks.append(chunk)
    return b"".join(chunks)


class _Watch(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol, and ends a body once that has failed.

    It does not wait for the transport's end: on TLS that may take as long as the peer likes.
    """

    def __init__(self, protocol: ResponseHandler, content: aiohttp.StreamReader) -> None:
        self._protocol = protocol
        self._content = content

    def check(self, closed: asyncio.Future[None] | None = None) -> None:
        """Ends the body if nothing more can come of it.

        One that is complete is left alone: aiohttp has noted its end before.
        """
        if closed is not None:
            closed.exception()  # retrieved, or asyncio would report it
        protocol, content = self._protocol, self._content
        if protocol.connected and protocol.exception() is None:
            return
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection has failed"))

    def data_received(self, data: bytes) -> None:
        self._protocol.data_received(data)
        self.check()

    def eof_received(self) -> None:
        self._protocol.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._protocol.connection_lost(exc)
        self.check()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()
