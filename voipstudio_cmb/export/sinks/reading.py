"""Rows read back from the files of an export, a few members of each."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from voipstudio_cmb.boundary.text import lacks_extra
from voipstudio_cmb.columns import EXTRA
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models.sent import read_json

from .csv import guarded
from .sqlite_files import as_os_error, opened

_LONGEST_CELL = 1 << 30


def read_rows(
    path: Path, resource: str, members: Sequence[str], null: str = ""
) -> Iterator[Mapping[str, Any]]:
    """The rows of `resource` in the file `path`, with those of `members` that each has.

    What CSV has of them are texts; `null` is what it has for none.

    Raises:
        ClientMisuse: its name is that of no format, it is not what its name says, or its format
            needs a package that is not installed.
        OSError: it can't be read.
    """
    names = path.name.split(".")
    kind = next((each for each in _READERS if each in names[1:]), None)
    try:
        if kind is not None:
            rows = _READERS[kind](path, resource, [*members, EXTRA])
            yield from (_chosen(row, members, null) for row in rows)
            return
    except ImportError:
        extra = "arrow" if kind == "parquet" else "zstd"
        raise ClientMisuse(lacks_extra(path.name, extra)) from None
    except sqlite3.Error as error:
        raise as_os_error(error, path) from error
    except (ValueError, EOFError, RecursionError, csv.Error, zlib.error) as error:
        raise ClientMisuse(f"{str(path)!r} can't be read as {kind}: {error}") from None
    raise ClientMisuse(
        f"{str(path)!r} is no file of an export: its name has none of {', '.join(_READERS)}"
    )


def _chosen(row: Mapping[str, Any], members: Sequence[str], null: str) -> Mapping[str, Any]:
    """Those of `members` that `row` has, in a column or in `extra`."""
    found = {name: row[name] for name in members if row.get(name, null) not in (None, null)}
    extra = row.get(EXTRA)
    if isinstance(extra, str) and extra.startswith("{"):
        further = read_json(extra.encode())
        found = {name: further[name] for name in members if name in further} | found
    return found


@contextmanager
def _bytes(path: Path) -> Iterator[Any]:
    """The file `path`, whatever compresses it."""
    with open(path, "rb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(fileobj=file) as plain:
                yield plain
        elif path.suffix == ".zst":
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(
                    file, read_across_frames=True
                ) as stream:
                    yield io.BufferedReader(stream)
            except zstandard.ZstdError as error:
                raise ValueError(str(error)) from None
        else:
            yield file


def _jsonl(path: Path, resource: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    with _bytes(path) as file:
        for line in file:
            row = read_json(line)
            if isinstance(row, dict):
                yield {name: value for name, value in row.items() if name != EXTRA}


def _csv(path: Path, resource: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    csv.field_size_limit(_LONGEST_CELL)
    with _bytes(path) as file, io.TextIOWrapper(file, "utf-8", newline="") as text:
        for row in csv.DictReader(text):
            yield {name: _unguarded(row[name]) for name in columns if row.get(name)}


def _unguarded(cell: str) -> str:
    """The text of `cell`, without what keeps spreadsheets from running it."""
    return cell[1:] if cell[:1] == "'" and guarded(cell[1:]) == cell else cell


def _sqlite(path: Path, resource: str, columns: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    with closing(opened(path)) as database:
        found = database.execute("SELECT name FROM pragma_table_info(?)", (resource,))
        names = [name for (name,) in found if name in columns]
        if not names:
            raise ValueError(f"it has no table {resource}")
        selected = ", ".join(f'"{name}"' for name in names)
        for row in database.execute(f'SELECT {selected} FROM "{resource}"'):
            yield dict(zip(names, row, strict=True))


def _parquet(path: Path, resource: str, columns: Sequence[str]) -> Iterable[Mapping[str, Any]]:
    import pyarrow.parquet

    with open(path, "rb") as source, pyarrow.parquet.ParquetFile(source) as file:
        names = [name for name in file.schema_arrow.names if name in columns]
        for batch in file.iter_batches(columns=names):
            yield from batch.to_pylist()


_READERS = {"jsonl": _jsonl, "csv": _csv, "sqlite": _sqlite, "parquet": _parquet}
