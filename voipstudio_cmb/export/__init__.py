"""Exports collections into files: whole, or not at all."""

from .plan import RESOURCES, Plan
from .runner import Export, Summary
from .sinks import FORMATS, Sink
from .work import Job

__all__ = ["FORMATS", "RESOURCES", "Export", "Job", "Plan", "Sink", "Summary"]
