"""A keeper of an allowance in this process, and limiters of several processes that share it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from voipstudio_cmb.errors import ConnectFailed
from voipstudio_cmb.ext.shared import Allowance, Answer, Ask, SharedLimit


class Keeper:
    """Answers with an `Allowance`, after a while on each way; may be away."""

    def __init__(self, n: int, per: float = 1.0) -> None:
        self.allowance = Allowance(n, 1.02 * per)
        self.asked: list[Ask] = []
        self.away = False
        self.there: Callable[[], float] = lambda: 0.0
        """Seconds that a question takes on its way."""
        self.back: Callable[[], float] = lambda: 0.0
        """Seconds that an answer takes."""

    async def ask(self, question: Ask) -> Answer:
        await asyncio.sleep(self.there())
        if self.away:
            raise ConnectFailed("nobody is there")
        self.asked.append(question)
        answer = self.allowance.ask(asyncio.get_running_loop().time(), question)
        await asyncio.sleep(self.back())
        return answer


class FakeLimit(SharedLimit):
    """The limiter of one process."""

    def __init__(self, keeper: Keeper, n: float, per: float = 1.0, **options: Any) -> None:
        super().__init__(n, per, **options)
        self.keeper = keeper

    def __repr__(self) -> str:
        return f"FakeLimit({self.n}, per={self.per})"

    async def ask(self, question: Ask) -> Answer:
        return await self.keeper.ask(question)
