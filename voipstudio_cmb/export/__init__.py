"""Exports collections into files: each is complete, or does not appear.

    Export(client, Plan(to="nightly", resources=["cdrs"])).run()  ->  Summary

    run/       Export, Exports of many accounts, forecast: what happens, and its Jobs
    source/    where the rows come from
    plan/      Plan: what goes into which files; Preflight: whether that can be done
    store/     what is kept on the disk, so that a run can be killed at any moment
    sinks/     formats of files; `Sink` is the base class of your own
    shard      Shard: one account as plain data, which any process may export
    accounts   `read_accounts`: who is exported; `split`: by which of several pods

Each may import those below it, but for `shard` and `accounts`, which only `run` knows.
"""

from voipstudio_cmb.resources import RESOURCES, Resource

from .accounts import Account, read_accounts
from .plan.plan import Plan
from .plan.verify import Verified, verify
from .run.export import Export
from .run.exports import Exports
from .run.forecast import Forecast, forecast
from .run.job import Job, Summary
from .run.shards import ShardError, ShardFile, ShardResult, export_shard
from .shard import Shard, shards
from .sinks.base import Sink
from .sinks.compression import Compression
from .sinks.formats import FORMATS, Format

__all__ = [
    "FORMATS", "RESOURCES", "Account", "Compression", "Export", "Exports", "Forecast", "Format",
    "Job", "Plan", "Resource", "Shard", "ShardError", "ShardFile", "ShardResult", "Sink", "Summary",
    "Verified", "export_shard", "forecast", "read_accounts", "shards", "verify"
]  # fmt: skip
