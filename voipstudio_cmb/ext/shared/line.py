"""Who waits in this process, first come first served."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import attrs

from voipstudio_cmb.errors import CallMeBackError


@attrs.frozen
class Grant:
    """What lets one request leave."""

    name: str
    due: float
    """The earliest time on the loop's clock for which it may have been made."""


_Place: TypeAlias = "asyncio.Future[Grant | None]"


class Line:
    """Callers who wait for a grant each.

    `give_back` is called with a grant that came to a caller in the moment of its cancellation,
    `left` when the last caller has gone without one.
    """

    def __init__(self, give_back: Callable[[Grant], None], left: Callable[[], None]) -> None:
        self._places: OrderedDict[_Place, None] = OrderedDict()
        self._give_back = give_back
        self._left = left

    def __len__(self) -> int:
        return len(self._places)

    def join(self, *, first: bool) -> _Place:
        """A place at the end of the line, or as its `first`."""
        place: _Place = asyncio.get_running_loop().create_future()
        self._places[place] = None
        if first:
            self._places.move_to_end(place, last=False)
        return place

    async def turn(self, place: _Place) -> Grant | None:
        """What is given to `place`, as soon as it is: None if there is nothing to wait for."""
        try:
            return await place
        except asyncio.CancelledError:
            self._places.pop(place, None)
            if place.cancelled():
                if not self._places:
                    self._left()
            elif place.exception() is None and (grant := place.result()) is not None:
                self._give_back(grant)
            raise

    def give(self, grant: Grant | None) -> bool:
        """Gives `grant` to the first in the line; whether there was one."""
        while self._places:
            place, _ = self._places.popitem(last=False)
            if not place.done():
                place.set_result(grant)
                return True
        return False

    def fail(self, error: Exception) -> None:
        """Lets everybody fail with `error`."""
        while self._places:
            place, _ = self._places.popitem(last=False)
            if not place.done():
                # Each with one of its own, or they would share a traceback.
                own = error.with_context() if isinstance(error, CallMeBackError) else error
                place.set_exception(own)
