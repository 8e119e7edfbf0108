"""Real processes of Dask: scheduler and workers are killed, and all is whole in the end.

That workers and clients are killed at any time is `benchmarks/campaigns/cluster.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from benchmarks.harness.worker_kills import (
    one_process,
    worker_processes,
    write_accounts,
)
from tests.fakes.commands import COMMAND, INTERRUPTIBLE
from tests.fakes.exports import hashes
from voipstudio_cmb.sandbox import Sandbox

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

ACCOUNTS = 20
EXPORT = ["export", "cdrs", "visitors", "--page-size", "20", "--progress", "json"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for number in range(ACCOUNTS):  # so that it is put back
        monkeypatch.setenv(f"SHOP{number}_TOKEN", "")
    with Sandbox(rows=400, latency=0.01) as api:
        yield write_accounts(tmp_path, api, ACCOUNTS)


async def test_a_worker_that_is_killed_while_it_starts_is_replaced() -> None:
    from voipstudio_cmb.ext.dask import local_cluster

    async with local_cluster(1) as client:
        [first] = worker_processes(os.getpid())
        os.kill(first, signal.SIGKILL)
        while (pids := worker_processes(os.getpid())) in ([], [first]):
            await asyncio.sleep(0.01)
        os.kill(pids[0], signal.SIGKILL)
        while not await client.nthreads():
            await asyncio.sleep(0.1)
        assert worker_processes(os.getpid()) != pids
        assert await client.submit(os.getpid, pure=False) in worker_processes(os.getpid())


@attrs.define
class Cluster:
    """A scheduler and workers that somebody else has started, and starts again."""

    port: int
    stack: contextlib.ExitStack
    workers: list[subprocess.Popen[bytes]] = attrs.field(factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def scheduler(self) -> subprocess.Popen[bytes]:
        place = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        return self._start("scheduler", *place)

    def worker(self) -> subprocess.Popen[bytes]:
        process = self._start("worker", self.address, "--nthreads", "1", "--no-dashboard")
        self.workers.append(process)
        return process

    def _start(self, what: str, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{what}", *words],
            stderr=subprocess.DEVNULL,
        )
        self.stack.callback(process.wait)
        self.stack.callback(process.terminate)
        return process


@pytest.fixture
def cluster(unused_tcp_port: int) -> Iterator[Cluster]:
    with contextlib.ExitStack() as stack:
        yield Cluster(unused_tcp_port, stack)


@contextlib.contextmanager
def begun(*words: object, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """An export that has shown how far it is."""
    command: Any = options.pop("command", COMMAND)
    with subprocess.Popen(
        [*command, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                assert b'"event": "end"' not in line, line
                if b'"event": "done"' in line or b'"event": "progress"' in line:
                    break
            yield process
        finally:
            process.kill()


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.05)


def test_a_scheduler_that_is_killed_and_a_worker_that_is_replaced_cost_nothing(
    tmp_path: Path, file: Path, cluster: Cluster
) -> None:
    one_process(file, tmp_path / "one", "jsonl")
    scheduler = cluster.scheduler()
    first, second = cluster.worker(), cluster.worker()
    words = [*EXPORT, "--accounts", file, "--to", tmp_path / "many", "--cluster", cluster.address]
    with begun(*words) as export:
        first.terminate()
        cluster.worker()
        first.wait()
        scheduler.kill()
        scheduler.wait()
        cluster.scheduler()
        # Workers end with their scheduler; whoever keeps them starts them again.
        until(lambda: second.poll() is not None)
        cluster.worker()
        _, err = export.communicate(timeout=200)
        assert export.returncode == 0, err[-2000:]
    assert hashes(tmp_path / "many") == hashes(tmp_path / "one")


def test_a_scheduler_that_stays_away_can_be_started_and_the_command_run_again(
    tmp_path: Path, file: Path, cluster: Cluster
) -> None:
    one_process(file, tmp_path / "one", "jsonl")
    scheduler = cluster.scheduler()
    cluster.worker()
    words = [*EXPORT, "--accounts", file, "--to", tmp_path / "many", "--cluster", cluster.address]
    with begun(*words) as export:
        scheduler.kill()
        _, err = export.communicate(timeout=100)
        assert export.returncode == 5, err[-2000:]
        assert b"start the scheduler again" in err
    cluster.scheduler()
    cluster.worker()
    ran = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert hashes(tmp_path / "many") == hashes(tmp_path / "one")


def test_ctrl_c_ends_it_quietly_and_leaves_what_can_be_resumed(tmp_path: Path, file: Path) -> None:
    words = [*EXPORT, "--accounts", file, "--to", tmp_path / "many", "--workers", "2"]
    options: dict[str, Any] = {"command": INTERRUPTIBLE, "start_new_session": True}
    with begun(*words, "--rate", "20", **options) as export:
        os.killpg(export.pid, signal.SIGINT)  # as a terminal does
        _, err = export.communicate(timeout=60)
    assert export.returncode == 130
    assert b"Traceback" not in err
    assert b"run the same command again to resume" in err
    ran = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, timeout=200)
    assert ran.returncode == 0, ran.stderr[-2000:]
    one_process(file, tmp_path / "one", "jsonl")
    assert hashes(tmp_path / "many") == hashes(tmp_path / "one")


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio\n"
        "from voipstudio_cmb.ext.dask import local_cluster\n"
        "async def main():\n"
        "    async with local_cluster(1):\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=200)
    assert ran.returncode == 1
    assert 'put what it does below `if __name__ == "__main__":`' in ran.stderr.splitlines()[-1]
