"""Exports that run out of memory, wherever that is: an error that passes, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.offline import Offline
from tests.fakes.exports import names, run
from voipstudio_cmb.errors import ExportError
from voipstudio_cmb.exit_codes import RESUMABLE
from voipstudio_cmb.export import Plan
from voipstudio_cmb.export.plan.preflight import Preflight
from voipstudio_cmb.export.run import file_writer
from voipstudio_cmb.export.run.exit_codes import exit_code
from voipstudio_cmb.export.sinks.csv import CsvLines, CsvSink
from voipstudio_cmb.export.source.button_ids import ButtonIds
from voipstudio_cmb.export.source.sources import CollectionSource
from voipstudio_cmb.export.store.marks import KnownRows
from voipstudio_cmb.export.store.rejects import Rejects
from voipstudio_cmb.export.store.spool import Spool
from voipstudio_cmb.export.store.workspace import Workspace

PLACES: list[tuple[Any, str]] = [
    (Preflight, "__init__"),
    (Workspace, "open"),
    (Workspace, "add"),
    (Workspace, "save"),
    (Workspace, "finish"),
    (Workspace, "close"),
    (Spool, "append"),
    (Spool, "sync"),
    (Spool, "blocks"),
    (Rejects, "open"),
    (KnownRows, "add"),
    (CollectionSource, "_pages"),
    (ButtonIds, "read"),
    (CsvSink, "write"),
    (CsvLines, "lines"),
    (file_writer, "fingerprint"),
    (file_writer, "publish"),
    (file_writer, "record"),
    (asyncio.BaseEventLoop, "run_in_executor"),
]


def failing(real: Callable[..., Any], after: int, *, late: bool) -> Callable[..., Any]:
    """`real`, which runs out of memory once, when it has been called `after` times."""
    left = [after]
    late = late and real.__name__ != "run_in_executor"

    def call(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        result = real(*arguments, **options) if late or left[0] != -1 else None
        if left[0] == -1:
            if real.__name__ == "run_in_executor":
                raise RuntimeError("can't start new thread")
            raise MemoryError
        return result

    return call


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("after", "late"), [(0, False), (3, True)], ids=["at first", "behind the third"]
)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].__name__}.{place[1]}")
async def test_memory_that_is_short_is_an_error_that_passes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    after: int,
    late: bool,
) -> None:
    def plan(to: str) -> Plan:
        return Plan(
            to=tmp_path / to, resources=("visitors", "buttons"), page_size=5,
            concurrency=1, checkpoint=0, format="csv",
        )  # fmt: skip

    assert (await run(Offline(), plan("undisturbed"))).complete
    owner, name = place
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing(getattr(owner, name), after, late=late))
        summary = await run(Offline(), plan("out"))
    failed = [job for job in summary.jobs if job.state != "done"]
    for job in failed:
        assert isinstance(job.error, ExportError)
        assert job.error.retryable or job.resource == "buttons"
        assert "memory" in str(job.error) or "new thread" in str(job.error)
        kept = f"{job.rows:,} rows are kept"
        assert job.resumable or kept not in str(job.error)
    assert exit_code(summary.jobs) == (RESUMABLE if failed else 0)
    assert failed or late
    found = names(tmp_path / "out") if (tmp_path / "out").exists() else set()
    assert not any(each.endswith(".lock") for each in found)
    if failed:
        assert (await run(Offline(), plan("out"))).complete
    assert names(tmp_path / "out") == names(tmp_path / "undisturbed")
    for path in (tmp_path / "out").glob("*.csv"):
        assert path.read_bytes() == (tmp_path / "undisturbed" / path.name).read_bytes()
