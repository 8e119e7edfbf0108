"""Rows as typed columns: those documented, those found in the rows, and `extra` for what is left.

    rows -> chunks -> Splitter -> columns -> a file's cells, or `arrow`'s batches
                      |     ^
                      v     |
                   Census  Schema       which columns hold most of the values

`kinds` says what a column of each kind holds. Only `arrow` imports pyarrow.
"""

from .absent import absent_columns
from .kinds import Column, Kind
from .schema import EXTRA, Census, Chosen, Schema, checked_columns, documented
from .split import Splitter
from .write import GUESS_STEP, Sampled, chunks, write_columns

__all__ = [
    "EXTRA",
    "GUESS_STEP",
    "Census",
    "Chosen",
    "Column",
    "Kind",
    "Sampled",
    "Schema",
    "Splitter",
    "absent_columns",
    "checked_columns",
    "chunks",
    "documented",
    "write_columns",
]
