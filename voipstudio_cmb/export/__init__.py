"""Exports collections into files: whole, or not at all."""

from .accounts import Account, read_accounts
from .plan.plan import RESOURCES, Plan
from .run.export import Export
from .run.exports import Exports
from .run.forecast import Forecast, forecast
from .run.job import Job, Summary
from .sinks import FORMATS, Compression, Format, Sink

__all__ = [
    "FORMATS",
    "RESOURCES",
    "Account",
    "Compression",
    "Export",
    "Exports",
    "Forecast",
    "Format",
    "Job",
    "Plan",
    "Sink",
    "Summary",
    "forecast",
    "read_accounts",
]
