"""Batches are the rows of a walk as columns, and a reader gives them to code that is not async."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pyarrow
import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig, RateLimit, where
from voipstudio_cmb.columns import Splitter
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse, WrongShape
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.sandbox import Fault, Sandbox
from voipstudio_cmb.services import Cdrs


def of_rows(rows: list[Any]) -> Cdrs:
    async def network(request: Request) -> Response:
        asked = dict(request.query)
        at = (int(asked.get("page", 1)) - 1) * int(asked["limit"])
        found = rows[at : at + int(asked["limit"])]
        return Response(status=200, body=json.dumps({"data": found, "total": len(rows)}).encode())

    return Cdrs(network)


def no_thread_is_left() -> bool:
    return all(thread.name != "batches" for thread in threading.enumerate())


@pytest.mark.parametrize("walk", ["page", "keyset"])
async def test_batches_have_each_row_once_and_any_resumes_behind_itself(walk: Any) -> None:
    async with Sandbox(rows=230) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        ids = [cdr.id async for cdr in cmb.cdrs.list()]
        batches = cmb.cdrs.batches(size=70, page_size=30, walk=walk)
        found: list[int] = []
        async for batch in batches:
            assert batch.schema == batches.schema
            assert batch.num_rows == min(70, 230 - len(found))
            found += batch["id"].to_pylist()
            rest = await cmb.cdrs.batches(cursor=batches.cursor, page_size=30).read_all()
            assert found + rest["id"].to_pylist() == ids
        newest = await cmb.cdrs.batches(sort="id", descending=True, limit=3).read_all()
    assert newest["id"].to_pylist() == ids[:-4:-1]


async def test_the_rows_before_an_error_come_first() -> None:
    async with Sandbox(rows=200) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        api.script(Fault(path="/callmeback/cdrs", page=4, status=400, times=None))
        batches = cmb.cdrs.batches(size=70, page_size=30, walk="page")
        sizes = []
        with pytest.raises(CallMeBackError):
            async for batch in batches:
                sizes.append(batch.num_rows)
        assert sizes == [70, 20]
        assert batches.resumable


async def test_the_first_batch_says_which_columns_there_are() -> None:
    rows = [{"id": 1, "more": 1}, {"id": 2, "more": 2}, {"id": 3, "more": "x", "new": True}]
    batches = of_rows(rows).batches(size=2, walk="page")
    with pytest.raises(ClientMisuse, match="first batch"):
        _ = batches.schema
    table = await batches.read_all()
    assert table["more"].to_pylist() == [1, 2, None]
    assert table["extra"].to_pylist() == [None, None, '{"more":"x","new":true}']
    assert "new" not in table.schema.names
    named = await of_rows(rows).batches(columns=["new"], walk="page").read_all()
    assert named.schema.names == ["id", "new", "extra"]
    documented = await of_rows(rows).batches(columns="documented", walk="page").read_all()
    assert "more" not in documented.schema.names
    empty = await of_rows([]).batches(walk="page").read_all()
    assert empty.schema == documented.schema
    for wrong in ({"columns": "some"}, {"size": 0}, {"window": 4}):
        with pytest.raises(ClientMisuse):
            of_rows(rows).batches(**wrong)  # type: ignore[arg-type]


async def test_a_column_that_no_row_has_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    cdrs = of_rows([{"id": id, "duration": 5} for id in range(1, 30)])
    await cdrs.batches(columns=["id", "duration"], size=10).read_all()
    assert not caplog.messages
    await cdrs.batches(columns=["id", "durration"], size=10).read_all()
    assert caplog.messages == [
        "batches(), in its first batch: no row has 'durration', so that column is empty: "
        "did you mean 'duration'?"
    ]


async def test_others_have_their_turn_between_some_hundred_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, splits = 0, list[tuple[int, int]]()
    split = Splitter.split

    def counted(self: Splitter, rows: Sequence[bytes]) -> list[Sequence[Any]]:
        splits.append((turns, len(rows)))
        return split(self, rows)

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(Splitter, "split", counted)
    rows: list[Any] = [{"id": number} for number in range(1, 3_000)]
    task = asyncio.create_task(other())
    table = await of_rows([*rows, {"id": 3_000, "late": 1}]).batches(page_size=1_000).read_all()
    task.cancel()
    assert table["late"].to_pylist()[-2:] == [None, 1]
    assert sum(count for _, count in splits) == 6_000  # once more with the late column
    assert len({turn for turn, _ in splits}) == len(splits)
    assert max(count for _, count in splits) < 512


async def test_rows_that_can_not_be_used_raise_unless_somebody_takes_them() -> None:
    rows = [{"id": 1}, {"id": None}, {"id": 3}]
    with pytest.raises(WrongShape, match="row 2 of the response can't be used"):
        await of_rows(rows).batches(walk="page").read_all()
    rejects: list[Any] = []
    table = await of_rows(rows).batches(walk="page", reject=rejects.extend).read_all()
    assert table["id"].to_pylist() == [1, 3]
    assert {reject.index for reject in rejects} == {2}


async def test_without_pyarrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "voipstudio_cmb.columns.batches", None)
    with pytest.raises(ClientMisuse, match=r"takes the extra arrow: pip install"):
        of_rows([]).batches()


async def test_a_reader_reads_the_same_though_the_loop_waits_for_it() -> None:
    with Sandbox(rows=230) as api:
        limit = RateLimit(10_000)
        async with CallMeBackClient(api.token, base_url=api.base_url, limiter=limit) as cmb:
            table = await cmb.cdrs.batches(size=70).read_all()
            assert pyarrow.table(cmb.cdrs.batches(size=70).to_reader()) == table
            filters = iter([where("id") > table["id"][9].as_py()])
            with cmb.cdrs.batches(size=70, filters=filters).to_reader() as reader:
                assert reader.schema == table.schema
                assert sum(batch.num_rows for batch in reader) == 220
                with pytest.raises(StopIteration):
                    next(reader)
            batches = cmb.cdrs.batches()
            await anext(batches)
            with pytest.raises(ClientMisuse, match="has begun"):
                batches.to_reader()
            await batches.aclose()
    assert no_thread_is_left()


def test_a_reader_is_read_as_a_stream_once() -> None:
    with Sandbox(rows=70) as api:
        cmb = CallMeBackClient(api.token, base_url=api.base_url)
        with cmb.cdrs.batches(size=20).to_reader() as reader:
            assert next(reader).num_rows == 20
            assert pyarrow.table(reader).num_rows == 50  # what is left
            with pytest.raises(ClientMisuse, match="table = pyarrow.table"):
                pyarrow.table(reader)


def test_a_reader_that_is_closed_or_let_go_of_ends_its_walk() -> None:
    with Sandbox(rows=400) as api:
        cmb = CallMeBackClient(api.token, base_url=api.base_url)
        reader = cmb.cdrs.batches(size=20, page_size=20).to_reader()
        next(reader)
        reader.close()
        assert no_thread_is_left()
        with pytest.raises(ClientMisuse, match="closed"):
            next(reader)
        with pytest.raises(pyarrow.ArrowInvalid, match="closed"):
            pyarrow.table(reader)
        reader = cmb.cdrs.batches(size=20, page_size=20).to_reader()
        next(reader)
        [thread] = [thread for thread in threading.enumerate() if thread.name == "batches"]
        del reader
        gc.collect()
        thread.join(20)
        assert not thread.is_alive()


def test_a_reader_raises_what_the_walk_raises_and_then_that_it_has_failed() -> None:
    with Sandbox(rows=400) as api:
        api.script(Fault(path="/callmeback/cdrs", status=400, after=7, times=None))
        config = ClientConfig(attempts=1)
        cmb = CallMeBackClient(api.token, base_url=api.base_url, config=config)
        reader = cmb.cdrs.batches(size=20, page_size=20).to_reader()
        with pytest.raises(CallMeBackError) as caught:
            for _ in reader:
                pass
        assert not isinstance(caught.value, ClientMisuse)
        with pytest.raises(ClientMisuse, match="failed before"):
            next(reader)
    assert no_thread_is_left()


async def test_a_session_that_was_passed_in_is_used_nowhere_else() -> None:
    class Session:
        headers = ()
        request = print

    cmb = CallMeBackClient("token", session=Session())  # type: ignore[arg-type]
    with pytest.raises(ClientMisuse, match="another event loop"):
        cmb.cdrs.batches().to_reader()
    await asyncio.sleep(0)


async def test_known_columns_come_first_and_stay_as_they_were() -> None:
    first = of_rows([{"id": 1, "b": 1, "a": "x"}]).batches()
    assert first.columns == ()
    await first.read_all()
    kinds = {column.name: column.kind for column in first.columns}
    assert (kinds["a"], kinds["b"]) == ("text", "integer")
    second = of_rows([{"id": 2, "A1": True, "b": "no", "a": 7}]).batches(known=first.columns)
    [row] = (await second.read_all()).to_pylist()
    assert second.columns[:-1] == first.columns
    assert (row["a"], row["b"], row["A1"]) == (None, None, True)
    assert json.loads(row["extra"]) == {"a": 7, "b": "no"}
    with of_rows([]).batches(known=first.columns).to_reader() as reader:
        assert reader.columns == first.columns
        assert list(reader) == []
