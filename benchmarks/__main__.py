"""Measures claims about cost beside what users would otherwise use, and prints them as a table.

Contenders are measured in interleaved rounds; what is compared are the ratios of each round. The
extra `bench` brings the peers: without one its column is empty.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks import campaigns, claims
from benchmarks.harness.claim import ROUNDS, Result, machine, measured, plain, table
from benchmarks.harness.commands import Command
from benchmarks.harness.picture import picture


def run(topics: Iterable[str], rounds: int, quick: bool) -> list[Result]:
    """Measures all claims of the topics, and prints each when it is done."""
    results = []
    for topic in topics:
        module = importlib.import_module(f"benchmarks.claims.{topic}")
        with module.claims(quick) as topic_claims:
            for claim in topic_claims:
                began = time.monotonic()
                results.append(measured(claim, rounds))
                line = " | ".join(results[-1].cells())
                took = time.monotonic() - began
                print(f"{topic}, {took:.0f} s: {line}", file=sys.stderr, flush=True)
    return results


def main(arguments: list[str] | None = None) -> int:
    """Prints the table, and writes all that was measured as JSON, with a picture beside it."""
    command = Command("python -m benchmarks", __doc__, "calls parsing --rounds 9")
    command.parser.epilog = f"{command.parser.epilog}\n\n{claims.__doc__}\n{campaigns.__doc__}"
    command.parser.add_argument("topics", nargs="*", metavar="topic", help="all, or of these below")
    command.add("--rounds", ROUNDS, "how often each contender is measured")
    command.add("--json", Path(".benchmarks", "claims.json"), "all measurements", metavar="FILE")
    command.quick("tiny sizes")
    given = command.parse(arguments)
    if unknown := set(given.topics) - set(claims.TOPICS):
        command.parser.error(f"no such topic: {', '.join(sorted(unknown))}")
    results = run(given.topics or claims.TOPICS, given.rounds, given.quick)
    given.json.parent.mkdir(parents=True, exist_ok=True)
    content = plain(results, given.rounds)
    given.json.write_text(json.dumps(content, indent=1) + "\n")
    given.json.with_suffix(".svg").write_text(picture(content))
    print(table(results))
    made_on = machine()
    versions = ", ".join(f"{name} {number}" for name, number in made_on["packages"].items())
    machine_line = f"{made_on['cores']} cores ({made_on['processor']}), Python {made_on['python']}"
    print(f"\n{machine_line}, {versions}")
    return int(not given.quick and not all(result.holds for result in results))


if __name__ == "__main__":
    sys.exit(main())
