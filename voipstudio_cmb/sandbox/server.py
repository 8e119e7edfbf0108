"""The server: runs the sandbox on a loopback port, in this event loop or in a thread."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import threading
from collections.abc import Coroutine
from typing import Final, Self

from aiohttp import web

from .api import Account, Operations, Sessions, collections_of
from .data import ZERO_DATES, Data, Drift
from .faults import Fault, Scripted
from .gate import BASES, Gate
from .journal import Received
from .rate import RateWindow
from .temper import Temper

_LONGEST_URL: Final = 2**20


class Sandbox:
    """A Call Me Back API of your own, for tests and for trying things out.

    ``async with Sandbox() as api`` serves it from the running event loop, ``with Sandbox() as api``
    from a thread; both give a `base_url` and a `token`. It keeps its data when it is left and
    entered again. It listens on loopback only.

    `rows`: the number of call records; the sizes of the other tables follow from it.
    `seed`: decides the content of the rows, and everything random.
    `token`, `user_id`: the credentials to accept.
    `latency`: the seconds before a response, or a range to draw them from.
    `rate`: ``(n, seconds)`` accepts n requests in any such time and refuses the others with 429.
    `limit_cap`: the most rows on a page, whatever a request asks for.
    `temper`: everything in which servers may differ.
    `drift`: rows that come and go between requests.
    `zero_dates`: the share of rows whose times are ``0000-00-00 00:00:00``; their ids decide.
    `port`: 0 takes a free one.
    """

    def __init__(
        self,
        *,
        rows: int = 25_000,
        seed: int = 1,
        token: str = "sandbox-token",
        user_id: int = 1001,
        latency: float | tuple[float, float] = 0.0,
        rate: tuple[int, float] | None = None,
        limit_cap: int = 5000,
        temper: Temper | None = None,
        drift: Drift | None = None,
        zero_dates: float = ZERO_DATES,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if rows < 0 or limit_cap < 1:
            raise ValueError("rows must not be negative, limit_cap must be at least 1")
        if not 0 <= zero_dates <= 1:
            raise ValueError(f"zero_dates must be a share from 0 to 1, not {zero_dates!r}")
        temper, drift = temper or Temper(), drift or Drift()
        self._host, self._port = _loopback(host), port
        self._account = Account(user_id, token, random.Random(f"{seed} tokens"))
        self._data = Data.generate(rows=rows, seed=seed, zero_dates=zero_dates)
        self._gate = Gate(
            account=self._account,
            data=self._data,
            temper=temper,
            latency=_range(latency),
            rate=RateWindow(*rate) if rate else None,
            random=random.Random(seed),
        )
        self._operations = Operations(
            data=self._data,
            temper=temper,
            collections=collections_of(self._data, temper, drift, limit_cap=limit_cap, seed=seed),
        )
        self._sessions = Sessions(account=self._account, temper=temper)
        self._runner: web.AppRunner | None = None
        self._thread: _LoopThread | None = None

    @property
    def base_url(self) -> str:
        """Where the sandbox is served, below ``/v1.2``; ``/v1.1`` serves the same."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the sandbox is not running: enter it with `with` or `async with`")
        host, port = self._runner.addresses[0][:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{BASES[0]}"

    @property
    def token(self) -> str:
        """The valid token. Set another one to lock out clients that use the old one."""
        return self._account.token

    @token.setter
    def token(self, token: str) -> None:
        self._account.token = token

    @property
    def user_id(self) -> int:
        """The user for HTTP Basic, ``user_id:token``."""
        return self._account.user_id

    @property
    def data(self) -> Data:
        """The rows, to read and to change."""
        return self._data

    @property
    def journal(self) -> list[Received]:
        """The received requests in order of arrival: all, or at least the latest 50,000."""
        return self._gate.journal

    @property
    def requests(self) -> int:
        """How many requests arrived, with and without a response."""
        return self._gate.requests

    def script(self, fault: Fault) -> Scripted:
        """Adds `fault` behind the earlier ones; the returned value counts its hits."""
        scripted = Scripted(fault)
        self._gate.scripted.append(scripted)
        return scripted

    def clear_faults(self) -> None:
        self._gate.scripted.clear()

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        app = web.Application()
        for base in BASES:
            routes = [*self._operations.routes(base), *self._sessions.routes(base)]
            app.add_routes(self._gate.guarded(routes))
        app.add_routes(self._gate.guarded([web.route("*", "/{rest:.*}", _no_such_path)]))
        runner = web.AppRunner(
            app,
            access_log=None,
            # The requests are cancelled before the cleanup, so there is nothing to wait for.
            shutdown_timeout=0.02,
            # aiohttp refuses a longer one in plain text, before the API sees it.
            max_line_size=_LONGEST_URL,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await self._gate.cancel_requests()
            await runner.cleanup()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        thread = _LoopThread()
        try:
            thread.run(self.__aenter__())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def __exit__(self, *_: object) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                thread.run(self.__aexit__())
            finally:
                thread.stop()


class _LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        # With a factory the runner does not make its loop the current one of this thread.
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(target=self._run, name="call-me-back-sandbox", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, object]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        with self._runner:  # cancels what is left, and closes the loop
            self._loop.run_forever()


async def _no_such_path(request: web.Request) -> web.Response:
    raise web.HTTPNotFound


def _loopback(host: str) -> str:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"host must be a loopback address, not {host!r}: the sandbox listens on loopback only"
        )
    return host


def _range(latency: float | tuple[float, float]) -> tuple[float, float]:
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0 <= low <= high:
        raise ValueError(
            f"latency must be seconds, or a range of them, at least 0, not {latency!r}"
        )
    return low, high
