"""A server on a loopback port that follows scripts, byte by byte, one for each connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from benchmarks.harness.peer import content_length, http, listening, reset

Script = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's side of one connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: list[bytes]
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.requests = requests

    async def request(self) -> bytes:
        """Reads one request with its body; b"" if the client has hung up."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        self.requests.append(head + await self.reader.readexactly(content_length(head)))
        return self.requests[-1]

    async def send(self, *parts: bytes, pause: float = 0.02) -> None:
        """Sends each part in a segment of its own."""
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(pause)
            self.writer.write(part)
            await self.writer.drain()

    def reset(self) -> None:
        """Ends the connection with an RST instead of a FIN."""
        reset(self.writer.transport)

    async def hold(self) -> None:
        """Keeps the connection open until the client hangs up."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class Server:
    """Each of `scripts` serves one connection, the last one all further ones."""

    def __init__(self, *scripts: Script) -> None:
        self.scripts = scripts
        self.requests: list[bytes] = []
        """As they arrived, over all connections."""
        self.accepted = 0
        """How many connections were accepted."""
        self.connections = 0
        """How many of them have been served: their TLS handshake, if there is one, is done."""
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Peer(reader, writer, self.requests))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has hung up, as some tests want it to
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def serving(
    *scripts: Script, on: socket.socket | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Runs a `Server` on a free loopback port, or on the port that a socket is bound to."""
    server = Server(*scripts)
    tasks: set[asyncio.Task[None]] = set()
    writers: list[asyncio.StreamWriter] = []

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def accept() -> asyncio.StreamReaderProtocol:
        # asyncio.start_server would not tell of a connection whose handshake fails.
        server.accepted += 1
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), begin)

    async def end() -> None:
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:  # a task that was cancelled before its first step closes nothing
            writer.transport.abort()

    async with listening(accept, end, on, tls) as (host, port):
        server.url = f"{'https' if tls else 'http'}://{host}:{port}"
        yield server


def reply(body: bytes = b'{"data":{}}', status: str = "200 OK", *headers: str) -> bytes:
    """A well-formed response."""
    return http(body, status, *headers)


def once(*parts: bytes, hold: bool = False) -> Script:
    """Reads a request and sends `parts`; then hangs up, unless it is to `hold`."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(*parts)
        if hold:
            await peer.hold()

    return script


async def healthy(peer: Peer) -> None:
    """Responds well to every request."""
    while await peer.request():
        await peer.send(reply())


async def resets(peer: Peer) -> None:
    """Reads a request and resets the connection."""
    await peer.request()
    peer.reset()


class Faulty:
    """Serves each request by a script until it is `fixed`, and well from then on.

    A connection that the script would hold serves its next request.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.fixed = False

    async def __call__(self, peer: Peer) -> None:
        while received := await peer.request():
            if self.fixed:
                await peer.send(reply())
                continue
            replayed = _Replayed(peer, received)
            await self.script(replayed)
            if not replayed.held:
                return


class _Replayed(Peer):
    """A connection whose next request has been read already."""

    def __init__(self, peer: Peer, received: bytes) -> None:
        super().__init__(peer.reader, peer.writer, peer.requests)
        self.received = received
        self.held = False

    async def request(self) -> bytes:
        return self.received

    async def hold(self) -> None:
        self.held = True
