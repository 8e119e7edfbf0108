"""Exports that are killed, or run out of disk, at every step; and gone on with until they are done.

`python -m benchmarks.campaigns.crash_points FORMAT` forks a process for each step of an
export, lets it die there by SIGKILL, runs the same export again (killed again at first, with --again) and compares the files
with those of an export that nothing disturbed. `--disk-full N` limits the size of files instead,
N times, evenly over the largest file. It runs by itself, because a process that has threads must
not fork.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness.offline import Offline
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.export.disk import Disk

T = TypeVar("T")

VERBOSE = bool(os.environ.get("VERBOSE"))


class Counting(Disk):
    """Counts its steps: before each, and after each. At step *dies* the process is killed.

    Or, with *fails*, each step from that one on fails once with this error number.
    """

    def __init__(self, dies: int = 0, fails: int = 0) -> None:
        self.steps = 0
        self._dies = dies
        self._fails = fails

    def step(self) -> None:
        self.steps += 1
        if self.steps == self._dies:
            if self._fails:
                raise OSError(self._fails, os.strerror(self._fails))
            os.kill(os.getpid(), signal.SIGKILL)

    def convert(self, work: Callable[[], T]) -> T:
        self.step()
        made = work()
        self.step()
        return made

    def rows(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        for row in rows:
            self.step()
            yield row


class Small(Disk):
    """Has no more room than so many bytes for a file, once a format writes its own."""

    def __init__(self, size: int) -> None:
        self._size = size

    def convert(self, work: Callable[[], T]) -> T:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, resource.RLIM_INFINITY))
        return work()


def _counted(name: str) -> Any:
    def call(self: Counting, *arguments: Any) -> Any:
        self.step()
        if name == "write" and not self._fails and self.steps + 1 == self._dies:
            # Killed in the middle of a write.
            getattr(Disk, name)(self, arguments[0], arguments[1][: len(arguments[1]) // 2])
        found = getattr(Disk, name)(self, *arguments)
        self.step()
        return found

    return call


for _name in ("open", "write", "truncate", "sync", "sync_directory", "replace", "link", "unlink"):
    setattr(Counting, _name, _counted(_name))


def plan(to: Path, format: str, **more: Any) -> Plan:
    form, _, rest = format.partition("+")
    options: dict[str, Any] = {"to": to, "format": form, "limit": 7, "checkpoint": 0}
    if rest == "last":
        options["since"] = rest
    elif rest:
        options["compress"] = rest
    return Plan(**options | more)


def account(count: int = 40) -> Offline:
    made = Offline(count=count)
    made.broken = {2}  # which goes to a file of its own
    return made


def prepare(plan: Plan) -> dict[str, bytes]:
    """Makes the export that an incremental one goes on from; the files that there are then."""
    if plan.since:
        asyncio.run(Export(account(25).client(), plan).run())
    return files(plan.to)


async def _export(plan: Plan, disk: Disk) -> int:
    summary = await Export(account().client(), plan, disk=disk).run()
    if VERBOSE:
        for job in summary.jobs:
            print(f"{job.resource}: {job.state} {job.note} {job.error}", file=sys.stderr)
    return 0 if summary.complete else 5


def forked(work: Callable[[], int]) -> int:
    """The exit code of *work*, done in a process of its own; below 0, the signal that ended it."""
    child = os.fork()
    if not child:
        code = 70
        try:
            code = work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def export(plan: Plan, dies: int = 0, fails: int = 0) -> int:
    """Runs one export in a process of its own."""
    return forked(lambda: asyncio.run(_export(plan, Counting(dies, fails))))


def files(directory: Path) -> dict[str, bytes]:
    """What is in the files of *directory*."""
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


class Wrong(Exception):
    """An export was not what it should be."""


def check_visible(directory: Path, whole: dict[str, bytes], before: dict[str, bytes]) -> None:
    """All that can be seen must be what it was *before*, or what it will be when all is *whole*."""
    for name, data in files(directory).items():
        if name == "manifest.json":
            known = [
                json.loads(held.get(name, b'{"files": {}}'))["files"] for held in (before, whole)
            ]
            for file, entry in json.loads(data)["files"].items():
                if entry not in [entries.get(file) for entries in known]:
                    raise Wrong(f"{name} says what is not so: {entry}")
        elif not name.startswith(".") and data not in (before.get(name), whole.get(name)):
            raise Wrong(f"{name} is visible and not whole")


def ended(directory: Path, whole: dict[str, bytes]) -> bool:
    """Whether all is done, but perhaps for a lock: that dies with its holder, its file need not."""
    found = files(directory)
    return {name: found[name] for name in found if not name.endswith(".lock")} == whole


def finish(
    plan: Plan, whole: dict[str, bytes], before: dict[str, bytes], kills: Iterator[int]
) -> int:
    """Runs the export until it is done, killed at first at the steps *kills*; how often it ran."""
    runs = 0
    for dies in kills:
        if ended(plan.to, whole):
            return runs  # the last kill was one too late
        runs += 1
        if export(plan, dies) == 0:
            break
        check_visible(plan.to, whole, before)
    else:
        runs += 1
        if ended(plan.to, whole):
            return runs
        if (code := export(plan)) != 0:
            raise Wrong(f"the last run ended with {code}")
    found = files(plan.to)
    if found != whole:
        left = sorted(found.keys() ^ whole.keys())
        other = [name for name in found.keys() & whole.keys() if found[name] != whole[name]]
        raise Wrong(f"files too many or too few: {left}; other bytes: {other}")
    return runs


def steps_of(plan: Plan) -> int:
    """How many steps an export takes, or a few more."""
    prepare(plan)
    disk = Counting()
    asyncio.run(_export(plan, disk))
    return disk.steps


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def kill_everywhere(format: str, again: int, every: int, first: int) -> tuple[int, int]:
    """Kills at each of the steps, or each *every*-th; how many steps, and how many runs."""
    draw = random.Random(format)
    with directory() as calm:
        whole_plan = plan(calm, format)
        steps = steps_of(whole_plan)
        whole = files(calm)
    runs = 0
    for dies in range(first, steps + 1, every):
        with directory() as to:
            before = prepare(plan(to, format))
            again_at = [draw.randrange(1, steps) for _ in range(again)]
            try:
                runs += finish(plan(to, format), whole, before, iter([dies, *again_at]))
            except Wrong as wrong:
                raise Wrong(f"killed at step {dies}, then {again_at}: {wrong}") from None
    return steps, runs


def fill_everywhere(format: str, times: int) -> tuple[int, int]:
    """Limits the size of files *times*; how many of the exports met it, and how many runs."""
    with directory() as calm:
        steps_of(plan(calm, format))
        whole = files(calm)
    largest = max(map(len, whole.values()))
    met = runs = 0
    for n in range(times):
        size = largest * n // times // 2 * 2 + n % 2  # the odd ones from the beginning
        with directory() as to:
            before = prepare(plan(to, format))

            def limited(size: int = size, to: Path = to) -> int:
                disk = Disk() if size % 2 else Small(size)
                if size % 2:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                return asyncio.run(_export(plan(to, format), disk))

            code = forked(limited)
            if code not in (0, 5):
                raise Wrong(f"with files of at most {size} bytes it ended with {code}")
            met += code == 5
            try:
                check_visible(to, whole, before)
                runs += 1 + finish(plan(to, format), whole, before, iter(()))
            except Wrong as wrong:
                raise Wrong(f"with files of at most {size} bytes: {wrong}") from None
    return met, runs


def fail_everywhere(format: str, number: int, every: int, first: int) -> tuple[int, int]:
    """Lets each of the steps fail once with error *number*; how many steps, and how many failed."""
    with directory() as calm:
        steps = steps_of(plan(calm, format))
        whole = files(calm)
    failed = 0
    for dies in range(first, steps + 1, every):
        with directory() as to:
            before = prepare(plan(to, format))
            code = export(plan(to, format), dies, number)
            if code not in (0, 5):
                raise Wrong(f"it ended with {code} where step {dies} failed")
            failed += code == 5
            try:
                check_visible(to, whole, before)
                if code:
                    finish(plan(to, format), whole, before, iter(()))
            except Wrong as wrong:
                raise Wrong(f"where step {dies} failed: {wrong}") from None
    return steps, failed


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.crash_points", description=__doc__
    )
    parser.add_argument(
        "format", help="jsonl, csv, sqlite, parquet; jsonl+gzip, and +last: since last"
    )
    parser.add_argument("--again", type=int, default=0, help="further kills of each export")
    parser.add_argument("--every", type=int, default=1, help="only each Nth step")
    parser.add_argument("--first", type=int, default=1, help="the step to begin with")
    parser.add_argument("--disk-full", type=int, default=0, metavar="N")
    parser.add_argument("--error", default="", help="let steps fail: EIO, ENOSPC, EDQUOT, ESTALE")
    given = parser.parse_args()
    try:
        if given.disk_full:
            met, runs = fill_everywhere(given.format, given.disk_full)
            print(f"{given.disk_full} sizes of disk, {met} of them too small; {runs} runs: whole")
        elif given.error:
            number = getattr(errno, given.error)
            steps, failed = fail_everywhere(given.format, number, given.every, given.first)
            print(f"{steps} steps, {failed} exports failed by {given.error}: all whole in the end")
        else:
            steps, runs = kill_everywhere(given.format, given.again, given.every, given.first)
            print(f"{steps} steps, {runs} runs: all whole in the end")
    except Wrong as wrong:
        print(f"{given.format}: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
