"""A power cut during an export: whatever the disk has kept, the same export ends with its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.campaigns.crash_states import sites
from benchmarks.harness.power_cut.checks import enumerate_states
from benchmarks.harness.power_cut.recording import RecordingDisk
from benchmarks.harness.power_cut.scenarios import SCENARIOS, record
from benchmarks.harness.power_cut.states import PowerCuts

pytestmark = pytest.mark.campaign  # they test what proves, and not the package


@pytest.mark.parametrize(
    "name",
    SCENARIOS,
)
async def test_no_state_that_a_power_cut_leaves_is_wrong(name: str) -> None:
    """A share of `python -m benchmarks.campaigns.crash_states`, which takes all states."""
    outcome = await enumerate_states(name, await record(SCENARIOS[name]), limit=100)
    assert not outcome.failures, outcome.failures[:3]
    assert outcome.states > outcome.ordered > outcome.steps / 2


@pytest.mark.parametrize(("name", "again"), [("jsonl accounts", 20), ("sqlite second night", 10)])
async def test_nor_is_one_that_a_second_power_cut_leaves(name: str, again: int) -> None:
    outcome = await enumerate_states(name, await record(SCENARIOS[name]), again=again)
    assert not outcome.failures, outcome.failures[:3]
    assert outcome.again > 10 * again


async def test_a_sync_that_is_left_out_is_noticed() -> None:
    """`crash_states --mutants` does this with all scenarios, where these are noticed too."""
    recording = await record(SCENARIOS["jsonl"])
    unnoticed = {
        site
        for site in sites(recording)
        if not (await enumerate_states("jsonl", recording, without=site)).failures
    }
    assert len(sites(recording)) > 10
    assert unnoticed == {
        "sync part: save < finish",  # there is no older file, whose mode it would have taken
        "sync directory: write_atomic < record < close",  # that of the mark is the same one
    }


def left(root: Path, work: Callable[[RecordingDisk], None]) -> set[tuple[tuple[str, bytes], ...]]:
    """What a power cut may leave of the files below `root` while `work` is done."""
    disk = RecordingDisk(root)
    begin = len(disk.events)
    work(disk)
    return {
        tuple((name, state.files[node].data or b"") for name, node in sorted(state.names.items()))
        for state in PowerCuts(disk.events).states(begin)
    }


def test_what_is_written_is_safe_when_the_file_and_its_directory_are_synced(tmp_path: Path) -> None:
    def write(disk: RecordingDisk) -> None:
        file = disk.open(tmp_path / "a")
        disk.write(file, b"1234")
        disk.sync(file)
        disk.write(file, b"56")
        disk.sync(file)
        disk.sync_directory(tmp_path)
        disk.write(file, b"789")
        disk.unlink(tmp_path / "a")
        os.close(file)

    found = left(tmp_path, write)
    assert found == {
        (), (("a", b""),), (("a", b"12"),), (("a", b"12\0\0"),), (("a", bytes(4)),),
        (("a", b"1234"),), (("a", b"12345"),), (("a", b"12345\0"),), (("a", b"1234\0\0"),),
        (("a", b"123456"),), (("a", b"1234567"),), (("a", b"1234567\0\0"),),
        (("a", b"123456\0\0\0"),), (("a", b"123456789"),),
    }  # fmt: skip


def test_a_renamed_file_has_the_old_name_or_the_new_one_or_both(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    found = left(tmp_path, lambda disk: disk.replace(tmp_path / "a", tmp_path / "b"))
    assert found == {
        (("a", b"new"), ("b", b"old")), (("a", b"new"), ("b", b"new")), (("b", b"new"),),
    }  # fmt: skip


def test_what_another_library_writes_is_recorded_too(tmp_path: Path) -> None:
    def write(disk: RecordingDisk) -> None:
        (tmp_path / "made").mkdir()
        (tmp_path / "made" / "a").write_bytes(b"ab")
        disk.chmod(tmp_path / "made" / "a", 0o600)

    found = left(tmp_path, write)
    assert (("made", b""), ("made/a", b"a\0")) in found
    assert () in found  # though the file was made: its directory has no name
