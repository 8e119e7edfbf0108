"""What an exported file must hold, by readers and writers that know nothing of the export."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from voipstudio_cmb import Cdr
from voipstudio_cmb.export import Plan


class Wrong(Exception):
    """An export was not what it should be."""


def ids_in(path: Path) -> list[int]:
    """The ids in an exported file, by a reader that is not ours."""
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return [json.loads(line)["id"] for line in data.decode().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [int(row["id"]) for row in csv.DictReader(file)]
    if path.suffix == ".sqlite":
        return [id for (id,) in query(path, "SELECT id FROM cdrs ORDER BY rowid")]
    import pyarrow.parquet

    ids: list[int] = pyarrow.parquet.read_table(path, columns=["id"])["id"].to_pylist()
    return ids


def query(path: Path, *statements: str) -> list[Any]:
    """The rows that each of the `statements` selects from a database."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
        return [row for statement in statements for row in base.execute(statement)]


def about(path: Path) -> dict[str, str]:
    """What the file says of its rows: Parquet has room for that."""
    if path.suffix != ".parquet":
        return {}
    import pyarrow.parquet

    metadata = pyarrow.parquet.read_schema(path).metadata
    return {name.decode(): text.decode() for name, text in metadata.items()}


def check(path: Path, plan: Plan, seen: dict[str, Any], newest_first: bool, late: bool) -> None:
    """Compares the file with the rows that the server has had and with what its format makes.

    A database's bytes depend on the order in which rows came, and it shows them by id: where some
    may have come `late`, its content is compared.
    """
    ids = ids_in(path)
    if newest_first and path.suffix == ".sqlite":
        ids.reverse()
    if len(ids) != len(set(ids)):
        raise Wrong(f"{len(ids) - len(set(ids))} rows twice")
    if lost := set(seen["throughout"]) - set(ids):
        raise Wrong(f"{len(lost)} rows lost: {sorted(lost)[:5]}")
    rows = seen["rows"]
    if any(str(id) not in rows for id in ids):
        raise Wrong("rows that the server never had")
    again = path.with_name(f"again.{plan.sink.suffix}")
    plan.sink.write([rows[str(id)].encode() for id in ids], "cdrs", Cdr, again, about(path))
    same = again.read_bytes() == path.read_bytes()
    if not same and path.suffix == ".sqlite" and late:
        content = "SELECT sql FROM sqlite_schema", "SELECT * FROM cdrs"
        same = query(again, *content) == query(path, *content)
    if not same:
        raise Wrong("other bytes than those of an undisturbed export of the same rows")
    again.unlink()
    if left := {file.name for file in path.parent.iterdir()} - {path.name, "manifest.json"}:
        raise Wrong(f"left over: {sorted(left)}")


def check_copy(path: Path, *given: Any) -> None:
    """Checks a copy of the file where the export still needs what is beside it."""
    with tempfile.TemporaryDirectory() as other:
        check(Path(shutil.copy(path, other)), *given)
