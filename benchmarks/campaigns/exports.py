"""Claim: an export of a million rows takes a bounded memory, in every format.

It runs in a process of its own against the stand-in in another one, so that the most memory that it
ever held is its alone; and it could have no more, but for Parquet, without failing. Printed beside
it: rows a second in all, and requests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from benchmarks.campaigns.memory import MIB, peak
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.export import FORMATS, Export, Plan

ROWS = 1_000_000
BOUND = 300 * MIB


@attrs.frozen(kw_only=True)
class Exported:
    """What one export took; *memory* in bytes, *size* of its file."""

    format: str
    rows: int
    memory: int
    before: int
    seconds: float
    requests: int
    size: int

    def __str__(self) -> str:
        return (
            f"{self.format:<12} {self.rows:>9,} rows  {self.memory / MIB:6.1f} MiB at most "
            f"({self.before / MIB:.1f} before)  {self.rows / self.seconds:>7,.0f} rows/s  "
            f"{self.requests} requests  {self.size / MIB:.0f} MiB"
        )


@contextmanager
def stand_in(rows: int, seed: int) -> Iterator[str]:
    """The base URL of the stand-in with so many call records, in a process of its own."""
    command = [sys.executable, "-m", "voipstudio_cmb", "sandbox", "--rows", str(rows)]
    command += ["--seed", str(seed)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip().partition("=")[2]
        finally:
            server.terminate()


def limit_memory(more: int) -> None:
    """Lets this process have so many bytes of addresses *more* than it has now, as an OOM would."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


async def export(url: str, format: str, to: str, limit: int, window: int) -> Exported:
    """Exports in this process."""
    form, _, compress = format.partition("+")
    plan = Plan(
        to=to, resources="cdrs", format=form, compress=compress or None, limit=limit, window=window
    )
    async with CallMeBackClient("sandbox-token", base_url=url) as cmb:
        await cmb.cdrs.count()
        if form != "parquet":  # whose library reserves far more addresses than it uses
            limit_memory(BOUND)
        before, began = peak(), time.perf_counter()
        summary = await Export(cmb, plan).run()
        took = time.perf_counter() - began
    [job] = summary.jobs
    if job.error is not None:
        raise job.error
    return Exported(
        format=format,
        rows=job.rows,
        memory=peak(),
        before=before,
        seconds=took,
        requests=summary.requests,
        size=job.path.stat().st_size,
    )


def exported(url: str, format: str, limit: int, window: int) -> Exported:
    """Exports in a process of its own."""
    with tempfile.TemporaryDirectory() as to:
        asked = json.dumps([url, format, to, limit, window])
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.campaigns.exports", "--export", asked],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            check=True,
        )
    return Exported(**json.loads(done.stdout))


def run(
    rows: int, formats: list[str], seed: int = 1, limit: int = 500, window: int = 4
) -> list[str]:
    """Exports in each format; returns what of the claim does not hold."""
    wrong = []
    with stand_in(rows, seed) as url:
        for format in formats:
            found = exported(url, format, limit, window)
            print(found, flush=True)
            if found.rows != rows:
                wrong.append(f"{format}: {found.rows} rows of {rows}")
            if found.memory > BOUND:
                wrong.append(f"{format}: {found.memory / MIB:.0f} MiB, {BOUND // MIB} are allowed")
    print(*wrong or ["the claim holds"], sep="\n")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.campaigns.exports", description=__doc__
    )
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--formats", nargs="*", default=[*FORMATS, "jsonl+gzip", "csv+zstd"])
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--export", help=argparse.SUPPRESS)  # what the processes are started with
    given = parser.parse_args(arguments)
    if given.export:
        print(json.dumps(attrs.asdict(asyncio.run(export(*json.loads(given.export))))))
        return 0
    return bool(run(given.rows, given.formats, given.seed, given.limit, given.window))


if __name__ == "__main__":
    sys.exit(main())
