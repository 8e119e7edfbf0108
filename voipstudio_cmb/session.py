"""One attempt over aiohttp: exactly one request on the wire, its body read whole under a cap.

It neither retries nor follows nor decides: a status is an answer, and what is no answer becomes an
error that holds nothing of aiohttp's. The only module of the client that imports aiohttp.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections import deque
from collections.abc import Awaitable
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp import ClientSession as ClientSession
from aiohttp.connector import Connection
from aiohttp.http_exceptions import ContentEncodingError, HttpProcessingError

from .bounds import Bounds
from .config import ClientConfig
from .errors import (
    BadPayload,
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    ConnectionLost,
    ProtocolFault,
    RequestTimeout,
    TLSFailed,
    TooLarge,
)
from .http import Request, Response


class _Dropped(Exception):
    """Carries `ServerDisconnectedError` or `ClientOSError` past aiohttp's own resend."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        super().__init__()
        self.error = error


async def send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """An aiohttp client middleware that keeps one request one request.

    aiohttp resends GET, PUT, DELETE and others once, unasked, after a lost connection (its issue
    10790). It does so on two exception types; under another name they pass. The client's own
    session has it; put it last in the `middlewares=` of a session that you pass in.
    """
    try:
        return await handler(request)
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        dropped = _Dropped(error)
    raise dropped


class _Unclean(Exception):
    """A pooled connection was found to hold an answer that nobody has asked for."""


class CleanRequest(aiohttp.ClientRequest):
    """An aiohttp request that goes out on a connection only if nothing is waiting to be read there.

    aiohttp takes whatever a server has sent on an idle connection for the answer to the next
    request on it. The client's own session has it; pass it as the `request_class=` of a session
    that you pass in.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Sends the request, or raises before anything is sent."""
        if conn.protocol is None or conn.protocol.should_close:
            raise _Unclean
        return await super().send(conn)


# What aiohttp's calls raise, as measured: the last four families do escape from them.
_FAULTS = (
    _Dropped,
    _Unclean,
    aiohttp.ClientError,
    HttpProcessingError,
    OSError,
    ValueError,
    LookupError,
    RuntimeError,
)


def translate(error: BaseException) -> CallMeBackError:
    """The error of this package that says what *error*, raised by aiohttp, means.

    Order matters: aiohttp's certificate errors are connector errors, and those are OS errors.
    """
    if isinstance(error, _Dropped):
        error = error.error
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(
        error,
        aiohttp.ClientConnectorCertificateError
        | aiohttp.ClientConnectorSSLError
        | aiohttp.ServerFingerprintMismatch,
    ):
        return TLSFailed(f"the server's certificate or TLS handshake was refused ({what})")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return RequestTimeout("no connection within the connect timeout", phase="connect")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectFailed(f"no connection could be made ({what})")
    if isinstance(error, TimeoutError):
        return RequestTimeout("the server stopped sending", phase="read", sent="maybe")
    if isinstance(error, _Unclean):
        return ProtocolFault("the server sends answers before it is asked")
    if isinstance(error, aiohttp.InvalidURL):
        return ClientMisuse(f"this is no URL to send a request to ({what})")
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        # Its text quotes what the peer sent, and its status is aiohttp's, not the server's.
        fault = ProtocolFault("the server's answer is not valid HTTP", sent="maybe")
        if isinstance(getattr(error.__cause__, "__cause__", None), ContentEncodingError):
            # A codec that is not installed, found missing before any of the body was read.
            fault.message = "the answer is encoded in a way that was not asked for"
            fault.args = (fault.message,)
            fault.retryable = False
        return fault
    if isinstance(error, aiohttp.ClientPayloadError):
        if "ContentEncodingError" in repr(error.__cause__) + str(error):
            damage = BadPayload("the answer's compressed body is damaged", sent="yes")
            damage.retryable = True
            return damage
        return ConnectionLost("the connection broke within the answer", sent="maybe")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return ConnectionLost("the server closed the connection without an answer", sent="maybe")
    if isinstance(error, ValueError | LookupError):
        return ProtocolFault(f"the answer could not be read ({what})", sent="maybe")
    return ConnectionLost(f"the connection broke ({what})", sent="maybe")


@lru_cache(16)
def _to_connect(seconds: float) -> aiohttp.ClientTimeout:
    # What bounds the attempt is ours: aiohttp's own timeouts do not cover a broken body.
    return aiohttp.ClientTimeout(total=None, connect=seconds)


def _check_encoding(encoding: str) -> None:
    """aiohttp hands on raw what it can't decode, and a brotli stream would be "not JSON"."""
    if encoding.lower() not in ("", "identity", "gzip", "deflate"):
        raise BadPayload(
            f"the answer is encoded as {encoding[:50]!r}, which was not asked for", sent="yes"
        )


def _abandon(session: ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """Closes a session that nobody has closed, without the warnings that aiohttp would add."""
    connector = session.connector
    session.detach()
    if connector is not None and (loop.is_closed() or loop.is_running()):
        waiter = connector.close()
        if loop.is_closed():
            deque(waiter.__await__(), maxlen=0)
        else:
            loop.create_task(_awaited(waiter))


async def _awaited(waiter: Awaitable[None]) -> None:
    await waiter


class Session:
    """The wire: a handler that performs one attempt of a request.

    The aiohttp session is made on first use and bound to the event loop that runs then. A *session*
    that is passed in stays the caller's: it is never closed and never altered.
    """

    def __init__(
        self,
        base_url: str,
        config: ClientConfig,
        session: ClientSession | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        self._base_url = base_url
        self._bounds = bounds or Bounds()
        self._config = config
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": config.user_agent,
        }
        self._given = session
        self._own: ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0
        self._slots = asyncio.Semaphore(config.connections)
        self._closed = False

    def __repr__(self) -> str:
        return f"Session({self._base_url!r})"

    async def __call__(self, request: Request) -> Response:
        """Sends *request* once and reads the whole answer.

        Raises:
            ClientMisuse: closed, or used on a second event loop or in a forked process.
            TransportError: no usable answer.
            TooLarge: a body above `ClientConfig.max_body`, decoded.
        """
        session = self._bound()
        request.call.queued = True
        async with self._slots:
            request.call.queued = False
            now = asyncio.get_running_loop().time()
            left = request.call.deadline - now
            seconds = min(request.call.timeout or self._config.timeout, max(left, 0.001))
            bound = self._bounds.at(now + seconds)
            try:
                with bound:
                    # As often as there may be such connections; each is closed when it is found.
                    for _ in range(self._config.connections):
                        try:
                            return await self._attempt(session, request, seconds)
                        except _Unclean:
                            pass
                    return await self._attempt(session, request, seconds)
            except asyncio.CancelledError as error:
                failure: BaseException = error.with_traceback(None)
                failure.__context__ = None
                if request.call.sent == "no":
                    request.call.sent = "maybe"
            except CallMeBackError as error:
                failure = error.with_traceback(None)
            except _FAULTS as error:
                failure = self._failure(error, seconds if bound.expired else None)
        # Raised out here, so that nothing carries aiohttp's frames: their locals hold the headers.
        try:
            raise failure
        finally:
            del failure  # or frame and error would keep each other alive

    def _failure(self, error: BaseException, expired: float | None) -> CallMeBackError:
        if self._closed:
            return ClientMisuse("the client was closed while this request was running")
        if expired is not None:
            return RequestTimeout(
                f"no whole answer within {expired:.3g} s", phase="attempt", sent="maybe"
            )
        if isinstance(error, RuntimeError):
            return ClientMisuse(f"the aiohttp session can't be used here ({error})")
        return translate(error)

    async def _attempt(self, session: ClientSession, request: Request, seconds: float) -> Response:
        headers = {**self._headers, **request.headers}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        async with session.request(
            request.method,
            self._base_url + request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            allow_redirects=False,
            raise_for_status=False,
            timeout=_to_connect(min(self._config.connect_timeout, seconds * 0.95)),
        ) as response:
            _check_encoding(response.headers.get("Content-Encoding", ""))
            body = await self._read(response)
            return Response(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=body,
            )

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        cap = self._config.max_body
        chunks: list[bytes] = []
        size = 0
        content = response.content
        while not content.at_eof():
            chunk = await content.readany()
            size += len(chunk)
            if size > cap:
                response.close()
                raise TooLarge(
                    f"the answer is larger than {cap} bytes: ask for fewer rows a page (limit=…) "
                    "or raise ClientConfig.max_body",
                    sent="yes",
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _bound(self) -> ClientSession:
        """The aiohttp session, which belongs to one event loop in one process."""
        if self._closed:
            raise ClientMisuse("the client is closed: make a new one (or keep the async with open)")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._pid = loop, os.getpid()
        if self._pid != os.getpid():
            raise ClientMisuse("the client was made before a fork: make one in the new process")
        if self._loop is not loop:
            raise ClientMisuse(
                f"the client belongs to event loop {id(self._loop):#x} and is used on "
                f"{id(loop):#x}: make one client for each loop"
            )
        if self._given is not None:
            if self._given.closed:
                raise ClientMisuse("the aiohttp session that was passed in is closed")
            return self._given
        if self._own is None:
            self._own = ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._config.connections,
                    keepalive_timeout=4.0,  # below the 5 s after which many servers hang up
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                middlewares=(send_once,),
                request_class=CleanRequest,
            )
        return self._own

    async def aclose(self) -> None:
        """Closes what was opened here; a second time does nothing."""
        self._closed = True
        own, self._own = self._own, None
        if own is not None:
            await own.close()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        own = getattr(self, "_own", None)
        if own is None or own.closed:
            return
        _warn(
            "a CallMeBackClient was not closed: use `async with`, or await its aclose()",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )
        if self._loop is not None:
            _abandon(own, self._loop)
