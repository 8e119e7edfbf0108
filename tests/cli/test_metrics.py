"""`--metrics FILE`: what a strict parser of Prometheus' text format makes of it, run by run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.prometheus import parse
from voipstudio_cmb.cli import metrics
from voipstudio_cmb.cli.metrics import MetricsFile
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Job, Summary
from voipstudio_cmb.sandbox import Sandbox


class Now:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def job(state: Any = "done", **more: Any) -> Job:
    return Job(**{"resource": "cdrs", "path": Path("cdrs.jsonl"), "state": state, **more})


def written(path: Path, code: int, *jobs: Job, now: Now) -> dict[tuple[str, ...], float]:
    file = MetricsFile(path, now)
    if jobs:
        file.summary = Summary(jobs=jobs, requests=12, retries=3, seconds=1.5)
    file.write(code)
    return parse(path.read_text("utf-8"))


def test_a_run_is_told_with_account_and_resource(tmp_path: Path) -> None:
    path, now = tmp_path / "nightly.prom", Now()
    jobs = [job(rows=7, account="a"), job(rows=5, account="b", rejected=2),
            job("failed", resource="settings", rows=3, account="b")]  # fmt: skip
    assert written(path, 5, *jobs, now=now) == {
        ("exit_code", "nightly"): 5,
        ("end_timestamp_seconds", "nightly"): now.now,
        ("duration_seconds", "nightly"): 1.5,
        ("requests", "nightly"): 12,
        ("retries", "nightly"): 3,
        ("rows", "nightly", "a", "cdrs"): 7,
        ("rows", "nightly", "b", "cdrs"): 5,
        ("rows", "nightly", "b", "settings"): 0,
        ("rejected_rows", "nightly", "a", "cdrs"): 0,
        ("rejected_rows", "nightly", "b", "cdrs"): 2,
        ("rejected_rows", "nightly", "b", "settings"): 0,
        ("complete", "nightly", "a", "cdrs"): 1,
        ("complete", "nightly", "b", "cdrs"): 1,
        ("complete", "nightly", "b", "settings"): 0,
        ("last_success_timestamp_seconds", "nightly", "a", "cdrs"): now.now,
        ("last_success_timestamp_seconds", "nightly", "b", "cdrs"): now.now,
        ("last_success_timestamp_seconds", "nightly", "b", "settings"): 0,
    }
    assert [each.name for each in tmp_path.iterdir()] == ["nightly.prom"]


def test_the_last_success_stays_until_the_next(tmp_path: Path) -> None:
    path, now = tmp_path / "x.prom", Now()
    first, key = now.now, ("last_success_timestamp_seconds", "x", "", "cdrs")
    assert written(path, 0, job(), now=now)[key] == first
    now.now += 86400
    assert written(path, 5, job("failed"), now=now)[key] == first
    now.now += 86400
    early = written(path, 4, now=now)  # before there were jobs, as without a token
    assert (early[key], early["exit_code", "x"]) == (first, 4)
    assert ("rows", "x", "", "cdrs") not in early
    assert written(path, 0, job(), now=now)[key] == now.now


def test_several_files_of_one_resource_are_one_value(tmp_path: Path) -> None:
    found = written(
        tmp_path / "x.prom", 1, job(rows=7), job("failed", rows=3), job(rows=2), now=Now()
    )
    assert found["rows", "x", "", "cdrs"] == 9
    assert found["complete", "x", "", "cdrs"] == 0


@pytest.mark.parametrize("odd", ['a"b', "a\\", "a\nb", 'a",resource="', "\udcff", "a}b", "\u2028"])
def test_no_name_breaks_the_format(tmp_path: Path, odd: str) -> None:
    path, now = tmp_path / f"{odd}.prom", Now()
    first = now.now
    for after, state in enumerate(("done", "failed")):
        now.now += 60 * after
        found = written(path, after, job(state, account=odd), now=now)
    (success,) = (value for key, value in found.items() if key[0].startswith("last_success"))
    assert success == first


def test_a_failing_disk_leaves_what_the_file_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "x.prom", Now()
    written(path, 0, job(), now=now)
    before = path.read_bytes()

    class Full(metrics.Disk):
        def sync(self, file: int) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics, "Disk", Full)
    with pytest.raises(OSError, match="No space"):
        MetricsFile(path, now).write(1)
    assert path.read_bytes() == before


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link.prom").symlink_to(tmp_path / "x.prom")
    MetricsFile(tmp_path / "link.prom").write(0)
    assert (tmp_path / "link.prom").is_symlink()
    assert parse((tmp_path / "x.prom").read_text())["exit_code", "x"] == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent/x.prom", "can't be used .No such file"), ("file/x.prom", "is in no directory"),
     (".", "can't be used .it is no regular file"), ("fifo", "it is no regular file"),
     ("file", "was not written by an export"), ("no", "can't be used")],
)  # fmt: skip
def test_what_is_no_place_for_it_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "file").write_text("somebody's notes")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "no").symlink_to("/dev/null")
    with pytest.raises(ClientMisuse, match=f"--metrics: .*{words}"):
        MetricsFile(tmp_path / name)
    assert (tmp_path / "file").read_text() == "somebody's notes"


@pytest.mark.parametrize("name", ["settings.jsonl", "manifest.json"])
def test_a_file_that_the_export_makes_itself_stays(
    api: Sandbox, run: Any, tmp_path: Path, name: str
) -> None:
    done = run("export", "settings", "--to", tmp_path, "--metrics", tmp_path / name)
    assert done.code == 1
    assert "the metrics can't be written: the export itself has made that file" in done.err
    assert run("verify", tmp_path).code == 0
