"""The page walk: every row once, in order, whatever the server's habits; nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
from array import array
from contextlib import aclosing
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.collections import Collection, Table, page, row
from voipstudio_cmb.errors import ClientMisuse, ConnectionLost, IncompleteWalk, NotFound, PageDrift
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.models import Cdr
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.walk import Tasks
from voipstudio_cmb.walk.ids import Seen

LIMIT = 10
WINDOWS = (1, 2, 4, 16)


def rows(count: int) -> list[dict[str, Any]]:
    return [row(3 * n + 1) for n in range(count)]


async def walked(server: Collection, concurrency: int = 4, page_size: int = LIMIT) -> list[int]:
    walk = Cdrs(server).list(page_size=page_size, concurrency=concurrency, walk="page")
    return [record.id async for record in walk]


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("count", [0, 1, LIMIT - 1, LIMIT, LIMIT + 1, 10 * LIMIT])
@virtual
async def test_every_row_once_and_in_order(count: int, concurrency: int) -> None:
    server = Collection(rows(count))
    assert await walked(server, concurrency) == [r["id"] for r in rows(count)]


HABITS: dict[str, dict[str, Any]] = {
    "caps limit": {"cap": 7},
    "caps limit at 1": {"cap": 1},
    "ignores page and limit": {"ignore_page": True, "ignore_limit": True},
    "ignores limit": {"ignore_limit": True},
    "total missing": {"total": lambda count: None},
    "total a string": {"total": str},
    "total too high": {"total": lambda count: count + 1000},
    "total too low": {"total": lambda count: count // 3},
    "total zero": {"total": lambda count: 0},
    "total nonsense": {"total": lambda count: {"n": count}},
    "total negative": {"total": lambda count: -1},
    "total a float": {"total": lambda count: 1e9},
    "an empty page in the middle, once": {"empty_once": {2}},
    "an empty first page, once": {"empty_once": {1}},
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("count", [1, LIMIT, 57])
@pytest.mark.parametrize("habit", HABITS.values(), ids=HABITS.keys())
@virtual
async def test_no_habit_of_a_server_costs_a_row(
    habit: dict[str, Any], count: int, concurrency: int
) -> None:
    habit = {**habit, "empty_once": set(habit.get("empty_once", ()))}
    server = Collection(rows(count), **habit)
    assert await walked(server, concurrency) == [r["id"] for r in rows(count)]


@pytest.mark.parametrize("total", [lambda count: count, lambda count: None])
@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_ignores_page_is_noticed_by_its_second_answer(
    concurrency: int, total: Any
) -> None:
    server = Collection(rows(50), ignore_page=True, total=total)
    found: list[int] = []
    with pytest.raises(PageDrift, match="ignore `page`") as caught:
        async for record in Cdrs(server).list(
            walk="page", page_size=LIMIT, concurrency=concurrency
        ):
            found.append(record.id)
    assert found == [r["id"] for r in rows(LIMIT)]
    # Once more, to be sure: rows that moved up by a page look the same.
    assert (sorted(server.asked), server.tops) == ([1, 2, 2], 1)
    assert 'or walk by keyset (walk="keyset")' in str(caught.value)
    impossible: list[Any] = [{}, {"walk": "page", "descending": True}]
    for options in impossible:
        with pytest.raises(PageDrift, match="ignore `page`") as caught:
            await Cdrs(server).list(page_size=LIMIT, concurrency=concurrency, **options).collect()
        assert "keyset" not in str(caught.value)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("total", [None, 0, "0", 30, 100])
@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_passing_empty_page_is_no_end_whatever_total_it_carries(
    concurrency: int, total: Any
) -> None:
    class Hiccup(Collection):
        done = False

        async def __call__(self, request: Any) -> Any:
            if request.page == 4 and not self.done:
                self.done = True
                return json_response(
                    {"data": []} if total is None else {"data": [], "total": total}
                )
            return await super().__call__(request)

    assert await walked(Hiccup(rows(100)), concurrency) == [r["id"] for r in rows(100)]


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_caps_rows_but_counts_pages_by_the_limit_asked_for(
    concurrency: int,
) -> None:
    class Capping(Collection):
        async def __call__(self, request: Any) -> Any:
            query = dict(request.query)
            start = ((request.page or 1) - 1) * int(query["limit"])
            found = self.rows[start : start + min(int(query["limit"]), 7)]
            return json_response({"data": found, "total": len(self.rows)})

    assert await walked(Capping(rows(100)), concurrency) == [r["id"] for r in rows(100)]


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_answers_404_past_the_end(concurrency: int) -> None:
    class Missing(Collection):
        async def __call__(self, request: Any) -> Any:
            if ((request.page or 1) - 1) * LIMIT >= len(self.rows):
                raise NotFound("no such page", status=404)
            return await super().__call__(request)

    assert await walked(Missing(rows(35)), concurrency) == [r["id"] for r in rows(35)]
    with pytest.raises(NotFound):
        await walked(Missing([]), concurrency)


@virtual
async def test_a_walk_that_is_at_its_limit_has_ended_its_requests() -> None:
    tasks = Tasks()
    server = Collection(rows(1000), latency=lambda page: 0.1 if page < 3 else 60.0)
    walk = Cdrs(server, tasks).list(walk="page", page_size=LIMIT, concurrency=8, limit=15)
    for _ in range(15):
        await anext(walk)
        most = max(server.asked)
    assert (len(tasks), server.flying, most) == (0, 0, 2)
    with pytest.raises(StopAsyncIteration):
        await anext(walk)


@virtual
async def test_closing_a_walk_that_another_task_waits_in_says_so() -> None:
    walk = Cdrs(Collection(rows(100), latency=lambda page: 5.0)).list(walk="page", page_size=LIMIT)
    consumer = asyncio.create_task(anext(walk))  # type: ignore[arg-type]
    await asyncio.sleep(1)
    with pytest.raises(ClientMisuse, match="another task waits"):
        await walk.aclose()
    consumer.cancel()
    await asyncio.wait((consumer,))
    await walk.aclose()


@virtual
async def test_an_empty_page_is_asked_for_again_only_if_the_total_says_that_there_is_more() -> None:
    server = Collection(rows(20))
    await walked(server, concurrency=1)
    assert server.asked == [1, 2]
    server = Collection(rows(20), total=lambda count: count + 1)
    await walked(server, concurrency=1)
    assert server.asked == [1, 2, 2]  # across the border between the two
    server = Collection(rows(5), total=lambda count: count + 1)
    await walked(server, concurrency=1)
    # The highest ids are the first page's own, as where a server only turns a page around.
    assert server.asked == [1, 6, 2, 2, 3, 1]
    server = Collection(rows(20), ignore_sort=True, total=lambda count: count + 1)
    with pytest.raises(PageDrift, match="nothing comes after the row 58, and the total claims"):
        await walked(server, concurrency=1)


@virtual
async def test_the_output_does_not_depend_on_window_or_latency() -> None:
    expected = [r["id"] for r in rows(200)]
    for seed in range(30):
        draw = random.Random(seed)
        concurrency = draw.randint(1, 16)
        server = Collection(rows(200), latency=lambda page, d=draw: d.random())
        assert await walked(server, concurrency) == expected
        assert server.most_flying <= concurrency


@virtual
async def test_a_window_walks_as_fast_as_the_latency_allows() -> None:
    server = Collection(rows(100 * LIMIT), latency=lambda page: 0.05)
    began = asyncio.get_running_loop().time()
    await walked(server, concurrency=8)
    latencies = (asyncio.get_running_loop().time() - began) / 0.05
    assert latencies <= 14.01  # ceil((100 - 1) / 8) + 1
    assert len(server.asked) + server.tops == 103


@virtual
async def test_no_page_beyond_the_highest_id_is_asked_for() -> None:
    server = Collection(rows(5 * LIMIT), latency=lambda page: 1.0)
    await walked(server, concurrency=16)
    assert (sorted(server.asked), server.tops) == ([1, 1, 2, 2, 3, 4, 5], 1)
    server = Collection(rows(5 * LIMIT))
    await walked(server, concurrency=1)
    assert (server.asked, server.tops) == ([1, 2, 3, 4, 5], 1)


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_rows_after_a_failed_page_are_never_yielded(concurrency: int) -> None:
    lost = ConnectionLost("the connection broke")
    # The failure comes late: pages 4 to 6 are there by then.
    server = Collection(rows(100), fail={3: lost}, latency=lambda page: 9.0 if page == 3 else 0.1)
    found: list[int] = []
    with pytest.raises(ConnectionLost):
        async for record in Cdrs(server).list(
            walk="page", page_size=LIMIT, concurrency=concurrency
        ):
            found.append(record.id)
    assert found == [r["id"] for r in rows(20)]
    assert server.flying == 0


@virtual
async def test_an_error_waits_for_its_place_while_the_consumer_is_slow() -> None:
    server = Collection(rows(100), fail={2: ConnectionLost("broken")})
    found = 0
    with pytest.raises(ConnectionLost):
        async for _ in Cdrs(server).list(walk="page", page_size=LIMIT, concurrency=4):
            await asyncio.sleep(10)
            found += 1
    assert found == LIMIT


@virtual
async def test_memory_is_bounded_by_the_window() -> None:
    server = Collection(rows(100 * LIMIT))
    seen = 0
    async with Cdrs(server).list(walk="page", page_size=LIMIT, concurrency=3) as walk:
        async for _ in walk:
            seen += 1
            await asyncio.sleep(1)  # time enough for everything that may run ahead
            # Two of them are the first two pages, which are asked for twice.
            assert len(server.asked) <= (seen - 1) // LIMIT + 1 + 3 + 2
            assert server.most_flying <= 3


@virtual
async def test_leaving_early_with_aclosing_leaves_no_task() -> None:
    tasks = Tasks()
    server = Collection(rows(1000), latency=lambda page: float(page))
    async with aclosing(
        Cdrs(server, tasks).list(walk="page", page_size=LIMIT, concurrency=8)
    ) as walk:
        async for record in walk:
            if record.id == rows(25)[-1]["id"]:
                break
        assert len(tasks) > 0
    assert len(tasks) == 0
    assert server.flying == 0


@virtual
async def test_a_walk_left_by_break_and_forgotten_ends_its_requests() -> None:
    tasks = Tasks()
    server = Collection(rows(1000), latency=lambda page: float(page))
    left = 0
    async for _ in Cdrs(server, tasks).list(walk="page", page_size=LIMIT, concurrency=8):
        left += 1
        if left == 25:
            break
    gc.collect()
    await asyncio.sleep(0.1)
    assert len(tasks) == 0


@virtual
async def test_a_walk_that_is_still_referenced_ends_when_its_owner_does() -> None:
    tasks = Tasks()
    server = Collection(rows(1000), latency=lambda page: float(page))
    walk = Cdrs(server, tasks).list(walk="page", page_size=LIMIT, concurrency=8)
    found = 0
    async for _ in walk:
        found += 1
        if found == 25:
            break
    assert len(tasks) > 0
    await tasks.aclose()
    assert len(tasks) == 0
    # What had come is still given; then it says why there is no more.
    with pytest.raises(ClientMisuse, match="closed"):
        async for _ in walk:
            found += 1
    assert found == 30


@virtual
async def test_a_cancelled_consumer_takes_its_requests_along() -> None:
    tasks = Tasks()
    server = Collection(rows(1000), latency=lambda page: 5.0)

    async def consume() -> None:
        async for _ in Cdrs(server, tasks).list(walk="page", page_size=LIMIT, concurrency=8):
            pass

    consumer = asyncio.create_task(consume())
    await asyncio.sleep(7)
    assert server.flying == 8
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert (server.flying, len(tasks)) == (0, 0)


@virtual
async def test_an_exception_in_the_loop_body_ends_the_requests() -> None:
    server = Collection(rows(1000), latency=lambda page: float(page))
    with pytest.raises(ZeroDivisionError):
        async with Cdrs(server).list(walk="page", page_size=LIMIT, concurrency=8) as walk:
            async for record in walk:
                if record.id > 60:
                    raise ZeroDivisionError
    assert server.flying == 0


@virtual
async def test_a_second_task_on_one_walk_is_told_so_and_the_first_is_unharmed() -> None:
    server = Collection(rows(100), latency=lambda page: 1.0)
    walk = Cdrs(server).list(walk="page", page_size=LIMIT)

    async def first() -> int:
        return len([record async for record in walk])

    async def second() -> None:
        await asyncio.sleep(0.5)
        async for _ in walk:
            raise AssertionError

    counted, refused = await asyncio.gather(first(), second(), return_exceptions=True)
    assert counted == 100
    assert isinstance(refused, ClientMisuse)
    assert "another task" in str(refused)


@pytest.mark.parametrize("how", ["collect", "first", "aclose", "with", "for"])
@virtual
async def test_a_second_task_can_not_end_a_walk_that_another_iterates_over(how: str) -> None:
    walk = Cdrs(Collection(rows(100))).list(walk="page", page_size=LIMIT)

    async def first() -> int:
        found = 0
        async for _ in walk:
            found += 1
            await asyncio.sleep(0.1)
        return found

    async def second() -> None:
        await asyncio.sleep(2)
        if how == "with":
            async with walk:
                raise AssertionError
        elif how == "for":
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_exit(walk)  # entered, so to say, before the other began
                raise ZeroDivisionError
        elif how == "collect":
            await walk.collect()
        else:
            await getattr(walk, how)()

    counted, refused = await asyncio.gather(first(), second(), return_exceptions=True)
    assert counted == 100
    # An error of the block's own is not covered up.
    assert isinstance(refused, ZeroDivisionError if how == "for" else ClientMisuse)


@virtual
async def test_another_task_can_end_a_walk_whose_consumer_has_ended() -> None:
    tasks = Tasks()
    server = Collection(rows(100), latency=lambda page: float(page))
    walk = Cdrs(server, tasks).list(walk="page", page_size=LIMIT)

    async def some() -> None:
        async for record in walk:
            if record.id > 50:
                return

    await asyncio.create_task(some())
    assert len(tasks) > 0
    async with walk:
        pass
    assert (len(tasks), server.flying) == (0, 0)


@pytest.mark.parametrize("by", ["page", "keyset"])
@virtual
async def test_a_walk_that_was_interrupted_does_not_pass_for_one_that_has_ended(by: Any) -> None:
    server = Table(list(range(1, 101)), latency=1.0)
    walk = Cdrs(server).list(walk=by, page_size=LIMIT, concurrency=1)
    found = [await anext(walk) for _ in range(50)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(walk), 0.5)
    for _ in range(2):
        with pytest.raises(ClientMisuse, match=r"list\(cursor=walk\.cursor\)"):
            await anext(walk)
    with pytest.raises(ClientMisuse, match=r"list\(cursor=walk\.cursor\)"):
        await walk.collect()
    found += await Cdrs(server).list(page_size=LIMIT, cursor=walk.cursor).collect()
    assert [record.id for record in found] == list(range(1, 101))


@virtual
async def test_after_an_error_there_is_no_end_either() -> None:
    class Failing(Collection):
        async def __call__(self, request: Any) -> Any:
            if request.page == 3:
                raise ConnectionLost("gone", sent="maybe")
            return await super().__call__(request)

    walk = Cdrs(Failing(rows(100))).pages(walk="page", page_size=LIMIT, concurrency=1)
    assert [(await anext(walk)).number for _ in range(2)] == [1, 2]
    with pytest.raises(ConnectionLost):
        await anext(walk)
    with pytest.raises(ClientMisuse, match="interrupted"):
        await anext(walk)


@virtual
async def test_collect_and_first() -> None:
    cdrs = Cdrs(Collection(rows(25)))
    assert [r.id for r in await cdrs.list(walk="page", page_size=LIMIT).collect()] == [
        r["id"] for r in rows(25)
    ]
    assert [r.id for r in await cdrs.list(walk="page", limit=3).collect()] == [1, 4, 7]
    first = await cdrs.list(walk="page").first()
    assert first is not None
    assert first.id == 1
    assert await Cdrs(Collection([])).list(walk="page").first() is None


@virtual
async def test_pages_come_with_number_and_total() -> None:
    walk = Cdrs(Collection(rows(25))).pages(walk="page", page_size=LIMIT)
    found = [(page.number, len(page), page.total) async for page in walk]
    assert found == [(1, 10, 25), (2, 10, 25), (3, 5, 25)]


@virtual
async def test_progress_tells_how_far_the_walk_is() -> None:
    walk = Cdrs(Collection(rows(25))).list(walk="page", page_size=LIMIT, concurrency=1)
    assert (walk.progress.seen, walk.progress.total) == (0, None)
    assert await anext(walk) is not None
    assert (walk.progress.seen, walk.progress.total, walk.progress.pages) == (10, 25, 1)
    await walk.collect()
    progress = walk.progress
    assert (progress.seen, progress.pages, progress.requests) == (25, 3, 4)
    assert "seen=25" in repr(walk)


@virtual
async def test_closing_a_walk_that_never_began_is_fine_and_ends_it() -> None:
    walk = Cdrs(Collection(rows(5))).list(walk="page")
    await walk.aclose()
    await walk.aclose()
    with pytest.raises(ClientMisuse, match="this walk has ended"):
        await walk.collect()


@virtual
async def test_a_walk_that_has_ended_says_so_instead_of_being_empty() -> None:
    walk = Cdrs(Collection(rows(25))).list(walk="page", page_size=LIMIT)
    assert len(await walk.collect()) == 25
    with pytest.raises(ClientMisuse, match=r"call list\(\) or pages\(\) again"):
        await walk.collect()
    with pytest.raises(StopAsyncIteration):
        await anext(walk)


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_page_that_stays_empty_before_others_is_never_taken_for_the_end(
    concurrency: int,
) -> None:
    class Holed(Collection):
        async def __call__(self, request: Any) -> Any:
            if request.page == 3:
                self.empty_once.add(3)
            return await super().__call__(request)

    found: list[int] = []
    with pytest.raises(IncompleteWalk, match="page 3 stays empty, and page 4 is not"):
        async for record in Cdrs(Holed(rows(60))).list(
            walk="page", page_size=LIMIT, concurrency=concurrency
        ):
            found.append(record.id)
    assert found == [r["id"] for r in rows(20)]


def test_seen_yields_an_id_once_in_any_order() -> None:
    def cdrs(*ids: int) -> list[Cdr]:
        return [Cdr(id=id) for id in ids]

    seen = Seen()
    page = cdrs(1, 2, 5)
    assert seen.fresh(page) is page
    assert [r.id for r in seen.fresh(cdrs(5, 6, 6, 3))] == [6, 3]
    assert [r.id for r in seen.fresh(cdrs(1, 2, 3))] == []
    assert [r.id for r in seen.fresh(cdrs(9, 4))] == [9, 4]
    assert len(seen) == 7
    assert [seen.rank(id) for id in (2, 4, 9)] == [2, 4, 7]


def test_seen_takes_the_rows_before_a_cursor_by_their_number_or_by_their_ids() -> None:
    seen = Seen(20)
    assert [r.id for r in seen.fresh([Cdr(id=id) for id in (8, 20, 21)])] == [21]
    seen.recall(array("q", [8, 20]))
    assert [id for id in range(1, 25) if id in seen] == [8, 20, 21]
    assert (len(seen), seen.last, seen.rank(20)) == (3, 21, 2)


@pytest.mark.parametrize("count", [1, 12_000])
def test_seen_finds_ids_in_any_order_however_many_they_are(count: int) -> None:
    ids = [*range(count, 0, -1), *range(count + 2, 2 * count, 2), count + 1]
    seen = Seen()
    assert len(seen.fresh([Cdr(id=id) for id in ids])) == len(seen) == len(ids)
    assert [id for id in range(1, 2 * count + 2) if id in seen] == sorted(ids)


# At most so many rows.


@pytest.mark.one_in(3)
@pytest.mark.parametrize("walk", ["page", "keyset", "auto"])
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
@virtual
async def test_a_walk_ends_at_its_limit_and_resumes_behind_it(walk: Any, count: int) -> None:
    ids = list(range(1, count + 1))
    for limit, concurrency in itertools.product(range(1, count + 2), (1, 4)):
        tasks = Tasks()
        cdrs = Cdrs(Table(ids), tasks)
        first = cdrs.list(walk=walk, page_size=10, concurrency=concurrency, limit=limit)
        found = [record.id for record in await first.collect()]
        assert (found, len(tasks)) == (ids[:limit], 0)
        rest = cdrs.list(cursor=first.cursor, page_size=10)
        assert found + [record.id async for record in rest] == ids
        pages = cdrs.pages(walk=walk, page_size=10, concurrency=concurrency, limit=limit)
        assert [record.id async for page in pages for record in page.records] == ids[:limit]


@virtual
async def test_a_limit_of_0_sends_nothing() -> None:
    server = Collection(rows(25))
    walk = Cdrs(server).list(limit=0)
    assert (await walk.collect(), walk.cursor, server.asked, server.tops) == ([], None, [], 0)


@pytest.mark.parametrize("walk", ["page", "keyset"])
@virtual
async def test_no_page_beyond_the_limit_is_asked_for(walk: Any) -> None:
    table = Table(list(range(1, 1001)), latency=1.0)
    cdrs = Cdrs(table)
    await cdrs.list(walk=walk, page_size=10, limit=25).collect()  # the server proves itself
    for limit, pages in ((5, 1), (10, 1), (11, 2), (25, 3)):
        before = len(table.asked)
        await cdrs.list(walk=walk, page_size=10, concurrency=8, limit=limit).collect()
        # The first two pages are suspect, and the one named 1 may be another.
        again = 3 if walk == "page" and pages > 1 else 0
        assert len(table.asked) - before <= 1 + pages + again, limit


@virtual
async def test_what_fits_on_one_page_takes_one_request() -> None:
    table = Table(list(range(1, 1001)))
    cdrs = Cdrs(table)
    await cdrs.list(limit=3).collect()  # the server proves itself
    for options in ({}, {"sort": "id", "descending": True}, {"sort": "name"}):
        before = len(table.asked)
        assert len(await cdrs.list(limit=7, **options).collect()) == 7  # type: ignore[arg-type]
        # No row has a name, so that these seven show no order: more rows are asked for.
        assert len(table.asked) - before == (2 if options.get("sort") == "name" else 1)
    walk = cdrs.list(limit=7)
    await walk.collect()
    table.ids.extend((1001, 1002))  # before the end was asked for
    table.ids.remove(3)
    another = Cdrs(table)  # to which the server has proved nothing
    assert [r.id async for r in another.list(cursor=walk.cursor)] == [*range(8, 1003)]


@virtual
async def test_a_cancellation_at_the_limit_loses_no_row() -> None:
    class Stubborn(Table):
        """Takes its time to give up what is no longer wanted."""

        async def __call__(self, request: Any) -> Any:
            try:
                return await super().__call__(request)
            except asyncio.CancelledError:
                await asyncio.sleep(5)
                raise

    table = Stubborn(list(range(1, 101)), latency=1.0)
    for stop in (1, 15):
        walk = Cdrs(table).list(walk="page", page_size=10, concurrency=4, limit=15)
        found: list[int] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(stop + 2.5):
                async for record in walk:
                    found.append(record.id)
        rest = Cdrs(table).list(cursor=walk.cursor)
        assert found + [record.id async for record in rest] == list(range(1, 101))


@virtual
async def test_a_resumed_walk_that_is_begun_again_yields_no_row_twice() -> None:
    """The server does not sort, and rows come and go, so that one pass is not enough."""
    answers: dict[Any, list[tuple[list[int], int]]] = {
        (None, "6", "ASC"): [([2], 1), ([6], 1)],
        ("2", "6", "ASC"): [([], 1)],
        (None, "1", "ASC"): [([2], 1)],
        (None, "8", "DESC"): [([], 0), ([], 0), ([], 0), ([2, 6], 2)],
        ("1", "2", "ASC"): [([6], 1)],
    }

    async def network(request: Request) -> Response:
        query = dict(request.query)
        script = answers.get((query.get("page"), query["limit"], query["dir"]), [([], 0)])
        return page(*(script.pop(0) if len(script) > 1 else script[0]))

    walk = Cdrs(network).list(
        walk="page", page_size=2, concurrency=3, cursor="page:e6873526:1:1:6:4:1:1:1:1:1"
    )
    with contextlib.suppress(PageDrift):
        came = list[int]()
        async for record in walk:
            came.append(record.id)
    assert came == [2, 6]


@pytest.mark.parametrize("sort", ["id", "name"])
@virtual
async def test_the_last_rows_of_a_descending_order_are_no_less_than_the_highest(sort: str) -> None:
    """The server ends its pages at row 5, and counts 6."""

    async def network(request: Request) -> Response:
        query = dict(request.query)
        ids = sorted(range(1, 7), reverse=query["dir"] == "DESC")[:5]
        size = int(query["limit"])
        start = (int(query.get("page", 1)) - 1) * size
        return page(map(row, ids[start : start + size]), 6)

    walk = Cdrs(network).list(walk="page", sort=sort, descending=True, page_size=5)
    with pytest.raises(PageDrift, match="rows at the end"):
        await walk.collect()
