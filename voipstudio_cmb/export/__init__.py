"""Exports collections into files: whole, or not at all."""

from .job import Job
from .plan import RESOURCES, Plan
from .runner import Export, Summary
from .sinks import FORMATS, Sink

__all__ = ["FORMATS", "RESOURCES", "Export", "Job", "Plan", "Sink", "Summary"]
