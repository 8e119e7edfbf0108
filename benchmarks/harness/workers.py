"""Many jobs, a few at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


async def run_jobs(job: Callable[[int], Awaitable[Any]], count: int, at_once: int) -> None:
    """Awaits `job(number)` for so many numbers, `at_once` of them at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await job(number)

    await asyncio.gather(*(worker() for _ in range(at_once)))
