"""Exports collections into files: each is complete, or does not appear.

    Export(client, Plan(to="nightly", resources=["cdrs"])).run()  ->  Summary

    run/       Export, Exports of many accounts, forecast: what happens, and its Jobs
    source/    where the rows come from
    plan/      Plan: what goes into which files; Preflight: whether that can be done
    store/     what is kept on the disk, so that a run can be killed at any moment
    sinks/     formats of files; `Sink` is the base class of your own
    accounts   `read_accounts`: who is exported

Each may import those below it, but for `accounts`, which only `run` knows.
"""

from voipstudio_cmb.resources import RESOURCES, Resource

from .accounts import Account, read_accounts
from .plan.plan import Plan
from .plan.verify import Verified, verify
from .run.export import Export
from .run.exports import Exports
from .run.forecast import Forecast, forecast
from .run.job import Job, Summary
from .sinks.base import Sink
from .sinks.compression import Compression
from .sinks.formats import FORMATS, Format

__all__ = [
    "FORMATS", "RESOURCES", "Account", "Compression", "Export", "Exports", "Forecast", "Format",
    "Job", "Plan", "Resource", "Sink", "Summary", "Verified", "forecast", "read_accounts", "verify"
]  # fmt: skip
