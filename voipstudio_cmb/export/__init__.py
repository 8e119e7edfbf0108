"""Exports collections into files: whole, or not at all."""

from .plan import FORMATS, RESOURCES, Plan
from .runner import Export, Job, Summary

__all__ = ["FORMATS", "RESOURCES", "Export", "Job", "Plan", "Summary"]
