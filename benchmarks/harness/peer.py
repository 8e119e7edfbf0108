"""A cheap HTTP peer on a loopback port: one asyncio protocol, each request answered by a function.

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
class Asked:
    """One request as it arrived; *connection* is a dict that lives as long as its connection."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    connection: dict[str, Any]


@attrs.frozen(kw_only=True)
class Reply:
    """What goes back: *parts*, each in a segment of its own, *pause* seconds apart.

    It begins after *delay* seconds. Then the connection is kept, closed or reset, *pause* later.
    """

    parts: tuple[bytes, ...] = ()
    delay: float = 0.0
    pause: float = 0.0
    end: Literal["keep", "close", "reset"] = "keep"
    idly: bool = False
    """Leaves out what comes after the first part, if another request has come in before it.

    Else the connection's dict holds under "spoke" when it was sent.
    """


Answer = Callable[[Asked], Reply]


def http(body: bytes = b"", status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed answer."""
    length = [] if status.startswith("204") else [f"Content-Length: {len(body)}"]
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *length, *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One connection of the peer's side."""

    def __init__(self, answer: Answer, kept: set[Connection]) -> None:
        self._answer = answer
        self._kept = kept
        self._buffer = b""
        self._state: dict[str, Any] = {}
        self._latest: Reply | None = None
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._kept.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._kept.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (asked := self._asked()) is not None:
            self._latest = reply = self._answer(asked)
            if reply.delay:
                self._loop.call_later(reply.delay, self._part, reply, 0)
            else:
                self._part(reply, 0)

    def _asked(self) -> Asked | None:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
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
        return Asked(
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
            with contextlib.suppress(OSError):  # the client may have hung up before
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()


@contextlib.asynccontextmanager
async def serving(
    answer: Answer, make: type[Connection] = Connection
) -> AsyncIterator[tuple[str, int]]:
    """Serves *answer* on a free loopback port; gives host and port."""
    kept: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: make(answer, kept), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield host, port
    finally:
        server.close()
        for connection in list(kept):
            connection.transport.abort()
        await server.wait_closed()


@contextlib.contextmanager
def dead_port() -> Any:
    """A loopback port on which nobody listens and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
