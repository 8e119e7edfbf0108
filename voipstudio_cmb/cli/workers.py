"""`export --workers` and `--cluster`: the accounts on processes of Dask, here or elsewhere."""

from __future__ import annotations

import contextlib
import logging
import pickle
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Protocol

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Job, Plan, Summary, read_accounts, shards
from voipstudio_cmb.limits import Limiter

from .arguments import Arguments
from .clients import config_of, shared_limiter
from .terminal import note


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


def _shared(arguments: Arguments) -> Limiter | None:
    """What the workers share with processes elsewhere, if that is said."""
    limiter = shared_limiter(arguments)
    if limiter is not None and arguments.rate_limit:
        try:
            pickle.dumps(limiter)
        except ClientMisuse:
            raise ClientMisuse(
                "--rate-limit has a password, which is not sent to workers: put the URL into the "
                "variable VOIPSTUDIO_RATE_LIMIT, here and where workers are started"
            ) from None
    return limiter


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
    config = config_of(arguments)
    if config is not None and config.patience is not None:  # workers have nobody to tell of it
        config = config.with_changes(patience=type(config.patience)(config.patience.seconds))
    limiter: Limiter | None = _shared(arguments)
    if limiter is None and arguments.rate is not None:
        limiter = dask.SchedulerRateLimit(arguments.rate)
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
    async with where as client:
        yield dask.DaskExports(
            client, arguments.accounts, plan, only=arguments.account, limiter=limiter,
            rate=arguments.rate_per_account, config=config, tell=partial(note, arguments),
        )  # fmt: skip
