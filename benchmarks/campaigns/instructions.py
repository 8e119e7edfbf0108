"""Claim: a call takes at most 10 % more instructions of the processor than the figures kept here.

Instructions are counted by valgrind's callgrind, so that other work on the machine does not matter.
One call is the difference of a long and a short run of the same process, divided by the calls
between them; the server is a process of its own. The kernel's share is not counted.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.claims.calls import CONTENDERS, work_on
from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.processes import call_elsewhere
from benchmarks.harness.tables import tables_elsewhere

CALLS = 1_000
CONNECTING = 300
"""The calls of the short run, at least."""
ALLOWED = 1.10
"""What a call may take of its figure."""
FIGURES = {
    ("aiohttp", 1): 381_800,
    ("aiohttp", 32): 370_400,
    ("aiohttp", 1000): 404_700,
    ("voipstudio_cmb", 1): 399_400,
    ("voipstudio_cmb", 32): 384_800,
    ("voipstudio_cmb", 1000): 464_300,
}
"""Instructions of a call, by contender and calls in flight, with Python 3.11 and aiohttp 3.14.5.

Lower them when a call has become cheaper. Those of aiohttp only say whether others can be compared:
Python or aiohttp is another one if they differ."""

MISSING = (
    "valgrind is not installed, and instructions can't be counted without it: install it "
    "(`apt-get install valgrind`, on Linux only), or compare CPU time instead, where nothing else "
    "runs on the machine: `python -m benchmarks calls`"
)


def work(name: str, url: str, calls: int, in_flight: int) -> None:
    """Makes the calls."""
    asyncio.run(work_on(CONTENDERS[name][0], url, calls, in_flight))


def instructions(name: str, url: str, calls: int, in_flight: int) -> int:
    """Counts those of a process that makes the calls."""
    with tempfile.TemporaryDirectory() as directory:
        counts = Path(directory, "counts")
        under = ["env", "PYTHONHASHSEED=0"]  # or each run would look names up in other ways
        under += ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={counts}"]
        call_elsewhere(work, name, url, calls, in_flight, under=under)
        found = re.search(r"^(?:summary|totals): (\d+)", counts.read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1])


def of_one_call(name: str, url: str, calls: int, in_flight: int) -> float:
    """The instructions of one call."""
    few = max(CONNECTING, in_flight)
    short = instructions(name, url, few, in_flight)
    return (instructions(name, url, few + calls, in_flight) - short) / calls


def run(calls: int) -> list[str]:
    """Counts, and prints the counts; returns what contradicts the claim."""
    failures = []
    with tables_elsewhere({}) as url:
        for (name, in_flight), figure in FIGURES.items():
            counted = of_one_call(name, url, calls, in_flight)
            line = (
                f"{name}, {in_flight} in flight: {counted:,.0f} instructions a call, "
                f"{counted / figure:.3f} of {figure:,}"
            )
            print(line)
            if name == "voipstudio_cmb" and counted > ALLOWED * figure:
                failures.append(line)
    return conclude(failures)


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("instructions", __doc__, "--calls 1000")
    command.add("--calls", CALLS, "calls to count, beyond those of the short run")
    given = command.parse(arguments)
    if shutil.which("valgrind") is None:
        print(MISSING)
        return 2
    return bool(run(given.calls))


if __name__ == "__main__":
    sys.exit(main())
