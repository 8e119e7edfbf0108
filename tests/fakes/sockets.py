"""A peer on a loopback socket that is scripted byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One connection of the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """Reads one request with its body; b"" if the client has hung up."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head + await self._reader.readexactly(length)

    async def send(self, *parts: bytes, pause: float = 0.02) -> None:
        """Sends *parts*, each in a segment of its own."""
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause)
            self._writer.write(part)
            await self._writer.drain()

    def reset(self) -> None:
        """Ends the connection with an RST instead of a FIN."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def hold(self) -> None:
        """Keeps the connection open until the client hangs up."""
        with contextlib.suppress(ConnectionError):
            while await self._reader.read(65536):
                pass


class Wire:
    """The server: each of *scripts* serves one connection, the last of them all further ones.

    `requests` are the raw requests in order of arrival, over all connections; `accepted` counts
    the connections, `connections` those whose TLS handshake, if there is one, is done.
    """

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.requests: list[bytes] = []
        self.accepted = 0
        self.connections = 0
        self.url = ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        peer = Peer(reader, writer)
        receive = peer.request

        async def request() -> bytes:
            received = await receive()
            if received:
                self.requests.append(received)
            return received

        peer.request = request  # type: ignore[method-assign]
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has hung up, as some tests want it to
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    *scripts: Script, on: socket.socket | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Wire]:
    """Runs a `Wire` on a free loopback port, or on the port that a socket is bound to."""
    wire = Wire(*scripts)
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(wire._serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def accepted() -> asyncio.StreamReaderProtocol:
        wire.accepted += 1
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), accept)

    # asyncio.start_server would not tell of a connection whose handshake fails.
    loop = asyncio.get_running_loop()
    sock = on or socket.create_server(("127.0.0.1", 0))
    server = await loop.create_server(accepted, sock=sock, ssl=tls)
    host, port = server.sockets[0].getsockname()
    wire.url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        yield wire
    finally:
        server.close()
        await _turns()  # until there is a task for a connection that was accepted just now
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:  # a task that was cancelled before its first step closes nothing
            writer.transport.abort()
        await server.wait_closed()
        await _turns()


async def _turns() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@contextlib.contextmanager
def closed_port() -> Iterator[socket.socket]:
    """A bound socket: nobody listens on its port, and nobody else can take it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


def address(bound: socket.socket) -> str:
    """The URL of the port that a socket is bound to."""
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


def reply(body: bytes = b'{"data":{}}', status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def once(*parts: bytes, hold: bool = False) -> Script:
    """A script that reads a request and sends *parts*; then it hangs up, unless it is to *hold*."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*parts)
        if hold:
            await peer.hold()

    return script


async def well(peer: Peer) -> None:
    """A script that answers every request well."""
    while await peer.request():
        await peer.send(reply())


async def resets(peer: Peer) -> None:
    """A script that reads a request and resets the connection."""
    await peer.request()
    peer.reset()
