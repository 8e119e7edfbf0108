"""Claim: an export of 50 accounts x 4 resources takes at most 300 MB of memory, and every account
begins its first job before any begins its second.

The sandbox runs in a process of its own, and so does the export, whose memory is measured.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.memory import MIB, peak
from benchmarks.harness.processes import call_elsewhere, sandbox_elsewhere
from voipstudio_cmb.export import Account, Exports, Plan

ACCOUNTS = 50
RESOURCES = ("cdrs", "visitors", "websites", "settings")
ROWS = 25_000
QUICK = 500
SLOTS = 8
ALLOWED = 300 * 10**6
POLL = 0.002


@attrs.frozen(kw_only=True)
class AccountsExport:
    """What one export of many accounts did."""

    jobs: int
    done: int
    rows: int
    requests: int
    seconds: float
    before: int
    """The bytes of memory that the process held at most before it."""
    memory: int
    """The bytes that it held at most."""
    order: Sequence[int]
    """The account of each job, by its number, in the order in which jobs began."""


async def watch_order(jobs: Sequence[Any], order: list[int]) -> None:
    """Notes which jobs begin. Jobs of one poll count as fair: first ones before second ones."""
    waiting = dict(enumerate(jobs))
    turns = Counter(order)
    while True:
        begun = [number for number, job in waiting.items() if job.state != "waiting"]
        accounts = []
        for number in begun:
            del waiting[number]
            account = number // len(RESOURCES)
            turns[account] += 1
            accounts.append((turns[account], account))
        order += [account for _, account in sorted(accounts)]
        await asyncio.sleep(POLL)


async def export(url: str, token: str, accounts: int, slots: int) -> AccountsExport:
    """Exports in this process, into a directory that is thrown away."""
    order: list[int] = []
    before = peak()
    with tempfile.TemporaryDirectory() as to:
        exports = Exports(
            [Account(f"account-{n:03}", token, base_url=url) for n in range(accounts)],
            Plan(to=Path(to), resources=RESOURCES),
            slots=slots,
        )
        watch = asyncio.create_task(watch_order(exports.jobs, order))
        summary = await exports.run()
        await asyncio.sleep(2 * POLL)
        watch.cancel()
    return AccountsExport(
        jobs=len(summary.jobs),
        done=sum(job.state == "done" for job in summary.jobs),
        rows=summary.rows,
        requests=summary.requests,
        seconds=summary.seconds,
        before=before,
        memory=peak(),
        order=order,
    )


def export_elsewhere(rows: int, accounts: int, slots: int, seed: int) -> AccountsExport:
    """Exports in a process of its own, from one of its own."""
    with sandbox_elsewhere(rows, seed) as (url, token):
        return AccountsExport(**call_elsewhere(export, url, token, accounts, slots))


def failures(export: AccountsExport, accounts: int, slots: int) -> list[str]:
    """What contradicts the claim.

    A job that has its turn opens its files before it is seen to begin. Meanwhile the jobs in the
    other slots may end, and second ones begin.
    """
    wrong = []
    if export.done != export.jobs:
        wrong.append(f"{export.jobs - export.done} of {export.jobs} jobs are not done")
    if export.memory > ALLOWED:
        wrong.append(f"{export.memory / 1e6:.0f} MB, and {ALLOWED / 1e6:.0f} are allowed")
    if {*export.order[: accounts + slots - 1]} != {*range(accounts)}:
        wrong.append("an account began its second job before another its first")
    return wrong


def run(rows: int, accounts: int, slots: int, seed: int) -> list[str]:
    """Exports, and prints what it took; returns what contradicts the claim."""
    began = time.monotonic()
    done = export_elsewhere(rows, accounts, slots, seed)
    print(
        f"{accounts} accounts x {len(RESOURCES)} resources, {slots} at a time: "
        f"{done.done} of {done.jobs} jobs done, {done.rows:,} rows, "
        f"{done.requests:,} requests, {done.seconds:.1f} s, "
        f"{done.rows / done.seconds:,.0f} rows/s"
    )
    print(f"{done.memory / MIB:.1f} MiB at most ({done.before / MIB:.1f} before)")
    for at in range(0, len(done.order), accounts):
        print(f"turns {at // accounts + 1}:", *done.order[at : at + accounts])
    print(f"{time.monotonic() - began:.0f} s")
    return conclude(failures(done, accounts, slots))


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("accounts", __doc__, "--accounts 20 --slots 4")
    command.add("--rows", ROWS, "call records of each account")
    command.add("--accounts", ACCOUNTS, "accounts to export")
    command.add("--slots", SLOTS, "jobs at a time")
    command.quick(f"{QUICK} call records")
    given = command.parse(arguments)
    rows = QUICK if given.quick else given.rows
    return bool(run(rows, given.accounts, given.slots, given.seed))


if __name__ == "__main__":
    sys.exit(main())
