"""Claims about cost, each beside what users would otherwise use, in one table.

Every claim is measured in interleaved rounds; what is compared are the ratios of each round. The
extra `bench` brings the peers: without one its column is empty.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from benchmarks.harness.claim import ROUNDS, Result, machine, measured, table, written

TOPICS = (
    "claims.parsing",
    "claims.calls",
    "claims.pagers",
    "campaigns.memory",
    "campaigns.limiter",
    "claims.startup",
    "claims.exports",
    "claims.growth",
)
CAMPAIGNS = (
    "faults",
    "limiter",
    "outage",
    "fuzz",
    "timeouts",
    "walk_speed",
    "memory",
    "model",
    "accounts",
    "exports",
    "kills",
)


def run(topics: list[str], rounds: int, quick: bool) -> list[Result]:
    """Measures all claims of the *topics*, and tells of each when it is through."""
    found = []
    for topic in topics:
        with importlib.import_module(f"benchmarks.{topic}").claims(quick) as claims:
            for claim in claims:
                began = time.monotonic()
                found.append(measured(claim, rounds))
                took = time.monotonic() - began
                said = " | ".join(found[-1].cells())
                print(f"{topic}, {took:.0f} s: {said}", file=sys.stderr, flush=True)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, and writes all that was measured as JSON."""
    campaigns = "; ".join(f"python -m benchmarks.campaigns.{name}" for name in CAMPAIGNS)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"Campaigns: {campaigns}"
    )
    parser.add_argument("topics", nargs="*", metavar="topic", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, default=Path(".benchmarks", "claims.json"))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: proves nothing")
    given = parser.parse_args(arguments)
    if unknown := set(given.topics) - set(TOPICS):
        parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    results = run(given.topics or list(TOPICS), given.rounds, given.quick)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    written(given.json, results, given.rounds)
    print(table(results))
    told = machine()
    versions = ", ".join(f"{name} {number}" for name, number in told["packages"].items())
    print(f"\n{told['cores']} cores ({told['processor']}), Python {told['python']}, {versions}")
    return int(not given.quick and not all(result.holds for result in results))


if __name__ == "__main__":
    sys.exit(main())
