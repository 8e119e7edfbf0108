"""`export --workers` and `--cluster`: what they refuse, and what they hand to Dask."""

from __future__ import annotations

import contextlib
import pickle
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from tests.fakes.commands import accounts_file
from tests.fakes.exports import hashes
from voipstudio_cmb.export import Exports, Plan, read_accounts
from voipstudio_cmb.sandbox import Sandbox

DASK = "voipstudio_cmb.ext.dask"


@attrs.define
class StandIn:
    """Dask, as far as the command knows it: the exports run here."""

    asked: dict[str, Any] = attrs.field(factory=dict)

    @contextlib.asynccontextmanager
    async def local_cluster(self, workers: int, **options: Any) -> AsyncIterator[str]:
        self.asked |= {"workers": workers, **options}
        yield "client"

    @contextlib.asynccontextmanager
    async def remote_cluster(self, address: str, **options: Any) -> AsyncIterator[str]:
        self.asked |= {"address": address, **options}
        yield "client"

    def exports(self, client: str, file: str, plan: Plan, **options: Any) -> Exports:
        self.asked |= options
        return Exports(read_accounts(file), plan)

    @property
    def module(self) -> Any:
        return SimpleNamespace(
            local_cluster=self.local_cluster, remote_cluster=self.remote_cluster,
            DaskExports=self.exports, SchedulerRateLimit=lambda rate: ("shared", rate),
        )  # fmt: skip


@pytest.fixture
def dask(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    stand_in = StandIn()
    monkeypatch.setitem(sys.modules, DASK, stand_in.module)
    monkeypatch.setattr(DASK, stand_in.module, raising=False)
    return stand_in.asked


@pytest.fixture
def export(api: Sandbox, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("A_TOKEN", "B_TOKEN"):
        monkeypatch.setenv(name, api.token)
    file = accounts_file(tmp_path, api, "a", "b")

    def export(to: str, *argv: object) -> Any:
        return run("export", "settings", "--accounts", file, "--to", tmp_path / to, *argv)

    return export


def test_workers_share_the_jobs_and_the_rate(
    export: Any, dask: dict[str, Any], tmp_path: Path
) -> None:
    assert export("one").code == 0
    ran = export("many", "--workers", 3, "--jobs", 8, "--rate", 50, "--account", "a")
    assert ran.code == 0, ran.err
    assert (dask["workers"], dask["slots"], dask["limiter"]) == (3, 3, ("shared", 50.0))
    assert (dask["only"], dask["rate"]) == (("a",), None)
    assert hashes(tmp_path / "many") == hashes(tmp_path / "one")
    assert "settings.jsonl" in ran.out


def test_a_cluster_is_named_by_its_address(export: Any, dask: dict[str, Any]) -> None:
    ran = export("many", "--cluster", "tcp://127.0.0.1:8786", "--rate-per-account", 5)
    assert ran.code == 0, ran.err
    assert dask["address"] == "tcp://127.0.0.1:8786"
    assert (dask["limiter"], dask["rate"]) == (None, 5.0)
    assert dask["config"].patience.seconds == 900


def test_the_extra_that_is_missing_is_named(export: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, DASK, None)
    for option in (["--workers", 2], ["--cluster", "tcp://127.0.0.1:8786"]):
        ran = export("many", *option)
        assert (ran.code, f"error: {option[0]} takes the extra dask: pip" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (["--workers", 0], "--workers must be an integer from 1 to 1000, not 0"),
        (["--workers", "many"], "--workers: it must be an integer"),
        (["--cluster", "foo"], "--cluster: it must be the address of a Dask scheduler, as tcp://"),
        (["--workers", 2, "--cluster", "tcp://a:1"], "--workers and --cluster exclude each other"),
        (["--cluster", "tcp://a:1", "--jobs", 2], "--cluster and --jobs exclude each other"),
        (["--workers", 2, "--shard", "1/2"], "--workers and --shard exclude each other"),
        (["--workers", 2, "--restart"], "--workers and --restart exclude each other"),
        (["--workers", 2, "--overwrite"], "--workers and --overwrite exclude each other"),
        (["--workers", 2, "--dry-run"], "--workers and --dry-run exclude each other"),
        (
            ["--workers", 2, "--rate", 5, "--rate-limit", "redis://:Sesame@a"],
            "--rate-limit has a password, which is not sent to workers: put the URL into",
        ),
    ],
)
def test_what_says_nothing_is_wrong_usage(
    option: list[object], complaint: str, export: Any, dask: dict[str, Any]
) -> None:
    ran = export("many", *option)
    assert (ran.code, complaint in ran.err) == (2, True), ran.err
    assert not dask
    assert "Sesame" not in ran.err


@pytest.mark.parametrize("where", [["--workers", 2], ["--cluster", "tcp://127.0.0.1:8786"]])
def test_workers_share_a_rate_with_processes_elsewhere(
    where: list[object], export: Any, dask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = "--rate", 5, "--rate-limit-key", "shops"
    assert export("many", *where, *shared, "--rate-limit", "redis://there/1").code == 0
    sent = pickle.loads(pickle.dumps(dask["limiter"]))
    assert repr(sent) == "RedisRateLimit(5.0, per=1.0, key='shops', url='redis://there/1')"
    monkeypatch.setenv("VOIPSTUDIO_RATE_LIMIT", "redis://:Sesame@there")
    assert export("more", *where, *shared).code == 0
    assert dask["limiter"].url_env == "VOIPSTUDIO_RATE_LIMIT"
    assert b"Sesame" not in pickle.dumps(dask["limiter"])


def test_workers_need_accounts(run: Any) -> None:
    ran = run("export", "settings", "--to", "x", "--workers", 2)
    assert (ran.code, "--workers needs --accounts" in ran.err) == (2, True)


def test_a_missing_token_is_told_before_processes_start(
    export: Any, dask: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("B_TOKEN")
    ran = export("many", "--workers", 2)
    assert (ran.code, "B_TOKEN" in ran.err) == (4, True)
    assert not dask
