"""`--rate-limit`: a rate that commands share with other processes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.peer import closed_port
from benchmarks.harness.redis_server import redis_server
from tests.fakes.commands import accounts_file
from tests.fakes.exports import hashes
from voipstudio_cmb.exit_codes import RESUMABLE, USAGE
from voipstudio_cmb.sandbox import Sandbox


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--rate-limit", "redis://localhost"), "--rate-limit needs --rate: add it"),
        (("--rate-limit-key", "shop"), "--rate-limit-key needs --rate: add"),
        (
            ("--rate", "9", "--rate-limit", f"http://{'Sesame/0pen'}"),
            "--rate-limit: url must be like redis://",
        ),
        (("--rate", "9", "--rate-limit", "redis://h", "--rate-limit-key", ""), "it is empty"),
    ],
)
def test_the_command_says_what_is_wrong(run: Any, given: tuple[str, ...], says: str) -> None:
    result = run("export", "settings", "--sandbox", "--to", "-", *given)
    assert result.code == USAGE
    assert says in result.err
    assert "Sesame" not in result.err


def test_the_command_says_which_extra_is_missing(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.redis", None)
    result = run(
        "export", "settings", "--sandbox", "--to", "-", "--rate", "9", "--rate-limit", "redis://h"
    )
    assert result.code == USAGE
    assert "--rate-limit takes the extra redis" in result.err


def test_the_variable_is_for_who_names_a_rate(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOIPSTUDIO_RATE_LIMIT", "nonsense")
    for command in (("export", "settings", "--sandbox", "--to", "-"), ("guide", "start")):
        assert run(*command).code == 0
    wrong = run("export", "settings", "--sandbox", "--to", "-", "--rate", "9")
    assert wrong.code == USAGE
    assert "VOIPSTUDIO_RATE_LIMIT: url must be like redis://" in wrong.err


@pytest.mark.redis
def test_an_export_that_shares_its_rate_is_the_same(run: Any, tmp_path: Path) -> None:
    command = "export", "settings", "websites", "--sandbox", "--to"
    assert run(*command, tmp_path / "alone").code == 0
    with redis_server() as server:
        shared = "--rate", "100", "--rate-limit", server.url, "--rate-limit-key", "shop"
        assert run(*command, tmp_path / "shared", *shared).code == 0
        with server.client() as client:
            assert client.exists("{shop}:state")
    shared_files, alone = (hashes(tmp_path / name) for name in ("shared", "alone"))
    assert shared_files.pop("manifest.json") != alone.pop("manifest.json")  # it has times
    assert shared_files == alone


def test_a_server_that_is_away_ends_an_export_that_can_be_resumed(run: Any, tmp_path: Path) -> None:
    with closed_port() as bound:
        port = bound.getsockname()[1]
        url = f"redis://:Sesame@127.0.0.1:{port}"
        result = run(
            "export", "websites", "--sandbox", "--to", tmp_path / "away",
            "--rate", "100", "--rate-limit", url, "--patience", "0", "-vv",
            "--progress", "json",
        )  # fmt: skip
    assert result.code == RESUMABLE
    away = f"the Redis server redis://127.0.0.1:{port} is away: nothing was sent, as it keeps"
    assert f"{away} the rate limit (Connection refused)" in result.err
    assert "RedisRateLimit(" not in result.err
    assert '"requests": 0, "retries": 0' in result.err
    assert "Sesame" not in result.err


def test_a_dry_run_says_that_the_server_is_away(
    run: Any, api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", api.token)
    accounts = accounts_file(tmp_path, api, "a")
    with closed_port() as bound:
        url = f"redis://127.0.0.1:{bound.getsockname()[1]}"
        result = run(
            "export", "websites", "settings", "--accounts", accounts, "--to", tmp_path / "away",
            "--rate", "100", "--rate-limit", url, "--dry-run",
        )  # fmt: skip
    assert result.code == RESUMABLE
    assert (
        "is away: nothing was sent, as it keeps the rate limit (Connection refused)" in result.err
    )
    assert "what it would take is not known; nothing was written" in result.err
    assert not (tmp_path / "away").exists()
