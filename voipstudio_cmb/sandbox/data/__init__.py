"""The rows of the sandbox, and how they are read and changed. Nothing here does I/O.

::

    rows.py     the fields of one row, computed from a seed and an id
    query.py    collection parameters -> a checked Query, and the ids and rows that it matches
    tables.py   five tables of such rows: pages of ids out, inserts, updates and deletes in
    drift.py    deletes and inserts rows of a table between two requests
"""

from __future__ import annotations

from .drift import Drift, TableDrift
from .query import Query, matches, parse
from .rows import Row
from .tables import ZERO_DATES, Data, Table, TablePage, Watch

__all__ = [
    "ZERO_DATES", "Data", "Drift", "Query", "Row", "Table", "TableDrift", "TablePage", "Watch",
    "matches", "parse",
]  # fmt: skip
