"""Exports that the power is cut of: each is run once on a recording disk."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs

from benchmarks.harness.offline import Offline, rows
from benchmarks.harness.power_cut.recording import Event, RecordingDisk
from benchmarks.harness.power_cut.states import State
from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.export import Account, Export, Exports, Plan
from voipstudio_cmb.export.run import exports as many
from voipstudio_cmb.export.store.checkpoint import load
from voipstudio_cmb.export.store.disk import Disk
from voipstudio_cmb.export.store.manifest import MANIFEST


class Unsynced(Disk):
    """Does not wait for the disk."""

    def sync(self, file: int) -> None:
        pass

    def sync_directory(self, path: Path) -> None:
        pass


@attrs.frozen(kw_only=True)
class Scenario:
    """An export that the power is cut of."""

    options: dict[str, Any]
    """Of its plan."""
    before: dict[str, Any] | None = None
    """Of the plan of an earlier export to the same directory."""
    count: int = 13
    """How many rows there are."""
    earlier: int = 8
    """How many rows there were then."""
    remove: str = ""
    """A file of it that is removed again."""
    mode: int = 0
    """What its files' modes are changed to."""
    fails: int = 0
    """After so many requests the earlier export fails."""
    accounts: bool = False
    """Whether two accounts are exported."""

    @property
    def grows(self) -> bool:
        """Whether further nights can add to it."""
        return "since" in self.options and "resources" not in self.options

    def plan(self, root: Path, options: dict[str, Any]) -> Plan:
        defaults = {"resources": "cdrs", "page_size": 5, "concurrency": 1, "checkpoint": 0}
        return Plan(to=root / "some" / "where", **(defaults | options))

    async def prepare(self, root: Path, disk: Disk) -> None:
        """Does what comes before it."""
        if self.before is None:
            return
        api = account(self.earlier)
        if self.fails:
            api.hook = _failing(self.fails)
        plan = self.plan(root, self.before)
        await Export(api.client(), plan, disk=disk).run()
        if self.remove:
            (plan.to / self.remove).unlink()
        for path in plan.to.iterdir() if self.mode else ():
            path.chmod(self.mode)

    def export(self, root: Path, disk: Disk, more: int = 0) -> Export | Exports:
        """The export itself, of an account with so many rows `more`."""
        plan, api = self.plan(root, self.options), account(self.count + more)
        if not self.accounts:
            return Export(api.client(), plan, disk=disk)
        accounts = [Account(name, "token") for name in ("a", "b")]
        with patch.object(many, "CallMeBackClient", lambda *_, **__: api.client()):
            exports = Exports(accounts, plan, slots=1)
        for export, _ in exports._exports:
            export._disk = disk
        return exports


def _failing(requests: int) -> Any:
    left = iter(range(requests))

    async def hook(_: Any) -> None:
        if next(left, None) is None:
            raise CallMeBackError("the connection is lost")

    return hook


def account(count: int) -> Offline:
    """An account whose websites are partly rejects."""
    made = Offline()
    made.tables["cdrs"] = rows(count)
    made.tables["websites"] = rows(count)
    made.broken = {5, 11}
    return made


LAST = {"since": "last"}
_websites = {"resources": "websites", "page_size": 2}
SCENARIOS: dict[str, Scenario] = {}
for _format in ("jsonl", "csv", "sqlite", "parquet"):
    _given = {"format": _format}
    _old = {"before": _given, "mode": 0o640}
    SCENARIOS |= {
        _format: Scenario(options=_given),
        f"{_format} overwrite": Scenario(options=_given | {"overwrite": True}, **_old),
        f"{_format} first night": Scenario(options=_given | LAST),
        f"{_format} second night": Scenario(options=_given | LAST, before=_given | LAST),
        f"{_format} rejects": Scenario(options=_given | _websites),
        f"{_format} made again": Scenario(
            options=_given | LAST, before=_given | LAST, remove=f"cdrs.{_format}"
        ),
    }
_rejects = LAST | _websites
_again = {"restart": True}
_all = {"resources": (), "concurrency": 4}
_two = {"resources": ("websites", "cdrs")}
SCENARIOS |= {
    "jsonl gzip": Scenario(options={"compress": "gzip"}),
    "csv gzip": Scenario(options={"format": "csv", "compress": "gzip"}),
    "sqlite added to": Scenario(options={"format": "sqlite"}, before={"format": "sqlite"}),
    "sqlite rejects added": Scenario(
        options={"format": "sqlite"} | _rejects, before={"format": "sqlite"} | _rejects
    ),
    "jsonl rejects overwritten": Scenario(
        options=_two | {"overwrite": True}, before=_two, earlier=2
    ),
    "jsonl resumed": Scenario(options={}, before={}, earlier=13, fails=2),
    "jsonl restarted": Scenario(options=_again, before={}, earlier=13, fails=2),
    "jsonl night restarted": Scenario(options=_again | LAST, before=LAST),
    "sqlite night restarted": Scenario(
        options=_again | LAST | {"format": "sqlite"}, before=LAST | {"format": "sqlite"}
    ),
    "jsonl two files": Scenario(options=_two),
    "jsonl accounts": Scenario(options={}, accounts=True),
    "jsonl all resources": Scenario(options=_all),
    "jsonl 500 rows": Scenario(options={"page_size": 20}, count=500),
    "sqlite 500 rows more": Scenario(
        options={"format": "sqlite", "page_size": 50} | LAST,
        count=1000,
        before={"format": "sqlite", "page_size": 50} | LAST,
        earlier=500,
    ),
    "sqlite all again": Scenario(
        options=_all | {"format": "sqlite"} | LAST, before=_all | {"format": "sqlite"} | LAST
    ),
}


Files = dict[str, tuple[bytes, int]]
"""What is below a directory: bytes and modes, by name."""


def files(root: Path) -> Files:
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@contextmanager
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


class SavingDisk(RecordingDisk):
    """Also notes what each checkpoint counts."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.saved: list[tuple[int, str, int | None]] = []

    def replace(self, path: Path, to: Path) -> None:
        self.step(Disk.replace, path, to)
        if to.suffix == ".checkpoint" and (checkpoint := load(to)):
            self._note(to, checkpoint.rows)

    def unlink(self, path: Path) -> None:
        if path.suffix == ".checkpoint":
            self._note(path, None)
        self.step(Disk.unlink, path)

    def _note(self, path: Path, rows: int | None) -> None:
        name = str(path.relative_to(self.root)).removesuffix(".checkpoint").replace("/.", "/")
        self.saved.append((len(self.events), name, rows))


@attrs.frozen(kw_only=True)
class Recording:
    """One run of a scenario, and what there was before and after it."""

    scenario: Scenario
    events: Sequence[Event]
    saved: Sequence[tuple[int, str, int | None]]
    """After how many events a checkpoint of a file counted so many rows, or went."""
    begin: int
    """How many events were before the run."""
    before: Files
    complete: Files
    rejected: int
    """How many rejected rows it has told of."""

    def made(self) -> set[str]:
        """The files that a run must tell of: those that are new or changed."""
        new = {name for name, file in self.complete.items() if file != self.before.get(name)}
        return {name for name in new if not name.endswith((MANIFEST, ".rejects.jsonl"))}

    def kept(self, name: str, step: int) -> int:
        """The rows of the file that must be kept: what its last checkpoint but one counts."""
        counts = [rows for after, file, rows in self.saved if file == name and after <= step]
        return (counts[-2] or 0) if len(counts) > 1 and counts[-1] is not None else 0


async def record(scenario: Scenario) -> Recording:
    """Runs a scenario, and records it."""
    with directory() as root:
        disk = SavingDisk(root)
        # What was before is safe, unless it is an interrupted run, which goes on.
        await scenario.prepare(root, disk if scenario.fails else Unsynced())
        disk.look()
        begin = 0 if scenario.fails else len(disk.events)
        before = files(root)
        return attrs.evolve(await _record(scenario, disk), begin=begin, before=before)


async def record_again(recording: Recording, state: State) -> Recording:
    """Runs it again in a `state` that a power cut has left, and records that."""
    with directory() as root:
        state.build(root)
        again = await _record(recording.scenario, SavingDisk(root))
        return attrs.evolve(
            again,
            before=recording.before,
            complete=recording.complete,
            rejected=recording.rejected,
        )


async def _record(scenario: Scenario, disk: SavingDisk) -> Recording:
    begin = len(disk.events)
    export = scenario.export(disk.root, disk)
    summary = await export.run_marked()
    assert summary.complete, [job.error for job in summary.jobs]
    disk.told()
    export.end()
    disk.look()
    return Recording(
        scenario=scenario, events=disk.events, saved=disk.saved, begin=begin, before={},
        complete=files(disk.root), rejected=summary.rejected,
    )  # fmt: skip
