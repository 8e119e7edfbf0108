"""What must hold of each state that a power cut can leave of an export."""

from __future__ import annotations

import csv
import json
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import attrs
import pyarrow.parquet

from benchmarks.harness.power_cut.scenarios import (
    Files,
    Recording,
    Unsynced,
    directory,
    files,
    record_again,
)
from benchmarks.harness.power_cut.states import PowerCuts, State
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.export.store.disk import rejects_path
from voipstudio_cmb.export.store.manifest import MANIFEST

AGAIN = 20
"""So many states are taken of a second run that is cut off."""


class Wrong(Exception):
    """An export was not what it should be."""


async def check(recording: Recording, state: State) -> None:
    """Raises Wrong if `state` shows what is incomplete, or if the same export goes wrong there."""
    scenario = recording.scenario
    with directory() as root:
        state.build(root)
        if state.told:
            found = files(root)
            marked = found.pop("some/where/.export-ended", None)
            if found != recording.complete:
                raise Wrong(f"told to be complete, {_differences(found, recording)}")
            if not marked:
                return
        _check_visible(files(root), recording)
        try:
            summary = await scenario.export(root, Unsynced()).run()
        except CallMeBackError as error:
            raise Wrong(f"run again, it is refused: {error}") from None
        if not summary.complete:
            raise Wrong(f"run again, it fails: {[str(job.error) for job in summary.jobs]}")
        for job in summary.jobs if not scenario.options.get("restart") else ():
            kept = recording.kept(str(job.path.relative_to(root)), state.step)
            if job.kept < kept:
                raise Wrong(f"of {kept} rows that were saved, {job.kept} are kept: {job.note}")
        if files(root) != recording.complete:
            raise Wrong(f"run again, {_differences(files(root), recording)}")
        made = {str(job.path.relative_to(root)) for job in summary.jobs if job.made}
        if untold := recording.made() - made:
            raise Wrong(f"run again, it does not tell of {untold}")
        if summary.rejected != recording.rejected:
            raise Wrong(f"run again, it tells of {summary.rejected} rejects")


def _check_visible(found: Files, recording: Recording) -> None:
    for name, file in found.items():
        if Path(name).name == MANIFEST:
            _check_manifest(name, found, recording)
        elif not Path(name).name.startswith(".") and file not in _known(name, recording):
            raise Wrong(f"{name} is visible and not complete")


def _known(name: str, recording: Recording) -> list[tuple[bytes, int]]:
    """What a file was before, and what it is when all is complete."""
    return [each[name] for each in (recording.before, recording.complete) if name in each]


def _check_manifest(manifest: str, found: Files, recording: Recording) -> None:
    """Checks that a manifest is as it was written, and that what it says is new is there."""
    known = [json.loads(data)["files"] for data, _ in _known(manifest, recording)]
    try:
        entries = json.loads(found[manifest][0])["files"]
    except ValueError:
        raise Wrong(f"{manifest} is torn") from None
    for file, entry in entries.items():
        if entry not in [each.get(file) for each in known]:
            raise Wrong(f"{manifest} has a false entry: {entry}")
        if manifest not in recording.before or entry != known[0].get(file):
            path = Path(manifest).with_name(file)
            for name in (str(path), str(rejects_path(path))):
                if found.get(name) != recording.complete.get(name):
                    raise Wrong(f"{manifest} lists {file}, and {name} is another one")


def _differences(found: Files, recording: Recording) -> str:
    complete = recording.complete
    names = sorted(found.keys() ^ complete.keys())
    other = [name for name in found.keys() & complete.keys() if found[name] != complete[name]]
    return f"files too many or too few: {names}; other bytes or modes: {other}"


async def check_growing(recording: Recording, state: State) -> None:
    """Raises Wrong if the next nights, with more rows, lose one or give one twice."""
    scenario, count = recording.scenario, recording.scenario.count + 4
    with directory() as root:
        state.build(root)
        for _ in range(2):
            try:
                summary = await scenario.export(root, Unsynced(), 4).run()
            except CallMeBackError as error:
                raise Wrong(f"the next night is refused: {error}") from None
            if not summary.complete:
                raise Wrong(f"the next night fails: {[str(job.error) for job in summary.jobs]}")
        ids = Counter(id for path in sorted(root.rglob("cdrs*")) for id in _ids(path))
        if ids != Counter(range(1, count + 1)):
            raise Wrong(f"after the next nights, there are rows {sorted(ids.elements())}")


def _ids(path: Path) -> list[int]:
    match path.suffix:
        case ".jsonl":
            return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
        case ".csv":
            with path.open(newline="") as file:
                return [int(row["id"]) for row in csv.DictReader(file)]
        case ".sqlite":
            with closing(sqlite3.connect(path)) as database:
                return [id for (id,) in database.execute("SELECT id FROM cdrs")]
        case _:
            return pyarrow.parquet.read_table(path)["id"].to_pylist()


@attrs.define
class Outcome:
    """What was found for a scenario."""

    name: str
    steps: int = 0
    states: int = 0
    ordered: int = 0
    """How many of them a file system with an ordered journal could leave too."""
    again: int = 0
    """So many states of a second power cut were checked too."""
    failures: list[str] = attrs.field(factory=list)


async def enumerate_states(
    name: str,
    recording: Recording,
    *,
    limit: int = 0,
    seed: int = 1,
    without: str = "",
    again: int = 0,
) -> Outcome:
    """Checks all states of a recording, or `limit` of them.

    If the syncs at the site `without` are left out, up to the first that is wrong. In `again` of
    them, the run that follows the power cut is cut off too.
    """
    cuts = PowerCuts(recording.events, seed, without)
    states = list(cuts.states(recording.begin))
    outcome = Outcome(name, len(recording.events) - recording.begin, len(states))
    outcome.ordered = sum(cuts.seen.values())
    if limit and limit < len(states):
        states = random.Random(seed).sample(states, limit)
    draw = random.Random(f"{seed} again")
    twice = draw.sample([each for each in states if not each.told], min(again, len(states) // 2))
    for state in states:
        try:
            await check(recording, state)
            if recording.scenario.grows:
                await check_growing(recording, state)
            if state in twice:
                second = await record_again(recording, state)
                further = await enumerate_states(f"{name}, again", second, limit=AGAIN, seed=seed)
                outcome.again += min(AGAIN, further.states)
                outcome.failures += further.failures
        except Wrong as wrong:
            outcome.failures.append(f"{name}, after step {state.step - recording.begin}: {wrong}")
            if without:
                break
    return outcome
