"""Claim: an export that is killed at any time, again and again, ends with the file that an
undisturbed one over the same rows makes, and never shows an incomplete file.

An export of a few pages runs over a socket while rows come and go and some requests fail. SIGKILL
meets it at a random time; the same export is started again, and killed again, until one is done.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from benchmarks.campaigns.kills.checks import Wrong, check, check_copy
from benchmarks.campaigns.kills.server import Server, serve
from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.processes import fork
from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.export import FORMATS, Export, Plan
from voipstudio_cmb.sandbox import Drift, Temper

PAGE_SIZE = 50
LONGEST = 0.25
"""Seconds after which an export is killed at the latest."""

INCOMPLETE = 5
"""The exit code of an export that ended with an error and can be run again."""

TEMPERS = {
    "keyset": Temper(),
    "by page": Temper(ignore_filter=True),
    "by page, capped": Temper(refuse_filter=True),
    "no order": Temper(ignore_sort=True, ignore_filter=True, newest_first=True),
}


async def _export(url: str, plan: Plan) -> int:
    config = ClientConfig(
        retry=lambda error, request, n: 0.002 if error.retryable and n < 8 else None,
        retry_budget=10_000,
    )
    async with CallMeBackClient("sandbox-token", base_url=url, config=config) as cmb:
        summary = await Export(cmb, plan).run()
    return 0 if summary.complete else INCOMPLETE


def killed_export(url: str, plan: Plan, after: float) -> int:
    """The exit code of an export that is killed `after` so many seconds; -9 if it was."""
    child = fork(lambda: asyncio.run(_export(url, plan)))
    ends = time.monotonic() + after
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        left = ends - time.monotonic()
        if left <= 0:
            os.kill(child, signal.SIGKILL)
            ends += 60
        time.sleep(max(0.0, min(left, 0.002)))


@attrs.define
class Trial:
    """One export, killed up to `most_kills` times, over a server with a random habit."""

    seed: int
    format: str
    most_kills: int
    kills: int = 0
    runs: int = 0
    habit: str = attrs.field(init=False)
    drift: Drift = attrs.field(init=False)
    _draw: random.Random = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._draw = draw = random.Random(f"{self.seed} {self.format}")
        self.habit = draw.choice(list(TEMPERS))
        changing = draw.random() < 0.7 and self.habit != "no order"
        inserts, deletes = (draw.choice([0, 0.5]) * changing for _ in range(2))
        self.drift = Drift(inserts=inserts, deletes=deletes, collections="cdrs")

    @property
    def changing(self) -> bool:
        """Whether rows come and go while it runs."""
        return self.drift != Drift(collections="cdrs")

    def __str__(self) -> str:
        return self.habit + (", rows come and go" if self.changing else "")

    def run(self) -> None:
        """Exports until it is done, and checks the file."""
        server = serve(self.seed, TEMPERS[self.habit], self.drift, self._draw.choice([0.0, 0.02]))
        try:
            with self._plan() as plan:
                self._run_until_done(server, plan)
                check(*self._expected(server, plan))
        except Wrong as wrong:
            what = f"seed {self.seed}, {self.format}, {self.habit}, {self.drift}"
            raise Wrong(f"{what}: {wrong}") from None
        finally:
            server.end()

    def _expected(self, server: Server, plan: Plan) -> tuple[Any, ...]:
        newest_first = TEMPERS[self.habit].newest_first
        return plan.path("cdrs"), plan, server.ask(), newest_first, self.changing

    @contextmanager
    def _plan(self) -> Iterator[Plan]:
        form, _, compress = self.format.partition("+")
        directory = Path(tempfile.mkdtemp())
        try:
            yield Plan(
                to=directory,
                resources="cdrs",
                format=form,
                compress=compress or None,
                page_size=PAGE_SIZE,
                concurrency=self._draw.choice([1, 4]),
                checkpoint=0.02,
            )
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _run_until_done(self, server: Server, plan: Plan) -> None:
        path = plan.path("cdrs")
        while True:
            self.runs += 1
            after = self._draw.uniform(0, LONGEST) if self.kills < self.most_kills else 60
            ended = killed_export(server.url, plan, after)
            self.kills += ended == -signal.SIGKILL
            if ended == 0:
                return
            hidden = {file for file in path.parent.iterdir() if file.name.startswith(".")}
            if path.exists() and all(file.suffix == ".lock" for file in hidden):
                for file in hidden:  # killed when all was done: a lock dies with its holder
                    file.unlink()
                return
            if ended not in (-signal.SIGKILL, INCOMPLETE) or self.runs > self.most_kills + 20:
                raise Wrong(f"run {self.runs} ended with {ended}")
            if path.exists():  # killed after it was published
                check_copy(*self._expected(server, plan))


def run(format: str, kills: int, most_kills: int, seed: int) -> list[str]:
    """Kills exports in one format until there were so many kills; returns what was wrong."""
    began = time.monotonic()
    totals: Counter[str] = Counter()
    habits: Counter[str] = Counter()
    while totals["kills"] < kills:
        trial = Trial(seed + totals["exports"], format, min(most_kills, kills - totals["kills"]))
        try:
            trial.run()
        except Wrong as wrong:
            return [str(wrong)]
        totals.update(exports=1, kills=trial.kills, runs=trial.runs)
        habits[str(trial)] += 1
    print(
        f"{format:<10} {totals['kills']} kills, {totals['exports']} exports in {totals['runs']} "
        f"runs, identical, in {time.monotonic() - began:.0f} s: {counted(habits)}",
        flush=True,
    )
    return []


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("kills", __doc__, "--kills 100 --formats jsonl parquet")
    command.add("--kills", 100, "kills of each format")
    command.add("--formats", [*FORMATS, "jsonl+gzip"], "formats to export to")
    command.add("--each", 5, "most kills of one export")
    given = command.parse(arguments)
    failures: list[str] = []
    for format in given.formats:
        failures += run(format, given.kills, given.each, given.seed)
    return bool(conclude(failures))


if __name__ == "__main__":
    sys.exit(main())
