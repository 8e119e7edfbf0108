"""Event loops whose waits take no time, and a decorator that runs a test on one.

VirtualLoop   jumps to the next timer when nothing else is left to do; no sockets
SteppedLoop   the same, and stops when only the test can go on; no sockets
HurriedLoop   skips waits between both ends of real sockets; both must live in this loop
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


class _HurriedSelector(selectors.DefaultSelector):
    """Polls a few times whether a packet is on its way before it skips a wait."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        for _ in range(_POLLS):
            events = super().select(0)
            if events or timeout <= 0:
                return events
            time.sleep(0)
        if timeout >= _LONG_WAIT and (events := super().select(_LONG_WAIT_POLL)):
            return events
        self.skipped += timeout
        return []


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose idle time is skipped: what is slept for takes microseconds."""

    def __init__(self) -> None:
        self._hurried = _HurriedSelector()
        super().__init__(self._hurried)

    def time(self) -> float:
        return time.monotonic() + self._hurried.skipped


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
