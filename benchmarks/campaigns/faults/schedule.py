"""One schedule: a client of its own, its server, its operations, and the judgement of it all."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs

from benchmarks.campaigns.faults.operations import Operations, Result
from benchmarks.campaigns.faults.rules import Rules
from benchmarks.campaigns.faults.server import Ports, ScheduleServer
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.events import CallEvent
from voipstudio_cmb.retry import Backoff
from voipstudio_cmb.transport.guards import CleanRequest, OnceResponse


@attrs.define
class Schedule:
    """What is drawn from the number `seed`."""

    seed: int
    most_concurrent: int
    server: ScheduleServer = attrs.field(init=False)
    rules: Rules = attrs.field(init=False)
    events: list[CallEvent] = attrs.field(factory=list)
    _rng: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rng = rng = random.Random(f"client {self.seed}")
        self.server = ScheduleServer(self.seed)
        self.rules = Rules(rng.choice((1, 2, 4, 4, 5)), rng.random() < 0.5)

    async def run(self, live: int, dead: int) -> Result:
        """Runs all operations against the ports, and judges what came of them."""
        async with self._client(live, dead) as client:
            operations = Operations(self.seed, self.server, client, self.most_concurrent)
            await operations.run()
            for _ in range(3):  # the server's own accept may be a turn behind
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
        result = operations.result
        result.check(not left, f"tasks left over: {left}")
        self._judge(result, operations)
        for seen in self.server.seen.values():
            result.requests += len(seen)
            result.kinds.update(each.kind.name for each in seen)
        tries = [attempt for event in self.events for attempt in event.tries]
        result.kinds["refused"] += sum(attempt.error == "ConnectFailed" for attempt in tries)
        if self.server.crossed:
            result.outcomes["crossed, not judged"] += 1
            result.wrong.clear()
        return result

    @asynccontextmanager
    async def _client(self, live: int, dead: int) -> AsyncIterator[CallMeBackClient]:
        rng, attempts = self._rng, self.rules.attempts

        async def provider() -> str:
            return f"token-{rng.random()}"

        def on_event(event: Any) -> None:
            if isinstance(event, CallEvent):
                self.events.append(event)

        config = ClientConfig(
            attempts=attempts,
            deadline=36_000.0,
            retry=Backoff(attempts=attempts, rng=rng.random),
            retry_budget=10**6,
            on_event=on_event,
        )
        refusing = rng.choice((0.0, 0.0, 0.1, 0.4)) if self.server.rate else 0.0
        connector = aiohttp.TCPConnector(
            resolver=Ports(rng, refusing, live, dead), use_dns_cache=False, limit=32
        )
        session = aiohttp.ClientSession(
            connector=connector, response_class=OnceResponse, request_class=CleanRequest
        )
        token, url = provider if self.rules.provider else "token", f"http://localhost:{live}"
        async with (
            session,
            CallMeBackClient(
                token, base_url=f"{url}/{self.seed}", session=session, config=config
            ) as client,
        ):
            yield client

    def _judge(self, result: Result, operations: Operations) -> None:
        # A walk may request a page by several calls (page 2 after a wrong page size, an empty page
        # again). Which of them the server saw can't be told, but how many it saw can.
        calls = defaultdict(list)
        for event in self.events:
            calls[event.where].append(event)
        for where, what in operations.unsent:
            if len(calls[where]) == 1:
                result.check(not self.server.seen.get(where), f'{what}: sent="no", but received')
        for where, group in calls.items():
            seen = self.server.seen.get(where, [])
            reached = sum(t.sent != "no" for e in group for t in e.tries if t.method == e.method)
            result.check(len(seen) <= reached, f"{where}: the server saw {len(seen)} of {reached}")
            for event in group:
                self.rules.check(result, event, seen if len(group) == 1 else [])
