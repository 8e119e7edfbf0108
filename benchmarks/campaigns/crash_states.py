"""Claim: whatever a power cut leaves of an export, the same export then ends with the right files,
shows no incomplete file meanwhile, and keeps what was saved.

Each scenario is run once on a recording disk. Of each state that the file system may have after
each of its steps, a directory is made, what is visible in it is checked, and the same export is run
there: its files must be those of an undisturbed one. With `--mutants`, each sync is left out once,
which must not go unnoticed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable

from benchmarks.harness.commands import Campaign, conclude
from benchmarks.harness.power_cut.checks import enumerate_states
from benchmarks.harness.power_cut.recording import NamesSynced, Synced
from benchmarks.harness.power_cut.scenarios import SCENARIOS, Recording, record

COVERED = {
    # The manifest comes next in the same directory, and syncs that.
    "sync directory: write_atomic < finish < close",
}
"""Where a sync may be left out, because another one follows before anything builds upon it."""


def sites(recording: Recording) -> list[str]:
    """The sites of the code at which something was synced."""
    syncs = [each for each in recording.events if isinstance(each, Synced | NamesSynced)]
    return list(dict.fromkeys(each.site for each in syncs))


async def mutants(names: Iterable[str], limit: int, seed: int) -> list[str]:
    """Leaves out the syncs at each site; returns those sites at which nothing was noticed."""
    noticed: dict[str, str] = {}
    for name in names:
        recording = await record(SCENARIOS[name])
        for site in sites(recording):
            if not noticed.get(site):
                options = {"limit": limit, "seed": seed, "without": site}
                outcome = await enumerate_states(name, recording, **options)
                noticed[site] = outcome.failures[0] if outcome.failures else ""
    for site, by in noticed.items():
        print(f"without {site}\n    {by or 'nothing is noticed'}")
    unseen = {site for site, by in noticed.items() if not by}
    return [f"nothing is noticed without {site}" for site in sorted(unseen - COVERED)]


def main(arguments: list[str] | None = None) -> int:
    command = Campaign("crash_states", __doc__, "'sqlite second night' --limit 500")
    command.parser.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; all")
    command.add("--limit", 0, "of each scenario, takes N states at random")
    command.add("--again", 0, "of each scenario, cuts N of the second runs off too")
    command.add("--mutants", False, "leaves out each sync once, which must be noticed")
    given = command.parse(arguments)
    names = given.scenarios or list(SCENARIOS)
    if given.mutants:
        return bool(conclude(asyncio.run(mutants(names, given.limit, given.seed))))
    failures: list[str] = []
    for name in names:
        recording = asyncio.run(record(SCENARIOS[name]))
        began = time.process_time()
        options = {"limit": given.limit, "seed": given.seed, "again": given.again}
        outcome = asyncio.run(enumerate_states(name, recording, **options))
        counts = outcome.steps, outcome.states, outcome.ordered, outcome.again
        print(f"{name:<26}", "{:>4} steps {:>5} states {:>5} ordered {:>5} again".format(*counts),
              f"{len(outcome.failures):>3} wrong {time.process_time() - began:6.1f} s",
              flush=True)  # fmt: skip
        failures += outcome.failures
    return bool(conclude(failures))


if __name__ == "__main__":
    sys.exit(main())
