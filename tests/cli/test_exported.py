"""Rows that are read back from exports: the same, whatever the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.cli.exported import exported_rows
from voipstudio_cmb.cli.tally import BY, MEMBERS, Tally, created_at
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.export import Export, Plan
from voipstudio_cmb.sandbox import Sandbox

FORMATS = [
    ("jsonl", None), ("jsonl", "gzip"), ("jsonl", "zstd"), ("csv", None), ("csv", "gzip"),
    ("csv", "zstd"), ("sqlite", None), ("parquet", None),
]  # fmt: skip


async def export(api: Sandbox, to: Path, format: Any, compress: Any = None, **more: Any) -> None:
    async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        plan = Plan(to=to, resources="cdrs", format=format, compress=compress, **more)
        assert (await Export(cmb, plan).run()).jobs[0].state == "done"


def counted(path: Path) -> Tally:
    tally = Tally()
    for row in exported_rows(path, "cdrs", MEMBERS):
        tally.add(row, created_at(row))
    return tally


@pytest.mark.parametrize(("format", "compress"), FORMATS)
async def test_every_format_counts_as_the_api_does(
    tmp_path: Path, format: str, compress: str | None
) -> None:
    async with Sandbox(rows=300, zero_dates=0.1) as api:
        for disposition in ("=1+1", "\\N", "'quoted"):
            api.data.cdrs.insert(disposition=disposition, name="a,\tb\n", duration=99)
        api.data.cdrs.insert(name=None, disposition=None, duration="a while")
        await export(api, tmp_path, format, compress)
        expected = Tally()
        async with CallMeBackClient(api.token, base_url=api.base_url) as cmb:
            async for record in cmb.cdrs.list():
                expected.add(row := record.to_dict(), created_at(row))
    assert expected.undated > 10
    assert expected.rows == 304
    found = counted(tmp_path)
    for by in (*BY, "length"):
        assert found.counts(by) == expected.counts(by)
    assert found == expected


async def test_all_files_of_a_series_are_read(tmp_path: Path) -> None:
    async with Sandbox(rows=20) as api:
        await export(api, tmp_path, "jsonl")
        api.data.cdrs.insert()
        await export(api, tmp_path, "jsonl", since="last")
    assert len([*tmp_path.glob("cdrs*.jsonl")]) == 2
    assert counted(tmp_path).rows == 21
    assert counted(tmp_path / "cdrs.jsonl").rows == 20


async def test_another_null_and_documented_columns_are_read(tmp_path: Path) -> None:
    async with Sandbox(rows=50, zero_dates=0) as api:
        api.data.cdrs.insert(name=None)
        await export(api, tmp_path, "csv", csv_null="\\N", columns="documented")
    tally = counted(tmp_path)
    assert dict(tally.counts("website"))["(none)"] == 1
    assert len(tally.dispositions) > 2  # out of `extra`


async def test_what_can_not_be_counted_is_refused_in_a_sentence(tmp_path: Path) -> None:
    async with Sandbox(rows=20) as api:
        await export(api, tmp_path / "a", "jsonl")
        await export(api, tmp_path / "a", "csv")
        await export(api, tmp_path / "b", "csv", "gzip")
    with pytest.raises(ClientMisuse, match=r"several exports of cdrs \(cdrs.csv, cdrs.jsonl\)"):
        counted(tmp_path / "a")
    assert counted(tmp_path / "a" / "cdrs.csv").rows == 20
    with pytest.raises(ClientMisuse, match=r"name one of the accounts in it \(a, b\)"):
        counted(tmp_path)
    with pytest.raises(ClientMisuse, match="does not exist"):
        counted(tmp_path / "c")
    with pytest.raises(ClientMisuse, match="no finished export of cdrs"):
        (tmp_path / "empty").mkdir()
        counted(tmp_path / "empty")


@pytest.mark.parametrize(("format", "compress"), FORMATS)
async def test_a_damaged_file_is_an_error_and_no_traceback(
    tmp_path: Path, format: str, compress: str | None
) -> None:
    async with Sandbox(rows=50) as api:
        await export(api, tmp_path, format, compress)
    (file,) = tmp_path.glob("cdrs.*")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] + b"\xff\xfe{")
    with pytest.raises((ClientMisuse, OSError)):
        counted(tmp_path)
