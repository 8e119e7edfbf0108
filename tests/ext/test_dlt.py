"""dlt loads collections into DuckDB: first all, then what is new, whatever the rows have become."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.sandbox import Fault, Sandbox

pytestmark = [
    pytest.mark.engines,
    pytest.mark.filterwarnings("ignore"),  # what dlt and its packages will leave out some day
]
Load = Callable[..., Any]
Query = Callable[[str], list[Any]]


@pytest.fixture
async def api() -> AsyncIterator[Sandbox]:
    async with Sandbox(rows=60) as api:
        yield api


@pytest.fixture
def load(api: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "ERROR")
    monkeypatch.chdir(tmp_path)
    import dlt

    from voipstudio_cmb.ext.dlt import source

    def run(disposition: Any, options: dict[str, Any]) -> None:
        pipeline = dlt.pipeline(
            "calls",
            destination=dlt.destinations.duckdb(str(tmp_path / "calls.duckdb")),
            dataset_name="cmb",
            pipelines_dir=str(tmp_path / "pipelines"),
        )
        client = CallMeBackClient(api.token, base_url=api.base_url)
        tables = source(client, **{"resources": ["cdrs"], **options})
        pipeline.run(tables, write_disposition=disposition)

    async def load(disposition: str | None = None, **options: Any) -> None:
        await asyncio.to_thread(run, disposition, options)

    return load


@pytest.fixture
def query(tmp_path: Path) -> Query:
    def query(sql: str) -> list[Any]:
        import duckdb

        with duckdb.connect(str(tmp_path / "calls.duckdb")) as database:
            return list(database.sql(sql).fetchall())

    return query


def ids_of(query: Query, table: str) -> tuple[int, ...]:
    return tuple(id for (id,) in query(f"select id from cmb.{table} order by id"))


async def test_each_run_loads_what_is_new(api: Sandbox, load: Load, query: Query) -> None:
    await load(resources=["cdrs", "visitors", "settings", "websites"])
    for table in ("cdrs", "visitors", "settings", "websites"):
        assert ids_of(query, table) == getattr(api.data, table).ids
    types = {name: kind for name, kind, *_ in query("describe cmb.cdrs")}
    assert (types["created_at"], types["duration"], types["src"]) == (
        "TIMESTAMP", "BIGINT", "VARCHAR",
    )  # fmt: skip
    asked, new = api.requests, [api.data.cdrs.insert()["id"] for _ in range(3)]
    await load("append")
    assert api.requests - asked <= 4
    assert query("select count(*), max(id) from cmb.cdrs") == [(63, new[-1])]
    await load("append")
    assert query("select count(*) from cmb.cdrs") == [(63,)]


async def test_rows_that_show_late_are_merged(api: Sandbox, load: Load, query: Query) -> None:
    await load()
    highest = api.data.cdrs.id_at(-1)
    api.data.cdrs.insert(id=highest + 10)
    await load()
    for id in (highest + 3, highest + 20):
        api.data.cdrs.insert(id=id)
    await load()
    assert query("select count(*) from cmb.cdrs") == [(62,)]
    await load(late=30)
    assert query("select count(*), count(distinct id) from cmb.cdrs") == [(63, 63)]


async def test_columns_stay_as_they_are_and_further_ones_are_added(
    api: Sandbox, load: Load, query: Query
) -> None:
    await load()
    id = api.data.cdrs.insert(fresh=[1], duration=1.5, src=7, is_root="no")["id"]
    await load()
    found = query(f"select duration, src, is_root, fresh, extra from cmb.cdrs where id = {id}")
    assert found[0][:4] == (None, None, None, "[1]")
    for value in ('"duration":1.5', '"src":7', '"is_root":"no"'):
        assert value in found[0][4]


async def test_edited_tables_are_replaced(api: Sandbox, load: Load, query: Query) -> None:
    await load(resources="settings")
    gone, kept, *_ = api.data.settings.ids
    api.data.settings.delete(gone)
    api.data.settings.update(kept, name="Renamed")
    await load(resources="settings")
    assert ids_of(query, "settings") == api.data.settings.ids
    assert query(f"select name from cmb.settings where id = {kept}") == [("Renamed",)]


async def test_a_run_that_fails_is_done_again(api: Sandbox, load: Load, query: Query) -> None:
    api.script(Fault(path="/callmeback/cdrs", status=400, times=None))
    with pytest.raises(Exception, match="400"):
        await load(size=20)
    api.clear_faults()
    await load()
    assert query("select count(*), count(distinct id) from cmb.cdrs") == [(60, 60)]


async def test_nothing_that_is_stored_holds_the_token(
    api: Sandbox, load: Load, tmp_path: Path
) -> None:
    await load()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if api.token.encode() in path.read_bytes()]


async def test_what_can_not_be_used_is_refused() -> None:
    from voipstudio_cmb.ext.dlt import source

    for options in ({"resources": ["buttons"]}, {"resources": []}, {"late": -1}):
        with pytest.raises(ClientMisuse):
            source("fake-token", **options)
