"""Places for a few at a time, and the line of those who wait for one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict


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

    async def __aenter__(self) -> None:
        # One that is given up goes straight to the next in line, so a free one has no line.
        if self._free:
            self._free -= 1
            return
        place = asyncio.get_running_loop().create_future()
        self._line[place] = None
        try:
            await place
        except asyncio.CancelledError:
            self._line.pop(place, None)
            if not place.cancelled():  # it was given a slot in the same moment
                self._give_up()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._give_up()

    def _give_up(self) -> None:
        while self._line:
            place, _ = self._line.popitem(last=False)
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
