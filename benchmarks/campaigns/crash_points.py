"""Claim: an export that is killed, fails or runs out of disk at any of its steps can be run again
until it is done, ends with the files of an undisturbed one, and shows no incomplete file.

Each step of the disk before and after an operation is a crash point. For each, a forked process
runs an export and dies there by SIGKILL; the same export is then run again, and the files are
compared byte for byte. It runs by itself, because a process that has threads must not fork.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.disks import CountingDisk, SteppedSink, limit_file_size
from benchmarks.harness.offline import Offline
from benchmarks.harness.processes import exit_code, fork
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.export.store.disk import Disk

INCOMPLETE = 5
"""The exit code of an export that ended with an error and can be run again."""

Files = dict[str, bytes]
"""What is in a directory, by name."""


class Wrong(Exception):
    """An export was not what it should be."""


def plan_of(to: Path, format: str) -> Plan:
    """The plan for `jsonl`, `jsonl+gzip` or `jsonl+last`, which exports since the last time."""
    form, _, rest = format.partition("+")
    options: dict[str, Any] = {"to": to, "format": form, "page_size": 7, "checkpoint": 0}
    if rest:
        options["since" if rest == "last" else "compress"] = rest
    return Plan(**options)


def account(count: int = 40) -> Offline:
    made = Offline(count=count)
    made.broken = {2}  # which goes to a file of its own
    return made


def files(directory: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def prepare(plan: Plan) -> Files:
    """Makes the export that an incremental one continues; returns the files there are then."""
    if plan.since:
        asyncio.run(Export(account(25).client(), plan).run())
    return files(plan.to)


def export_on(plan: Plan, disk: Disk, step: Callable[[], None]) -> int:
    """Exports in this process, with a `step` for what a format does; returns the exit code."""
    plan = attrs.evolve(plan, format=SteppedSink(plan.sink, step))
    summary = asyncio.run(Export(account().client(), plan, disk=disk).run())
    return 0 if summary.complete else INCOMPLETE


def check_visible(directory: Path, complete: Files, before: Files) -> None:
    """Checks that each visible file is as it was `before`, or as it is when all is `complete`."""
    for name, data in files(directory).items():
        if name == "manifest.json":
            manifests = [each[name] for each in (before, complete) if name in each]
            known = [json.loads(manifest)["files"] for manifest in manifests]
            for file, entry in json.loads(data)["files"].items():
                if entry not in [entries.get(file) for entries in known]:
                    raise Wrong(f"{name} has a false entry: {entry}")
        elif not name.startswith(".") and data not in (before.get(name), complete.get(name)):
            raise Wrong(f"{name} is visible and not complete")


def is_done(directory: Path, complete: Files) -> bool:
    """Whether all is done, but perhaps for a lock: that dies with its holder, its file need not."""
    return {n: data for n, data in files(directory).items() if not n.endswith(".lock")} == complete


def finish(plan: Plan, complete: Files, before: Files, kills: Iterable[int] = ()) -> int:
    """Runs the export until it is done, killed first at each of `kills`; returns the runs."""
    runs = 0
    for dies in (*kills, 0):
        if is_done(plan.to, complete):
            return runs  # the last kill was one too late
        runs += 1
        disk = CountingDisk(dies)
        code = exit_code(fork(partial(export_on, plan, disk, disk.step)))
        if code == 0:
            break
        if not dies:
            raise Wrong(f"the last run ended with {code}")
        check_visible(plan.to, complete, before)
    result = files(plan.to)
    if result != complete:
        names = sorted(result.keys() ^ complete.keys())
        other = [name for name in result.keys() & complete.keys() if result[name] != complete[name]]
        raise Wrong(f"files too many or too few: {names}; other bytes: {other}")
    return runs


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def undisturbed(format: str) -> tuple[int, Files]:
    """The steps of an export that nothing disturbs, and its files."""
    with directory() as to:
        plan, disk = plan_of(to, format), CountingDisk()
        prepare(plan)
        export_on(plan, disk, disk.step)
        return disk.steps, files(to)


@contextlib.contextmanager
def trial(format: str, what: str) -> Iterator[tuple[Plan, Files]]:
    """A plan in a directory of its own, and its files before; an error says `what` was done."""
    with directory() as to:
        plan = plan_of(to, format)
        try:
            yield plan, prepare(plan)
        except Wrong as wrong:
            raise Wrong(f"{what}: {wrong}") from None


def interrupt(plan: Plan, work: Callable[[], int], complete: Files, before: Files) -> bool:
    """Does `work`, an export that may fail, and finishes it; returns whether it failed."""
    code = exit_code(fork(work))
    if code not in (0, INCOMPLETE):
        raise Wrong(f"it ended with {code}")
    check_visible(plan.to, complete, before)
    if code:
        finish(plan, complete, before)
    return bool(code)


def kill_everywhere(format: str, every: int, first: int, again: int, seed: int) -> str:
    """Kills an export at every Nth step from the `first`, then `again` at random ones."""
    draw = random.Random(f"{seed} {format}")
    steps, complete = undisturbed(format)
    runs = 0
    for dies in range(first, steps + 1, every):
        kills = [dies, *(draw.randrange(1, steps) for _ in range(again))]
        with trial(format, f"killed at the steps {kills}") as (plan, before):
            runs += finish(plan, complete, before, kills)
    return f"{steps} steps, {runs} runs"


def fail_everywhere(format: str, every: int, first: int, error: str) -> str:
    """Lets every Nth step from the `first` fail once with the `error`."""
    steps, complete = undisturbed(format)
    failed = 0
    for fails in range(first, steps + 1, every):
        with trial(format, f"where step {fails} failed") as (plan, before):
            disk = CountingDisk(fails, getattr(errno, error))
            failed += interrupt(plan, partial(export_on, plan, disk, disk.step), complete, before)
    return f"{steps} steps, {failed} exports failed by {error}"


def export_limited(plan: Plan, size: int, from_start: bool) -> int:
    """Exports where no file can have more than `size` bytes."""
    limit = partial(limit_file_size, size)
    if from_start:
        limit()
    return export_on(plan, Disk(), limit)


def fill_everywhere(format: str, times: int) -> str:
    """Limits the size of files `times`, evenly over the largest file."""
    _, complete = undisturbed(format)
    largest, failed = max(map(len, complete.values())), 0
    for n in range(times):
        size = largest * n // times
        with trial(format, f"with files of at most {size} bytes") as (plan, before):
            work = partial(export_limited, plan, size, n % 2 == 1)
            failed += interrupt(plan, work, complete, before)
    return f"{times} sizes of disk, {failed} of them too small"


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("crash_points", __doc__, "parquet --every 4 --again 1")
    command.parser.add_argument(
        "format", help="jsonl, csv, sqlite or parquet; +gzip compresses, +last exports since last"
    )
    command.add("--again", 0, "further kills of each export, at random steps")
    command.add("--every", 1, "takes each Nth step only")
    command.add("--first", 1, "the step to begin with")
    command.add("--disk-full", 0, "no kills: N sizes of a disk that is full", metavar="N")
    command.add(
        "--error", "", "no kills: lets steps fail with EIO, ENOSPC, EDQUOT or ESTALE", metavar="E"
    )
    given = command.parse(arguments)
    failures = []
    try:
        if given.disk_full:
            print(fill_everywhere(given.format, given.disk_full))
        elif given.error:
            print(fail_everywhere(given.format, given.every, given.first, given.error))
        else:
            steps = given.every, given.first
            print(kill_everywhere(given.format, *steps, given.again, given.seed))
    except Wrong as wrong:
        failures = [f"{given.format}: {wrong}"]
    return bool(conclude(failures))


if __name__ == "__main__":
    sys.exit(main())
