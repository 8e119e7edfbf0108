"""`export --workers` and `--cluster`: the accounts on processes of Dask, here or elsewhere."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import attrs

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Job, Plan, Summary, read_accounts, shards

from .arguments import Arguments
from .clients import config_of, shared_by


class AnyExports(Protocol):
    """Exports, wherever they run."""

    @property
    def jobs(self) -> Sequence[Job]:
        """What can be watched."""
        ...

    async def run_marked(self) -> Summary:
        """Runs them all, and says what became of them."""
        ...

    def pause(self, job: Job) -> float:
        """Seconds for which the API has asked the account of `job` to wait."""
        ...

    def end(self) -> None:
        """Is called when what is complete has been told."""
        ...


@contextlib.asynccontextmanager
async def worker_exports(arguments: Arguments, plan: Plan) -> AsyncIterator[AnyExports]:
    """The exports of `--accounts`, by the workers that `--workers` or `--cluster` say.

    Raises:
        ClientMisuse: an extra is missing, or an option can't be used.
        ConnectFailed: the cluster does not answer.
    """
    flag = "--workers" if arguments.cluster is None else "--cluster"
    try:
        import voipstudio_cmb.ext.dask as dask
    except ImportError:
        raise ClientMisuse(lacks_extra(flag, "dask")) from None
    name, url = shared_by(arguments)
    if arguments.rate is not None and url is not None:
        raise ClientMisuse(
            f"{name} can't be used with {flag}, whose scheduler keeps --rate: leave it out, or "
            "give each pod a part by --shard"
        )
    config = config_of(arguments)
    if config is not None and config.patience is not None:  # workers have nobody to tell of it
        config = attrs.evolve(config, patience=type(config.patience)(config.patience.seconds))
    # What is wrong with them is told before processes are started, which have the same tokens.
    shards(arguments.accounts, plan, only=arguments.account)
    if arguments.cluster is None:
        read_accounts(arguments.accounts, only=arguments.account)
    level = logging.WARNING if arguments.verbose else logging.CRITICAL
    if arguments.cluster is None:
        slots = -(-arguments.jobs // arguments.workers)
        where = dask.local_cluster(arguments.workers, slots=slots, level=level)
    else:
        where = dask.remote_cluster(arguments.cluster, level=level)
    limiter = None if arguments.rate is None else dask.SchedulerRateLimit(arguments.rate)
    async with where as client:
        yield dask.DaskExports(
            client, arguments.accounts, plan, only=arguments.account, limiter=limiter,
            rate=arguments.rate_per_account, config=config,
        )  # fmt: skip
