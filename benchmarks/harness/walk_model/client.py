"""A client of a model server, and the consumer of its walks, held to the contract."""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from typing import Any, TypeAlias

import attrs

from benchmarks.harness.clocks import SteppedLoop
from benchmarks.harness.walk_model.contract import Options, WalkChecker
from benchmarks.harness.walk_model.server import ModelServer
from benchmarks.harness.walk_model.temper import Temper
from voipstudio_cmb.auth.credentials import Login
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.http import chain
from voipstudio_cmb.middleware.auth import Auth
from voipstudio_cmb.middleware.chain import standard
from voipstudio_cmb.middleware.deadline import Deadline
from voipstudio_cmb.middleware.limit import Limit
from voipstudio_cmb.middleware.observe import Observe
from voipstudio_cmb.models import Cdr
from voipstudio_cmb.query import WalkOptions, WalkQuery, WalkStrategy
from voipstudio_cmb.retry import Backoff, RetryBudget
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.timeouts import Timeouts
from voipstudio_cmb.walk import Capabilities, Tasks, Walk

RESUMED = {True: "resumed, rows kept", False: "resumed"}

Outcomes: TypeAlias = Counter[tuple[str, ...]]
"""How often walks ended how: server, way to walk, state of the table, part, outcome."""


@attrs.define(eq=False)
class ModelClient:
    """One client's walks, one after the other, over a server that `temper` describes."""

    temper: Temper
    walks: tuple[WalkStrategy, ...]
    """The ways to walk that are used."""
    first: tuple[int, ...] = ()
    """The ids of the rows at first."""
    any_id: bool = False
    """Whether rows may be inserted with any free id, not only with the highest."""
    strict: bool = True
    """Whether completeness is promised for a server like this one."""
    unchanging: bool = False
    """Whether the table stays as it is."""
    exhausting: bool = False
    """Whether faults may use up the attempts of a call."""
    login: bool = False
    outcomes: Outcomes = attrs.field(factory=Counter)
    trace: list[tuple[Any, ...]] = attrs.field(factory=list)
    """What happened, in order."""
    loop: SteppedLoop = attrs.field(factory=SteppedLoop)
    server: ModelServer = attrs.field(init=False)
    checker: WalkChecker = attrs.field(init=False)
    next_options: Options = attrs.field(init=False)
    tasks: Tasks = attrs.field(init=False)
    closing: Timeouts = attrs.field(init=False)
    cdrs: Cdrs = attrs.field(init=False)
    walk: Walk[Cdr] | None = None
    resuming: bool = False
    """Whether the next walk resumes the last one from its cursor."""
    _task: asyncio.Task[None] | None = None
    _error: CallMeBackError | None = None
    _allowed: int = 0
    _leave: bool = False
    _wake: asyncio.Future[None] | None = None
    _complaints: list[Any] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server = ModelServer(self.temper, self.loop, list(self.first))
        self.next_options = Options(self.walks[0])
        self.checker = WalkChecker(self.server, self.next_options, self.strict)
        self.loop.set_exception_handler(lambda loop, context: self._complaints.append(context))
        self._connect()

    def _connect(self) -> None:
        """Makes the client, or another one, as after a restart."""
        self.tasks, self.closing = Tasks(), Timeouts()
        middlewares = standard(
            observe=Observe(),
            auth=Auth(Login("a@b.c", "password") if self.login else self.server.renewed),
            policy=Backoff(rng=lambda: 0.5),
            budget=RetryBudget(capacity=10**9),
            deadline=Deadline(1e9, None, self.closing),
            limit=Limit(),
        )
        self.cdrs = Cdrs(chain(self.server, middlewares), self.tasks, Capabilities())

    def describe(self) -> str:
        """What happened, a line each."""
        lines = (" ".join(map(str, event)) for event in self.trace)
        return "\n".join([f"server: {self.temper}; ids {self.first}", *lines])

    def choose(self, a: int, b: int) -> None:
        """Chooses the options of the next walk, or of the next part of the one that is resumed."""
        by, down, before = self.walks[a % len(self.walks)], a // 4 % 8 == 7, self.checker.options
        if self.resuming:
            down = before.descending
            by = by if a // 32 % 4 == 0 and not down else before.walk
        size, concurrency, keeps = 1 + b % 7, 1 + b // 7 % 16, b // 112 % 2 == 1
        self.next_options = Options(by, size, concurrency, down and by == "page", keeps)

    def take(self, rows: int) -> None:
        """Lets the consumer take so many rows; begins a walk if none is running."""
        if self._task is None:
            self._begin()
        self._allowed += rows
        self._pump()

    def _begin(self) -> None:
        """Begins a walk, or resumes the one that ended from its cursor."""
        cursor = self.checker.cursor if self.resuming else None
        if not self.resuming:
            self.checker = WalkChecker(self.server, self.next_options, self.strict)
        self.trace.append(("walk", self.next_options, cursor or ""))
        try:
            walk = self._list(self.next_options, cursor)
        except ClientMisuse:
            assert cursor is not None
            assert self.walk is not None
            self.checker.check_refused(self.walk, self.next_options)
            self._count("cursor refused")
            self.resuming = False
            return
        if cursor is not None:
            self.checker.check_accepted()
        self.checker.begin_part(self.next_options)
        self.walk, self._error, self._allowed, self._leave = walk, None, 0, False
        self.resuming = False
        self._task = self.loop.create_task(self._consume(walk))

    def _list(self, options: Options, cursor: str | None) -> Walk[Cdr]:
        asked = attrs.asdict(options) | {"cursor": cursor}
        keeps = asked.pop("keeps")
        if cursor is None or not keeps:
            return self.cdrs.list(**asked)
        strategy = self.cdrs._strategy(WalkQuery.of("list", asked, WalkOptions), kept=self._kept)
        return Walk(strategy.records, cursor)

    async def _kept(self, through: int) -> array[int]:
        return array("q", (id for id in self.checker.received if id <= through))

    async def _consume(self, walk: Walk[Cdr]) -> None:
        assert walk.cursor == (self.checker.cursor if self.checker.received else None)
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
                    await self._check_over(walk)
                    return
                self._allowed -= 1
                self.trace.append(("received", record.id))
                self.checker.check_record(record, walk)

    async def _check_over(self, walk: Walk[Cdr]) -> None:
        """Checks that after an error come neither rows nor an end."""
        try:
            await anext(walk)
        except ClientMisuse as misuse:
            says_how = "cursor=walk.cursor" in str(misuse)
        else:
            raise AssertionError("a row after an error")
        assert says_how, "it does not say how to resume"

    def _pump(self) -> None:
        if self._wake is not None and self._allowed > 0 and not self._wake.done():
            self._wake.set_result(None)
        self.loop.pump()
        assert not self._complaints, self._complaints
        if self._task is None:
            return
        self.checker.check_underway()
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
            assert not self.closing.guard.closed, "a closed client passes for a cancelled task"
            self._count("ended early")
            return
        self._count(self.checker.check_end(self.walk, self._error, self.closing.guard.closed))
        # A consumer resumes after an error, sooner or later.
        failed = self._error is not None and self._error.retryable
        if failed and len(self.checker.received) % 2 == 0:
            self.resuming = True
            self.choose(1 << 5, self.checker.calls)

    def _count(self, outcome: str) -> None:
        options, part = self.checker.options, "in one part"
        if options.descending or self.checker.parts > 1:
            part = "descending" if options.descending else RESUMED[self.checker.keeps]
        self.outcomes[str(self.temper), options.walk, self.checker.state, part, outcome] += 1

    def close(self) -> None:
        """Frees the loop, whatever has happened."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.pump()
        self.loop.close()
