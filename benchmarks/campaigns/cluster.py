"""Claim: an export of many accounts by Dask's workers, killed again and again, ends with the files
of one process, byte by byte.

60 accounts x 2 resources go to JSON Lines and to Parquet in turn, by three worker processes.
SIGKILL meets workers, and who hands out to them, at random times; that is then started again. It
needs the extra dask.
"""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.worker_kills import RESOURCES, KilledExport, one_process, write_accounts
from voipstudio_cmb.sandbox import Sandbox

FORMATS = ("jsonl", "parquet")


def hashes(directory: Path) -> dict[str, str]:
    """The SHA-256 of each file that a reader sees, and of all that should not be left.

    The empty file of a lock may be: who held it may have been killed when all was done.
    """
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and (path.suffix != ".lock" or path.stat().st_size)
    }


def run(accounts: int, kills: int, clients: int, seed: int, rows: int = 400) -> list[str]:
    """Runs trials until so many workers were killed, and each format was written; what is wrong."""
    wrong = []
    killed: Counter[str] = Counter()
    draw, trials = random.Random(seed), 0
    with Sandbox(rows=rows, latency=0.01) as api, tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        file = write_accounts(directory, api, accounts)
        for format in FORMATS:
            one_process(file, directory / f"one-{format}", format)
        while trials < len(FORMATS) or killed["workers"] < kills:
            format = FORMATS[trials % len(FORMATS)]
            share = -(-(kills - killed["workers"]) // max(1, len(FORMATS) - trials))
            own = KilledExport(file, directory / str(trials), format, draw, share, clients)
            began = time.monotonic()
            own.run()
            trials += 1
            killed += own.killed
            expected, found = hashes(directory / f"one-{format}"), hashes(own.to)
            alike = sum(found.get(path) == sha for path, sha in expected.items())
            print(
                f"{format}: {own.killed['workers']} workers and {own.killed['clients']} clients "
                f"killed, {own.runs} runs, {alike} of {len(expected)} files identical, "
                f"{len(found.keys() - expected)} left over, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            if found != expected:
                wrong.append(f"trial {trials}: {sorted(expected.items() ^ found.items())[:4]}")
    print(f"{killed['workers']} workers and {killed['clients']} clients killed in {trials} exports")
    return wrong


def main(argv: list[str] | None = None) -> int:
    """Runs the campaign."""
    command = Campaign("cluster", __doc__, "--accounts 20 --kills 8")
    command.add("--accounts", 60, f"each with {len(RESOURCES)} resources")
    command.add("--kills", 30, "of workers, over all exports")
    command.add("--clients", 1, "at most so often in an export who hands out is killed")
    given = command.parse(argv)
    return bool(conclude(run(given.accounts, given.kills, given.clients, given.seed)))


if __name__ == "__main__":
    sys.exit(main())
