"""A sliding window of page requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from voipstudio_cmb.models import Identified, Page

from .tasks import cancel_all, result_of

R = TypeVar("R", bound=Identified)


class PageWindow(Generic[R]):
    """Page requests in flight, oldest first; those up to page `asked` have been made."""

    def __init__(self, start: Callable[[int], asyncio.Task[Page[R]]]) -> None:
        self._start = start
        self._flying: deque[asyncio.Task[Page[R]]] = deque()
        self.asked = 0

    def reach(self, last: int, width: int) -> None:
        """Asks for further pages while fewer than `width` are in flight, none beyond `last`."""
        while len(self._flying) < width and self.asked < last:
            self.asked += 1
            self._flying.append(self._start(self.asked))

    async def next(self) -> Page[R]:
        """The next page, in order."""
        page = await result_of(self._flying[0])
        self._flying.popleft()
        return page

    async def restart(self) -> None:
        """Drops what is in flight, to be asked for again."""
        self.asked -= len(self._flying)
        await self.aclose()
        self._flying.clear()

    async def aclose(self) -> None:
        """Ends what is in flight."""
        await cancel_all(self._flying)
