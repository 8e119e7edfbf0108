"""`export --dry-run`: what it counts, what it refuses, and that it writes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb.sandbox import Fault, Sandbox


def test_a_dry_run_counts_and_writes_nothing(api: Sandbox, run: Any, tmp_path: Path) -> None:
    done = run("export", "--to", tmp_path / "a" / "b", "--dry-run", "--page-size", "100")
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.out.splitlines()[1:]}
    assert rows["cdrs"] == ["300", "5"]
    assert rows["buttons"] == ["unknown", "until", "read", "unknown"]
    assert "one for each button; no rate is set" in done.err
    assert list(tmp_path.iterdir()) == []
    assert {seen.method for seen in api.journal} == {"GET"}
    assert api.requests == 5
    assert "about 15 requests" in done.err
    paced = run("export", "--to", tmp_path / "a", "--dry-run", "--page-size", "100", "--rate", "5")
    assert "; about 3 s at the rate that is set; nothing was written" in paced.err
    some = run("export", "cdrs", "--to", tmp_path / "a", "--dry-run", "--filter", "id<100010")
    assert 0 < int(some.out.split()[-2]) < 10


def test_a_dry_run_needs_about_what_it_says(api: Sandbox, run: Any, tmp_path: Path) -> None:
    argv = ["export", "cdrs", "visitors", "--to", tmp_path / "a", "--page-size", "20"]
    said = int(run(*argv, "--dry-run").err.split("about ")[1].split()[0])
    before = api.requests
    assert run(*argv).code == 0
    assert said == pytest.approx(api.requests - before, rel=0.25)
    again = run(*argv, "--overwrite", "--dry-run")
    assert again.code == 0


def test_a_dry_run_refuses_what_the_run_would(api: Sandbox, run: Any, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "cdrs.jsonl").write_text("precious")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o755)
    for to, words in (
        (tmp_path / "full", "exists: choose another directory"),
        (tmp_path / "file", "can't be written (Not a directory)"),
        (tmp_path / "file" / "below", "can't be "),
        (tmp_path / "dangling", "can't be written"),
    ):
        done = run("export", "--to", to, "--dry-run")
        assert (done.code, done.out) == (2, "")
        assert words in done.err
        assert run("export", "--to", to).code == 2
    assert api.requests == 0
    assert not (tmp_path / "nowhere").exists()
    api.script(Fault(path="/callmeback/cdrs", after=7, status=401))
    assert run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "20").code == 4
    api.script(Fault(path="/me", body={"data": {"id": 999}}, times=None))
    for more in ([], ["--dry-run"]):
        done = run("export", "cdrs", "--to", tmp_path / "a", "--page-size", "20", *more)
        assert done.code == 2
        assert "is another account's" in done.err


def test_a_dry_run_that_can_not_count_says_why(api: Sandbox, run: Any, tmp_path: Path) -> None:
    api.script(Fault(path="/callmeback/cdrs", status=403, times=None))
    done = run("export", "cdrs", "visitors", "--to", tmp_path / "a", "--dry-run")
    assert done.code == 3
    assert "cdrs: failed: GET /callmeback/cdrs" in done.err
    assert "cdrs      failed" in done.out
