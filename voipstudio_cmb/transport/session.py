"""One attempt over aiohttp: exactly one request on the wire, its body read whole under a cap.

It neither retries nor follows redirects nor judges a status. Where no response comes back, it
raises an error that holds nothing of aiohttp's.
"""

from __future__ import annotations

import asyncio
import warnings
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import ClientSession as ClientSession
from aiohttp import hdrs

from voipstudio_cmb.boundary.tracebacks import forget_locals
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import (
    BadPayload,
    CallMeBackError,
    ClientMisuse,
    ConnectFailed,
    RequestTimeout,
)
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.timeouts import Slots, Timeouts

from .body import read_body
from .coding import unzipped
from .faults import _FAULTS, drop_frames, short_of_memory, translate
from .guards import CleanRequest, OnceResponse, _Unclean


def _to_connect(seconds: float) -> aiohttp.ClientTimeout:
    # What bounds the attempt is ours: aiohttp's own timeouts do not cover a broken body.
    return aiohttp.ClientTimeout(total=None, connect=seconds)


def _abandon(session: ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """Closes a session that nobody has closed, without the warnings that aiohttp would add."""
    connector = session.connector
    session.detach()
    if connector is not None and (loop.is_closed() or loop.is_running()):
        waiter = connector.close()
        if loop.is_closed():
            deque(waiter.__await__(), maxlen=0)
        else:
            asyncio.ensure_future(waiter, loop=loop)  # noqa: RUF006 - nobody needs its end


class Session:
    """The wire: a handler that performs one attempt of a request.

    The aiohttp session is made on first use and bound to the event loop that runs then. A `session`
    that is passed in stays the caller's: it is never closed and never altered. Before a request is
    sent that had to wait for a connection, `again` is awaited with it.
    """

    def __init__(
        self,
        base_url: str,
        config: ClientConfig,
        session: ClientSession | None = None,
        timeouts: Timeouts | None = None,
        again: Callable[[Request], Awaitable[None]] | None = None,
    ) -> None:
        self._base_url = base_url
        self._timeouts = timeouts or Timeouts()
        self._config = config
        self._fixed = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "User-Agent": config.user_agent,
        }
        # The session's own are cheaper; a caller's session is not altered.
        self._headers = {} if session is None else self._fixed
        self._reading = self._headers
        if "Cache-Control" not in getattr(session, "headers", ()):  # theirs takes precedence
            # A cache in between, which knows rows by their URL, would mix old pages with new ones.
            self._reading = {**self._headers, "Cache-Control": "no-cache"}
        self._given = session
        self._own: ClientSession | None = None
        self._connect = config.connect_timeout / 0.95
        self._connecting = _to_connect(config.connect_timeout)
        self._slots = Slots(config.connections)
        self._again = again

    def __repr__(self) -> str:
        return f"Session({self._base_url!r})"

    async def __call__(self, request: Request) -> Response:
        """Sends `request` once and reads the whole response.

        Raises:
            ClientMisuse: closed, or used on a second event loop or in a forked process.
            TransportError: no usable response.
            TooLarge: a body above `ClientConfig.max_body`, decoded.
        """
        loop = self._timeouts.guard.pin()
        session = self._own or self._opened()
        call, slots = request.call, self._slots
        if waits := not slots.take():
            call.queued = True
            place = slots.queue()
            try:
                await place
            except asyncio.CancelledError:
                slots.leave(place)
                raise
            call.queued = False
        try:
            if waits and self._again is not None:
                await self._again(request)
            now = loop.time()
            seconds = call.timeout or self._config.timeout
            if call.deadline - now < seconds:
                seconds = max(call.deadline - now, 0.001)
            timeout = self._timeouts.begin(now + seconds, loop)
            try:
                # As often as there may be such connections; each is closed when it is found.
                left = self._config.connections
                while True:
                    try:
                        return await self._attempt(session, request, seconds)
                    except _Unclean:
                        left -= 1
                        if left < 0:
                            raise
            except asyncio.CancelledError as error:
                if timeout.is_cause():
                    failure: BaseException = self._failure(error, seconds)
                    drop_frames(error)
                else:
                    failure = error.with_traceback(None)
                    failure.__context__ = None
                    request.book("maybe")
            except CallMeBackError as error:
                failure = error.with_traceback(None)
            except _FAULTS as error:
                failure = self._failure(error, seconds if timeout.expired else None)
                drop_frames(error)
            except BaseException as error:  # out of memory, Ctrl-C, a bug: with its lines
                forget_locals(error)
                raise
            finally:
                self._timeouts.end(timeout)
        finally:
            slots.give_up()
        # Raised out here, so that nothing carries aiohttp's frames: their locals hold the headers.
        try:
            raise failure
        finally:
            del failure  # or frame and error would keep each other alive

    def _failure(
        self, error: BaseException, expired: float | None
    ) -> CallMeBackError | MemoryError:
        if short_of_memory(error):
            return MemoryError()
        if self._timeouts.guard.closed:
            text = "the client was closed while this request was running"
            return ClientMisuse(text, sent=translate(error).sent)
        if expired is not None:
            return RequestTimeout(
                f"no whole response within {expired:.3g} s", phase="attempt", sent="maybe"
            )
        if "new thread" in str(error):  # to look up a host
            return ConnectFailed(f"no connection could be made ({error}: memory is short)")
        if isinstance(error, RuntimeError):
            return ClientMisuse(f"the aiohttp session can't be used here ({error})")
        return translate(error)

    async def _attempt(self, session: ClientSession, request: Request, seconds: float) -> Response:
        content = {} if request.body is None else {"Content-Type": "application/json"}
        standard = self._reading if request.method == "GET" else self._headers
        response = await session.request(
            request.method,
            self._base_url + request.path,
            params=request.query,
            data=request.body,
            # Made here and kept by no frame of ours.
            headers={**standard, **request.headers, **content, **request.call.credentials()},
            allow_redirects=False,
            raise_for_status=False,
            timeout=self._connecting if self._connect < seconds else _to_connect(seconds * 0.95),
        )
        try:
            headers = response.headers
            encoding = headers.get(hdrs.CONTENT_ENCODING, "")
            # aiohttp hands on raw what it can't decode, and a brotli stream would be "not JSON".
            if encoding and encoding.lower() not in ("identity", "gzip", "x-gzip", "deflate"):
                raise BadPayload(
                    "the response is encoded as "
                    f"{request.call.quote(encoding)[:50]!r}, "
                    "which was not requested",
                    sent="yes",
                )
            body = await read_body(response, self._config.max_body)
            if encoding and encoding.lower() == "x-gzip" and body:
                body = unzipped(body, self._config.max_body)
            return Response(status=response.status, headers=headers, body=body)
        finally:
            if not response.closed:  # by its end
                response.close()

    def _opened(self) -> ClientSession:
        """The aiohttp session, made on the first use."""
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
                headers=self._fixed,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                request_class=CleanRequest,
                response_class=OnceResponse,
            )
        return self._own

    async def aclose(self) -> None:
        """Closes what was opened here; a second time does nothing.

        Raises:
            ClientMisuse: it is in use on another event loop, or in the process that was forked.
        """
        self._timeouts.close()
        own, self._own = self._own, None
        if own is None:
            return
        loop = self._timeouts.guard.loop
        if loop is not None and loop.is_closed():
            _abandon(own, loop)
        else:
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
        loop = self._timeouts.guard.loop
        if loop is not None:
            _abandon(own, loop)
