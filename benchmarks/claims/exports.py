"""An export to each format beside the script that one would write: aiohttp, orjson and a writer of
that format. Nothing of it can be resumed, and nothing is checked.

Each measurement is made by a process of its own, from its first request to a complete file; the
server is another one. Peers are dlt and a tap made with the Singer SDK, each to JSON Lines, and
DuckDB and polars, which make the other formats of our JSON Lines.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed
from benchmarks.harness.processes import call_elsewhere
from benchmarks.harness.tables import CALL, Table, call, tables_elsewhere
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.export import FORMATS, Export, Plan

ROWS = 200_000
PAGE_SIZE = 500
TARGETS: dict[str, tuple[Any, ...]] = {
    "jsonl": (1.1, "dlt", "Singer SDK"),
    "csv": (1.1, "DuckDB to CSV"),
    "sqlite": (1.2,),
    "parquet": (0.8, "DuckDB", "polars"),
}
"""How many times the CPU of its script an export to each format may take; and its peers."""
NAMES = [*json.loads(call(1))]

Run = Callable[[str, str, int], Timer]
"""`(url, directory, rows)`; measures from the first request to the complete file."""

Script = Callable[[str, str, int], Coroutine[Any, Any, None]]


def _export(format: str, url: str, to: str, rows: int) -> Timer:
    async def run() -> None:
        async with CallMeBackClient("token", base_url=url) as cmb:
            plan = Plan(to=to, resources="cdrs", format=format, page_size=PAGE_SIZE)
            summary = await Export(cmb, plan).run()
        [job] = summary.jobs
        if job.error is not None:
            raise job.error
        assert job.rows == rows

    with Timer() as timer:
        asyncio.run(run())
    return timer


async def _pages(
    url: str, rows: int, loads: Callable[[bytes], Any] | None = None
) -> AsyncIterator[list[dict[str, Any]]]:
    """Read by orjson, unless `loads` does it."""
    import aiohttp
    import orjson

    loads = loads or orjson.loads
    async with aiohttp.ClientSession(url + "/") as session:
        for page in range(1, -(-rows // PAGE_SIZE) + 1):
            path = f"callmeback/cdrs?page={page}&limit={PAGE_SIZE}&sort=id"
            async with session.get(path) as response:
                yield loads(await response.read())["data"]


async def _script_jsonl(url: str, to: str, rows: int) -> None:
    """Also hashes, syncs and renames, as an export does."""
    import orjson

    digest = hashlib.sha256()
    with open(Path(to) / "part", "wb") as file:  # noqa: ASYNC230 - as one would
        async for page in _pages(url, rows):
            lines = b"".join([orjson.dumps(row) + b"\n" for row in page])
            file.write(lines)
            digest.update(lines)
        file.flush()
        os.fsync(file.fileno())
    os.replace(Path(to) / "part", Path(to) / "cdrs.jsonl")


async def _script_csv(url: str, to: str, rows: int) -> None:
    with open(Path(to) / "cdrs.csv", "w", newline="") as file:  # noqa: ASYNC230 - as one would
        writer = csv.DictWriter(file, NAMES)
        writer.writeheader()
        async for page in _pages(url, rows):
            writer.writerows(page)


async def _script_sqlite(url: str, to: str, rows: int) -> None:
    import orjson

    with closing(sqlite3.connect(Path(to) / "cdrs.sqlite")) as database, database:
        database.execute(f"CREATE TABLE cdrs (id INTEGER PRIMARY KEY, {', '.join(NAMES[1:])})")
        insert = f"INSERT INTO cdrs VALUES ({', '.join('?' * len(NAMES))})"
        async for page in _pages(url, rows):
            for row in page:
                row["tags"] = orjson.dumps(row["tags"]).decode()
            database.executemany(insert, [tuple(row.values()) for row in page])


async def _script_parquet(url: str, to: str, rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    made = [row async for page in _pages(url, rows) for row in page]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(made), Path(to) / "cdrs.parquet")


def _script(script: Script, url: str, to: str, rows: int) -> Timer:
    with Timer() as timer:
        asyncio.run(script(url, to, rows))
    return timer


def _converted(
    convert: Callable[[Path, Path], object], format: str, url: str, to: str, rows: int
) -> Timer:
    """By JSON Lines of ours, which `convert` makes `format` of."""
    with Timer() as timer:
        _export("jsonl", url, to, rows)
        convert(Path(to) / "cdrs.jsonl", Path(to) / f"cdrs.{format}")
    return timer


def _duckdb(lines: Path, to: Path) -> None:
    import duckdb

    rows = duckdb.sql(f"FROM read_json('{lines}', format='newline_delimited')")
    if to.suffix == ".csv":
        rows.write_csv(str(to))
    else:
        rows.write_parquet(str(to), compression="zstd")


def _polars(lines: Path, to: Path) -> None:
    import polars

    polars.scan_ndjson(lines).sink_parquet(to)


def _batches(url: str, to: str, rows: int) -> Timer:
    async def run() -> None:
        async with CallMeBackClient("token", base_url=url) as cmb:
            table = await cmb.cdrs.batches(page_size=PAGE_SIZE).read_all()
        assert table.num_rows == rows

    with Timer() as timer:
        asyncio.run(run())
    return timer


async def _script_table(url: str, to: str, rows: int) -> None:
    import pyarrow

    made = [row async for page in _pages(url, rows, json.loads) for row in page]
    assert pyarrow.Table.from_pylist(made).num_rows == rows


def _dlt(source: Callable[[str], Any], format: str, url: str, to: str, rows: int) -> Timer:
    """By a pipeline to files of JSON Lines, or to DuckDB."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    os.environ["DLT_DATA_DIR"] = to
    import dlt

    if format == "duckdb":
        target: Any = dlt.destinations.duckdb(str(Path(to) / "cdrs.duckdb"))
    else:
        target = dlt.destinations.filesystem(bucket_url=Path(to).as_uri())
    pipeline = dlt.pipeline(
        "cmb", destination=target, dataset_name="out", pipelines_dir=str(Path(to) / "state")
    )
    options: Any = {"write_disposition": "append"} if format == "duckdb" else {}
    with Timer() as timer:
        pipeline.run(source(url), loader_file_format=None if options else "jsonl", **options)
    return timer


def _dicts(url: str) -> Any:
    """A source as dlt's own pages describe one."""
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    @dlt.resource(name="cdrs")
    def cdrs() -> Iterator[Any]:
        client = RESTClient(
            url, paginator=PageNumberPaginator(base_page=1, total_path=None), data_selector="data"
        )
        yield from client.paginate("callmeback/cdrs", params={"limit": PAGE_SIZE, "sort": "id"})

    return cdrs()


def _source(url: str) -> Any:
    from voipstudio_cmb.ext.dlt import source

    return source(CallMeBackClient("token", base_url=url), resources=["cdrs"])


def _singer(url: str, to: str, rows: int) -> Timer:
    from singer_sdk import Stream, Tap
    from singer_sdk import typing as th
    from singer_sdk.pagination import BasePageNumberPaginator
    from singer_sdk.streams import RESTStream

    names = json.loads(call(1))
    types: dict[type, Any] = {
        int: th.IntegerType, str: th.StringType, bool: th.BooleanType, float: th.NumberType,
        list: th.ArrayType(th.StringType),
    }  # fmt: skip

    class Pages(BasePageNumberPaginator):
        def has_more(self, response: Any) -> bool:
            return self._value * PAGE_SIZE < rows

    class Cdrs(RESTStream[int]):
        name = "cdrs"
        path = "/callmeback/cdrs"
        url_base = url
        records_jsonpath = "$.data[*]"
        schema = th.PropertiesList(
            *(th.Property(name, types[type(value)]) for name, value in names.items())
        ).to_dict()

        def get_new_paginator(self) -> Pages:
            return Pages(1)

        def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
            return {"limit": PAGE_SIZE, "sort": "id", "page": next_page_token or 1}

    class TapCmb(Tap):
        name = "tap-cmb"
        config_jsonschema = th.PropertiesList().to_dict()

        def discover_streams(self) -> list[Stream]:
            return [Cdrs(tap=self)]

    with Timer() as timer, open(Path(to) / "cdrs.jsonl", "w") as file, redirect_stdout(file):
        TapCmb(config={}).sync_all()
    return timer


SCRIPTS: dict[str, tuple[str, Script]] = {
    "jsonl": ("orjson", _script_jsonl),
    "csv": ("csv.DictWriter", _script_csv),
    "sqlite": ("executemany", _script_sqlite),
    "parquet": ("Table.from_pylist", _script_parquet),
}
RUNS: dict[str, tuple[Run, tuple[str, ...]]] = {
    "dlt": (partial(_dlt, _dicts, "jsonl"), ("dlt",)),
    "dlt source": (partial(_dlt, _source, "duckdb"), ("dlt", "duckdb", "pyarrow")),
    "dlt with dicts": (partial(_dlt, _dicts, "duckdb"), ("dlt", "duckdb")),
    "batches": (_batches, ("pyarrow",)),
    "Table.from_pylist(json.loads)": (
        partial(_script, _script_table),
        ("orjson", "pyarrow"),
    ),
    "Singer SDK": (_singer, ("singer_sdk",)),
    "DuckDB to CSV": (partial(_converted, _duckdb, "csv"), ("duckdb",)),
    "DuckDB": (partial(_converted, _duckdb, "parquet"), ("duckdb",)),
    "polars": (partial(_converted, _polars, "parquet"), ("polars",)),
}
for _format in FORMATS:
    _needs = ("pyarrow",) if _format == "parquet" else ()
    RUNS[f"{_format} export"] = partial(_export, _format), _needs
    _name, _run = SCRIPTS[_format]
    RUNS[_name] = partial(_script, _run), ("orjson", *_needs)


def run(name: str, url: str, to: str, rows: int) -> tuple[float, float]:
    """Runs a contender in this process: its seconds by the clock and of processor."""
    work, _ = RUNS[name]
    timer = work(url, to, rows)
    return timer.wall, timer.cpu


def _measure(name: str, url: str, rows: int) -> Measure:
    def measure() -> Sample:
        with tempfile.TemporaryDirectory() as to:
            wall, cpu = call_elsewhere(run, name, url, to, rows)
        return Sample(value=cpu / rows * 1e6, wall=wall, cpu=cpu)

    return measure


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """Each format beside its script."""
    rows = 1_000 if quick else ROWS
    tables = {
        str(count): Table(range(7, 7 * count + 1, 7), row=CALL) for count in (rows, rows // 4)
    }
    with tables_elsewhere(tables) as base:

        def claim(
            ours: str, limit: str, target: float, what: str, *peers: str, rows: int = rows
        ) -> Claim:
            return Claim(
                name=f"{ours.replace(' ', '-')}-beside-{limit}",
                says=f"{rows:,} rows {what}",
                unit="us CPU/row",
                ours=ours,
                limit=limit,
                target=target,
                contenders={
                    name: _measure(name, f"{base}{rows}", rows)
                    for name in (ours, limit, *peers)
                    if installed(*RUNS[name][1])
                },
            )

        exports = [
            claim(f"{format} export", SCRIPTS[format][0], target, f"exported to {format}", *peers)
            for format, (target, *peers) in TARGETS.items()
        ]
        table = claim("batches", "Table.from_pylist(json.loads)", 0.83, "to a pyarrow.Table")
        loaded = claim("dlt source", "dlt with dicts", 0.1, "to DuckDB by dlt", rows=rows // 4)
        yield [
            each
            for each in (*exports, table, loaded)
            if {each.ours, each.limit} <= {*each.contenders}
        ]
