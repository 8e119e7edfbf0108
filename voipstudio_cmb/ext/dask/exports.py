"""Hands out shards to the workers of a cluster, until each has ended."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import time
import uuid
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import attrs
import cloudpickle
from distributed import Client, Future
from distributed.client import ClosedClientError
from distributed.scheduler import KilledWorker

from voipstudio_cmb import __version__
from voipstudio_cmb.boundary.checks import described
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import ClientMisuse, ConnectionLost, ExportError
from voipstudio_cmb.export import Job, Plan, Shard, Summary, shards
from voipstudio_cmb.export.run.shards import Ran
from voipstudio_cmb.limits import Limiter

from . import worker
from .attendance import Attendance, deserted
from .check import check_cluster
from .rate import SchedulerRateLimit

INTERVAL = 1.0
"""Seconds from one look at what runs to the next."""

MOST_DEATHS = 50
"""How many workers may die at a shard before it is given up."""

MOST_BUSY = 900.0
"""Seconds for which a shard is tried again that a worker, given up or of another run, exports."""

_LOST = (concurrent.futures.CancelledError, ClosedClientError, OSError)
"""What Dask raises where the connection to the scheduler is lost."""


class DaskExports:
    """An export of what `plan` says for each account in the file `accounts`, to be run once.

    Workers of `client` run it, an account at a time for each of their threads. With names in `only`
    no others are exported. The files of an account go to the directory of its name in `plan.to`,
    which all workers share. What is complete there is left as it is.

    `limiter` paces the requests of all accounts together if it is a `SchedulerRateLimit` or a
    `RedisRateLimit`; of any other each worker process has a copy of its own. `rate` paces those of
    each account by itself. An account's own rate takes precedence over both. Workers read tokens
    from their own environment, and make clients with `config`. `tell` is given a sentence when a
    worker has gone, and while there is none: after a quarter of an hour without any, what is left
    fails so that it can be resumed.

    Raises:
        ConfigError: the file can't be read, or something in it can't be used.
        ClientMisuse: the plan replaces files, or an option can't be used.
    """

    def __init__(
        self,
        client: Client,
        accounts: str | Path,
        plan: Plan,
        *,
        only: Collection[str] = (),
        limiter: Limiter | None = None,
        rate: float | None = None,
        config: ClientConfig | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        if limiter is not None and rate is not None:
            raise ClientMisuse("choose one: a limiter for all accounts, or a rate for each")
        if not isinstance(client, Client):
            raise ClientMisuse(f"DaskExports needs a distributed.Client, not {described(client)}")
        # Workers begin elsewhere, so that a relative path would be another one.
        whole = attrs.evolve(plan, to=plan.to.absolute()) if isinstance(plan.to, Path) else plan
        made = shards(Path(accounts).absolute(), whole, only=only)
        self._given, self._to = plan.to, whole.to
        self._client: Any = client  # half of its methods have no types
        self._attendance = Attendance(tell)
        # Not held here: Dask runs again what somebody holds and a worker that died has done.
        self._futures = weakref.WeakSet[Future[worker.Outcome]]()
        self._shards = [attrs.evolve(each, rate=each.rate or rate) for each in made]
        self._limiter = limiter
        self._keeper: object = None
        self._turn = asyncio.Lock()
        self._settings = cloudpickle.dumps((limiter, config))
        self._run_id = uuid.uuid4().hex
        self._submitted = 0
        self._begun = False
        self._ended: set[str] = set()  # accounts
        self._pauses: dict[str, float] = {}
        self._usage = Counter[str]()
        self._jobs = {each.account: self._planned(each) for each in self._shards}

    @property
    def jobs(self) -> list[Job]:
        """Those of one account after those of another; they can be watched while it runs."""
        return [job for jobs in self._jobs.values() for job in jobs]

    def pause(self, job: Job) -> float:
        """Seconds for which the API has asked the account of `job` to wait; 0.0: it has not."""
        return self._pauses.get(job.account, 0.0)

    def end(self) -> None:
        """Does nothing: each shard has left what says that it is complete."""

    async def run_marked(self) -> Summary:
        """As `run`."""
        return await self.run()

    async def run(self) -> Summary:
        """Runs them all and says what became of them; what can't be done fails its account's jobs.

        It runs again what a worker or the scheduler that died has left undone. If it is cancelled,
        the workers end what they have begun so that it can be resumed.

        Raises:
            ConnectFailed: the cluster has no workers, or does not answer.
            ClientMisuse: the cluster can't be used as it is, or they have been run.
        """
        if self._begun:
            raise ClientMisuse("these exports have been run: make another DaskExports(…)")
        self._begun = True
        loop = self._client.loop.asyncio_loop
        if loop is asyncio.get_running_loop():
            return await self._run()
        # A client that is not asynchronous has a thread of its own.
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._run(), loop))

    async def _run(self) -> Summary:
        began = time.monotonic()
        await check_cluster(self._client, self._shards, self._run_id, self._limiter)
        await self._keep_rate()
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as group:
                for shard in self._shards:
                    group.create_task(self._export(shard, self._submit(shard)))
        except BaseException:
            await asyncio.shield(self._stop())
            raise
        finally:
            watching.cancel()
        return Summary(
            jobs=self.jobs,
            requests=self._usage["requests"],
            retries=self._usage["retries"],
            seconds=time.monotonic() - began,
        )

    def _submit(self, shard: Shard) -> Future[worker.Outcome]:
        # Tasks of one name wait at the scheduler. Those that wait at a worker would count as
        # failed each time that it dies.
        key: Any = (f"voipstudio-{self._run_id}", self._submitted)
        self._submitted += 1
        given = shard, self._settings, self._run_id, __version__
        future: Future[worker.Outcome] = self._client.submit(
            worker.run, *given, key=key, pure=False
        )
        self._futures.add(future)
        return future

    async def _export(self, shard: Shard, future: Future[worker.Outcome]) -> None:
        """Has a shard run until it has ended, whatever dies meanwhile."""
        deaths, busy_until = 0, time.monotonic() + MOST_BUSY
        while True:
            try:
                ran = (await future).joined()
            except KilledWorker as error:
                deaths += error.allowed_failures + 1
                if deaths >= MOST_DEATHS:
                    return self._take(shard, Ran([], error=_deadly(deaths)))
            except _LOST:
                if future.status == "error":
                    raise  # of the task itself
                if self._attendance.deserted:
                    return self._take(shard, Ran([], error=deserted()))
                if not await self._connected():
                    return self._take(shard, Ran([], error=_gone()))
            else:
                busy = any(getattr(job.error, "busy", False) for job in ran.jobs)
                if not busy or time.monotonic() > busy_until:
                    return self._take(shard, ran)
                await asyncio.sleep(INTERVAL)
            future = self._submit(shard)

    async def _connected(self) -> bool:
        """Whether there is a scheduler again, for which the client looks some time."""
        while self._client.status == "connecting":
            await asyncio.sleep(0.1)
        if self._client.status != "running":
            return False
        with contextlib.suppress(*_LOST, TimeoutError):
            await self._keep_rate()
        return True

    async def _keep_rate(self) -> None:
        """Has the present scheduler keep the allowance, if there is one for all workers."""
        async with self._turn:
            comm = self._client.scheduler_comm
            if isinstance(self._limiter, SchedulerRateLimit) and comm is not self._keeper:
                await self._limiter.install(self._client)
            self._keeper = comm

    def _take(self, shard: Shard, ran: Ran) -> None:
        """Notes what became of a shard."""
        self._ended.add(shard.account)  # an answer about it may still be on its way
        self._pauses.pop(shard.account, None)
        self._usage.update(requests=ran.requests, retries=ran.retries)
        self._show(shard.account, ran.jobs)
        if ran.error is not None:
            for job in self._jobs[shard.account]:
                if job.state != "done":
                    job.state, job.error = "failed", ran.error
                    job.resumable = job.rows > 0

    def _show(self, account: str, jobs: Sequence[Job]) -> None:
        """Has the jobs of an account tell what those on the worker do."""
        left = list(self._jobs[account])
        for told in jobs:
            told.path = self._shown(told.path)
            own = next((job for job in left if job.resource == told.resource), None)
            if own is None:  # another file of the resource
                self._jobs[account].append(told)
                continue
            left.remove(own)
            for field in attrs.fields(Job):
                setattr(own, field.name, getattr(told, field.name))

    def _planned(self, shard: Shard) -> list[Job]:
        plan = shard.own_plan
        return [
            Job(resource=each, path=self._shown(plan.path(each)), account=shard.account)
            for each in plan.resources
        ]

    def _shown(self, path: Path) -> Path:
        """The `path` of a file as the plan names it."""
        given, to = self._given, self._to
        if isinstance(given, Path) and isinstance(to, Path) and path.is_relative_to(to):
            return given / path.relative_to(to)
        return path

    async def _watch(self) -> None:
        """Looks at what runs on the workers, as long as it is not cancelled."""
        while True:
            answers: dict[str, Any] = {}
            with contextlib.suppress(*_LOST, TimeoutError):
                await self._look()
                answers = await self._ask(worker.progress)
            for jobs, pause in (shard for each in answers.values() for shard in each):
                account = jobs[0].account
                if account in self._ended:
                    continue
                # A job that has failed may be run again; what became of it is told at the end.
                self._show(account, [job for job in jobs if job.state != "failed"])
                self._pauses[account] = pause
            await asyncio.sleep(INTERVAL)

    async def _look(self) -> None:
        """Looks which workers there are; without any for long, nothing more is waited for."""
        async with asyncio.timeout(10 * INTERVAL):
            self._attendance.look(await self._client.nthreads())
        if self._attendance.deserted:
            await self._client.cancel([*self._futures])

    async def _stop(self) -> None:
        with contextlib.suppress(*_LOST, TimeoutError):
            await self._ask(worker.stop)

    async def _ask(self, question: Any) -> Any:
        """What each worker answers, but for those that died."""
        async with asyncio.timeout(10 * INTERVAL):
            return await self._client.run(question, self._run_id, on_error="ignore")


def _deadly(deaths: int) -> ExportError:
    return ExportError(
        f"{deaths} workers died while they exported it: see their logs, most often they had too "
        "little memory",
        retryable=True,
    )


def _gone() -> ConnectionLost:
    return ConnectionLost(
        "the connection to Dask's scheduler is lost: start the scheduler again, and run the same "
        "export again"
    )
