"""Exports of many accounts at once, each into a directory of its own.

They take turns: as many jobs run at a time as there are slots, and every account begins its first
one before any gets a second. An account that fails does not stop the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import attrs

from voipstudio_cmb.auth.profile import Environment
from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.config import ClientConfig
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export.accounts import Account, checked_accounts
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.split import parse_split
from voipstudio_cmb.export.store.ended import end_mark
from voipstudio_cmb.limits import Limiter, RateLimit

from .export import Export
from .forecast import Forecast, forecast
from .job import Job, Summary

MAX_JOBS = 1000


class Turns:
    """One account's turns at `slots` that it shares.

    The first is taken by `begin`, before the account is asked anything, and is the one that its
    first job gets. Accounts queue for it in their order, and whoever wants a second turn queues
    behind them all: an account that answers slowly holds up nobody but itself. No account stands
    in the queue twice, so that the others' second turns come before its third.
    """

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots = slots
        self._has_first = False
        self._place = asyncio.Lock()

    async def begin(self) -> None:
        """Returns when it is this account's turn."""
        await self._slots.acquire()
        self._has_first = True

    def end(self) -> None:
        """Gives the first turn back, if no job has had it."""
        if self._has_first:
            self._has_first = False
            self._slots.release()

    async def __aenter__(self) -> None:
        if self._has_first:
            self._has_first = False
        else:
            async with self._place:
                await self._slots.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._slots.release()


async def _run(export: Export, turns: Turns) -> None:
    await turns.begin()
    try:
        async with export.client:
            await export.run_jobs()
    except ClientMisuse as error:
        for job in export.jobs:
            job.state, job.error = "failed", error
    finally:
        turns.end()


async def _forecast(export: Export, turns: Turns) -> list[Forecast]:
    async with turns, export.client:
        try:
            forecasts = await forecast(export.client, export.plan, mark=export.mark)
        except CallMeBackError as error:
            forecasts = [Forecast(resource=each, error=error) for each in export.plan.resources]
    return [
        attrs.evolve(
            each, account=export.account, error=each.error and export.explained(each.error)
        )
        for each in forecasts
    ]


class Exports:
    """An export of what `plan` says for each of the `accounts`, to be run once.

    The files of an account go to the directory of its name in `plan.to`. `slots` jobs run at a
    time. `limiter` paces the requests of all accounts together, `rate` those of each by itself; an
    account's own rate takes precedence over both. Clients are made and closed here, with `config`.
    `shard` is that of the accounts (see `read_accounts`): other processes may export the others.

    Raises:
        ClientMisuse: no accounts, two of one name, or an option that is out of range.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        plan: Plan,
        *,
        slots: int = 8,
        limiter: Limiter | None = None,
        rate: float | None = None,
        config: ClientConfig | None = None,
        shard: str | None = None,
    ) -> None:
        if limiter is not None and rate is not None:
            raise ClientMisuse("choose one: a limiter for all accounts, or a rate for each")
        self._begun = False
        self._exports: list[tuple[Export, Turns]] = []
        split = None if shard is None else parse_split(shard, Environment())
        mark = end_mark(plan.directory, *(() if split is None else attrs.astuple(split)))
        configs: dict[str, ClientConfig] = {}  # of each API: only one account tries if it is back
        shared = asyncio.Semaphore(checked_integer("slots", slots, 1, MAX_JOBS))
        for account in checked_accounts(accounts):
            base_url = account.base_url
            own = rate if account.rate is None else account.rate
            client = CallMeBackClient(
                account.token,
                base_url=base_url,
                config=configs.setdefault(base_url, (config or ClientConfig()).elsewhere()),
                limiter=limiter if own is None else RateLimit(own),
            )
            turns = Turns(shared)
            own_plan = attrs.evolve(plan, to=plan.to / account.name)
            export = Export(
                client,
                own_plan,
                account=account.name,
                token_env=account.token_env,
                slots=turns,
                mark=mark,
            )
            self._exports.append((export, turns))
        self._clients = {export.account: export.client for export, _ in self._exports}

    @property
    def jobs(self) -> Sequence[Job]:
        """Those of one account after those of another; they can be watched while it runs."""
        return [job for export, _ in self._exports for job in export.jobs]

    async def forecast(self) -> list[Forecast]:
        """What `run` would fetch, in the order of `jobs`; neither can be called after this.

        What can't be done is the error of its account's resources.
        """
        self._begin()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_forecast(*each)) for each in self._exports]
        return [forecast for task in tasks for forecast in task.result()]

    def _begin(self) -> None:
        if self._begun:
            raise ClientMisuse("these exports have been run: make another Exports(accounts, plan)")
        self._begun = True

    async def run(self) -> Summary:
        """Runs them all and says what became of them; what can't be done fails its account's jobs.

        Raises:
            ClientMisuse: they have been run.
        """
        summary = await self.run_marked()
        self.end()
        return summary

    async def run_marked(self) -> Summary:
        """As `run`, but leaves the mark that says that all is complete, which `end` removes.

        Until then the same exports, run again after a kill, answer that they are complete.
        """
        self._begin()
        loop = asyncio.get_running_loop()
        began = loop.time()
        # A job reports its failure, so an exception is a bug or a cancellation: both must end the
        # others.
        async with asyncio.TaskGroup() as group:
            for each in self._exports:
                group.create_task(_run(*each))
        for export, _ in self._exports[:1]:
            export.set_mark(self.jobs)
        resumed = any(
            job.may_pass for job in self.jobs
        )  # once: each account would look at those of all
        for export, _ in self._exports:
            export.clean_up(resumed=resumed)
        usages = [export.client.usage for export, _ in self._exports]
        return Summary(
            jobs=self.jobs,
            requests=sum(usage.requests for usage in usages),
            retries=sum(usage.retries for usage in usages),
            seconds=loop.time() - began,
        )

    def pause(self, job: Job) -> float:
        """Seconds for which the API has asked the account of `job` to wait; 0.0: it has not."""
        return self._clients[job.account].pause

    def end(self) -> None:
        """Removes the mark: what is complete has been told."""
        for export, _ in self._exports[:1]:
            export.end()
