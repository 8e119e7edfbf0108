"""Claim: exporting 50 accounts x 4 resources holds at most 300 MB, and starts the accounts fairly.

The stand-in runs in a process of its own, and so does the export, whose memory is measured. Fair
is: every account gets its first turn, in the order of the accounts, before any gets its second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from benchmarks.campaigns.memory import MIB, peak
from voipstudio_cmb.export import Account, Exports, Plan
from voipstudio_cmb.export.run import exports as many

ACCOUNTS = 50
RESOURCES = ("cdrs", "visitors", "websites", "settings")
ROWS = 25_000
QUICK = 500
SLOTS = 8
ALLOWED = 300 * 10**6
ROOT = Path(__file__).parents[2]


@attrs.frozen(kw_only=True)
class Exported:
    """What became of it: *order* are the accounts by their number, at each turn that was given."""

    jobs: int
    done: int
    rows: int
    requests: int
    seconds: float
    before: int
    memory: int
    order: Sequence[int]


@contextlib.contextmanager
def served(rows: int, seed: int) -> Iterator[tuple[str, str]]:
    """The address and the token of a stand-in in another process."""
    command = [sys.executable, "-m", "voipstudio_cmb", "sandbox", "--rows", str(rows)]
    command += ["--seed", str(seed)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            url, token = (process.stdout.readline().strip().partition("=")[2] for _ in range(2))
            yield url, token
        finally:
            process.kill()


async def export(url: str, token: str, accounts: int, slots: int) -> Exported:
    """Exports in this process, into a directory that is thrown away."""
    order: list[int] = []

    class Noted(many.Turns):
        async def begin(self) -> None:
            await super().begin()
            order.append(numbers[self])

        async def __aenter__(self) -> None:
            first = self._in_hand
            await super().__aenter__()
            if not first:
                order.append(numbers[self])

    many.Turns = Noted  # type: ignore[misc]
    before = peak()
    with tempfile.TemporaryDirectory() as to:
        exports = Exports(
            [Account(f"account-{n:03}", token, base_url=url) for n in range(accounts)],
            Plan(to=Path(to), resources=RESOURCES),
            slots=slots,
        )
        numbers: dict[Any, int] = {one.turns: n for n, one in enumerate(exports._exports)}
        summary = await exports.run()
    return Exported(
        jobs=len(summary.jobs),
        done=sum(job.state == "done" for job in summary.jobs),
        rows=summary.rows,
        requests=summary.requests,
        seconds=summary.seconds,
        before=before,
        memory=peak(),
        order=order,
    )


def exported(rows: int, accounts: int, slots: int, seed: int) -> Exported:
    """Exports in a process of its own, from one of its own."""
    with served(rows, seed) as (url, token):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.campaigns.accounts", "--export", "-"],
            cwd=ROOT,
            input=json.dumps([url, token, accounts, slots]).encode(),
            stdout=subprocess.PIPE,
            check=True,
        )
    return Exported(**json.loads(done.stdout))


def failures(found: Exported, accounts: int) -> list[str]:
    """What of the claim does not hold."""
    wrong = []
    if found.done != found.jobs:
        wrong.append(f"{found.jobs - found.done} of {found.jobs} jobs are not done")
    if found.memory > ALLOWED:
        wrong.append(f"{found.memory / 1e6:.0f} MB, and {ALLOWED / 1e6:.0f} are allowed")
    if list(found.order[:accounts]) != list(range(accounts)):
        wrong.append("an account got its second turn before another its first")
    return wrong


def run(rows: int, accounts: int, slots: int, seed: int) -> list[str]:
    """Runs it; returns what of the claim does not hold."""
    began = time.monotonic()
    found = exported(rows, accounts, slots, seed)
    print(
        f"{accounts} accounts x {len(RESOURCES)} resources, {slots} at a time: "
        f"{found.done} of {found.jobs} jobs done, {found.rows:,} rows, "
        f"{found.requests:,} requests, {found.seconds:.1f} s, "
        f"{found.rows / found.seconds:,.0f} rows/s"
    )
    print(f"{found.memory / MIB:.1f} MiB at most ({found.before / MIB:.1f} before)")
    turns = [found.order[at : at + accounts] for at in range(0, len(found.order), accounts)]
    for number, order in enumerate(turns, 1):
        print(f"turns {number}: {re.sub(r'[^0-9 ]', '', str(list(order)))}")
    wrong = failures(found, accounts)
    print(f"{time.monotonic() - began:.0f} s")
    print(*wrong or ["the claim holds"], sep="\n")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.accounts", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="call records of each account")
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--slots", type=int, default=SLOTS, help="jobs at a time")
    parser.add_argument("--seed", type=int, default=1, help="decides what is in the rows")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} call records, in seconds")
    parser.add_argument("--export", help=argparse.SUPPRESS)  # what the process is started with
    given = parser.parse_args(arguments)
    if given.export:
        print(json.dumps(attrs.asdict(asyncio.run(export(*json.load(sys.stdin))))))
        return 0
    rows = QUICK if given.quick else given.rows
    return bool(run(rows, given.accounts, given.slots, given.seed))


if __name__ == "__main__":
    sys.exit(main())
