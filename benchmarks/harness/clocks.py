"""Event loops whose waits take no time, and a decorator that runs a test on one.

VirtualLoop   jumps to the next timer when nothing else is left to do; no sockets
SteppedLoop   the same, and stops when only the test can go on; no sockets
HurriedLoop   skips waits between both ends of real sockets; both must live in this loop
SteadyLoop    waits as any loop does, but a stall of the machine takes a millisecond on its clock

A test with both ends of its sockets on a `SteadyLoop` has exact time-outs, however short: none
fires because the machine was busy with something else. `tests/conftest.py` gives it to every async
test.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

_START = 1000.0
"""Virtual time does not begin at 0, or code that mistakes 0 for "never" would pass."""

_STOP_AFTER = 12 * 3600.0
"""A stepped loop takes a longer wait, such as a deadline of years, for no wait at all."""

_POLLS = 6
"""How often a hurried loop looks for a packet on its way before it skips a wait."""

_LONG_WAIT = 5.0
"""A wait that is most likely a time-out, which must not fire because a packet came late."""

_LONGEST_STEP = 0.001
"""What a steady loop counts of the time between two waits: a busy machine is no slow peer."""

_LONG_WAIT_POLL = 0.02
"""Real seconds that a hurried loop polls before it skips a long wait."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls the sockets, and adds up how long it would have waited."""

    elapsed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        events = super().select(0)
        if events:
            return events
        if timeout is None:
            raise AssertionError("the test waits for something that no timer will ever bring")
        self.elapsed += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time."""

    def __init__(self, selector: Any = None) -> None:
        self._virtual = selector or _JumpingSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return _START + self._virtual.elapsed

    def stall(self, seconds: float) -> None:
        """Is busy for so long: nothing else runs meanwhile."""
        self._virtual.elapsed += seconds


class _StoppingSelector(selectors.DefaultSelector):
    """Jumps over every wait, and stops its loop where there is nothing to wait for."""

    stop: Callable[[], None]
    elapsed = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout >= _STOP_AFTER:
            self.stop()
        else:
            self.elapsed += timeout
        return []


class SteppedLoop(VirtualLoop):
    """A loop on virtual time that runs until only the test can go on."""

    def __init__(self) -> None:
        selector = _StoppingSelector()
        selector.stop = self.stop
        super().__init__(selector)

    def pump(self) -> None:
        """Runs everything that can run now, waits by the clock included."""
        self.run_forever()


class _CountingSelector(selectors.DefaultSelector):
    """Counts waits in full, and whatever happens between two of them as a short step at most."""

    def __init__(self) -> None:
        super().__init__()
        self.counted = self._last = time.monotonic()

    def now(self) -> float:
        return self.counted + min(time.monotonic() - self._last, _LONGEST_STEP)

    def select(self, timeout: float | None = None) -> Any:
        self.counted = self.now()
        try:
            return self.wait(timeout)
        finally:
            self._last = time.monotonic()

    def wait(self, timeout: float | None) -> Any:
        """Waits for events and adds to `counted`; a packet that has arrived takes no time."""
        events = super().select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        began = time.monotonic()
        events = super().select(timeout)
        waited = time.monotonic() - began
        self.counted += waited if timeout is None else min(waited, timeout)
        return events


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop on whose clock a stall of the machine takes a millisecond."""

    def __init__(self, selector: _CountingSelector | None = None) -> None:
        self._counting = selector or _CountingSelector()
        super().__init__(self._counting)

    def time(self) -> float:
        return self._counting.now()

    def _make_socket_transport(self, sock: Any, *args: Any, server: Any = None, **more: Any) -> Any:
        # asyncio leaves to the collector what a server accepted just before it was closed.
        if server is not None and not server.sockets:
            sock.close()
            raise ConnectionAbortedError
        make: Any = super()._make_socket_transport  # type: ignore[misc]
        return make(sock, *args, server=server, **more)


class _HurriedSelector(_CountingSelector):
    """Polls a few times whether a packet is on its way before it skips a wait."""

    def wait(self, timeout: float | None) -> Any:
        poll = selectors.DefaultSelector.select
        if timeout is None:
            return poll(self, None)
        for _ in range(_POLLS):
            events = poll(self, 0)
            if events or timeout <= 0:
                return events
            time.sleep(0)
        if timeout >= _LONG_WAIT and (events := poll(self, _LONG_WAIT_POLL)):
            return events
        self.counted += timeout
        return []


class HurriedLoop(SteadyLoop):
    """An event loop whose idle time is skipped: what is slept for takes microseconds."""

    def __init__(self) -> None:
        super().__init__(_HurriedSelector())


def virtual(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Makes an async test a sync one that runs on virtual time and must leave no task behind."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def checked() -> None:
            await test(*args, **kwargs)
            for _ in range(3):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left over: {left}"

        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(checked())

    # pytest must see a plain function with the same fixtures, not the coroutine function.
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    del run.__wrapped__
    return run
