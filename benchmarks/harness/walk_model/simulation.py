"""One example: a client's walks, a table that changes, and responses in any order, step by step.

Every step takes two numbers, so that a state machine, a random scenario and a list can drive it.
"""

from __future__ import annotations

import attrs

from benchmarks.harness.walk_model.client import ModelClient

FAULTS = ("503", "429", "lost", "garbage", "cut")
ANYTHING = 10**6


@attrs.define(eq=False)
class Simulation(ModelClient):
    """The steps that a client, its server and its table can take."""

    _late: list[int] = attrs.field(factory=list)
    """Ids that were given out, and whose rows are not visible yet."""

    def step(self, a: int, b: int) -> None:
        """Evaluates the oldest request if no response is ready, and delivers the oldest one."""
        if not self.server.ready:
            self.evaluate(0, 1)
        self.deliver(0, 0)

    def evaluate(self, a: int, b: int) -> None:
        if waiting := self.server.waiting:
            pending = waiting[a % len(waiting)]
            self._crowd(pending.login)
            self.server.evaluate(pending, b % 16 if b % 3 == 0 else 0)
            self.trace.append(("evaluated", pending))

    def _crowd(self, login: bool) -> None:
        """Lets rows come before a response is made, where others write like that."""
        writes, made = self.server.temper.writes, self.checker.evaluated
        if not login and (writes == "flood" or (writes == "opening" and made < 4)):
            self.insert(0, 0)

    def deliver(self, a: int, b: int) -> None:
        if ready := self.server.ready:
            pending = ready[a % len(ready)]
            self.trace.append(("delivered", pending.asked))
            self.server.deliver(pending)
            self._pump()

    def fault(self, a: int, b: int) -> None:
        waiting = [pending for pending in self.server.waiting if not pending.login]
        if not waiting:
            return
        pending = waiting[a % len(waiting)]
        met = self.server.troubles.get(id(pending.request.call), ())
        if self.exhausting or len(met) < 2:
            self.server.fault(pending, FAULTS[b % len(FAULTS)])
            self.trace.append(("fault", pending))

    def expire(self, a: int, b: int) -> None:
        """Makes the token invalid; not twice for one call, unless `exhausting`."""
        in_flight = (*self.server.waiting, *self.server.ready)
        if self.exhausting or not any(
            each.login or each.request.call.renewed for each in in_flight
        ):
            self.server.token = f"token-{len(self.trace)}"
            self.trace.append(("expired",))

    def fetch(self, a: int, b: int) -> None:
        """Lets the consumer take some rows; begins a walk if none is running."""
        self.take(1 + a % (3 * self.next_options.page_size))

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
            self.resuming = True
            self.choose(b, a)

    async def _shut(self) -> None:
        self.closing.close()
        await self.tasks.aclose()

    def insert(self, a: int, b: int) -> None:
        if self.unchanging:
            return
        id = self._new_id(a, b)
        if id is None or id in self.server.ids:
            return
        before = any(id < other for other in self.server.ids[-1:])
        self.server.tables.change("insert", id)
        self.checker.inserting(id, before)
        self.trace.append(("insert", id))

    def _new_id(self, a: int, b: int) -> int | None:
        """The id of the row that is inserted next; None if there is none yet."""
        highest, writes = max(self.server.versions, default=0), self.server.temper.writes
        following = max(highest, *self._late, 0) + 1 + (b % 5 if b % 2 else 0)
        if writes == "late":
            # Ids are given out in order; their rows become visible in another.
            self._late.append(following)
            return self._late.pop(a % len(self._late)) if len(self._late) > 2 else None
        if writes == "re-used":
            gone = [id for id in self.server.versions if id not in self.server.ids]
            return gone[b % len(gone)] if gone and a % 4 else following
        if (self.any_id or writes == "low") and a % 4:
            return 1 + b % (highest + 2)
        return following

    def delete(self, a: int, b: int) -> None:
        """Deletes any row, the oldest, one at a page's border or near the last one received."""
        ids, received = self.server.ids, self.checker.received
        if self.unchanging or not ids or not self.server.temper.deletes:
            return
        place = b % len(ids)
        if a % 4 == 1:
            place = 0
        elif a % 4 == 2:
            place = max(0, b % 8 * self.checker.options.page_size - b // 8 % 2)
        elif a % 4 == 3 and received and received[-1] in ids:
            place = ids.index(received[-1]) + b % 2
        id = ids[min(place, len(ids) - 1)]
        self.server.tables.change("delete", id)
        self.checker.deleting(id)
        self.trace.append(("delete", id))

    def update(self, a: int, b: int) -> None:
        if self.unchanging or not self.server.ids:
            return
        id = self.server.ids[a % len(self.server.ids)]
        self.server.tables.change("update", id)
        self.trace.append(("update", id))

    def end(self, a: int, b: int) -> None:
        """Runs to the end of the walk, with a few changes on the way."""
        if self._task is None and self.resuming:
            self.take(ANYTHING)
        changes = (self.insert, self.delete, self.delete, self.update)
        steps = 0
        while self._task is not None:
            if self._allowed < ANYTHING // 2:
                self.take(ANYTHING)
                continue
            assert self.server.waiting or self.server.ready, "it waits for nothing"
            a = (a * 1103515245 + 12345) % 2**31
            if steps < b % 32 and a >> 8 & 1:
                changes[a >> 9 & 3](a >> 12, a >> 16)
            if a >> 20 & 1 or not self.server.ready:
                self.evaluate(a >> 4, 1)
            self.deliver(0 if a >> 21 & 1 else a >> 6, 0)
            steps += 1
