"""The server: starts the stand-in on a loopback port, in this event loop or in a thread."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import threading
from types import TracebackType
from typing import Final, Self

from aiohttp import web

from .api import Account, Operations, listings
from .data import Data, Drift
from .faults import Fault, Scripted, Switchboard
from .gate import BASES, Gate, Handler
from .journal import Received
from .rate import RateWindow
from .temper import Temper

_LONGEST_URL: Final = 2**20


class Sandbox:
    """A Call Me Back API of your own, for tests and for trying things out.

    ``async with Sandbox() as api`` serves it from the running event loop, ``with Sandbox() as api``
    from a thread; both give a `base_url` and a `token`. It keeps its data when it is left and
    entered again.

    *rows* is the number of call records, everything else follows from it; *seed* decides what is
    in them, how long answers take, and whatever else is drawn. *latency* is the wait in seconds
    before an answer, or the range to draw it from. *rate* ``(n, seconds)`` lets n requests through
    in any such time and answers 429 beyond. Limits above *limit_cap* are lowered to it; *temper* is
    everything servers are known to differ in, and *drift* makes rows come and go meanwhile. It
    listens on loopback only; *port* 0 takes a free one.
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
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        if rows < 0 or limit_cap < 1:
            raise ValueError("rows must not be negative, limit_cap must be at least 1")
        self._host = _loopback(host)
        self._port = port
        self._account = Account(user_id, token)
        self._switchboard = Switchboard()
        self._data = Data.generate(rows=rows, seed=seed)
        self._gate = Gate(
            account=self._account,
            data=self._data,
            switchboard=self._switchboard,
            latency=_range(latency),
            window=RateWindow(*rate) if rate else None,
            draw=random.Random(seed),
        )
        temper = temper or Temper()
        self._operations = Operations(
            data=self._data,
            account=self._account,
            temper=temper,
            listings=listings(self._data, temper, drift or Drift(), limit_cap=limit_cap, seed=seed),
        )
        self._runner: web.AppRunner | None = None
        self._thread: _Thread | None = None

    @property
    def base_url(self) -> str:
        """Where it is served now, below ``/v1.2``; the same is served below ``/v1.1``."""
        if self._runner is None or not self._runner.addresses:
            raise RuntimeError("the sandbox is not running: enter it with `with` or `async with`")
        host, port = self._runner.addresses[0][:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}{BASES[0]}"

    @property
    def token(self) -> str:
        """The token it lets in. Set another one to lock out whoever holds the old one."""
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
        """The rows, to look at and to change."""
        return self._data

    @property
    def journal(self) -> list[Received]:
        """What was received, in order of arrival; the latest 50,000 are always there."""
        return self._gate.journal

    @property
    def requests(self) -> int:
        """How many requests arrived, whatever became of them."""
        return self._gate.requests

    def script(self, fault: Fault) -> Scripted:
        """Puts *fault* on the switchboard, behind those there; what it returns counts its hits."""
        return self._switchboard.script(fault)

    def clear_faults(self) -> None:
        """Takes all faults off the switchboard."""
        self._switchboard.clear()

    async def __aenter__(self) -> Self:
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already")
        runner = web.AppRunner(
            self._app(),
            access_log=None,
            # Handlers in flight are cancelled before the clean-up: nothing is worth waiting for.
            shutdown_timeout=0.02,
            # A longer one would be refused in plain text, by aiohttp and not by the API.
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await self._gate.clear()
            await runner.cleanup()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        thread = _Thread(self)
        thread.begin()
        self._thread = thread
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.end()

    def _app(self) -> web.Application:
        @web.middleware
        async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._gate.pass_through(request, handler)

        app = web.Application(middlewares=[gate])
        for base in BASES:
            app.add_routes(self._operations.routes(base))
        return app


class _Thread:
    """Runs one sandbox in an event loop of its own, from `begin` to `end`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._thread = threading.Thread(target=self._run, name="call-me-back-sandbox", daemon=True)
        self._settled = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: asyncio.Event | None = None

    def begin(self) -> None:
        self._thread.start()
        self._settled.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def end(self) -> None:
        if self._loop is not None and self._leave is not None:
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        self._loop, self._leave = asyncio.get_running_loop(), asyncio.Event()
        async with self._sandbox:
            self._settled.set()
            await self._leave.wait()


def _loopback(host: str) -> str:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the sandbox listens on loopback only, not on {host!r}")
    return host


def _range(latency: float | tuple[float, float]) -> tuple[float, float]:
    low, high = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0 <= low <= high:
        raise ValueError("latency must be seconds, or a range of them, not below zero")
    return low, high
