"""Dask: exports of many accounts on the workers of a cluster. Extra: `dask`.

    async with Client("tcp://…", asynchronous=True) as client:
        summary = await DaskExports(client, "accounts.toml", plan).run()

    exports    DaskExports: hands out the shards, once more where a worker or the scheduler died
    check      what is wrong with a cluster, before anything is sent
    worker     what runs on the workers: one shard at a time, with what a process has once
    rate       `SchedulerRateLimit`: one allowance for all workers, kept by the scheduler
    cluster    `local_cluster`: worker processes on this machine; `remote_cluster`: others'

A shard may be run as often as one likes, which is what makes it harmless that Dask runs tasks
again, those that have ended too.
"""

from .cluster import local_cluster, remote_cluster
from .exports import DaskExports
from .rate import SchedulerRateLimit

__all__ = ["DaskExports", "SchedulerRateLimit", "local_cluster", "remote_cluster"]
