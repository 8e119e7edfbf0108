"""The operations of one schedule, and the checks of what they return."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import attrs

from benchmarks.campaigns.faults.server import COLLECTIONS, ScheduleServer
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import BadPayload, CallMeBackError


@attrs.define
class Result:
    """What one schedule did."""

    seed: int
    outcomes: Counter[str] = attrs.field(factory=Counter)
    kinds: Counter[str] = attrs.field(factory=Counter)
    wrong: list[str] = attrs.field(factory=list)
    """What contradicts the claim."""
    rows: int = 0
    requests: int = 0
    log: list[str] = attrs.field(factory=list)

    def add(self, other: Result) -> None:
        """Adds up what several schedules did."""
        self.outcomes.update(other.outcomes)
        self.kinds.update(other.kinds)
        self.rows += other.rows
        self.requests += other.requests

    def check(self, holds: bool, otherwise: str) -> None:
        """Notes what is wrong `otherwise`, unless it `holds`."""
        if not holds:
            self.wrong.append(otherwise)


Operation = Callable[[], Awaitable[None]]


class Operations:
    """Draws a client's operations, runs them and checks what they return."""

    def __init__(
        self, seed: int, server: ScheduleServer, client: CallMeBackClient, most: int
    ) -> None:
        self.unsent: list[tuple[str, str]] = []
        self.server = server
        self.client = client
        self.rng = random.Random(f"operations {seed}")
        self.most_concurrent = most
        self.result = Result(seed)

    def operations(self) -> list[Operation]:
        client, rng = self.client, self.rng
        chosen: list[Operation] = []
        for name in rng.sample(COLLECTIONS, rng.choice((0, 1, 1, 2))):
            concurrency, page_size = rng.randint(1, self.most_concurrent), rng.randint(1, 12)
            chosen.append(lambda name=name, w=concurrency, n=page_size: self._walk(name, w, n))
        singles: list[tuple[str, Callable[[], Awaitable[Any]], dict[str, Any] | None]] = [
            (
                "GET /callmeback/settings/5001",
                lambda: client.settings.get(5001),
                {"id": 5001, "name": "settings 5001"},
            ),
            (
                "POST /callmeback/settings",
                lambda: client.settings.create(name="a"),
                {"id": 7000, "name": "a"},
            ),
            (
                "POST /callmeback/buttons",
                lambda: client.buttons.create(name="b"),
                {"id": 7000, "name": "b"},
            ),
            (
                "PATCH /callmeback/settings/5001",
                lambda: client.settings.update(5001, name="c"),
                {"id": 5001, "name": "c"},
            ),
            ("DELETE /callmeback/settings/5002", lambda: client.settings.delete(5002), None),
            ("DELETE /callmeback/buttons/6001", lambda: client.buttons.delete(6001), None),
        ]
        for key, call, row in rng.sample(singles, rng.choice((1, 2)) if chosen else 2):
            chosen.append(lambda key=key, call=call, row=row: self._single(key, call, row))
        rng.shuffle(chosen)
        return chosen

    async def run(self) -> None:
        operations = self.operations()
        if self.rng.random() < 0.5:
            await asyncio.gather(*(operation() for operation in operations))
        else:
            for operation in operations:
                await operation()

    def _failed(self, what: str, error: BaseException) -> None:
        result = self.result
        result.outcomes[type(error).__name__] += 1
        result.log.append(f"{what}: {error!r}")
        if not isinstance(error, CallMeBackError):
            result.wrong.append(f"{what}: {error!r} is not documented")
        elif error.sent == "no":
            place = f"{error.method} {error.path}" + (f" page {error.page}" if error.page else "")
            self.unsent.append((place, what))

    async def _walk(self, name: str, concurrency: int, page_size: int) -> None:
        received: list[dict[str, Any]] = []
        failure: BaseException | None = None
        try:
            async with getattr(self.client, name).list(
                page_size=page_size, concurrency=concurrency
            ) as walk:
                async for record in walk:
                    received.append(record.to_dict())
        except Exception as error:
            failure = error
        rows, result = self.server.rows[name], self.result
        what = f"walk over {name} (concurrency {concurrency}, page size {page_size})"
        result.rows += len(received)
        result.check(
            received == rows[: len(received)], f"{what}: no prefix of the rows: {received}"
        )
        if failure is None:
            result.outcomes["walk done"] += 1
            result.check(
                len(received) == len(rows), f"{what}: {len(received)} of {len(rows)} rows, no error"
            )
        else:
            self._failed(what, failure)

    async def _single(
        self, key: str, call: Callable[[], Awaitable[Any]], row: dict[str, Any] | None
    ) -> None:
        result, server = self.result, self.server
        try:
            record = await call()
        except Exception as error:
            self._failed(key, error)
            if key.startswith(("POST", "PATCH")) and isinstance(error, CallMeBackError):
                self._check_advice(key, error)
        else:
            result.outcomes["done"] += 1
            if row is not None:
                result.check(_matches(row, record), f"{key} returned {record}")
            result.check(server.executed[key] >= 1, f"{key}: a success, and nothing was done")
        method, _, resource, id = f"{key}/".replace(" /", "/").split("/")[:4]
        if method == "DELETE" and key not in [e.split(":")[0] for e in result.log]:
            result.check((resource, int(id)) not in server.items, f"{key}: it still exists")
        if method in ("POST", "PATCH"):
            result.check(server.executed[key] <= 1, f"{key}: done {server.executed[key]} times")
            met = [seen.kind.name for seen in server.seen.get(key, [])][:-1]
            result.check(set(met) <= {"429", "401"}, f"{key}: resent after {met}")

    def _check_advice(self, key: str, error: CallMeBackError) -> None:
        """What a caller does who reads the error of a call that creates or changes."""
        doubtful = error.sent == "maybe" or isinstance(error, BadPayload)
        check, what = self.result.check, f"{key}: {error!r}"
        check(doubtful or not self.server.executed[key], f"{what} denies what was done")
        check(not (doubtful and error.retryable), f"{what} advises to do again what may be done")
        check(("look before" in str(error)) == doubtful, f"{what} is not clear on what to do")


def _matches(row: dict[str, Any], record: Any) -> bool:
    sent = record.to_dict()
    return all(sent.get(name) == value for name, value in row.items())
