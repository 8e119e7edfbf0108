"""SQLite: one table named like its resource, a typed column for each documented field, and `extra`.

Rows are added by their id, and replace those that the table has. Needs nothing but the standard
library.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import Record

from .base import Sink
from .columns import MISFIT, Kind, Splitter, documented
from .sqlite_files import as_os_error, code_of, opened, settle, use_rollback

SCHEMA_VERSION = 1
"""The `user_version` of the files: changes with the meaning of their columns."""

APPLICATION_ID = 0x76434D42
"""The `application_id` of the files: "vCMB" in ASCII."""

# A column without a type has no affinity: it keeps an integer an integer and a text a text.
_TYPES: dict[Kind, str] = {
    "integer": "INTEGER",
    "boolean": "INTEGER",
    "decimal": "TEXT",
    "time": "TEXT",
    "text": "TEXT",
    "integer or text": "",
}
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


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class _SentTimes(Splitter):
    def time(self, token: bytes) -> Any:
        """A time as the text that was sent: SQLite has no type for it."""
        return MISFIT if super().time(token) is MISFIT else token[1:-1].decode()


class SqliteSink(Sink):
    """One database a resource, the same to the byte for the same rows."""

    suffix = "sqlite"
    appends = True

    def check(self, path: Path) -> None:
        """Completes the file `path`, if another program has it open or did not close it.

        Raises:
            ClientMisuse: what that program has left beside it can't be told to belong to it.
            ExportError: the program still has it open, after some seconds.
            OSError: it can't be read or written now.
        """
        settle(path)

    def highest_id(self, path: Path, resource: str, record: type[Record]) -> int | None:
        query = f"SELECT max(id) FROM {_quoted(resource)}"
        with _unless_unfinished():
            return _answer(query, resource, record, path) or 0
        return None

    def count(self, path: Path, resource: str, record: type[Record]) -> int:
        found: int = _answer(f"SELECT count(*) FROM {_quoted(resource)}", resource, record, path)
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

    def write(self, rows: Iterable[bytes], resource: str, record: type[Record], path: Path) -> int:
        with open(path, "ab") as file:  # SQLite does not say why a file can't be opened
            new = file.tell() == 0
        use_rollback(path)
        columns = _columns(record)
        splitter = _SentTimes(record)
        try:
            with closing(sqlite3.connect(os.path.abspath(path), isolation_level=None)) as database:
                if new:
                    database.execute("PRAGMA page_size = 4096")
                else:
                    check_format(database, resource, columns, path)
                for pragma in PRAGMAS:
                    database.execute(pragma)
                database.execute("BEGIN EXCLUSIVE")
                if new:
                    _create(database, resource, columns)
                database.executemany(_upsert(resource, columns), map(splitter.split, rows))
                database.execute("COMMIT")
        except sqlite3.Error as error:
            raise as_os_error(error, path) from error
        return splitter.altered


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
            check_format(database, resource, _columns(record), path)
            return database.execute(query).fetchone()[0]
    except sqlite3.Error as error:
        if code_of(error) in _NOT_OURS:
            raise _other_file(path, str(error)) from None
        raise as_os_error(error, path) from None  # what the file is can't be told now


def _columns(record: type[Record]) -> dict[str, str]:
    """The columns for `record`, and their types."""
    return {name: _TYPES[kind] for name, kind in documented(record).items()} | {"extra": "TEXT"}


def _create(database: sqlite3.Connection, resource: str, columns: dict[str, str]) -> None:
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    described = ", ".join(
        f"{_quoted(name)} {type}".rstrip() + (" PRIMARY KEY" if name == "id" else "")
        for name, type in columns.items()
    )
    database.execute(f"CREATE TABLE {_quoted(resource)} ({described})")


def _upsert(resource: str, columns: dict[str, str]) -> str:
    names = [_quoted(name) for name in columns]
    changed = ", ".join(f"{name} = excluded.{name}" for name in names if name != '"id"')
    return (
        f"INSERT INTO {_quoted(resource)} ({', '.join(names)}) "
        f"VALUES ({', '.join('?' * len(names))}) ON CONFLICT(id) DO UPDATE SET {changed}"
    )


def check_format(
    database: sqlite3.Connection, resource: str, columns: dict[str, str], path: Path
) -> None:
    """Raises ClientMisuse if this format did not write `database` for `resource`."""
    try:
        [(application,)] = database.execute("PRAGMA application_id")
        [(version,)] = database.execute("PRAGMA user_version")
        table = database.execute(f"PRAGMA table_info({_quoted(resource)})").fetchall()
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
    expected = [(name, type, int(name == "id")) for name, type in columns.items()]
    if [(name, type, key) for _, name, type, _, _, key in table] != expected:
        raise _other_file(path, f"it has no table {resource!r} with these columns")


def _other_file(path: Path, why: str) -> ClientMisuse:
    return ClientMisuse(
        f"rows can't be added to {str(path)!r}: {why}. Export to another directory, or move it away"
    )
