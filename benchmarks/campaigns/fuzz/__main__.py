"""Claim: no bytes that a server can send, as JSON or as HTTP, get past the documented exceptions,
hang the client, or make it grow; a row that is decoded can be given back as it was sent; and
a row's columns hold all that it says, the same whatever rows come with it.

Run it a second time with AIOHTTP_NO_EXTENSIONS=1 for aiohttp's other parser.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable

from aiohttp import http_parser

from benchmarks.campaigns.fuzz.columns import fuzz_columns
from benchmarks.campaigns.fuzz.findings import Findings
from benchmarks.campaigns.fuzz.payloads import fuzz_payloads
from benchmarks.campaigns.fuzz.responses import fuzz_responses
from benchmarks.harness.commands import Campaign, conclude, counted
from benchmarks.harness.memory import MIB, resident

GROWTH = 32 * MIB


def _report(what: str, count: int, work: Callable[[], Findings]) -> list[str]:
    before, began = resident(), time.monotonic()
    findings = work()
    grown, took = resident() - before, time.monotonic() - began
    if grown > GROWTH:
        findings.add(f"the process has grown by {grown / MIB:.1f} MiB")
    print(
        f"{count} {what} in {took:.1f} s: {len(findings.wrong)} wrong, slowest "
        f"{findings.slowest * 1000:.1f} ms, memory {grown / MIB:+.1f} MiB"
    )
    print("  met:", counted(findings.met))
    return findings.wrong


def run(payloads: int, chunks: int, responses: int, seed: int) -> list[str]:
    """Runs all three and prints their figures; returns what contradicts the claim."""
    fuzz_payloads(300, seed + 1)  # what is made once is no growth
    fuzz_columns(30, seed + 1)
    wrong = _report("payloads", payloads, lambda: fuzz_payloads(payloads, seed))
    wrong += _report("chunks of rows", chunks, lambda: fuzz_columns(chunks, seed))
    parser = "C" if http_parser.HttpResponseParser is not http_parser.HttpResponseParserPy else "PY"
    return wrong + _report(
        f"responses ({parser} parser)",
        responses,
        lambda: asyncio.run(fuzz_responses(responses, seed)),
    )


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("fuzz", __doc__, "--payloads 1000000 --chunks 1000000 --responses 20000")
    command.add("--payloads", 100_000, "JSON payloads")
    command.add("--chunks", 100_000, "chunks of rows")
    command.add("--responses", 5_000, "HTTP responses")
    given = command.parse(arguments)
    return bool(conclude(run(given.payloads, given.chunks, given.responses, given.seed)))


if __name__ == "__main__":
    sys.exit(main())
