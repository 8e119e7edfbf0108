"""SQLite: one table named like its resource, with the typed columns of the rows, and `extra`.

Rows are added by their id, and replace those that the table has; columns that it does not have are
added to it. Needs nothing but the standard library.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from voipstudio_cmb.columns import (
    EXTRA,
    Census,
    Chosen,
    Column,
    Kind,
    Schema,
    documented,
    write_columns,
)
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .base import Sink
from .sqlite_files import as_os_error, code_of, opened, settle, use_rollback
from .sqlite_rows import STATEMENTS, add_rows, quoted

SCHEMA_VERSION = 2
"""The `user_version` of the files: changes with the meaning of their columns."""

APPLICATION_ID = 0x76434D42
"""The `application_id` of the files: "vCMB" in ASCII."""

# They say what a column holds when rows are added to it. SQLite sees a TEXT in each of the last.
_DOCUMENTED: dict[Kind, str] = {
    "integer": "INTEGER", "boolean": "INTEGER", "number": "TEXT", "time": "TEXT", "text": "TEXT"
}  # fmt: skip
_TYPES: dict[Kind, str] = {
    "integer": "INTEGER", "boolean": "BOOLEAN", "double": "REAL", "text": "TEXT",
    "json": "TEXT_JSON", "decimal": "TEXT_DECIMAL",
}  # fmt: skip
_PAGE_SIZE = 16384
"""Rows are some hundred bytes, and those of a page are written at once."""
_KINDS: dict[str, Kind] = {type: kind for kind, type in _TYPES.items()}
_NOT_OURS = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR)
PRAGMAS = (
    # The file is thrown away if writing fails, so a journal would only cost and be left over.
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",  # whoever asked for the file calls fsync, once
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    "PRAGMA secure_delete = ON",  # what an upsert replaces shall not stay in the file
)


class SqliteSink(Sink):
    """One database a resource, the same to the byte for the same rows."""

    suffix = "sqlite"
    appends = True

    def __init__(self, columns: Chosen = "all") -> None:
        self._columns = columns

    def check(self, path: Path) -> None:
        """Completes the file `path`, if another program has it open or did not close it.

        Raises:
            ClientMisuse: what that program has left beside it can't be told to belong to it.
            ExportError: the program still has it open, after some seconds.
            OSError: it can't be read or written now.
        """
        settle(path)

    def highest_id(self, path: Path, resource: str, record: type[Record]) -> int | None:
        query = f"SELECT max(id) FROM {quoted(resource)}"
        with _unless_unfinished():
            return _answer(query, resource, record, path) or 0
        return None

    def count(self, path: Path, resource: str, record: type[Record]) -> int:
        found: int = _answer(f"SELECT count(*) FROM {quoted(resource)}", resource, record, path)
        return found

    def verify(self, path: Path, resource: str, record: type[Record], rows: int) -> None:
        """Checks that the file `path` is sound and has at least the `rows` that were written."""
        with _unless_unfinished():
            found = _answer("SELECT * FROM pragma_quick_check(1)", resource, record, path)
            if found != "ok":
                raise _other_file(path, f"it is damaged ({found})")
            found = self.count(path, resource, record)
            if found < rows:
                raise _other_file(path, f"it has {found:,} rows, and {rows:,} were written")

    def write(
        self,
        rows: Iterable[bytes],
        resource: str,
        record: type[Record],
        path: Path,
        about: Mapping[str, str],
    ) -> int:
        with open(path, "ab") as file:  # SQLite does not say why a file can't be opened
            new = file.tell() == 0
        use_rollback(path)
        known: list[Column] = []
        try:
            if not new:
                with closing(_connected(path)) as database:
                    known = check_format(database, resource, record, path)
            return write_columns(
                rows,
                lambda: Census(record, self._columns, known),
                ("double",),
                partial(_insert, path, resource, known),
                (lambda: None) if new else None,
            )
        except sqlite3.Error as error:
            raise as_os_error(error, path) from error


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        os.path.abspath(path), isolation_level=None, cached_statements=STATEMENTS
    )


def _insert(
    path: Path,
    resource: str,
    known: Sequence[Column],
    schema: Schema,
    chunks: Iterator[list[Sequence[Any]]],
) -> None:
    """Adds the rows in `chunks` to the file `path`, which has the columns `known`."""
    if not known:
        os.truncate(path, 0)
    with closing(_connected(path)) as database:
        if not known:
            database.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        for pragma in PRAGMAS:
            database.execute(pragma)
        database.execute("BEGIN EXCLUSIVE")
        if known:
            _add_columns(database, resource, schema.columns[len(known) :])
        else:
            _create(database, resource, schema)
        if "created_at" in schema.names:  # made behind the rows, it would take memory for each
            table, index = quoted(resource), quoted(f"{resource}_created_at")
            database.execute(f"CREATE INDEX IF NOT EXISTS {index} ON {table} (created_at)")
        for columns in chunks:
            add_rows(database, resource, schema, columns)
        database.execute("COMMIT")


@contextmanager
def _unless_unfinished() -> Iterator[None]:
    """Ends what reads a file that has to be completed first, which a dry run does not do."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EROFS:
            raise


def _answer(query: str, resource: str, record: type[Record], path: Path) -> Any:
    """The one value that `query` finds in the file `path`, which has a table for `resource`."""
    try:
        with closing(opened(path)) as database:
            check_format(database, resource, record, path)
            return database.execute(query).fetchone()[0]
    except sqlite3.Error as error:
        if code_of(error) in _NOT_OURS:
            raise _other_file(path, str(error)) from None
        raise as_os_error(error, path) from None  # what the file is can't be told now


def _declared(column: Column) -> str:
    """The type of `column` in the file, which says its kind."""
    if column.documented:
        return _DOCUMENTED[column.kind]
    scale = f"({column.scale})" if column.kind == "decimal" else ""
    return _TYPES[column.kind] + scale


def _column(name: str, type: str, record: type[Record]) -> Column | None:
    """The column that an export has declared so; None: none has."""
    kind, _, scale = type.partition("(")
    fields = {column.name: column for column in documented(record)}
    column = fields.get(name) or Column(name, _KINDS.get(kind, "text"), int(scale.rstrip(")") or 0))
    return column if _declared(column) == type else None


def _create(database: sqlite3.Connection, resource: str, schema: Schema) -> None:
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    described = [
        f"{quoted(one.name)} {_declared(one)}" + (" PRIMARY KEY" if one.name == "id" else "")
        for one in schema.columns
    ]
    table = ", ".join([*described, f"{EXTRA} TEXT"])
    database.execute(f"CREATE TABLE {quoted(resource)} ({table})")


def _add_columns(database: sqlite3.Connection, resource: str, columns: Iterable[Column]) -> None:
    for column in columns:
        described = f"{quoted(column.name)} {_declared(column)}"
        database.execute(f"ALTER TABLE {quoted(resource)} ADD COLUMN {described}")


def check_format(
    database: sqlite3.Connection, resource: str, record: type[Record], path: Path
) -> list[Column]:
    """The columns of the table for `resource`; ClientMisuse if this format did not write it."""
    try:
        [(application,)] = database.execute("PRAGMA application_id")
        [(version,)] = database.execute("PRAGMA user_version")
        table = database.execute(f"PRAGMA table_info({quoted(resource)})").fetchall()
    except sqlite3.DatabaseError as error:
        if code_of(error) not in _NOT_OURS:
            raise
        raise _other_file(path, f"it is no complete database ({error})") from None
    if application != APPLICATION_ID:
        raise _other_file(path, "no export wrote it")
    if version != SCHEMA_VERSION:
        raise _other_file(path, f"its schema has version {version}, not {SCHEMA_VERSION}")
    if not table:
        raise _other_file(path, f"it has no table {resource!r}")
    keys = [name for _, name, _, _, _, key in table if key]
    found = [(name, type) for _, name, type, _, _, _ in table]
    columns = [_column(name, type, record) for name, type in found if name != EXTRA]
    if keys != ["id"] or (EXTRA, "TEXT") not in found or None in columns:
        raise _other_file(path, f"it has no table {resource!r} with columns of an export")
    return [column for column in columns if column is not None]


def _other_file(path: Path, why: str) -> ClientMisuse:
    return ClientMisuse(
        f"rows can't be added to {str(path)!r}: {why}. Export to another directory, or move it away"
    )
