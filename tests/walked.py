"""One client's walks over a server of `tests.model`, driven by steps, judged by `tests.verdict`.

Every step takes two numbers, so that a state machine, a random walk and a list can all drive it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any, TypeAlias

import attrs
import pytest

from tests.model import Server, SteppedLoop, Temper
from tests.verdict import Options, Verdict
from voipstudio_cmb.auth.credentials import Login
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.http import chain
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.chain import standard
from voipstudio_cmb.middleware.deadline import Deadline
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.models import Cdr
from voipstudio_cmb.query import WalkStrategy
from voipstudio_cmb.retry import Backoff, Budget
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.timeouts import Timeouts
from voipstudio_cmb.walk import Capabilities, Tasks, Walk

Tally: TypeAlias = Counter[tuple[str, ...]]
"""How often walks ended how: server, way to walk, state of the table, part, outcome."""

FAULTS = ("503", "429", "lost", "garbage", "cut")
ANYTHING = 10**6


@attrs.define(eq=False)
class Case:
    """What there is in one example; *tally* counts how its walks ended.

    *modes* are the ways to walk, *any_id* lets rows come with any free id, *quiet* lets nothing
    change, *stormy* lets faults use up the attempts of a call. *strict*: see `Verdict`.
    """

    temper: Temper
    modes: tuple[WalkStrategy, ...]
    first: tuple[int, ...] = ()
    any_id: bool = False
    strict: bool = True
    quiet: bool = False
    stormy: bool = False
    login: bool = False
    tally: Tally = attrs.field(factory=Counter)
    trace: list[tuple[Any, ...]] = attrs.field(factory=list)
    loop: SteppedLoop = attrs.field(factory=SteppedLoop)
    server: Server = attrs.field(init=False)
    verdict: Verdict = attrs.field(init=False)
    coming: Options = attrs.field(init=False)
    tasks: Tasks = attrs.field(init=False)
    closing: Timeouts = attrs.field(init=False)
    cdrs: Cdrs = attrs.field(init=False)
    walk: Walk[Cdr] | None = None
    again: bool = False
    """The last walk is to be gone on with from its position."""
    _task: asyncio.Task[None] | None = None
    _error: CallMeBackError | None = None
    _allowed: int = 0
    _leave: bool = False
    _wake: asyncio.Future[None] | None = None
    _complaints: list[Any] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self.temper, self.loop, list(self.first))
        self.coming = Options(self.modes[0])
        self.verdict = Verdict(self.server, self.coming, self.strict)
        self.loop.set_exception_handler(lambda loop, context: self._complaints.append(context))
        self._connect()

    def _connect(self) -> None:
        """A client, or another one, as after a restart."""
        self.tasks, self.closing = Tasks(), Timeouts()
        middlewares = standard(
            auth=Auth(Login("a@b.c", "password") if self.login else self.server.renewed),
            policy=Backoff(rng=lambda: 0.5),
            budget=Budget(capacity=10**9),
            deadline=Deadline(1e9, None, self.closing),
            limit=Limit(),
        )
        self.cdrs = Cdrs(chain(self.server, middlewares), self.tasks, Capabilities())

    def told(self) -> str:
        """What has happened, a line each."""
        lines = (" ".join(map(str, event)) for event in self.trace)
        return "\n".join([f"server: {self.temper}; ids {self.first}", *lines])

    # The walk and who takes its rows.

    def _begin(self) -> None:
        """Begins a walk, or goes on with the one that ended at its position."""
        cursor = self.verdict.cursor if self.again else None
        if not self.again:
            self.verdict = Verdict(self.server, self.coming, self.strict)
        asked = attrs.asdict(self.coming)
        if cursor is not None:
            asked["cursor"] = json.loads(json.dumps(cursor))
        self.trace.append(("walk", asked))
        try:
            walk = self.cdrs.list(**asked)
        except ClientMisuse:
            assert cursor is not None
            assert self.walk is not None
            self.verdict.refused(self.walk, self.coming)
            self._count("position refused")
            self.again = False
            return
        if cursor is not None:
            self.verdict.accepted()
        self.verdict.part(self.coming)
        self.walk, self._error, self._allowed, self._leave = walk, None, 0, False
        self.again = False
        self._task = self.loop.create_task(self._consume(walk))

    async def _consume(self, walk: Walk[Cdr]) -> None:
        assert walk.cursor == (self.verdict.cursor if self.verdict.got else None)
        async with walk:
            while not self._leave:
                if self._allowed <= 0:
                    self._wake = self.loop.create_future()
                    await self._wake
                    continue
                try:
                    record = await anext(walk)
                except StopAsyncIteration:
                    self._leave = False
                    return
                except CallMeBackError as error:
                    self._error, self._leave = error, False
                    with pytest.raises(ClientMisuse, match=r"cursor=walk\.cursor"):
                        await anext(walk)  # neither rows nor an end after an error
                    return
                self._allowed -= 1
                self.trace.append(("got", record.id))
                self.verdict.take(record, walk)

    def _pump(self) -> None:
        if self._wake is not None and self._allowed > 0 and not self._wake.done():
            self._wake.set_result(None)
        self.loop.pump()
        assert not self._complaints, self._complaints
        if self._task is None:
            return
        self.verdict.underway()
        if self._task.done():
            self._ended(self._task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        assert self.walk is not None
        self._task = None
        assert not self.server.waiting, "requests left over"
        assert not self.server.ready, "requests left over"
        assert len(self.tasks) == 0, "tasks left over"
        assert not asyncio.all_tasks(self.loop), "tasks left over"
        if not task.cancelled():
            task.result()
        if task.cancelled() or self._leave:
            assert not self.closing.closed, "a closed client passes for a cancelled task"
            self._count("ended early")
            return
        self._count(self.verdict.ended(self.walk, self._error, self.closing.closed))
        # Who meets an error goes on from where it came, sooner or later.
        failed = self._error is not None and self._error.retryable
        if failed and len(self.verdict.got) % 2 == 0:
            self.again = True
            self.choose(1 << 5, self.verdict.asked)

    def _count(self, outcome: str) -> None:
        resumed = "resumed" if self.verdict.parts > 1 else "whole"
        by = self.verdict.options.walk
        self.tally[str(self.temper), by, self.verdict.state, resumed, outcome] += 1

    # The steps.

    def step(self, a: int, b: int) -> None:
        """Evaluates the oldest request if no answer is ready, and delivers the oldest one."""
        if not self.server.ready:
            self.evaluate(0, 1)
        self.deliver(0, 0)

    def evaluate(self, a: int, b: int) -> None:
        if waiting := self.server.waiting:
            asked = waiting[a % len(waiting)]
            self.server.evaluate(asked, b % 16 if b % 3 == 0 else 0)
            self.trace.append(("evaluated", asked))

    def deliver(self, a: int, b: int) -> None:
        if ready := self.server.ready:
            asked = ready[a % len(ready)]
            self.trace.append(("delivered", asked))
            self.server.deliver(asked)
            self._pump()

    def fault(self, a: int, b: int) -> None:
        waiting = [asked for asked in self.server.waiting if not asked.login]
        if not waiting:
            return
        asked = waiting[a % len(waiting)]
        met = self.server.troubles.get(id(asked.request.call), ())
        if self.stormy or len(met) < 2:
            self.server.fault(asked, FAULTS[b % len(FAULTS)])
            self.trace.append(("fault", asked))

    def expire(self, a: int, b: int) -> None:
        """Makes the token invalid; not twice for one call, unless it is *stormy*."""
        flying = (*self.server.waiting, *self.server.ready)
        if self.stormy or not any(asked.login or asked.request.call.renewed for asked in flying):
            self.server.token = f"token-{len(self.trace)}"
            self.trace.append(("expired",))

    def fetch(self, a: int, b: int) -> None:
        """Lets the consumer take some rows; begins a walk if there is none."""
        self._fetch(1 + a % (3 * self.coming.page_size))

    def _fetch(self, rows: int) -> None:
        if self._task is None:
            self._begin()
        self._allowed += rows
        self._pump()

    def choose(self, a: int, b: int) -> None:
        """Says how the next walk is asked for, or the next part of the one that goes on."""
        by, down, before = self.modes[a % len(self.modes)], a // 4 % 8 == 7, self.verdict.options
        if self.again:
            down = before.descending
            by = by if a // 32 % 4 == 0 and not down else before.walk
        self.coming = Options(by, 1 + b % 7, 1 + b // 7 % 16, down and by == "page")

    def kill(self, a: int, b: int) -> None:
        """Ends the walk where it is: cancelled, left, or its client closed."""
        if self._task is None:
            return
        self.trace.append(("killed", ("closed", "left", "cancelled")[a % 3]))
        if a % 3 == 0:
            self.loop.create_task(self._shut())
            self._allowed = ANYTHING
        elif a % 3 == 1 and self._wake is not None and not self._wake.done():
            self._leave = True
            self._wake.set_result(None)
        else:
            self._task.cancel()
        self._pump()
        assert self._task is None, "it could not be ended"
        self._connect()
        if a // 4 % 4:
            self.again = True
            self.choose(b, a)

    async def _shut(self) -> None:
        self.closing.close()
        await self.tasks.aclose()

    def insert(self, a: int, b: int) -> None:
        if self.quiet:
            return
        highest = max(self.server.versions, default=0)
        id = highest + 1 + (b % 5 if b % 2 else 0)
        if self.any_id and a % 4:
            id = 1 + b % (highest + 2)
            if id in self.server.ids:
                return
        self.server.insert(id)
        self.verdict.ever.add(id)
        self.verdict.inserted += 1
        self.trace.append(("insert", id))

    def delete(self, a: int, b: int) -> None:
        """Deletes any row, the oldest, one at a page's border or the one that was handed out."""
        ids, got = self.server.ids, self.verdict.got
        if self.quiet or not ids:
            return
        place = b % len(ids)
        if a % 4 == 1:
            place = 0
        elif a % 4 == 2:
            place = max(0, b % 8 * self.verdict.options.page_size - b // 8 % 2)
        elif a % 4 == 3 and got and got[-1] in ids:
            place = ids.index(got[-1]) + b % 2
        id = ids[min(place, len(ids) - 1)]
        self.server.delete(id)
        self.verdict.stayed.discard(id)
        self.verdict.deleted += 1
        self.trace.append(("delete", id))

    def update(self, a: int, b: int) -> None:
        if self.quiet or not self.server.ids:
            return
        id = self.server.ids[a % len(self.server.ids)]
        self.server.versions[id] += 1
        self.trace.append(("update", id))

    def end(self, a: int, b: int) -> None:
        """Goes on to the end of the walk, with a few changes on the way."""
        if self._task is None and self.again:
            self._fetch(ANYTHING)
        changes = (self.insert, self.delete, self.delete, self.update)
        steps = 0
        while self._task is not None:
            if self._allowed < ANYTHING // 2:
                self._fetch(ANYTHING)
                continue
            assert self.server.waiting or self.server.ready, "it waits for nothing"
            a = (a * 1103515245 + 12345) % 2**31
            if steps < b % 32 and a >> 8 & 1:
                changes[a >> 9 & 3](a >> 12, a >> 16)
            if a >> 20 & 1 or not self.server.ready:
                self.evaluate(a >> 4, 1)
            self.deliver(0 if a >> 21 & 1 else a >> 6, 0)
            steps += 1

    def close(self) -> None:
        """Frees the loop, whatever has happened."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.pump()
        self.loop.close()
