"""A cheap HTTP server on a loopback port: a function returns what is sent for each request.

It knows no API. What it sends is bytes, so that it can also say what no server should.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
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
    lines = [f"HTTP/1.1 {status}", *headers]
    if not any(line.lower().startswith("content-type:") for line in headers):
        lines.append("Content-Type: application/json")
    if not status.startswith("204"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def content_length(head: bytes) -> int:
    """How long the body is that follows the head of a request."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def reset(transport: asyncio.BaseTransport) -> None:
    """Ends a connection with an RST instead of a FIN."""
    assert isinstance(transport, asyncio.WriteTransport)
    with contextlib.suppress(OSError):  # the client may have hung up
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
    transport.abort()


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
        length = content_length(head)
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
            reset(self.transport)
        else:
            self.transport.close()


@contextlib.asynccontextmanager
async def listening(
    make: Callable[[], asyncio.BaseProtocol],
    end: Callable[[], Awaitable[None]],
    on: socket.socket | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[str, int]]:
    """Makes a protocol for each connection; yields host and port.

    The port is a free one of the loopback, or the one that a socket is bound to. `end` has to end
    all connections.
    """
    where: dict[str, Any] = {"sock": on} if on else {"host": "127.0.0.1", "port": 0}
    server = await asyncio.get_running_loop().create_server(make, **where, ssl=tls)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await _turns()  # until a connection that was accepted just now is known
        await end()
        await server.wait_closed()
        await _turns()


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(
    respond: Respond, make: type[Connection] = Connection
) -> AsyncIterator[tuple[str, int]]:
    """Serves `respond` on a free loopback port; yields host and port."""
    connections: set[Connection] = set()

    async def end() -> None:
        for connection in list(connections):
            connection.transport.abort()

    async with listening(lambda: make(respond, connections), end) as address:
        yield address


@contextlib.contextmanager
def closed_port() -> Iterator[socket.socket]:
    """A bound socket: nobody listens on its port, and nobody else can take it meanwhile."""
    # asyncio sends small parts at once (TCP_NODELAY) only if the protocol is named.
    with socket.socket(proto=socket.IPPROTO_TCP) as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def url_of(bound: socket.socket) -> str:
    """The URL of the port that a socket is bound to."""
    return f"http://127.0.0.1:{bound.getsockname()[1]}"
