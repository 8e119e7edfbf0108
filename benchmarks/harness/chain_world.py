"""A collection that lives for days, between and during the exports of it: several writers with
blocks of ids, rows that show late, deletions, ids that are given again, and faults.
"""

from __future__ import annotations

import errno
import json
import os
import random
from bisect import bisect_left, insort
from datetime import datetime, timedelta
from typing import Any

import attrs

from benchmarks.harness.offline import Offline
from benchmarks.harness.responses import json_response
from voipstudio_cmb.errors import BadRequest, ConnectionLost, ServerFault
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.http import Request, Response

_START = datetime(2026, 1, 1)
_BLOCK = 100_000
OVERLAP = 600
"""Seconds within which a row shows that is late."""

Pair = tuple[int, str]


@attrs.frozen(kw_only=True)
class Habits:
    """What a world does."""

    writers: int = 1
    """Each has a block of ids of its own."""
    dates: str = "honours"
    """What becomes of conditions on `created_at`: it honours, ignores or refuses them."""
    conditions: str = "honours"
    """What becomes of conditions on `id`."""
    late: bool = False
    """Whether rows show some time after they were created, with ids of their turn."""
    deletes: bool = False
    reuses: bool = False
    """Whether the ids of deleted rows are given again."""
    dated: bool = True
    """Whether rows have a time of creation."""

    @property
    def by_page(self) -> bool:
        """Whether it can only be walked by page: then rows come above all others only, if any come
        while it is walked (the guide `walking` lists what else is not guaranteed)."""
        return self.conditions != "honours"


class World(Offline):
    """The collection `cdrs` of an account, as a handler; every choice comes from `seed`."""

    def __init__(self, seed: int, habits: Habits) -> None:
        super().__init__(0)
        self.habits = habits
        self.random = random.Random(seed)
        self.clock = 0
        self.rows: dict[int, dict[str, Any]] = {}
        self.ids: list[int] = []
        self.shown: dict[Pair, int] = {}
        """At which request each row that exists showed."""
        self.requests = 0
        self.left: int | None = None
        """How many requests are answered before it fails; None: all."""
        self.fault = "lost"
        self._next = [writer * _BLOCK + 1 for writer in range(habits.writers)]
        self._freed: list[int] = []
        self._pending: list[tuple[int, int, str]] = []
        self.drifts = False

    def pairs(self) -> set[Pair]:
        """The rows that exist."""
        return {*self.shown}

    @property
    def now(self) -> str:
        """The time on the clock."""
        return str(_START + timedelta(seconds=self.clock))

    def wait(self, seconds: int) -> None:
        """Lets time go by, and shows the rows that are due."""
        self.clock += seconds
        for due in [row for row in self._pending if row[0] <= self.clock]:
            self._pending.remove(due)
            self._show(due[1], due[2])

    def live(self, changes: int, *, on_top: bool = False) -> None:
        """Lets so many changes happen; `on_top` only new rows above all others."""
        habits, chance = self.habits, self.random
        for _ in range(changes):
            self.wait(chance.choice([0, 0, 1, 3, 20]))
            kind = "insert" if on_top else chance.choice(["insert"] * 4 + ["delete", "late"])
            if kind == "delete" and habits.deletes and len(self.ids) > 5:
                self._delete(self.ids[-1] if chance.random() < 0.3 else chance.choice(self.ids))
            elif kind == "late" and habits.late:
                self._pending.append((self.clock + chance.randrange(OVERLAP), self._id(), self.now))
            else:
                top = len(self._next) - 1
                self._show(self._id(top if on_top else None), self.now)

    def _id(self, writer: int | None = None) -> int:
        if writer is None and self._freed and self.random.random() < 0.5:
            self.clock += 1  # within one second nobody could tell the two rows apart
            return self._freed.pop(self.random.randrange(len(self._freed)))
        writer = self.random.randrange(len(self._next)) if writer is None else writer
        id = self._next[writer]
        self._next[writer] += self.random.choice([1, 1, 1, 3])
        return id

    def _show(self, id: int, created: str) -> None:
        row = {"id": id, "name": f"row {id}"}
        self.rows[id] = row | ({"created_at": created} if self.habits.dated else {})
        insort(self.ids, id)
        self.shown[id, created if self.habits.dated else ""] = self.requests

    def _delete(self, id: int) -> None:
        row = self.rows.pop(id)
        del self.ids[bisect_left(self.ids, id)]
        del self.shown[id, row.get("created_at", "")]
        if self.habits.reuses:
            self._freed.append(id)

    async def __call__(self, request: Request) -> Response:
        self.requests += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                if self.fault == "lost":
                    raise ConnectionLost("gone", sent="maybe")
                raise ServerFault("no", status=503, sent="yes")
        if self.drifts and self.random.random() < 0.4:
            self.live(1, on_top=self.habits.by_page)
        return self._answer(dict(request.query))

    def _answer(self, query: dict[str, str]) -> Response:
        ids: list[int] = self.ids
        for condition in json.loads(query.get("filter", "[]")):
            name, how, value = condition["property"], condition["operator"], condition["value"]
            habit = self.habits.conditions if name == "id" else self.habits.dates
            if habit == "refuses":
                raise BadRequest("Filtration error", status=400, sent="yes")
            if habit == "honours" and name == "id":
                at = bisect_left(ids, value + (how in ("gt", "lte")))
                ids = ids[at:] if how in ("gt", "gte") else ids[:at]
            elif habit == "honours":
                assert how == "gte"
                ids = [id for id in ids if self.rows[id].get("created_at", "") >= value]
        if query.get("sort") == "created_at":
            ids = sorted(ids, key=lambda id: self.rows[id].get("created_at", ""))
        ids = ids[::-1] if query.get("dir") == "DESC" else ids
        limit = int(query["limit"])
        start = (int(query.get("page", 1)) - 1) * limit
        rows = [self.rows[id] for id in ids[start : start + limit]]
        return json_response({"data": rows, "total": len(ids)})


class Died(BaseException):
    """The process was killed."""


class FailingDisk(Disk):
    """Waits for no disk; from step `dies` on, or at step `fills`, nothing is done any more."""

    def __init__(self, dies: int = 0, fills: int = 0, fails: bool = False) -> None:
        self.fails = fails or bool(dies or fills)
        self._dies, self._fills, self.steps, self.died = dies, fills, 0, False

    def step(self) -> None:
        """Counts a step, and fails if it is time."""
        self.steps += 1
        if self._dies and self.steps >= self._dies:
            self.died = True
            raise Died
        if self.steps == self._fills:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _stepped(name: str) -> Any:
    operation = getattr(Disk, name)

    def call(self: FailingDisk, *arguments: Any) -> Any:
        self.step()
        return None if name.startswith("sync") else operation(self, *arguments)

    return call


for _name in ("open", "write", "truncate", "sync", "sync_directory", "replace", "link", "unlink"):
    setattr(FailingDisk, _name, _stepped(_name))
