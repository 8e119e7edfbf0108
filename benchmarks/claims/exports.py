"""An export to each format: beside a minimal loop that fetches the same bytes and writes them down,
and beside the same writer fed from memory.

Each measurement is made by a process of its own, from its first request to a complete file; the
server is another one. Peers are dlt and a tap made with the Singer SDK, each to JSON Lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.harness.claim import Claim, Measure, Sample, Timer, installed
from benchmarks.harness.processes import call_elsewhere
from benchmarks.harness.tables import LONG, Table, created, tables_elsewhere
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.export import FORMATS, Export, Plan
from voipstudio_cmb.export.sinks.formats import sink
from voipstudio_cmb.models import Cdr

ROWS = 200_000
PAGE_SIZE = 500
TARGET = 0.6

Run = Callable[[str, str, int], Timer]
"""`(url, directory, rows)`; measures from the first request to the complete file."""


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


def _minimal(url: str, to: str, rows: int) -> Timer:
    import aiohttp

    async def run(file: IO[bytes]) -> None:
        async with aiohttp.ClientSession(url + "/") as session:
            for page in range(1, -(-rows // PAGE_SIZE) + 1):
                path = f"callmeback/cdrs?page={page}&limit={PAGE_SIZE}&sort=id"
                async with session.get(path) as response:
                    file.write(await response.read())

    with Timer() as timer, open(Path(to) / "cdrs.json", "wb") as file:
        asyncio.run(run(file))
    return timer


def _writer(format: str, url: str, to: str, rows: int) -> Timer:
    lines = [LONG % (id, created(id)) for id in range(7, 7 * rows + 1, 7)]
    with Timer() as timer:
        sink(format).write(lines, "cdrs", Cdr, Path(to) / f"cdrs.{format}")
        with open(Path(to) / f"cdrs.{format}", "rb") as file:
            os.fsync(file.fileno())
    return timer


def _dlt(url: str, to: str, rows: int) -> Timer:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["DLT_DATA_DIR"] = to
    import dlt
    from dlt.sources.helpers.rest_client import RESTClient
    from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

    @dlt.resource(name="cdrs")
    def cdrs() -> Iterator[Any]:
        client = RESTClient(
            url, paginator=PageNumberPaginator(base_page=1, total_path=None), data_selector="data"
        )
        yield from client.paginate("callmeback/cdrs", params={"limit": PAGE_SIZE, "sort": "id"})

    target = dlt.destinations.filesystem(bucket_url=Path(to).as_uri())
    pipeline = dlt.pipeline(
        "cmb", destination=target, dataset_name="out", pipelines_dir=str(Path(to) / "state")
    )
    with Timer() as timer:
        pipeline.run(cdrs(), loader_file_format="jsonl")
    return timer


def _singer(url: str, to: str, rows: int) -> Timer:
    from singer_sdk import Stream, Tap
    from singer_sdk import typing as th
    from singer_sdk.pagination import BasePageNumberPaginator
    from singer_sdk.streams import RESTStream

    names = json.loads(LONG % (1, created(1)))
    types = {int: th.IntegerType, str: th.StringType, bool: th.BooleanType}

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


RUNS: dict[str, tuple[Run, tuple[str, ...]]] = {
    "minimal loop": (_minimal, ()),
    "dlt": (_dlt, ("dlt",)),
    "Singer SDK": (_singer, ("singer_sdk",)),
}
for _format in FORMATS:
    _needs = ("pyarrow",) if _format == "parquet" else ()
    RUNS[f"{_format} export"] = partial(_export, _format), _needs
    RUNS[f"{_format} writer"] = partial(_writer, _format), _needs


def run(name: str, url: str, to: str, rows: int) -> tuple[float, float]:
    """Runs a contender in this process: its seconds by the clock and of processor."""
    work, _ = RUNS[name]
    timer = work(url, to, rows)
    return timer.wall, timer.cpu


def _measure(name: str, url: str, rows: int) -> Measure:
    def measure() -> Sample:
        with tempfile.TemporaryDirectory() as to:
            wall, cpu = call_elsewhere(run, name, url, to, rows)
        return Sample(value=rows / wall, wall=wall, cpu=cpu)

    return measure


@contextmanager
def claims(quick: bool) -> Iterator[list[Claim]]:
    """JSON Lines beside the minimal loop, and each format beside its writer."""
    rows = 1_000 if quick else ROWS
    with tables_elsewhere({"even": Table(range(7, 7 * rows + 1, 7), row=LONG)}) as base:
        url = f"{base}even"

        def claim(format: str, limit: str, *peers: str) -> Claim:
            ours = f"{format} export"
            return Claim(
                name=f"{format} beside {limit}".replace(" ", "-"),
                says=f"export of {rows:,} rows to {format}",
                unit="rows/s",
                ours=ours,
                limit=limit,
                target=TARGET,
                bound="at least",
                digits=0,
                contenders={
                    name: _measure(name, url, rows)
                    for name in (ours, limit, *peers)
                    if installed(*RUNS[name][1])
                },
            )

        yield [
            claim("jsonl", "minimal loop", "dlt", "Singer SDK"),
            *(
                claim(format, f"{format} writer")
                for format in FORMATS
                # JSON Lines has no writer to speak of: what there is, copies lines.
                if format != "jsonl" and installed(*RUNS[f"{format} export"][1])
            ),
        ]
