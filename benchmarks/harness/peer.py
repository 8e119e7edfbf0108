"""A cheap HTTP server on a loopback port: a function returns what is sent for each request.

It knows no API. What it sends is bytes, so that it can also say what no server should.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import attrs


@attrs.frozen(kw_only=True)
class RawRequest:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    connection: dict[str, Any]
    """Lives as long as the connection; for notes."""


@attrs.frozen(kw_only=True)
class Reply:
    """What goes back."""

    parts: tuple[bytes, ...] = ()
    """Each is sent in a segment of its own."""
    delay: float = 0.0
    """Seconds before the first part."""
    pause: float = 0.0
    """Seconds between two parts, and before the end."""
    end: Literal["keep", "close", "reset"] = "keep"
    """What becomes of the connection."""
    idly: bool = False
    """Whether later parts are left out if another request arrives before them.

    If they are sent, the note "spoke" of the connection says when.
    """


Respond = Callable[[RawRequest], Reply]


def http(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed response."""
    length = [] if status.startswith("204") else [f"Content-Length: {len(body)}"]
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *length, *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, respond: Respond, connections: set[Connection]) -> None:
        self._respond = respond
        self._connections = connections
        self._buffer = b""
        self._state: dict[str, Any] = {}
        self._latest: Reply | None = None
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._request()) is not None:
            self._latest = reply = self._respond(request)
            if reply.delay:
                self._loop.call_later(reply.delay, self._part, reply, 0)
            else:
                self._part(reply, 0)

    def _request(self) -> RawRequest | None:
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if len(rest) < length:
            return None
        self._buffer = rest[length:]
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        parts = urlsplit(target)
        return RawRequest(
            method=method,
            path=parts.path,
            query={name: values[0] for name, values in parse_qs(parts.query).items()},
            body=rest[:length],
            connection=self._state,
        )

    def _part(self, reply: Reply, at: int) -> None:
        if self.transport.is_closing() or (at and reply.idly and reply is not self._latest):
            return
        if at and reply.idly:
            self._state["spoke"] = self._loop.time()
        if at < len(reply.parts):
            self.transport.write(reply.parts[at])
            at += 1
        if at < len(reply.parts):
            self._loop.call_later(reply.pause, self._part, reply, at)
        elif reply.end != "keep":
            if reply.parts and reply.pause:
                self._loop.call_later(reply.pause, self._end, reply)
            else:
                self._end(reply)

    def _end(self, reply: Reply) -> None:
        if reply.end == "reset":
            sock = self.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):  # the client may have hung up
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


@contextlib.asynccontextmanager
async def serving(
    respond: Respond, make: type[Connection] = Connection
) -> AsyncIterator[tuple[str, int]]:
    """Serves `respond` on a free loopback port; yields host and port."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: make(respond, connections), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield host, port
    finally:
        server.close()
        for _ in range(3):  # until a connection that was accepted just now is known
            await asyncio.sleep(0)
        for connection in list(connections):
            connection.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


@contextlib.contextmanager
def dead_port() -> Any:
    """A loopback port on which nobody listens and that nobody else can take."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
