"""Exports on a cluster of Dask: whoever dies, the files are those of one process."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.fakes.commands import accounts_file
from tests.fakes.exports import hashes
from voipstudio_cmb.errors import (
    ClientMisuse,
    ConfigError,
    ConnectFailed,
    ExportError,
    NoToken,
    Unauthorized,
)
from voipstudio_cmb.export import Exports, Job, Plan, read_accounts
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.export.run.shards import Ran
from voipstudio_cmb.export.store.lock import locked
from voipstudio_cmb.sandbox import Fault, Sandbox

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore")]

NAMES = [f"shop{number}" for number in range(6)]
SECRET = "a-token-that-nobody-sees"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", "sandbox-token")
    with Sandbox(rows=60) as api:
        yield api


@pytest.fixture
def file(tmp_path: Path, api: Sandbox) -> Path:
    return accounts_file(tmp_path, api, *NAMES)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return Plan(to=tmp_path / "many", resources=("cdrs", "visitors"), page_size=20)


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    """A client of two workers in this process: what is pickled is pickled there too."""
    import distributed

    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=2, processes=False, asynchronous=True,
        dashboard_address=None, protocol="tcp", silence_logs=50,
    )  # fmt: skip
    async with cluster, distributed.Client(cluster, asynchronous=True) as client:
        yield client


def exports(client: Any, file: Path, plan: Plan, **options: Any) -> Any:
    from voipstudio_cmb.ext.dask import DaskExports

    return DaskExports(client, file, plan, **options)


async def test_it_writes_what_one_process_writes_and_is_then_complete(
    client: Any, file: Path, plan: Plan, tmp_path: Path
) -> None:
    alone = attrs.evolve(plan, to=tmp_path / "one")
    expected = await Exports(read_accounts(file), alone).run()
    summary = await exports(client, file, plan).run()
    assert hashes(plan.to) == hashes(tmp_path / "one")
    assert summary.complete
    assert (summary.rows, summary.requests) == (expected.rows, expected.requests)
    seen = [(job.account, job.resource, job.rows, job.pages, job.made) for job in summary.jobs]
    told = [(job.account, job.resource, job.rows, job.pages, job.made) for job in expected.jobs]
    assert seen == told
    again = await exports(client, file, plan).run()
    assert (again.complete, again.requests) == (True, 0)
    assert all(job.already for job in again.jobs)


def test_a_client_that_is_not_asynchronous_serves_as_well(
    file: Path, plan: Plan, tmp_path: Path
) -> None:
    import distributed

    alone = Exports(read_accounts(file), attrs.evolve(plan, to=tmp_path / "one"))
    asyncio.run(alone.run())
    options: Any = {"processes": False, "dashboard_address": None, "protocol": "tcp"}
    with (
        distributed.LocalCluster(n_workers=1, silence_logs=50, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert asyncio.run(exports(client, file, plan).run()).complete
    assert hashes(plan.to) == hashes(tmp_path / "one")


async def test_what_runs_is_seen_while_it_runs(
    client: Any, file: Path, plan: Plan, api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import exports as module

    monkeypatch.setattr(module, "INTERVAL", 0.05)
    api.script(Fault(path="/callmeback/cdrs", after=2, delay=0.5, times=6))
    made = exports(client, file, attrs.evolve(plan, concurrency=1))
    assert {job.state for job in made.jobs} == {"waiting"}
    running = asyncio.create_task(made.run())
    seen: set[tuple[str, bool]] = set()
    while not running.done():
        seen |= {(job.state, job.rows > 0) for job in made.jobs}
        await asyncio.sleep(0.01)
    assert seen & {("running", True), ("writing", True)}
    assert {job.state for job in running.result().jobs} == {"done"}


async def test_what_is_told_too_late_undoes_nothing(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import exports as module
    from voipstudio_cmb.ext.dask import worker

    late = [
        Job(resource=each, path=Path("x"), account=name, state="running")
        for name in NAMES
        for each in plan.resources
    ]
    run = client.run

    async def asked(question: Any, *args: Any, **options: Any) -> Any:
        if question is worker.progress:
            return {"a worker": [([job], 0.0) for job in late]}
        return await run(question, *args, **options)

    monkeypatch.setattr(module, "INTERVAL", 0.001)
    monkeypatch.setattr(client, "run", asked)
    assert (await exports(client, file, plan).run()).complete


async def test_only_the_accounts_that_are_named(client: Any, file: Path, plan: Plan) -> None:
    summary = await exports(client, file, plan, only=["shop1"]).run()
    assert {job.account for job in summary.jobs} == {"shop1"}
    with pytest.raises(ConfigError, match="did you mean 'shop1'"):
        exports(client, file, plan, only=["shop11"])


async def test_files_are_named_as_the_plan_names_them(
    client: Any, file: Path, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = exports(client, file, attrs.evolve(plan, to="here"), only=["shop1"])
    planned = [job.path for job in made.jobs]
    assert planned == [Path("here/shop1/cdrs.jsonl"), Path("here/shop1/visitors.jsonl")]
    monkeypatch.chdir("/")  # as workers may begin elsewhere
    assert [job.path for job in (await made.run()).jobs] == planned
    assert all((tmp_path / path).exists() for path in planned)
    assert all(job.seconds for job in made.jobs)


async def test_workers_that_go_are_told_of_and_none_for_long_ends_it(
    file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, api: Sandbox
) -> None:
    import distributed

    from voipstudio_cmb.ext.dask import attendance
    from voipstudio_cmb.ext.dask import exports as module

    monkeypatch.setattr(module, "INTERVAL", 0.05)
    monkeypatch.setattr(attendance, "MOST_ALONE", 1.0)
    api.script(Fault(path="/callmeback/cdrs", after=2, delay=30, times=None))
    told: list[str] = []
    cluster = distributed.LocalCluster(
        n_workers=1, processes=False, asynchronous=True, dashboard_address=None, protocol="tcp",
        silence_logs=50,
    )  # fmt: skip
    async with cluster, distributed.Client(cluster, asynchronous=True) as client:
        running = asyncio.create_task(exports(client, file, plan, tell=told.append).run())
        [worker] = cluster.workers.values()
        while not api.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        await worker.close()
        summary = await asyncio.wait_for(running, 20)
        for shard in [*module.worker.RUNNING]:  # a real one dies with its process
            assert shard.task is not None
            shard.task.cancel()
            await asyncio.wait([shard.task])
    assert [line for line in told if "is gone: what it exported is resumed" in line]
    assert {str(job.error) for job in summary.jobs if job.state != "done"} == {
        "the cluster had no workers for 1 s: start some, and run the same export again"
    }
    assert exit_code(summary.jobs) == 5


def test_how_long_there_are_no_workers_is_told() -> None:
    from voipstudio_cmb.ext.dask.attendance import MOST_ALONE, Attendance

    now, told = [0.0], list[str]()
    attendance = Attendance(told.append, lambda: now[0])
    for second in range(200):
        now[0] = float(second)
        there = {"a", "b"} if second < 10 else {"b"} if second < 20 else set[str]()
        attendance.look({"b"} if second == 190 else there)
    assert [line.partition(":")[0] for line in told] == [
        "the worker a is gone",
        "the worker b is gone",
        "the cluster has had no workers for 15 s",
        "the cluster has had no workers for 75 s",
        "the cluster has had no workers for 135 s",
        "there are workers again",
        "the worker b is gone",
    ]
    assert not attendance.deserted
    now[0] = 190 + MOST_ALONE
    attendance.look(())
    assert attendance.deserted


async def test_an_error_is_as_it_was_raised(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP2_TOKEN", SECRET)
    summary = await exports(client, file, plan).run()
    failed = [job for job in summary.jobs if job.state == "failed"]
    assert {job.account for job in failed} == {"shop2"}
    assert isinstance(failed[0].error, Unauthorized)
    assert "SHOP2_TOKEN" in str(failed[0].error)
    assert exit_code(summary.jobs) == 4


def test_what_an_error_was_raised_from_travels_with_it() -> None:
    from voipstudio_cmb.ext.dask.worker import Outcome

    error = ExportError("not written")
    error.__cause__ = Unauthorized("no", status=401)
    error.__cause__.__cause__ = last = FileExistsError(17, "there")
    error.__context__ = error.__cause__.__context__ = last.__context__ = ValueError(SECRET)
    job = Job(resource="cdrs", path=Path("x"), state="failed", error=error)
    assert exit_code([job]) == 4
    sent = pickle.dumps(Outcome.of(Ran([job])))
    assert SECRET.encode() not in sent  # what was being handled, which pickles have after an import
    ran = pickle.loads(sent).joined()
    assert exit_code(ran.jobs) == 4
    assert isinstance(ran.jobs[0].error.__cause__.__cause__, FileExistsError)


async def test_a_variable_that_a_worker_lacks_is_an_error_that_names_the_worker(
    client: Any, file: Path, plan: Plan, api: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP3_TOKEN")
    with pytest.raises(NoToken, match=r"the worker tcp://.* lacks .*: SHOP3_TOKEN; set"):
        await exports(client, file, plan).run()
    assert not api.requests
    assert not any(plan.to.iterdir())


async def test_a_worker_that_comes_later_tells_so_for_its_shards(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import exports as module

    async def unchecked(*_: Any) -> None:
        pass

    monkeypatch.setattr(module, "check_cluster", unchecked)
    monkeypatch.delenv("SHOP3_TOKEN")
    summary = await exports(client, file, plan).run()
    [error] = {str(job.error) for job in summary.jobs if job.error}
    assert "SHOP3_TOKEN" in error
    assert "the worker is tcp://" in error
    assert exit_code(summary.jobs) == 4


async def test_another_version_on_a_worker_is_an_error(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import check

    monkeypatch.setattr(check, "__version__", "0.0.1")
    monkeypatch.setattr(check, "facts", lambda *_: check.Facts("9.9", "there", (), True))
    monkeypatch.setattr(check, "scheduler_settings", lambda dask_scheduler: ("0.0.1", 300.0))
    with pytest.raises(
        ConfigError, match=r"the worker .* has voipstudio_cmb 9.9, and this .*0.0.1"
    ):
        await exports(client, file, plan).run()


async def test_a_directory_that_workers_do_not_share_is_an_error(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import check

    monkeypatch.setattr(check, "leave", lambda mark: None)
    with pytest.raises(ClientMisuse, match="of its own: export to one that all workers share"):
        await exports(client, file, plan).run()


async def test_a_scheduler_that_never_gives_up_a_worker_is_refused(
    client: Any, file: Path, plan: Plan
) -> None:
    client.cluster.scheduler.worker_ttl = None
    with pytest.raises(ClientMisuse, match="set distributed.scheduler.worker-ttl"):
        await exports(client, file, plan).run()


async def test_a_cluster_without_workers_is_told_of(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import check

    monkeypatch.setattr(check, "PATIENCE", 0.5)
    await client.cluster.scale(0)
    while await client.nthreads():
        await asyncio.sleep(0.01)
    with pytest.raises(ConnectFailed, match="no workers: start some"):
        await exports(client, file, plan).run()


async def test_a_shard_that_another_worker_still_exports_is_tried_again(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import exports as module

    monkeypatch.setattr(module, "INTERVAL", 0.05)
    (plan.to / "shop0").mkdir(parents=True)
    with locked(plan.to / "shop0" / "cdrs.jsonl"):
        running = asyncio.create_task(exports(client, file, plan, only=["shop0"]).run())
        done, _ = await asyncio.wait([running], timeout=1)
        assert not done
    assert (await running).complete


async def test_a_shard_at_which_workers_die_is_run_again_and_given_up_in_the_end(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed.scheduler import KilledWorker

    submit, deaths = client.submit, [0, 3]

    def dying(*args: Any, **options: Any) -> Any:
        deaths[0] += 1
        if deaths[0] > deaths[1]:
            return submit(*args, **options)
        future: Any = asyncio.get_running_loop().create_future()
        future.set_exception(KilledWorker("key", None, 3))  # type: ignore[arg-type]
        return future

    monkeypatch.setattr(client, "submit", dying)
    assert (await exports(client, file, plan, only=["shop0"]).run()).complete
    assert deaths[0] == 4
    deaths[:] = [0, 1000]
    summary = await exports(client, file, plan, only=["shop1"]).run()
    assert "52 workers died" in str(summary.jobs[0].error)
    assert exit_code(summary.jobs) == 5


class CopiedLimiter:
    """A limiter that counts its copies, and whom they let through."""

    copies = passed = 0

    def __reduce__(self) -> Any:
        return CopiedLimiter.copied, ()

    @classmethod
    def copied(cls) -> CopiedLimiter:
        cls.copies += 1
        return cls()

    async def acquire(self) -> None:
        CopiedLimiter.passed += 1


async def test_a_process_has_one_limiter_for_all_shards(
    client: Any, file: Path, plan: Plan
) -> None:
    summary = await exports(client, file, plan, limiter=CopiedLimiter()).run()
    assert summary.complete
    assert (CopiedLimiter.copies, CopiedLimiter.passed) == (1, summary.requests)


async def test_no_token_travels(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        monkeypatch.setenv(f"{name.upper()}_TOKEN", SECRET)
    sent: list[bytes] = []
    made = exports(client, file, plan)
    submit = client.submit

    def noting(*args: Any, **options: Any) -> Any:
        sent.append(pickle.dumps((args, options)))
        return submit(*args, **options)

    monkeypatch.setattr(client, "submit", noting)
    summary = await made.run()
    assert len(sent) == len(NAMES)
    told = pickle.dumps([job.error for job in summary.jobs])
    assert not any(SECRET.encode() in each for each in (*sent, told))


async def test_who_cancels_it_can_resume_it(
    client: Any, file: Path, plan: Plan, api: Sandbox
) -> None:
    from voipstudio_cmb.ext.dask import worker

    slow = api.script(Fault(path="/callmeback/cdrs", after=2, delay=30, times=None))
    running = asyncio.create_task(exports(client, file, plan).run())
    while not slow.applied:
        assert not running.done()
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert not worker.RUNNING
    api.clear_faults()
    assert (await exports(client, file, plan).run()).complete


async def test_all_workers_share_the_rate_that_the_scheduler_keeps(
    client: Any, file: Path, plan: Plan, api: Sandbox
) -> None:
    from voipstudio_cmb.ext.dask import SchedulerRateLimit
    from voipstudio_cmb.ext.shared import Ask

    limiter = SchedulerRateLimit(20, per=0.1, key="shops")
    copy = pickle.loads(pickle.dumps(limiter))
    assert (copy.n, copy.per, copy.key, copy.lease) == (20, 0.1, "shops", 1)
    assert (await exports(client, file, plan, limiter=limiter).run()).complete
    keeper = client.cluster.scheduler.plugins["voipstudio_cmb_rate"]
    kept = keeper.allowances["shops"]
    assert (kept.n, kept.period) == (20, pytest.approx(0.102))
    other = attrs.asdict(Ask(process="another", number=1, count=1))
    told = await keeper.ask("shops", 30, 0.102, other)
    assert told == {"n": 20, "period": pytest.approx(0.102)}
    kept.asked -= 61
    assert len(await keeper.ask("shops", 30, 0.102, other)) == 2


async def test_another_rate_under_one_key_is_refused(client: Any, file: Path, plan: Plan) -> None:
    from voipstudio_cmb.ext.dask import SchedulerRateLimit

    one = SchedulerRateLimit(200, key="shops")
    assert (await exports(client, file, plan, limiter=one).run()).complete
    other = attrs.evolve(plan, to=plan.to / "other")
    made = exports(client, file, other, limiter=SchedulerRateLimit(50, key="shops"))
    errors = {str(job.error) for job in (await made.run()).jobs}
    assert len(errors) <= len(made.jobs)
    assert all("'shops' by 200 requests in 1 s, and here it is 50 in 1 s" in e for e in errors)


async def test_a_worker_that_lacks_the_url_of_the_shared_rate_is_named(
    client: Any, file: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voipstudio_cmb.ext.dask import exports as module
    from voipstudio_cmb.ext.redis import RedisRateLimit

    monkeypatch.setenv("SHARED", "redis://localhost")
    limiter = RedisRateLimit(9, url_env="SHARED")
    monkeypatch.delenv("SHARED")
    with pytest.raises(NoToken, match=r"the worker tcp://.* lacks .*: SHARED; set"):
        await exports(client, file, plan, limiter=limiter).run()

    async def unchecked(*_: Any) -> None:
        pass

    monkeypatch.setattr(module, "check_cluster", unchecked)
    summary = await exports(client, file, plan, limiter=limiter).run()
    [error] = {str(job.error).partition("; the worker is tcp://")[0] for job in summary.jobs}
    assert "the environment variable SHARED" in error


async def test_one_worker_that_is_told_to_wait_holds_all(client: Any) -> None:
    from voipstudio_cmb.ext.dask import SchedulerRateLimit
    from voipstudio_cmb.ext.shared import Ask

    limiter = SchedulerRateLimit(10)
    await limiter.install(client)

    async def refused(limiter: Any) -> None:
        limiter.hold(60)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(limiter.acquire(), 0.2)
        await limiter.aclose()

    await client.submit(refused, limiter, pure=False)
    keeper = client.cluster.scheduler.plugins["voipstudio_cmb_rate"]
    asked = attrs.asdict(Ask(process="another", number=1, count=1))
    grants, wait = await keeper.ask("default", limiter.whole, limiter.period, asked)
    assert (grants, wait > 30) == ((), True)


async def test_a_scheduler_that_keeps_no_rate_is_one_that_is_away(client: Any) -> None:
    from voipstudio_cmb.ext.dask import SchedulerRateLimit

    async def acquired() -> str:
        try:
            await SchedulerRateLimit(20, per=0.1).acquire()
        except ConnectFailed as error:
            return str(error)
        return ""

    assert "keeps no rate" in await client.submit(acquired, pure=False)
