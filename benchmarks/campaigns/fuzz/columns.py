"""Rows through the columns: read many at a time and one by one, and read back from the cells."""

from __future__ import annotations

import random
import time
from collections.abc import Container, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch

from benchmarks.campaigns.fuzz.findings import Findings
from benchmarks.campaigns.fuzz.rows import DOCUMENTED, chunks
from voipstudio_cmb.codec.rows import text, tokens
from voipstudio_cmb.codec.surrogates import without_half_pairs
from voipstudio_cmb.columns import Census, Chosen, Column, Kind, Schema, Splitter, write_columns
from voipstudio_cmb.columns.arrow import VALUES, arrow_schema, record_batch
from voipstudio_cmb.models import Cdr

SLOWEST = 1.0
"""Seconds of processor that a chunk may take."""

FEW = 3
"""So many rows are split at once where the columns are found in them: a guess is wrong often."""


def _chosen(rng: random.Random) -> Chosen:
    named = ("src", "Name", "cost", "a b", "é", *[*DOCUMENTED][:3])
    return rng.choice(("all", "all", "documented", tuple(rng.sample(named, 3))))


def _counted(rows: Sequence[bytes], chosen: Chosen) -> Census:
    census = Census(Cdr, chosen)
    for row in rows:
        census.see(row)
    return census


def _read_back(cell: Any, column: Column, token: bytes) -> bool:
    """Whether `cell` says all that `token` did."""
    if column.kind == "text":
        return cell == without_half_pairs(text(token))
    if column.kind == "time":
        return (cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)) == (
            datetime.fromisoformat(text(token))
        )
    said = text(token) if column.documented and token.startswith(b'"') else token.decode()
    if column.kind == "boolean":
        return type(cell) is bool and said in (("true", "1") if cell else ("false", "0"))
    if isinstance(cell, float):
        return said in (repr(cell), str(int(cell)) if cell.is_integer() else "")
    return (f"{cell:f}" if isinstance(cell, Decimal) else str(cell)) == said


def _check_cells(findings: Findings, row: bytes, schema: Schema, cells: Sequence[Any]) -> None:
    """Checks that each value of `row` is in one of its `cells`, and only there."""
    *values, extra = cells
    left = tokens(extra.encode()) if extra else {}
    columns = dict(zip((column.name for column in schema.columns), schema.columns, strict=True))
    found = dict(zip(columns, values, strict=True))
    for name, token in tokens(row).items():
        cell = found.get(name)
        if name not in columns and not schema.whole:
            lost = name in left
        elif cell is None:
            lost = left.get(name, b"null") != token
        else:
            lost = name in left or not _read_back(cell, columns[name], token)
        if lost:
            findings.add(f"{name!r} can't be read back from {cells!r}: {row!r}")
    names = [*tokens(extra.encode())] if extra else []
    if names != sorted(names):
        findings.add(f"{names!r} are not sorted: {row!r}")


def _check_split(
    findings: Findings, rows: Sequence[bytes], schema: Schema, values: Container[Kind]
) -> None:
    """Checks that a chunk gives what its rows give one by one, before and after it has learnt."""
    exact = Splitter(schema, values=values)
    by_row = [[*exact.split_one(row, set())] for row in rows]
    columns = [[*column] for column in zip(*by_row, strict=True)]
    splitter = Splitter(schema, values=values)
    for _ in range(2):
        before = splitter.altered
        found = splitter.split(rows)
        for name, fast, slow in zip(schema.names, found, columns, strict=True):
            if repr([*fast]) != repr(slow):
                findings.add(f"{name!r} is {[*fast]!r}, not {slow!r}: {rows!r}")
        if splitter.altered - before != exact.altered:
            findings.add(f"{splitter.altered - before} altered, not {exact.altered}: {rows!r}")
    for row, cells in zip(rows, by_row, strict=True):
        _check_cells(findings, row, schema, cells)
    if values is VALUES:
        batch = record_batch(columns, arrow_schema(schema))
        if repr(batch.to_pydict()) != repr(dict(zip(schema.names, columns, strict=True))):
            findings.add(f"{batch.to_pydict()!r} is not {columns!r}: {rows!r}")
    findings.met["value columns" if values is VALUES else "text columns"] += 1


def _check_schema(
    findings: Findings, rows: Sequence[bytes], chosen: Chosen, schema: Schema, discards: bool
) -> None:
    """Checks that the columns of a file are those of all its rows."""
    last: list[tuple[Schema, int]] = []

    def write(schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        last.append((schema, sum(len(columns[0]) for columns in chunks)))

    with patch("voipstudio_cmb.columns.write.CHUNK", FEW):
        write_columns(
            [*rows], partial(Census, Cdr, chosen), (), write, last.clear if discards else None
        )
    if last != [(schema, len(rows))]:
        findings.add(f"{last!r} is written, and not {schema!r}: {rows!r}")
    names = [name.casefold() for name in schema.names]
    if len({*names}) < len(names):
        findings.add(f"{schema.names!r} can't be told apart: {rows!r}")
    findings.met["schemas"] += 1


def fuzz_columns(count: int, seed: int) -> Findings:
    """Splits so many chunks of rows into columns."""
    findings, rng = Findings(), random.Random(f"columns {seed}")
    for rows in chunks(count, seed):
        chosen, began = _chosen(rng), time.process_time()
        schema = _counted(rows, chosen).schema()
        # That of all rows, and one that others have made.
        for found in (schema, _counted(rows[:1], chosen).schema()):
            try:
                _check_split(findings, rows, found, rng.choice((VALUES, ())))
            except Exception as error:
                findings.add(f"{error!r} for {rows!r}")
        try:
            _check_schema(findings, rng.sample(rows, len(rows)), chosen, schema, rng.random() < 0.8)
        except Exception as error:
            findings.add(f"{error!r} for {rows!r}")
        findings.check_time(time.process_time() - began, SLOWEST, rows)
    return findings
