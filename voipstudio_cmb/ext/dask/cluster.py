"""Clusters: worker processes on this machine, or somebody else's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import tempfile
from collections.abc import AsyncIterator
from multiprocessing import resource_tracker
from typing import Any

import dask.config
import distributed
from distributed import Client

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.errors import ClientMisuse, ConnectFailed

MAX_WORKERS = 1000

_dask: Any = distributed  # half of which has no types

_CONFIG: dict[str, Any] = {
    # Nothing that is shown to everybody on the machine.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # A busy machine takes its time to start a worker again.
    "distributed.deploy.lost-worker-timeout": "30s",
}

_LOOK = 2.0
"""Seconds from one look for dead workers to the next."""

_GUARD = 'put what it does below `if __name__ == "__main__":`'

_STARTS = 3
"""How often a cluster is started before it is given up."""

CONNECT_WITHIN = 15.0
"""Seconds that a scheduler may take to answer; and, where the connection broke, to be back."""

ALLOWED_FAILURES = 1000
"""How many workers may die at a shard: each run of it resumes, so that it ends some day."""

WORKER_TTL = 300.0
"""Seconds after which a worker that has fallen silent is given up."""


def _check_main() -> None:
    """Raises ClientMisuse in a process that has been started only to import the script again."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ClientMisuse(
            f"local_cluster starts processes, each of which imports your script: {_GUARD}"
        )


@contextlib.asynccontextmanager
async def _interrupts_kept() -> AsyncIterator[None]:
    """Keeps Ctrl-C from processes that are started meanwhile: each would print a traceback.

    A terminal sends it to all of them, and what is blocked here is blocked where they begin.
    """

    async def let_through() -> None:
        while True:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            await asyncio.sleep(0.1)

    resource_tracker.ensure_running()  # whose start lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    task = asyncio.create_task(let_through())
    await asyncio.sleep(0)  # until it has begun
    try:
        yield
    finally:
        task.cancel()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.asynccontextmanager
async def local_cluster(
    workers: int, *, slots: int = 1, level: int = logging.CRITICAL
) -> AsyncIterator[Client]:
    """A client of so many new `workers` on this machine, each for `slots` shards at a time.

    They listen on loopback, and only to who has the certificate that is made for them here.
    Dask logs from `level`. In a script it needs `if __name__ == "__main__":`.

    Raises:
        ClientMisuse: it was called while the script is imported, or nothing can be written to the
            directory for temporary files.
        ConnectFailed: the workers do not start.
    """
    checked_integer("workers", workers, 1, MAX_WORKERS)
    checked_integer("slots", slots, 1, 1000)
    _check_main()
    async with contextlib.AsyncExitStack() as stack:
        try:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="voipstudio-cmb-"))
        except OSError as error:
            raise ClientMisuse(
                f"workers need a directory for temporary files: {error.strerror}; set TMPDIR to one"
            ) from None
        await stack.enter_async_context(_interrupts_kept())
        stack.enter_context(dask.config.set(_CONFIG))
        cluster = await _started(workers, slots, level, scratch)
        await stack.enter_async_context(cluster)
        await stack.enter_async_context(_complete(cluster, workers))
        client = _dask.Client(cluster, asynchronous=True, timeout=CONNECT_WITHIN)
        yield await stack.enter_async_context(client)


@contextlib.asynccontextmanager
async def _complete(cluster: Any, workers: int) -> AsyncIterator[None]:
    """Replaces workers that are not started again, as one that was killed while it started."""

    async def replace() -> None:
        while True:
            await asyncio.sleep(_LOOK)
            for name, nanny in [*cluster.workers.items()]:
                if nanny.status in (_dask.Status.failed, _dask.Status.closed):
                    del cluster.workers[name]
            cluster.scale(workers)

    task = asyncio.create_task(replace())
    try:
        yield
    finally:
        task.cancel()


async def _started(workers: int, slots: int, level: int, scratch: str) -> Any:
    """The cluster, whose workers may have been killed while they started."""
    for _ in range(_STARTS):
        cluster = _dask.LocalCluster(
            n_workers=workers, threads_per_worker=slots, processes=True, asynchronous=True,
            host="127.0.0.1", security=_dask.Security.temporary(), dashboard_address=None,
            silence_logs=level, memory_limit=0, local_directory=scratch,
            scheduler_kwargs={
                "allowed_failures": ALLOWED_FAILURES, "worker_ttl": WORKER_TTL,
                "dashboard": False, "dashboard_address": "127.0.0.1:0",
            },
        )  # fmt: skip
        try:
            return await cluster
        except RuntimeError:
            await cluster.close()
        except BaseException:
            await cluster.close()
            raise
    raise ConnectFailed(
        "the worker processes did not start, or died at once: run it again if there is too little "
        f"memory now; in a script of yours, {_GUARD}"
    )


@contextlib.asynccontextmanager
async def remote_cluster(address: str, *, level: int = logging.CRITICAL) -> AsyncIterator[Client]:
    """A client of the cluster whose scheduler listens at `address`. Dask logs from `level`.

    Raises:
        ConnectFailed: nothing answers there.
    """
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(level)
    try:
        try:
            client = await _dask.Client(address, asynchronous=True, timeout=CONNECT_WITHIN)
        except OSError:
            raise ConnectFailed(
                f"no Dask scheduler answered at {address} within {CONNECT_WITHIN:g} s: start it, "
                "or correct the address"
            ) from None
        async with client:
            yield client
    finally:
        log.setLevel(before)
