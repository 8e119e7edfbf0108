"""Claim: an export that is killed at any time, again and again, ends with the file that an
undisturbed one over the same rows makes, and nothing that is not whole is ever visible.

An export of a few pages runs over a socket while rows come and go and some requests fail. SIGKILL
meets it at a random time; the same export is started again, and killed again, until one gets
through. Of its rows, each that was there throughout must be there once, and no other than those
that ever were; and the file, byte for byte, must be what the format makes of just these rows.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import logging
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb import CallMeBackClient, Cdr, ClientConfig
from voipstudio_cmb.export import FORMATS, Export, Plan
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Temper
from voipstudio_cmb.sandbox.journal import Received

ROWS = 900
PAGE = 50
LONGEST = 0.25
TEMPERS = {
    "keyset": Temper(),
    "by page": Temper(ignore_filter=True),
    "by page, capped": Temper(refuse_filter=True),
    "no order": Temper(ignore_sort=True, ignore_filter=True, newest_first=True),
}


class Wrong(Exception):
    """An export was not what it should be."""


@attrs.frozen
class Server:
    """A stand-in in a process of its own; `ask` tells what it has seen."""

    process: int
    url: str
    _asks: int
    _answers: int

    def ask(self) -> dict[str, Any]:
        """The ids that were there throughout, those that ever were, and every row by its id."""
        os.write(self._asks, b"?")
        with open(self._answers, "rb", closefd=False) as answers:
            found: dict[str, Any] = json.loads(answers.readline())
        return found

    def end(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self._asks)
        os.close(self._answers)


def serve(seed: int, temper: Temper, drift: Drift, faults: float) -> Server:
    """Starts one."""
    asks, answers = os.pipe(), os.pipe()
    process = fork(lambda: asyncio.run(_serving(seed, temper, drift, faults, asks[0], answers[1])))
    os.close(asks[0])
    os.close(answers[1])
    with open(answers[0], "rb", closefd=False) as told:
        url = told.readline().decode().strip()
    return Server(process, url, asks[1], answers[0])


async def _serving(
    seed: int, temper: Temper, drift: Drift, faults: float, asks: int, answers: int
) -> None:
    draw = random.Random(seed)

    def unlucky(_: Received) -> bool:
        return draw.random() < faults

    api = Sandbox(rows=ROWS, seed=seed, temper=temper, drift=drift, latency=(0.0, 0.006))
    for fault in (Fault(status=503), Fault(drop="mid-body"), Fault(drop="before")):
        api.script(attrs.evolve(fault, path="/callmeback", when=unlucky, times=None))
    table = api.data.cdrs
    asked: asyncio.Queue[bytes] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(asks, lambda: asked.put_nowait(os.read(asks, 1)))
    logging.disable(logging.CRITICAL)  # of connections that the killed leave behind
    async with api:
        with table.watched() as watch:
            os.write(answers, f"{api.base_url}\n".encode())
            while True:
                await asked.get()
                rows = {str(id): table.encoded(id).decode() for id in watch.ever}
                told = {"throughout": sorted(watch.throughout), "rows": rows}
                left = memoryview(json.dumps(told).encode() + b"\n")
                while left:
                    left = left[os.write(answers, left) :]


def fork(work: Callable[[], int | None]) -> int:
    """The id of a process that does *work* and ends; its exit code is what that returns."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        code = work() or 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _export(url: str, plan: Plan) -> int:
    config = ClientConfig(
        retry=lambda error, request, n: 0.002 if error.retryable and n < 8 else None,
        retry_budget=10_000,
    )
    async with CallMeBackClient("sandbox-token", base_url=url, config=config) as cmb:
        summary = await Export(cmb, plan).run()
    return 0 if summary.complete else 5


def killed_export(url: str, plan: Plan, after: float) -> int:
    """The exit code of an export that is killed *after* so many seconds; -9 if it was."""
    child = fork(lambda: asyncio.run(_export(url, plan)))
    ends = time.monotonic() + after
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        left = ends - time.monotonic()
        if left <= 0:
            os.kill(child, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(min(left, 0.002))


def ids_in(path: Path) -> list[int]:
    """The ids in the file *path*, by a reader that is not ours."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line)["id"] for line in data.decode().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [int(row["id"]) for row in csv.DictReader(file)]
    if path.suffix == ".sqlite":
        base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return [id for (id,) in base.execute("SELECT id FROM cdrs ORDER BY rowid")]
        finally:
            base.close()
    import pyarrow.parquet

    found: list[int] = pyarrow.parquet.read_table(path, columns=["id"])["id"].to_pylist()
    return found


def dump(path: Path) -> list[Any]:
    """All that a database holds."""
    base = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [*base.execute("SELECT sql FROM sqlite_schema"), *base.execute("SELECT * FROM cdrs")]
    finally:
        base.close()


def check(path: Path, plan: Plan, told: dict[str, Any], newest_first: bool, late: bool) -> None:
    """Compares the file with what the server has had, and with what the format makes of it.

    A database's bytes depend on the order in which rows came, and it shows them by id: where some
    may have come *late*, what it holds is compared.
    """
    ids = ids_in(path)
    if newest_first and path.suffix == ".sqlite":
        ids.reverse()
    if len(ids) != len(set(ids)):
        raise Wrong(f"{len(ids) - len(set(ids))} rows twice")
    lost = set(told["throughout"]) - set(ids)
    if lost:
        raise Wrong(f"{len(lost)} rows lost: {sorted(lost)[:5]}")
    rows = told["rows"]
    if any(str(id) not in rows for id in ids):
        raise Wrong("rows that never were")
    again = path.with_name(f"again.{plan.sink.suffix}")
    plan.sink.write((rows[str(id)].encode() for id in ids), "cdrs", Cdr, again)
    same = again.read_bytes() == path.read_bytes()
    if not same and path.suffix == ".sqlite" and late:
        same = dump(again) == dump(path)
    if not same:
        raise Wrong("other bytes than those of an undisturbed export of the same rows")
    again.unlink()
    left = {file.name for file in path.parent.iterdir()} - {path.name, "manifest.json"}
    if left:
        raise Wrong(f"left over: {sorted(left)}")


def trial(seed: int, format: str, kills: int) -> tuple[str, int, int]:
    """One export, killed up to *kills* times; the habit of its server, its kills and its runs."""
    draw = random.Random(f"{seed} {format}")
    habit = draw.choice(list(TEMPERS))
    changing = draw.random() < 0.7 and habit != "no order"
    drift = Drift(
        inserts=draw.choice([0, 0.5]) * changing,
        deletes=draw.choice([0, 0.5]) * changing,
        collections="cdrs",
    )
    form, _, compress = format.partition("+")
    server = serve(seed, TEMPERS[habit], drift, draw.choice([0.0, 0.02]))
    directory = Path(tempfile.mkdtemp())
    plan = Plan(
        to=directory,
        resources="cdrs",
        format=form,
        compress=compress or None,
        limit=PAGE,
        window=draw.choice([1, 4]),
        checkpoint=0.02,
    )
    path = plan.path("cdrs")
    newest_first = TEMPERS[habit].newest_first
    late = changing  # also by keyset, where too much changes for a proof
    done, runs = 0, 0
    try:
        while True:
            runs += 1
            ended = killed_export(
                server.url, plan, draw.uniform(0, LONGEST) if done < kills else 60
            )
            done += ended == -signal.SIGKILL
            hidden = {file for file in directory.iterdir() if file.name.startswith(".")}
            if ended == 0:
                break
            if path.exists() and all(file.suffix == ".lock" for file in hidden):
                for file in hidden:  # killed when all was done: a lock dies with its holder
                    file.unlink()
                break
            if ended not in (-signal.SIGKILL, 5) or runs > kills + 20:
                raise Wrong(f"run {runs} ended with {ended}")
            if path.exists():
                # Killed behind the name: it must be whole by now.
                check_visible(path, plan, server.ask(), newest_first, late)
        check(path, plan, server.ask(), newest_first, late)
    except Wrong as wrong:
        raise Wrong(f"seed {seed}, {format}, {habit}, {drift}: {wrong}") from None
    finally:
        server.end()
        shutil.rmtree(directory, ignore_errors=True)
    return habit + (", rows come and go" if drift != Drift(collections="cdrs") else ""), done, runs


def check_visible(
    path: Path, plan: Plan, told: dict[str, Any], newest_first: bool, late: bool
) -> None:
    """Checks a copy: what is beside it belongs to the export."""
    with tempfile.TemporaryDirectory() as other:
        copy = Path(other) / path.name
        shutil.copyfile(path, copy)
        check(copy, plan, told, newest_first, late)


def main() -> int:
    """Kills exports until there were so many kills of each format."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.kills", description=__doc__
    )
    parser.add_argument("--kills", type=int, default=100, help="kills of each format")
    parser.add_argument("--formats", nargs="*", default=[*FORMATS, "jsonl+gzip"])
    parser.add_argument("--each", type=int, default=5, help="most kills of one export")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wrong = 0
    for format in given.formats:
        began, seed = time.monotonic(), given.seed
        kills = runs = exports = 0
        met: Counter[str] = Counter()
        while kills < given.kills:
            try:
                habit, killed, ran = trial(seed, format, min(given.each, given.kills - kills))
            except Wrong as error:
                wrong += 1
                print(error)
                break
            seed += 1
            exports += 1
            kills += killed
            runs += ran
            met[habit] += 1
        print(
            f"{format:<10} {kills} kills, {exports} exports in {runs} runs, identical, "
            f"in {time.monotonic() - began:.0f} s: "
            + ", ".join(f"{count} {habit}" for habit, count in met.most_common()),
            flush=True,
        )
    print("the claim does not hold" if wrong else "the claim holds")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
