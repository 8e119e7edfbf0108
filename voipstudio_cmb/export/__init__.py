"""Exports collections into files: whole, or not at all."""

from .accounts import Account, read_accounts
from .ahead import Forecast, forecast
from .job import Job
from .many import Exports
from .plan import RESOURCES, Plan
from .runner import Export, Summary
from .sinks import FORMATS, Sink

__all__ = [
    "FORMATS",
    "RESOURCES",
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
