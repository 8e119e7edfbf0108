"""Rows that are added to a table of SQLite, many by a statement.

To bind a cell takes longer than to store it: what all rows of a chunk have, a statement gets once.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, repeat
from typing import Any

from voipstudio_cmb.columns import Schema

STATEMENTS = 32
"""How many are kept: there are two for each set of columns of which all rows have the same."""

AT_ONCE = 16
"""Rows that a statement adds: to run one for each takes a fifth longer, and more gain little."""

CAN_SHARE = not (3, 12) <= sys.version_info < (3, 12, 4)
"""Whether a parameter can be used twice: these versions of `sqlite3` warn of that."""

# What stands for a column in a statement: a cell of each row, that of the first row, or nothing.
_OWN, _FIRST, _NONE = "?", "?1", "NULL"
_INTEGERS = {True: 1, False: 0}


def quoted(name: str) -> str:
    """`name` as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def add_rows(
    database: sqlite3.Connection, resource: str, schema: Schema, columns: Sequence[Sequence[Any]]
) -> None:
    """Adds the rows with these `columns` to the table for `resource`, or has them replace others.

    Raises:
        sqlite3.Error: they can't be added.
    """
    marks = tuple(map(_mark, schema.names, columns))
    kinds = [*(column.kind for column in schema.columns), "json"]
    bound = [
        # `sqlite3` looks for an adapter of each bool, which takes longer than all else about it.
        (mark, [*map(_INTEGERS.get, cells)] if kind == "boolean" else cells)
        for mark, kind, cells in zip(marks, kinds, columns, strict=True)
        if mark != _NONE
    ]
    most = database.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // len(columns)
    count, at_once = len(columns[0]), max(1, min(AT_ONCE, most))
    whole = count // at_once * at_once
    for part, rows in ((slice(whole), at_once), (slice(whole, count), 1)):
        first = [repeat(cells[0]) if mark == _FIRST else iter(cells[part]) for mark, cells in bound]
        own = [cells for (mark, _), cells in zip(bound, first, strict=True) if mark == _OWN]
        # Each is asked for so many cells in turn, so that one row comes after the other.
        values = zip(*first, *own * (rows - 1), strict=False)
        database.executemany(_upsert(resource, schema.names, marks, rows), values)


def _mark(name: str, cells: Sequence[Any]) -> str:
    """What stands for the column `name`, which has these `cells`."""
    alike = cells[0] == cells[-1] and cells.count(cells[0]) == len(cells)
    if not alike or name == "id":
        return _OWN
    if cells[0] is None:
        return _NONE
    return _FIRST if CAN_SHARE else _OWN


@lru_cache(STATEMENTS)
def _upsert(resource: str, columns: tuple[str, ...], marks: tuple[str, ...], rows: int) -> str:
    """Adds so many `rows`, with what the `marks` say for their `columns`."""
    names = [*map(quoted, columns)]
    table, others = quoted(resource), [name for name in names if name != '"id"']
    before = ", ".join(f"{table}.{name}" for name in others)
    after = ", ".join(f"excluded.{name}" for name in others)
    numbers = accumulate(mark != _NONE for mark in marks)
    pairs = zip(marks, numbers, strict=True)
    first = ", ".join(_NONE if mark == _NONE else "?" for mark in marks)
    other = ", ".join(f"?{number}" if mark == _FIRST else mark for mark, number in pairs)
    values = ", ".join([f"({first})", *[f"({other})"] * (rows - 1)])
    # Of a row that is as it was nothing is written: not even where it stands in the file changes.
    return (
        f"INSERT INTO {table} ({', '.join(names)}) VALUES {values} "
        f"ON CONFLICT(id) DO UPDATE SET ({', '.join(others)}) = ({after}) "
        f"WHERE ({before}) IS NOT ({after})"
    )
