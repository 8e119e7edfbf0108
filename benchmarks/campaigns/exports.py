"""Claim: an export of a million rows takes at most 300 MiB of memory, in every format.

It runs in a process of its own against the sandbox in another one, so that the most memory that it
ever held is its alone; and it could have no more, but for Parquet, without failing. Printed beside
it: rows a second in all, and requests. More rows than the sandbox holds, each of 22 members, come
from a server that makes them when they are requested.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.memory import MIB, limit_memory, peak
from benchmarks.harness.processes import call_elsewhere, sandbox_elsewhere
from benchmarks.harness.tables import CALL, Table, tables_elsewhere
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.__main__ import POOL
from voipstudio_cmb.cli.commands.sandbox import MAX_ROWS
from voipstudio_cmb.export import FORMATS, Export, Plan

ROWS = 1_000_000
ALLOWED = 300 * MIB
AS_THE_COMMAND = ("env", f"{POOL}=system")


@attrs.frozen(kw_only=True)
class MeasuredExport:
    """An export, the memory of its process and the size of its file, in bytes."""

    format: str
    rows: int
    memory: int
    """What the process held at most."""
    before: int
    """What it held at most before the export."""
    seconds: float
    requests: int
    size: int

    def __str__(self) -> str:
        return (
            f"{self.format:<12} {self.rows:>9,} rows  {self.memory / MIB:6.1f} MiB at most "
            f"({self.before / MIB:.1f} before)  {self.rows / self.seconds:>7,.0f} rows/s  "
            f"{self.requests} requests  {self.size / MIB:.0f} MiB"
        )


async def export(
    url: str, token: str, format: str, to: str, page_size: int, concurrency: int
) -> MeasuredExport:
    """Exports in this process."""
    form, _, compress = format.partition("+")
    plan = Plan(
        to=to,
        resources="cdrs",
        format=form,
        compress=compress or None,
        page_size=page_size,
        concurrency=concurrency,
    )
    async with CallMeBackClient(token, base_url=url) as cmb:
        await cmb.cdrs.count()
        if form != "parquet":  # whose library reserves far more addresses than it uses
            limit_memory(ALLOWED)
        before, began = peak(), time.perf_counter()
        summary = await Export(cmb, plan).run()
        took = time.perf_counter() - began
    [job] = summary.jobs
    if job.error is not None:
        raise job.error
    return MeasuredExport(
        format=format,
        rows=job.rows,
        memory=peak(),
        before=before,
        seconds=took,
        requests=summary.requests,
        size=job.path.stat().st_size,
    )


@contextmanager
def served(rows: int, seed: int) -> Iterator[tuple[str, str]]:
    """The base URL of a server with so many call records, and a token for it."""
    if rows <= MAX_ROWS:
        with sandbox_elsewhere(rows, seed) as found:
            yield found
    else:
        with tables_elsewhere({"calls": Table(range(7, 7 * rows + 1, 7), row=CALL)}) as base:
            yield f"{base}calls", "token"


def run(
    rows: int, formats: list[str], seed: int = 1, page_size: int = 500, concurrency: int = 4
) -> list[str]:
    """Exports in each format; returns what contradicts the claim."""
    wrong = []
    with served(rows, seed) as (url, token):
        for format in formats:
            with tempfile.TemporaryDirectory() as to:
                given = url, token, format, to, page_size, concurrency
                done = MeasuredExport(**call_elsewhere(export, *given, under=AS_THE_COMMAND))
            print(done, flush=True)
            if done.rows != rows:
                wrong.append(f"{format}: {done.rows} rows of {rows}")
            if done.memory > ALLOWED:
                wrong.append(f"{format}: {done.memory / MIB:.0f} MiB, {ALLOWED // MIB} are allowed")
    return conclude(wrong)


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("exports", __doc__, "--formats jsonl csv+zstd --rows 100000")
    command.add("--rows", ROWS, "call records to export")
    command.add("--formats", [*FORMATS, "jsonl+gzip", "csv+zstd"], "formats to export to")
    command.add("--page-size", 500, "rows a page")
    command.add("--concurrency", 4, "page requests in flight")
    given = command.parse(arguments)
    return bool(run(given.rows, given.formats, given.seed, given.page_size, given.concurrency))


if __name__ == "__main__":
    sys.exit(main())
