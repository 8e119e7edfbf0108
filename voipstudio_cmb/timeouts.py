"""What bounds blocks of code, for as many calls as there are: the loop, the time, how many at once.

`asyncio.timeout` makes a timer each time, which costs more than all else that a call is wrapped in;
here there is one timer for all.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from .boundary.value import State
from .errors import ClientMisuse

_FEW = 64
"""So many blocks that have ended are no matter."""


class LoopGuard:
    """Holds something to one event loop in one process, and out of use once it is closed."""

    __slots__ = ("_pid", "_pinned", "_what", "closed", "loop")

    def __init__(self, what: str) -> None:
        self._what = what
        self._pid = 0
        self._pinned = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.closed: bool = False

    def enter(self, *, busy: bool = False) -> asyncio.AbstractEventLoop:
        """The running loop, to which it belongs from now on, unless it is `busy` on another.

        Raises:
            ClientMisuse: it is closed, or busy or pinned elsewhere.
        """
        if self.closed:
            raise ClientMisuse(
                f"the {self._what} is closed: make a new one (or keep the async with open)"
            )
        loop = asyncio.get_running_loop()
        if loop is not self.loop:
            if self.loop is not None and (busy or self._pinned):
                self._check_elsewhere(self.loop)
            self.loop, self._pid = loop, os.getpid()
        return loop

    def pin(self) -> asyncio.AbstractEventLoop:
        """As `enter`, and it stays with this loop and process even while it is not busy."""
        loop = asyncio.get_running_loop()
        if loop is not self.loop or not self._pinned or self.closed or self._pid != os.getpid():
            self.enter()
            self._check_fork()
            self._pinned = True
        return loop

    def check_owner(self, *, busy: bool = False) -> None:
        """Raises `ClientMisuse` if it is in use elsewhere: it is not this caller's to close.

        What belonged to a loop that is closed is nobody's any more.
        """
        loop = self.loop
        if self.closed or loop is None or not (busy or self._pinned):
            return
        self._check_fork()
        if loop is not asyncio.get_running_loop() and not loop.is_closed():
            self._check_elsewhere(loop)

    def _check_elsewhere(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises `ClientMisuse`, as it belongs to `loop`, which is not the running one."""
        what = self._what
        self._check_fork()
        if loop.is_closed():
            if not self._pinned:
                return  # whoever was busy with it can't be any more
            raise ClientMisuse(
                f"the {what} belongs to an event loop that has been closed: make one {what} for "
                "each asyncio.run()"
            )
        raise ClientMisuse(
            f"the {what} is in use on another event loop: make one {what} for each loop"
        )

    def _check_fork(self) -> None:
        # Not in `enter`, where a system call would cost more than all else.
        if self._pid != os.getpid():
            raise ClientMisuse(
                f"the {self._what} was made before a fork: make one in the new process"
            )


class Timeout(State, eq=True, order=True):
    """A time bound that has begun: the task is cancelled when it runs out, as by `asyncio.timeout`.

    No context manager, whose two methods take Python longer than all of this.
    """

    # Compared by these two, in the heap of `Timeouts`.
    when: float
    number: int
    """Which no other has."""
    task: asyncio.Task[object] | None
    """None once it has ended."""
    cancelling: int
    expired: bool = False

    def is_cause(self) -> bool:
        """Whether the cancellation that arrives was its own alone; to be asked before it ends."""
        return (
            self.expired and self.task is not None and self.task.cancelling() - 1 <= self.cancelling
        )

    def expire(self) -> None:
        """Cancels the task, unless that has been done already."""
        if not self.expired and self.task is not None:
            self.expired = True
            self.task.cancel()


class Timeouts:
    """The time bounds of one client, on one event loop; closing ends every block within one."""

    def __init__(self) -> None:
        self.guard: LoopGuard = LoopGuard("client")
        self._line: list[Timeout] = []
        """A heap, in which those that have ended stay until they are due, or are most of it."""
        self._left = 0
        """How many of them have."""
        self._order = count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def begin(self, when: float, loop: asyncio.AbstractEventLoop) -> Timeout:
        """Bounds what the running task does up to `end`, by the time `when` on the running `loop`.

        When it runs out, or the client is closed, a `CancelledError` arrives of which it
        `is_cause`.

        Raises:
            ClientMisuse: the client is closed, or busy on another loop.
        """
        guard = self.guard
        if guard.closed or loop is not self._loop or loop is not guard.loop:
            self._move()
        task = asyncio.current_task(loop)
        assert task is not None
        timeout = Timeout(when, next(self._order), task, task.cancelling())
        heappush(self._line, timeout)
        if when < self._due:
            self._ring_at(when)
        return timeout

    def end(self, timeout: Timeout) -> None:
        """Ends a bound, and takes its cancellation back if there was one."""
        if timeout.expired and timeout.task is not None:
            timeout.task.uncancel()
        # Or the task, an error that it ends with and the frame that holds this would keep each
        # other alive.
        timeout.task = None
        self._left += 1
        if self._left > _FEW and 2 * self._left > len(self._line):
            self._line = [each for each in self._line if each.task is not None]
            heapify(self._line)
            self._left = 0

    def _move(self) -> None:
        """Makes the running loop the one that it works on, if it may be."""
        loop = self.guard.enter(busy=self._busy)
        if loop is not self._loop:
            self._loop, self._timer, self._due = loop, None, inf
            self._line, self._left = [], 0

    @property
    def _busy(self) -> bool:
        return any(each.task is not None for each in self._line)

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
        line = self._line
        while line and (line[0].task is None or line[0].when <= now):
            timeout = heappop(line)
            if timeout.task is None:
                self._left -= 1
            else:
                timeout.expire()
                timeout.when = inf  # it runs on until its task has seen that
                heappush(line, timeout)
        # Where nothing is running the timer is not set again, or a loop would never be idle.
        if line and line[0].when < inf:
            self._ring_at(line[0].when)

    def check_owner(self) -> None:
        """Raises `ClientMisuse` where it is not the running loop's to close."""
        self.guard.check_owner(busy=self._busy)

    def close(self) -> None:
        """Ends every block that is running within one of them, and lets none begin.

        Raises:
            ClientMisuse: it is in use on another event loop, or in the process that was forked.
        """
        self.check_owner()
        self.guard.closed = True
        if self._loop is None or self._loop.is_closed():
            return  # nothing runs there any more
        for timeout in self._line:
            timeout.expire()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._due = None, inf


class Slots:
    """At most `count` blocks (`async with slots:`) at a time, first come first served.

    asyncio's semaphore and lock look through their line for whoever leaves it: ten thousand who are
    cancelled would take ten thousand times as long as one. Here leaving costs the same everywhere.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def taken(self) -> bool:
        """Whether whoever comes now has to wait."""
        return not self._free

    def take(self) -> bool:
        """Takes a slot, to be given up, if one is free; returns whether one was."""
        # One that is given up goes straight to the next in line, so a free one has no line.
        if self._free:
            self._free -= 1
            return True
        return False

    def queue(self) -> asyncio.Future[None]:
        """A place in the line, to be awaited for a slot; to be left if that is cancelled."""
        place = asyncio.get_running_loop().create_future()
        self._line[place] = None
        return place

    def leave(self, place: asyncio.Future[None]) -> None:
        """Leaves the line, where awaiting `place` was cancelled."""
        self._line.pop(place, None)
        if not place.cancelled():  # it was given a slot in the same moment
            self.give_up()

    async def __aenter__(self) -> None:
        if self.take():
            return
        place = self.queue()
        try:
            await place
        except asyncio.CancelledError:
            self.leave(place)
            raise

    async def __aexit__(self, *_: object) -> None:
        self.give_up()

    def give_up(self) -> None:
        """Gives up a slot, to the next in line if there is one."""
        while self._line:
            place, _ = self._line.popitem(last=False)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
