"""Claim: a chain of nightly exports with `--since last` brings every row exactly once, whatever
rows come, show late or go, whichever files are removed, and wherever a night is interrupted.

Each chain is a few nights over a table of its own. A night may be killed, run out of disk or lose
its connection several times, with hours between, until it ends. Then all files together must have
no row twice, and every row that existed from its beginning to its end; once the table is quiet, and
one more night has ended, all rows that are left.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs

from benchmarks.harness.chain_world import OVERLAP, FailingDisk, Habits, Pair, World
from benchmarks.harness.commands import Campaign, conclude, counted
from voipstudio_cmb import where
from voipstudio_cmb.errors import WalkError
from voipstudio_cmb.export import Export, Plan, Summary

FORMATS = ("jsonl", "jsonl", "jsonl", "csv", "sqlite")


class InlineExecutor(ThreadPoolExecutor):
    """Does at once what it is given: threads would take longer than the work."""

    def submit(self, work: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        future = Future[Any]()
        try:
            future.set_result(work(*arguments, **named))
        except BaseException as error:
            future.set_exception(error)
        return future


class Wrong(Exception):
    """A chain that does not hold the claim."""


def habits_of(chance: random.Random) -> Habits:
    """A world, of the kinds for which all is promised."""
    dates = chance.choice(["honours"] * 4 + ["ignores", "refuses"])
    conditions = chance.choice(["honours"] * 4 + ["ignores", "refuses"])
    # Where an API can't be asked by time, rows come in the order of ids, or late within an overlap.
    told = dates == conditions == "honours"
    dated = told or chance.random() < 0.7
    return Habits(
        writers=chance.choice([1, 2, 3]) if told else 1,
        dates=dates,
        conditions=conditions,
        late=dated and chance.random() < 0.4,
        deletes=chance.random() < 0.6,
        reuses=told and chance.random() < 0.5,
        dated=dated,
    )


class Chain:
    """One chain of nights."""

    def __init__(self, seed: int, to: Path, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.random = random.Random(seed)
        self.habits = habits_of(self.random)
        self.world = World(seed, self.habits)
        self.to = to
        self.format = self.random.choice(FORMATS)
        self.disturbed = self.random.random() < 0.6
        plain = not self.habits.late and self.random.random() < 0.2
        by_id, here = self.habits.conditions == "honours", self.random.random() < 0.2
        self.plan = Plan(
            to=to,
            resources="cdrs",
            since=None if plain else "last",
            overlap=OVERLAP if self.habits.late else 0,
            filters=where("id") > 0 if by_id or here else (),
            on_ignored_filter="client" if here else "raise",
            format=self.format,
            page_size=self.random.choice([2, 3, 5, 10]),
            concurrency=self.random.choice([1, 2, 4]),
            checkpoint=60,
            restart=random.Random(f"{seed} restart").random() < 0.2,
        )
        self.ends: Counter[str] = Counter()

    def run(self) -> None:
        """Runs the chain.

        Raises:
            Wrong: a row was lost, or is there twice.
        """
        self.world.live(self.random.randrange(30))
        for _ in range(self.random.randrange(5, 11)):
            self.world.live(self.random.randrange(12))
            self.world.wait(self.random.choice([0, 5, 3600, 80_000]))
            if self.random.random() < 0.2:
                self._remove()
            self.world.drifts = self.random.random() < 0.7
            self._night(interrupted=self.disturbed)
            self.plan = attrs.evolve(self.plan, since="last")  # the first may be a plain one
        self.world.drifts = False
        self.world.wait(OVERLAP)
        self._night(interrupted=False)
        if missing := self.world.pairs() - {*self._found()}:
            raise Wrong(f"lost for good: {sorted(missing)[:5]}")

    def _remove(self) -> None:
        """Removes a file."""
        if files := sorted(self.to.glob(f"cdrs*.{self.format}")):
            self.random.choice(files).unlink()
            self.ends["removed"] += 1

    def _night(self, *, interrupted: bool) -> None:
        """One export, which is run again until it has ended."""
        began = self.world.pairs()
        for attempt in range(12):
            disk = FailingDisk()
            if interrupted and attempt < 4 and self.random.random() < 0.4:
                disk = self._disturb()
            ended = self._attempt(disk)
            self.world.left = None
            self.ends[ended] += 1
            if ended == "done":
                break
            self.world.live(self.random.randrange(8))
            self.world.wait(self.random.choice([0, 60, 90_000]))
            self.world.drifts = self.world.drifts and attempt < 6
        else:
            raise Wrong(f"it never ends: {ended}")
        found = Counter(self._found())
        if twice := [pair for pair, count in found.items() if count > 1]:
            raise Wrong(f"twice: {sorted(twice)[:5]}")
        if missing := (began & self.world.pairs()) - {*found}:
            raise Wrong(f"existed throughout a night, and is missing: {sorted(missing)[:5]}")

    def _disturb(self) -> FailingDisk:
        kind = self.random.choice(["dies", "fills", "request"])
        if kind == "request":
            self.world.left = self.random.randrange(14)
            self.world.fault = self.random.choice(["lost", "503"])
            return FailingDisk(fails=True)
        return FailingDisk(**{kind: self.random.randrange(1, 60)})

    def _attempt(self, disk: FailingDisk) -> str:
        try:
            summary = self.runner.run(self._export(disk))
        except BaseException as error:
            if disk.died:
                return "killed"
            raise Wrong(f"it raised {error!r:.300}") from error
        self.ends["begun again"] += sum(job.note.startswith("begun") for job in summary.jobs)
        if summary.complete:
            return "done"
        contradicted = any(isinstance(job.error, WalkError) for job in summary.jobs)
        return "contradicted" if contradicted else "failed"

    async def _export(self, disk: FailingDisk) -> Summary:
        # A checkpoint a page takes long, and matters only where it is needed.
        plan = attrs.evolve(self.plan, checkpoint=0) if disk.fails else self.plan
        return await Export(self.world.client(), plan, disk=disk).run()

    def _found(self) -> Iterator[Pair]:
        """All rows of all files."""
        for path in self.to.glob(f"cdrs*.{self.format}"):
            if not path.name.endswith("rejects.jsonl"):
                for row in _READ[self.format](path):
                    yield int(row["id"]), row.get("created_at") or ""


def _read_jsonl(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _read_csv(path: Path) -> list[Any]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read_sqlite(path: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT id, created_at FROM cdrs")
        return [{"id": id, "created_at": created} for id, created in rows]


_READ = {"jsonl": _read_jsonl, "csv": _read_csv, "sqlite": _read_sqlite}


def run(count: int, seed: int) -> list[str]:
    """Runs so many chains; returns what contradicts the claim."""
    wrong, ends = [], Counter[str]()
    began = time.perf_counter()
    with asyncio.Runner() as runner:
        runner.get_loop().set_default_executor(InlineExecutor())
        for number in range(seed, seed + count):
            with tempfile.TemporaryDirectory() as to:
                chain = Chain(number, Path(to), runner)
                try:
                    chain.run()
                except Wrong as error:
                    wrong.append(f"chain {number} ({chain.format}, {chain.habits}): {error}")
                    print(wrong[-1], flush=True)
                ends += chain.ends
                if number % 1000 == 0:
                    print(f"up to chain {number}: {counted(ends)}; wrong {len(wrong)}", flush=True)
    took = time.perf_counter() - began
    print(f"{count} chains in {took:.0f} s; nights and files: {counted(ends)}; wrong {len(wrong)}")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("chains", __doc__, "--chains 20000")
    command.add("--chains", 500, "chains of 6 to 11 nights")
    given = command.parse(arguments)
    return bool(conclude(run(given.chains, given.seed)))


if __name__ == "__main__":
    sys.exit(main())
