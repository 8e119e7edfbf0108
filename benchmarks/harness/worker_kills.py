"""An export by Dask's workers on this machine, of which some are killed, or who hands out to them.

As a program it is that export: the accounts file, the directory, the format, and how many workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import attrs

from benchmarks.harness.processes import ROOT
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.exit_codes import RESUMABLE, code_of
from voipstudio_cmb.export import Exports, Plan, read_accounts
from voipstudio_cmb.sandbox import Sandbox

RESOURCES: Any = ("cdrs", "visitors")
TIMEOUT = 300.0
"""Seconds after which a run is given up, and fails."""


def plan(to: Path, format: Any) -> Plan:
    """Small pages and checkpoints at once, so that most of what is killed can be resumed."""
    return Plan(
        to=to, resources=RESOURCES, format=format, page_size=20, concurrency=1, checkpoint=0.05
    )


def write_accounts(directory: Path, api: Sandbox, count: int) -> Path:
    """Writes an accounts file of so many accounts of the stand-in, whose tokens are set here."""
    tables = []
    for number in range(count):
        os.environ[f"SHOP{number}_TOKEN"] = api.token
        keys = f'token_env = "SHOP{number}_TOKEN"\nbase_url = "{api.base_url}"'
        tables.append(f"[accounts.shop{number}]\n{keys}\n")
    path = directory / "accounts.toml"
    path.write_text("\n".join(tables))
    return path


def one_process(accounts: Path, to: Path, format: str) -> None:
    """Exports the same without Dask, and undisturbed."""
    summary = asyncio.run(Exports(read_accounts(accounts), plan(to, format)).run())
    assert summary.complete, [str(job.error) for job in summary.jobs if job.error]


@attrs.define
class KilledExport:
    """An export that is run again until it is done, with so many `kills` left of its workers.

    Now and then who hands out to them is killed, too, at most `clients` times.
    """

    accounts: Path
    to: Path
    format: str
    draw: random.Random
    kills: int
    clients: int
    workers: int = 3
    runs: int = 0
    killed: Counter[str] = attrs.field(factory=Counter)

    def run(self) -> None:
        """Runs it until it is complete."""
        while self._run_once() != 0:
            pass

    def _run_once(self) -> int:
        self.runs += 1
        words = [str(self.accounts), str(self.to), self.format, str(self.workers)]
        with subprocess.Popen([sys.executable, "-m", __name__, *words], cwd=ROOT) as process:
            began, ends = time.time(), time.monotonic() + TIMEOUT
            due = 0.0
            while process.poll() is None:
                assert time.monotonic() < ends, "it did not end"
                time.sleep(0.02)
                if not due and self._writes(since=began):
                    due = time.monotonic() + self.draw.uniform(0, 1)
                if due and time.monotonic() > due:
                    self._kill(process.pid)
                    due = time.monotonic() + self.draw.uniform(0.2, 2)
        code = process.returncode
        assert code in (0, RESUMABLE, -signal.SIGKILL), code
        return code

    def _writes(self, since: float) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return any(path.stat().st_mtime > since for path in self.to.glob("*/.*"))
        return False

    def _kill(self, client: int) -> None:
        alive = worker_processes(client)
        if self.clients and self.draw.random() < 0.15:
            self.clients -= 1
            self.killed["clients"] += 1
            os.kill(client, signal.SIGKILL)
        elif self.kills and alive:
            self.kills -= 1
            self.killed["workers"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.draw.choice(alive), signal.SIGKILL)


def worker_processes(parent: int) -> list[int]:
    """The worker processes that `parent` has started."""
    found = []
    for each in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [pid for pid in map(int, each.read_text().split()) if _is_worker(pid)]
    return sorted(found)


def _is_worker(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


async def _export(accounts: str, to: str, format: str, workers: str) -> int:
    from voipstudio_cmb.ext.dask import DaskExports, local_cluster

    try:
        async with local_cluster(int(workers)) as client:
            summary = await DaskExports(client, accounts, plan(Path(to), format)).run()
    except CallMeBackError as error:  # as of workers that were killed before they had begun
        print(error, file=sys.stderr)
        return code_of(error)
    for job in summary.jobs:
        if job.error is not None:
            print(f"{job.account}/{job.resource}: {job.error}", file=sys.stderr)
    return 0 if summary.complete else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_export(*sys.argv[1:])))
