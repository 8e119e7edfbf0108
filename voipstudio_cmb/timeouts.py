"""Bounds of time around blocks of code, as many as there are calls, under one timer of the loop.

`asyncio.timeout` makes a timer each time, which costs more than all else that a call is wrapped in.
"""

from __future__ import annotations

import asyncio
from math import inf
from types import TracebackType

from .errors import ClientMisuse


class Timeout:
    """`with` it: a block that is still running when the time is up ends with a `TimeoutError`.

    As `asyncio.timeout` does it: the task is cancelled, and its cancellation taken back here.
    """

    __slots__ = ("_cancelling", "_task", "_timeouts", "expired", "when")

    def __init__(self, timeouts: Timeouts, when: float) -> None:
        self._timeouts = timeouts
        self.when: float = when
        self.expired: bool = False

    def __enter__(self) -> Timeout:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timeouts._enter(self)
        return self

    def expire(self) -> None:
        """Ends the block, unless that has been done already."""
        if not self.expired:
            self.expired = True
            self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timeouts._running.discard(self)
        if self.expired:
            others = self._task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not others:
                raise TimeoutError from error


class Timeouts:
    """The bounds of one client, on one event loop; closing it ends all that is within one."""

    def __init__(self) -> None:
        self.closed: bool = False
        self._running: set[Timeout] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def at(self, when: float) -> Timeout:
        """A bound that ends at the time *when* on the running loop's clock.

        Raises:
            ClientMisuse: when it is entered, if others are in use on another event loop.
        """
        return Timeout(self, when)

    def _enter(self, bound: Timeout) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._running:
                raise ClientMisuse(
                    "the client is in use on another event loop: make one client for each loop"
                )
            self._loop, self._timer, self._due = loop, None, inf
        self._running.add(bound)
        if bound.when < self._due:
            self._ring_at(bound.when)

    def _ring_at(self, when: float) -> None:
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = self._loop.call_at(when, self._ring), when

    def _ring(self) -> None:
        assert self._loop is not None
        # A loop may be a little early, by the resolution of its clock.
        now = max(self._loop.time(), self._due)
        self._timer, self._due = None, inf
        for bound in tuple(self._running):
            if bound.when <= now:
                bound.expire()
        # Where nothing is running the timer is not set again, or a loop would never be idle.
        following = min((each.when for each in self._running if not each.expired), default=inf)
        if following < inf:
            self._ring_at(following)

    def close(self) -> None:
        """Ends all that is running within one of them."""
        self.closed = True
        for bound in tuple(self._running):
            bound.expire()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._due = None, inf
