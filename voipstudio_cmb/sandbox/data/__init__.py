"""The rows of the stand-in server, and how they are read and change. It does no I/O.

```
query.py    the parameters of a collection request, checked, and what they mean for ids and rows
rows.py     the fields of one row, computed from a seed and an id
tables.py   five tables of such rows, which tests and requests read and change
drift.py    inserts and deletes rows of a table between two requests
```
"""

from __future__ import annotations

from .drift import Drift, Tide
from .query import Query, parse
from .rows import Row
from .tables import Data, Slice, Table, Watch

__all__ = ["Data", "Drift", "Query", "Row", "Slice", "Table", "Tide", "Watch", "parse"]
