"""One client's walks over a server of `tests.model`, driven step by step and held to the contract.

Every step takes two numbers, so that a state machine, a random walk and a list can all drive it.
The contract is about the rows that existed throughout a walk (`stayed`); a walk that is killed and
gone on with from its position is one walk.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import attrs

from tests.model import HONEST, TEMPERS, Server, SteppedLoop, Temper
from voipstudio_cmb.auth import Auth, Login
from voipstudio_cmb.errors import (
    BadRequest,
    CallMeBackError,
    ClientMisuse,
    NotJSON,
    Unauthorized,
    WalkError,
)
from voipstudio_cmb.http import chain
from voipstudio_cmb.keyset import Proofs
from voipstudio_cmb.middleware import Closing, Deadline, Limit, standard
from voipstudio_cmb.models import Cdr
from voipstudio_cmb.paging import Tasks, Walk
from voipstudio_cmb.retry import Backoff, Budget
from voipstudio_cmb.services import Cdrs, WalkBy

# SHIM: to be deleted, with all that asks for it, where `after` and `position` are there.
RESUMABLE = "after" in inspect.signature(Cdrs.list).parameters

Tally: TypeAlias = Counter[tuple[str, ...]]
"""How often walks ended how: server, way to walk, state of the table, part, outcome."""

FAULTS = ("503", "429", "lost", "garbage", "cut")
ANYTHING = 10**6
BY_ID = (
    *[HONEST] * 4,
    # SHIM: without this condition; the walk takes an empty first page for an empty collection.
    *(temper for temper in TEMPERS if temper.by_id and (RESUMABLE or temper.spoils != "empty")),
)


@attrs.frozen
class Options:
    """How a walk is asked for."""

    walk: WalkBy = "page"
    limit: int = 3
    window: int = 4
    descending: bool = False


@attrs.define(eq=False, slots=False)
class Case:
    """What there is in one example; *tally* counts how its walks ended.

    *modes* are the ways to walk, *any_id* lets rows come with any free id, *quiet* lets nothing
    change, *stormy* lets faults use up the attempts of a call.
    """

    temper: Temper
    modes: tuple[WalkBy, ...]
    first: tuple[int, ...] = ()
    any_id: bool = False
    quiet: bool = False
    stormy: bool = False
    login: bool = False
    tally: Tally = attrs.field(factory=Counter)
    trace: list[tuple[Any, ...]] = attrs.field(factory=list)
    options: Options = Options()
    loop: SteppedLoop = attrs.field(factory=SteppedLoop)
    server: Server = attrs.field(init=False)
    task: asyncio.Task[None] | None = None
    walk: Walk[Cdr] | None = None
    error: BaseException | None = None
    got: list[int] = attrs.field(factory=list)
    position: str | None = None
    again: bool = False
    parts: int = 0
    _part: int = 0
    _allowed: int = 0
    _leave: bool = False
    _wake: asyncio.Future[None] | None = None
    _complaints: list[Any] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.server = Server(self.temper, self.loop, sorted(set(self.first)))
        self.options = Options(self.modes[0])
        self.loop.set_exception_handler(lambda loop, context: self._complaints.append(context))
        self._connect()
        self._begin()

    def _connect(self) -> None:
        self.tasks, self.closing = Tasks(), Closing()
        middlewares = standard(
            auth=Auth(Login("a@b.c", "password") if self.login else self.server.renewed),
            policy=Backoff(rng=lambda: 0.5),
            budget=Budget(capacity=10**9),
            deadline=Deadline(1e9, None, self.closing),
            limit=Limit(),
        )
        self.cdrs = Cdrs(chain(self.server, middlewares), self.tasks, Proofs())

    def told(self) -> str:
        """What has happened, a line each."""
        return "\n".join([str(self.temper), f"ids {self.first}", *map(_line, self.trace)])

    # The walk and who takes its rows.

    def _begin(self) -> None:
        """From now on all counts for the next walk."""
        server = self.server
        self.got, self.position, self.again, self.parts = [], None, False, 0
        self.stayed, self.ever = set(server.ids), set(server.ids)
        self.versions = dict(server.versions)
        self.changes = self.deleted = 0
        self.calls, self.spoilt = len(server.calls), len(server.spoilt)

    def _walk(self) -> None:
        """Begins a walk, or goes on with the one that ended at `position`."""
        asked = attrs.asdict(self.options)
        if self.again and self.position is not None:
            asked["after"] = json.loads(json.dumps(self.position))
            orderly = self._orderly() and not asked["descending"]
            try:
                walk = self.cdrs.list(**asked)
            except ClientMisuse:
                late = self.walk is not None and self.walk.progress.repaired  # type: ignore[attr-defined]
                assert not orderly or late, "a position was refused that can be gone on with"
                self._count("position refused")
                self._begin()
                return
            assert orderly, "a position was taken that can't be gone on with"
        else:
            if not self.again:
                self._begin()
            walk = self.cdrs.list(**asked)
        self.trace.append(("walk", asked))
        self.walk, self.error, self._allowed, self._leave = walk, None, 0, False
        self.again, self._part = False, len(self.got)
        self.parts += 1
        self.server.troubles.clear()
        self.task = self.loop.create_task(self._consume(walk))

    async def _consume(self, walk: Walk[Cdr]) -> None:
        if RESUMABLE:
            assert walk.position is None  # type: ignore[attr-defined]
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
                    self.error = error
                    assert await anext(walk, None) is None, "rows after an error"
                    self._leave = False
                    return
                self._take(record)

    def _take(self, record: Cdr) -> None:
        self._allowed -= 1
        id, version = map(int, (record.title or "").split("."))
        self.trace.append(("got", record.id))
        assert record.id == id
        assert id in self.ever, f"{id} was never there"
        assert id not in self.got, f"{id} twice"
        least = self.versions.get(id, 0)
        assert least <= version <= self.server.versions[id], f"{id} as it was before"
        if self._strategy() == "keyset" and self.got:
            assert id > self.got[-1], f"{id} after {self.got[-1]}"
        self.got.append(id)
        if RESUMABLE:
            self.position = self.walk.position  # type: ignore[union-attr]
            assert isinstance(self.position, str)

    def _strategy(self) -> str | None:
        if self.options.walk != "auto":
            return self.options.walk
        return getattr(getattr(self.walk, "progress", None), "strategy", None)  # SHIM: not getattr

    def _orderly(self) -> bool:
        return all(a < b for a, b in zip(self.got, self.got[1:], strict=False))

    def _pump(self) -> None:
        self.loop.pump()
        assert not self._complaints, self._complaints
        if self.task is None:
            return
        server = self.server
        flying = sum(not asked.login for asked in (*server.waiting, *server.ready))
        assert flying <= self.options.window, "more in flight than the window allows"
        size = self.temper.fixed or min(
            self.options.limit, *(n for n in (self.temper.cap, self.temper.rows_cap) if n), 10**4
        )
        most = 40 * self.parts + 20 * len(self.ever) / size
        assert len(server.calls) - self.calls <= most, "it does not end"
        if self.task.done():
            task, self.task = self.task, None
            self._clean()
            if not task.cancelled():
                task.result()
            if task.cancelled() or self._leave:
                self._stopped()
            else:
                self._judge()

    def _clean(self) -> None:
        assert not self.server.waiting, "requests left over"
        assert not self.server.ready, "requests left over"
        assert len(self.tasks) == 0
        assert not asyncio.all_tasks(self.loop), "tasks left over"

    # How it ended.

    def _count(self, outcome: str) -> None:
        state = "quiet" if not self.changes else "changing" if not self.deleted else "deleting"
        resumed = "resumed" if self.parts > 1 else "whole"
        self.tally[str(self.temper), self.options.walk, state, resumed, outcome] += 1

    def _stopped(self) -> None:
        self._count("killed")

    def _judge(self) -> None:
        assert self.walk is not None
        progress = self.walk.progress
        if self.error is None:
            lost = self.stayed.difference(self.got)
            assert not lost, f"lost in silence: {sorted(lost)}"
            self._judge_order()
            self._count("complete")
        elif isinstance(self.error, WalkError):
            assert self._may_complain(self.error), f"it complains: {self.error!r}"
            self._count(type(self.error).__name__)
        else:
            self._judge_error(self.error)
            self._count(type(self.error).__name__)
            # Who meets an error goes on from where it came.
            self.again = RESUMABLE and len(self.got) % 2 == 0
        # On an error rows may be known that come after it.
        assert progress.seen >= len(self.got) - self._part
        if self.error is None:
            assert progress.seen == len(self.got) - self._part
        if not self.closing.closed:
            # One that was cancelled on its way has been counted and not received.
            calls = len(self.server.calls) - self.calls
            assert progress.requests <= calls + self.options.window
        if RESUMABLE:
            assert (progress.strategy or "page") in ("page", "keyset")  # type: ignore[attr-defined]
            assert 0 <= progress.repaired <= progress.seen  # type: ignore[attr-defined]
            assert progress.repeated >= 0  # type: ignore[attr-defined]

    def _undisturbed(self) -> bool:
        return not self.changes and len(self.server.spoilt) == self.spoilt

    def _judge_order(self) -> None:
        temper, options = self.temper, self.options
        if self._undisturbed() and not temper.deaf_page:
            assert self.got == self.server.ordered(options.descending), "out of order"
        if not temper.upright or self._strategy() != "page" or options.descending:
            return
        if not self.deleted and temper.ascends:
            assert self._orderly(), "out of order though nothing was deleted"
            size = min(options.limit, temper.cap or temper.rows_cap or options.limit)
            pages = -(-len(self.ever) // (temper.fixed or size))
            if options.walk == "page" and self.parts == 1:
                asked = len(self.server.calls) - self.calls
                assert asked <= pages + 4, f"{asked} requests for {pages} pages"

    def _may_complain(self, error: WalkError) -> bool:
        temper, options = self.temper, self.options
        refused = options.walk == "keyset" and type(error) is WalkError and not self.got
        if refused:
            # A tiny table may change too fast to prove anything.
            return bool(self.changes) or not temper.by_id or bool(temper.spoils)
        if temper.by_id and not temper.spoils and self._strategy() == "keyset":
            return False
        if temper.upright and (not self.changes or (temper.ascends and not self.deleted)):
            # With rows on the move, the last page once more looks like a page that is ignored.
            return bool(self.changes) and (options.descending or temper.past == "last")
        return True

    def _judge_error(self, error: BaseException) -> None:
        """Whether *error* is one of requests that could not be had, and what was yielded before."""
        if not isinstance(error, CallMeBackError):
            raise error
        if isinstance(error, ClientMisuse) and self.closing.closed:
            return
        if isinstance(error, BadRequest) and self.temper.refuse_sort:
            return
        failed = [call for call, met in self.server.troubles.items() if _hopeless(met)]
        assert failed, f"an error without a cause: {error!r}"
        assert isinstance(error, Unauthorized | NotJSON) or error.retryable
        queries = [dict(self.server.calls[call].query) for call in failed]
        part = self.got[self._part :]
        if self._strategy() == "keyset":
            # The first range that failed is where the rows end.
            low = min(_low(query) for query in queries)
            assert all(id <= low for id in part), f"rows after the error, which was at {low}"
            lost = {id for id in self.stayed if id <= low}.difference(self.got)
            # Nothing is yielded before the server has proved what the walk takes.
            assert not lost or not part, f"rows before the error are missing: {sorted(lost)}"
        elif (
            self.temper == HONEST
            and not self.changes
            and self.options.walk == "page"
            and self.parts == 1
        ):
            full = (min(int(query["page"]) for query in queries) - 1) * self.options.limit
            assert part == self.server.ordered(self.options.descending)[:full]

    # The steps.

    def step(self, a: int, b: int) -> None:
        """Evaluates the oldest request and delivers what is ready longest."""
        server = self.server
        if not server.ready:
            self.evaluate(0, 1)
        if server.ready:
            self.deliver(0, b)

    def evaluate(self, a: int, b: int) -> None:
        if waiting := self.server.waiting:
            asked = waiting[a % len(waiting)]
            spoil = b % 16 if b % 3 == 0 else 0
            self.server.evaluate(asked, spoil)
            self.trace.append(("evaluated", asked, spoil))

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
        if len(self.server.troubles.get(id(asked.request.call), ())) < (9 if self.stormy else 2):
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
        self._fetch(1 + a % (3 * self.options.limit))

    def _fetch(self, rows: int) -> None:
        if self.task is None:
            self._walk()
        self._allowed += rows
        self._pump_consumer()

    def _pump_consumer(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        self._pump()

    def choose(self, a: int, b: int) -> None:
        """Says how the next walk, or part of one, is asked for; while there is none."""
        if self.task is None:
            by = self.options.walk if self.again and a % 4 else self.modes[a % len(self.modes)]
            down = by == "page" and not self.again and a % 8 == 7
            if self.again:
                down = self.options.descending
            self.options = Options(by, 1 + b % 7, 1 + b // 7 % 16, down)

    def kill(self, a: int, b: int) -> None:
        """Ends the walk where it is: cancelled, left, or its client closed."""
        if self.task is None:
            return
        self.trace.append(("kill", a % 3))
        idle = self._wake is not None and not self._wake.done()
        if a % 3 == 0:
            self.loop.create_task(self._shut())
            self._allowed = ANYTHING
            self._pump_consumer()
        elif a % 3 == 1 and idle:
            self._leave = True
            self._pump_consumer()
        else:
            self.task.cancel()
            self._pump()
        assert self.task is None, "it could not be killed"
        self._connect()
        self.again = RESUMABLE and b % 4 != 0

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
        self.ever.add(id)
        self._changed("insert", id)

    def delete(self, a: int, b: int) -> None:
        """Deletes any row, the oldest, one at a page's border or the one that was handed out."""
        ids = self.server.ids
        if self.quiet or not ids:
            return
        place = b % len(ids)
        if a % 4 == 1:
            place = 0
        elif a % 4 == 2:
            place = min(b % 8 * self.options.limit - b // 8 % 2, len(ids) - 1)
        elif a % 4 == 3 and self.got and self.got[-1] in ids:
            place = min(ids.index(self.got[-1]) + b % 2, len(ids) - 1)
        id = ids[max(0, place)]
        self.server.delete(id)
        self.stayed.discard(id)
        self.deleted += 1
        self._changed("delete", id)

    def update(self, a: int, b: int) -> None:
        if self.quiet or not self.server.ids:
            return
        id = self.server.ids[a % len(self.server.ids)]
        self.server.versions[id] += 1
        self._changed("update", id)

    def _changed(self, how: str, id: int) -> None:
        self.changes += how != "update"
        self.trace.append((how, id))

    def end(self, a: int, b: int) -> None:
        """Goes on to the end of the walk, with a few changes on the way, and closes all."""
        if self.task is None and self.again:
            self._fetch(ANYTHING)
        changes = (self.insert, self.delete, self.delete, self.update)
        for n in range(100_000):
            if self.task is None:
                break
            if self._allowed < ANYTHING:
                self._fetch(ANYTHING)
                continue
            assert self.server.waiting or self.server.ready, "it waits for nothing"
            a = (a * 1103515245 + 12345) % 2**31
            if n < b % 32 and a >> 8 & 1:
                changes[a >> 9 & 3](a >> 12, a >> 16)
            if a >> 20 & 1:
                self.evaluate(a >> 4, 1)
            self.step(0, 0) if a >> 21 & 1 else self.deliver(a >> 6, 0)
            if not self.server.ready:
                self.evaluate(a >> 4, 1)
        assert self.task is None, "it does not end"

    def close(self) -> None:
        """Frees the loop, whatever has happened."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.set_exception_handler(lambda loop, context: None)
        self.loop.pump()
        self.loop.close()


def _line(event: tuple[Any, ...]) -> str:
    return " ".join(str(part) for part in event)


def _hopeless(met: list[str]) -> bool:
    """Whether a call that has *met* such answers has used up its attempts."""
    charged = [kind for kind in met if kind != "429"]
    garbled = any(kind in ("garbage", "cut") for kind in charged)
    return met.count("401") > 1 or len(charged) >= (3 if garbled else 4)


def _low(query: dict[str, str]) -> int:
    conditions = json.loads(query.get("filter", "[]"))
    return max((c["value"] for c in conditions if c["operator"] == "gt"), default=0)


KINDS: dict[str, tuple[tuple[Temper, ...], tuple[WalkBy, ...], bool]] = {
    "page": (TEMPERS, ("page", "auto"), False),
    "keyset": (BY_ID, ("keyset",), False),
    "any id": (BY_ID, ("keyset",), True),
}
"""What is walked, how, and whether rows may come with any free id."""

Step = Callable[[Case, int, int], None]
_WEIGHTS: dict[Step, int] = {
    Case.step: 30, Case.evaluate: 12, Case.deliver: 12, Case.fetch: 12, Case.insert: 6,
    Case.delete: 8, Case.update: 2, Case.fault: 3, Case.expire: 1, Case.choose: 2, Case.kill: 1,
}  # fmt: skip
_STEPS = [step for step, weight in _WEIGHTS.items() for _ in range(weight)]


def case_of(kind: str, temper: int, count: int, gap: int, flags: int) -> Case:
    """A case with *count* rows; 0 is the plainest of everything."""
    tempers, modes, any_id = KINDS[kind]
    gap %= 6
    if gap > 2:  # in clusters that lie far apart
        ids = tuple(1 + n + n // 6 * 10 ** (2 * gap) for n in range(count))
    else:
        ids = tuple(range(1, 1 + count * (gap + 1), gap + 1))
    return Case(
        tempers[temper % len(tempers)], modes, ids, any_id,
        quiet=flags % 4 == 3, stormy=flags // 4 % 8 == 7, login=flags // 32 % 2 == 1,
    )  # fmt: skip


Plan = tuple[tuple[str, int, int, int, int], list[tuple[Step, int, int]], tuple[int, int]]
"""The arguments of `case_of`, the steps with their numbers, and those of the end."""


def plan_of(
    seed: int, steps: int, kinds: Sequence[str] = ("page", "page", "keyset", "any id")
) -> Plan:
    """A random walk of *steps* steps."""
    draw = random.Random(seed)
    bits = draw.getrandbits
    made = (draw.choice(kinds), bits(10), draw.randrange(41), bits(10), bits(10))
    chosen = draw.choices(_STEPS, k=steps)
    return made, [(step, bits(10), bits(10)) for step in chosen], (bits(31), bits(31))


def run(plan: Plan) -> Case:
    """The case after the steps of *plan*; an error that it raises tells what happened."""
    made, steps, last = plan
    case = case_of(*made)
    try:
        for step, a, b in steps:
            step(case, a, b)
        case.end(*last)
    except Exception as error:
        error.add_note(case.told())
        raise
    finally:
        case.close()
    return case


def shrunk(plan: Plan, within: float = 20.0) -> Plan:
    """*plan* with fewer steps that still fails, looked for by leaving out parts of it."""
    made, steps, last = plan
    until = time.monotonic() + within

    def fails(made: Any, steps: Any) -> bool:
        try:
            run((made, steps, last))
        except Exception:
            return True
        return False

    for count in range(made[2]):
        smaller = (*made[:2], count, *made[3:])
        if fails(smaller, steps):
            made = smaller
            break
    size = len(steps)
    while size and time.monotonic() < until:
        size = max(1, size // 2)
        at = 0
        while at < len(steps):
            left = steps[:at] + steps[at + size :]
            if fails(made, left):
                steps = left
            else:
                at += size
        if size == 1:
            break
    return made, steps, last
