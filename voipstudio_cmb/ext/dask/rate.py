"""One allowance for all workers of a cluster, which its scheduler keeps: no second service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import attrs
from distributed import Client, SchedulerPlugin, get_worker

from voipstudio_cmb.ext.shared import OTHER_RATE, Allowance, Answer, Ask, SharedLimit
from voipstudio_cmb.limits import Limiter

_NAME = "voipstudio_cmb_rate"
"""Of the plugin, and of what it answers."""


@attrs.define
class Kept:
    """An allowance of `n` grants in a `period`."""

    n: int
    period: float
    allowance: Allowance
    asked: float = 0.0
    """When it was asked for last."""


class Keeper(SchedulerPlugin):
    """Keeps allowances in the scheduler's memory, each under its key.

    One that a new scheduler does not know begins with a whole period spent.
    """

    idempotent = True
    name = _NAME

    def __init__(self) -> None:
        self.allowances: dict[str, Kept] = {}
        """By their key."""

    async def start(self, scheduler: Any) -> None:
        """Has `scheduler` answer what workers ask."""
        scheduler.handlers[_NAME] = self.ask

    async def ask(self, key: str, n: int, period: float, question: Mapping[str, Any]) -> Any:
        """The answer to a worker's `question`, as plain data."""
        now = asyncio.get_running_loop().time()
        kept = self.allowances.get(key)
        if kept is not None and (kept.n, kept.period) != (n, period):
            if now - kept.asked < max(kept.period, period, OTHER_RATE):
                return {"n": kept.n, "period": kept.period}
            kept = None
        if kept is None:
            kept = self.allowances[key] = Kept(n, period, Allowance(n, period))
            kept.allowance.ask(now, Ask(process="", number=0, count=0, hold=period))
        kept.asked = now
        unused = tuple(question["unused"])
        return attrs.astuple(kept.allowance.ask(now, Ask(**{**question, "unused": unused})))


class SchedulerRateLimit(SharedLimit):
    """At most `n` requests in any `per` seconds by all workers, kept by Dask's scheduler.

    For `DaskExports`, which has the scheduler keep it. Exports with the same `key` share it. Where
    the scheduler is away, requests fail so that they can be tried again, or go by the `fallback`.
    A new scheduler lets one period pass. All must say the same rate, as with `RedisRateLimit`.

    Raises:
        ClientMisuse: `n`, `per`, `lease` or `fallback` can't be used.
    """

    kept_by = "Dask's scheduler"

    def __init__(
        self,
        n: float,
        per: float = 1.0,
        *,
        key: str = "default",
        fallback: Limiter | None = None,
        lease: int = 1,
    ) -> None:
        super().__init__(n, per, fallback=fallback, lease=lease)
        self.key = key

    def __repr__(self) -> str:
        return f"SchedulerRateLimit({self.n}, per={self.per}, key={self.key!r})"

    def __reduce__(self) -> Any:
        return _made, (self.n, self.per, self.key, self.fallback, self.lease)

    async def install(self, client: Client) -> None:
        """Has the scheduler of `client` keep it."""
        await client.register_plugin(Keeper())

    async def ask(self, question: Ask) -> Answer:
        """Asks the scheduler."""
        worker: Any = get_worker()
        try:
            answer = await getattr(worker.scheduler, _NAME)(
                key=self.key, n=self.whole, period=self.period, question=attrs.asdict(question)
            )
        except OSError as error:
            raise self._away(f"nothing was sent, as it keeps the rate limit ({error})") from None
        if isinstance(answer, Mapping) and "n" in answer:
            raise self._other_rate(answer["n"], answer["period"])
        if not isinstance(answer, list | tuple) or len(answer) != 2:  # of one that was just started
            raise self._away("it was just started, and keeps no rate limit yet")
        return Answer(tuple(answer[0]), answer[1])


def _made(
    n: float, per: float, key: str, fallback: Limiter | None, lease: int
) -> SchedulerRateLimit:
    return SchedulerRateLimit(n, per, key=key, fallback=fallback, lease=lease)
