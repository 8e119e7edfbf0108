"""Exports collections into files: whole, or not at all."""

from .accounts import Account, read_accounts
from .plan.plan import Plan
from .run.export import Export
from .run.exports import Exports
from .run.forecast import Forecast, forecast
from .run.job import Job, Summary
from .sinks import FORMATS, Sink

__all__ = [
    "FORMATS",
    "Account",
    "Export",
    "Exports",
    "Forecast",
    "Job",
    "Plan",
    "Sink",
    "Summary",
    "forecast",
    "read_accounts",
]
