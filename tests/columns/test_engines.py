"""What others make of a reader: they read it as it is, without a copy in Python."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.columns.reader import Reader
from voipstudio_cmb.sandbox import Sandbox

pytestmark = pytest.mark.engines


def by_duckdb(reader: Reader) -> list[dict[str, Any]]:
    import duckdb

    found = duckdb.sql("select id, src, duration, created_at, extra from reader order by id")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def by_polars(reader: Reader) -> list[dict[str, Any]]:
    import polars

    return list(polars.DataFrame(reader).to_dicts())


def by_pandas(reader: Reader) -> list[dict[str, Any]]:
    import pandas

    found = pandas.DataFrame.from_arrow(reader)
    return list(found.astype(object).where(found.notna(), None).to_dict("records"))


def by_pyarrow(reader: Reader) -> list[dict[str, Any]]:
    import pyarrow

    return list(pyarrow.table(reader).to_pylist())


@pytest.mark.parametrize("read", [by_duckdb, by_polars, by_pandas, by_pyarrow])
async def test_a_reader_is_read_as_it_is(read: Callable[[Reader], list[dict[str, Any]]]) -> None:
    async with Sandbox(rows=700) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        api.data.cdrs.insert(duration="long", src=None)
        sent = [record.to_dict() async for record in cmb.cdrs.list()]
        reader = cmb.cdrs.batches(size=300).to_reader()
        found = await asyncio.to_thread(read, reader)
    assert len(found) == len(sent) == 701
    for cells, row in zip(found, sent, strict=True):
        assert (cells["id"], cells["src"]) == (row["id"], row["src"])
        assert cells["created_at"] == dt.datetime.fromisoformat(row["created_at"])
        extra = json.loads(cells["extra"] or "{}")
        assert (cells["duration"] if "duration" not in extra else "long") == row["duration"]
    assert json.loads(found[-1]["extra"])["duration"] == "long"
    assert found[-1]["duration"] is None


def test_a_second_query_does_not_get_the_rest_of_the_rows_or_none() -> None:
    import duckdb

    with Sandbox(rows=700) as api:
        for first in ("select count(*) from reader", "select * from reader limit 1"):
            cmb = CallMeBackClient(api.token, base_url=api.base_url)
            with cmb.cdrs.batches(size=300).to_reader() as reader:
                assert reader.schema
                duckdb.sql(first).fetchall()
                with pytest.raises(Exception, match="they come once"):
                    duckdb.sql("select count(*) from reader").fetchall()
