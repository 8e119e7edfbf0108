"""What a server has to show before a keyset walk trusts it, and what a page walk doubts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import random
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from tests.fakes.collections import FILTERS, TOTALS, Odd, Table, take
from voipstudio_cmb.errors import ClientMisuse, NotFound, PageDrift, WalkError
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.walk import Capabilities
from voipstudio_cmb.walk.capabilities import probes

PATH = "/callmeback/cdrs"


async def walked(server: Any, **options: Any) -> tuple[list[int], Any]:
    walk = Cdrs(server).list(**{"page_size": 10, "concurrency": 4, **options})
    return [record.id async for record in walk], walk.progress


@pytest.mark.one_in(4)
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("page_size", [1, 2, 3, 10])
@pytest.mark.parametrize("conditions", FILTERS)
@virtual
async def test_a_server_that_takes_conditions_otherwise_is_walked_by_page(
    conditions: str, page_size: int, concurrency: int
) -> None:
    for count in (*range(1, 6), 8, 40):
        for total in ("exact", "missing", "too high"):
            ids = list(range(3, 3 * count + 3, 3))
            server, capabilities = Odd(ids=ids, conditions=conditions, total=total), Capabilities()
            walk = Cdrs(server, None, capabilities).list(
                page_size=page_size, concurrency=concurrency
            )
            assert sorted([record.id async for record in walk]) == ids
            assert not capabilities.supported, (count, total)
            with contextlib.suppress(WalkError):  # or everything is on one page
                found = (
                    await Cdrs(server)
                    .list(page_size=page_size, concurrency=concurrency, walk="keyset")
                    .collect()
                )
                assert [record.id for record in found] == ids


@pytest.mark.one_in(4)
@pytest.mark.parametrize("page_size", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("cap", [1, 2, 3, 100])
@pytest.mark.parametrize("total", TOTALS)
@virtual
async def test_an_honest_server_is_not_doubted(total: str, cap: int, page_size: int) -> None:
    for count in (*range(9), 40):
        ids = list(range(3, 3 * count + 3, 3))
        found, _ = await walked(
            Odd(ids=ids, total=total, cap=cap), page_size=page_size, walk="keyset"
        )
        assert found == ids


@virtual
async def test_the_proof_costs_one_request_and_once() -> None:
    table = Table(list(range(1, 101)))
    cdrs = Cdrs(table)
    await cdrs.list(page_size=10, concurrency=1).collect()
    first = len(table.asked)
    assert first == 1 + 10 + 1  # the highest id, the pages, the proof
    await cdrs.list(page_size=10, concurrency=1).collect()
    assert len(table.asked) - first == first - 1


@pytest.mark.parametrize("known", [list(range(7, 7 + n)) for n in range(2, 30)])
def test_a_probe_tells_every_wrong_way_from_the_right_one(known: list[int]) -> None:
    for name, takes in FILTERS.items():
        right = [
            [id for id in known if takes(id, [{"operator": "gt", "value": low},
                                            {"operator": "lte", "value": high}])] == expected
            for low, high, expected in probes(known)
        ]  # fmt: skip
        assert not all(right), name


@pytest.mark.parametrize("rows", [1, 50])
@virtual
async def test_a_row_that_comes_before_the_first_page_proves_no_other_order(rows: int) -> None:
    def more(server: Odd, query: dict[str, str]) -> None:
        if len(server.asked) == 3:
            server.ids.insert(0, 50)

    server = Odd(ids=list(range(100, 100 + rows)), total="missing", change=more)
    found, _ = await walked(server, page_size=50, walk="keyset")
    assert {*range(100, 100 + rows)} <= {*found}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("deletes", [1, 2])
@pytest.mark.parametrize("page_size", [6, 10, 50])
@virtual
async def test_rows_that_are_deleted_all_the_time_prove_no_dishonesty(
    page_size: int, deletes: int
) -> None:
    for seed in range(5):
        draw = random.Random(seed)

        def less(server: Odd, query: dict[str, str], draw: random.Random = draw) -> None:
            for _ in range(deletes):
                server.ids.remove(draw.choice(server.ids))

        server = Odd(ids=list(range(1, 301)), change=less)
        found, _ = await walked(server, page_size=page_size, walk="keyset")
        assert set(server.ids) <= set(found)


@virtual
async def test_a_server_that_leaves_rows_out_is_no_more_trusted_while_rows_are_deleted() -> None:
    def less(server: Odd, query: dict[str, str]) -> None:
        server.ids.remove(server.ids[len(server.ids) // 50])

    for conditions in ("lte as lt", "the last as an equality", "for no row"):
        server, capabilities = (
            Odd(ids=list(range(1, 301)), conditions=conditions, change=less),
            Capabilities(),
        )
        with contextlib.suppress(PageDrift):
            await Cdrs(server, None, capabilities).list(page_size=10).collect()
        assert (capabilities.supported, capabilities.refused) == ({}, {PATH}), conditions


@pytest.mark.parametrize("rows", range(6))
@virtual
async def test_a_table_of_a_few_rows_that_come_and_go_all_the_time_is_walked_by_keyset(
    rows: int,
) -> None:
    for seed in range(100):
        draw, following = random.Random(seed), itertools.count(rows + 1)

        def change(
            server: Odd,
            query: dict[str, str],
            draw: random.Random = draw,
            following: Iterator[int] = following,
        ) -> None:
            if draw.random() < 0.5:
                server.ids.append(next(following))
            elif server.ids:
                server.ids.remove(draw.choice(server.ids))

        server = Odd(ids=list(range(1, rows + 1)), change=change)
        found, _ = await walked(server, walk="keyset", page_size=draw.choice([2, 5, 20]))
        assert {id for id in server.ids if id <= rows} <= {*found}


@pytest.mark.parametrize("wrong", [0, 1, 2, 3])
@virtual
async def test_three_wrong_answers_are_a_verdict_and_two_are_none(wrong: int) -> None:
    probes = itertools.count()

    def leave_out(server: Odd, query: dict[str, str]) -> None:
        bounds = [one["value"] for one in json.loads(query.get("filter", "[]"))]
        is_probe = len(bounds) == 2 and max(bounds) <= 10
        server.conditions = "for no row" if is_probe and next(probes) < wrong else ""

    capabilities = Capabilities()
    cdrs = Cdrs(Odd(ids=list(range(1, 101)), change=leave_out), None, capabilities)
    walk = cdrs.list(page_size=10)
    assert [row.id for row in await walk.collect()] == list(range(1, 101))
    assert walk.progress.strategy == ("page" if wrong == 3 else "keyset")
    assert capabilities.refused == ({PATH} if wrong == 3 else set())


@virtual
async def test_rows_that_change_too_fast_are_no_verdict_on_the_server() -> None:
    def renew(server: Odd, query: dict[str, str]) -> None:
        server.ids = list(range(server.ids[-1] + 1, server.ids[-1] + 6))

    capabilities = Capabilities()
    cdrs = Cdrs(Odd(ids=[1, 2, 3], change=renew), None, capabilities)
    with pytest.raises(PageDrift, match="for now: its rows come and go too fast") as caught:
        await cdrs.list(walk="keyset").collect()
    assert caught.value.retryable
    assert not capabilities.refused


# Resuming from a cursor.


@pytest.mark.parametrize("conditions", FILTERS)
@virtual
async def test_resuming_by_keyset_takes_probes_of_its_own(conditions: str) -> None:
    server = Odd(ids=list(range(1, 101)))
    walk = Cdrs(server).list(page_size=10, walk="keyset")
    await take(walk, 23)
    after = walk.cursor
    assert [r.id for r in await Cdrs(server).list(page_size=10, cursor=after).collect()] == [
        *range(24, 101)
    ]
    server.conditions = conditions
    found: list[int] = []
    with pytest.raises(WalkError, match=r"no longer does\. Begin again"):
        async for record in Cdrs(server).list(page_size=10, cursor=after):
            found.append(record.id)
    assert not found


@pytest.mark.parametrize("conditions", FILTERS)
@virtual
async def test_resuming_where_all_is_on_the_first_page_takes_no_probes(conditions: str) -> None:
    server = Odd(ids=list(range(1, 9)), conditions=conditions)
    walk = Cdrs(server).list(page_size=10, walk="keyset")
    await take(walk, 3)
    found = await Cdrs(server).list(page_size=10, cursor=walk.cursor).collect()
    assert [record.id for record in found] == [4, 5, 6, 7, 8]


# Where the first page and the highest id are not what they seem.


@pytest.mark.one_in(3)
@pytest.mark.parametrize("walk", ["auto", "page"])
@pytest.mark.parametrize("conditions", ["", "for every row", "for no row"])
@pytest.mark.parametrize(
    ("order", "options"),
    [
        ("as text", {}),
        ("as text", {"total": "missing"}),
        ("newest first", {}),
        ("newest first", {"total": "missing"}),
        ("newest first", {"total": "too high"}),
        ("oldest first", {"fixed": 20}),
        ("oldest first", {"fixed": 20, "total": "missing"}),
        ("oldest first", {"page_size": 2}),
        ("oldest first", {"page_size": 2, "total": "missing"}),
        ("oldest first", {"page_size": 1}),
        ("oldest first", {"page_size": 1, "total": "missing"}),
        ("oldest first", {"cap": 2}),
    ],
)  # fmt: skip
@virtual
async def test_an_order_within_a_page_is_none_of_the_collection(
    order: str, options: Any, conditions: str, walk: Any
) -> None:
    page_size, ids = options.get("page_size", 10), [1, *range(95, 195)]
    kept = {name: value for name, value in options.items() if name != "page_size"}
    server = Odd(ids=ids, order=order, turns=order != "as text", conditions=conditions, **kept)
    found, progress = await walked(server, page_size=page_size, walk=walk)
    assert sorted(found) == ids
    assert progress.strategy == "page"


@virtual
async def test_a_walk_does_not_run_after_rows_though_the_total_is_too_high() -> None:
    def grow(server: Odd, query: dict[str, str]) -> None:
        if "filter" in query:
            server.ids.extend(range(server.ids[-1] + 1, server.ids[-1] + 13))

    for walk in ("auto", "page"):
        found, _ = await walked(
            Odd(ids=list(range(1, 6)), total="too high", change=grow), concurrency=1, walk=walk
        )
        assert found[:5] == [1, 2, 3, 4, 5]
        assert len(found) < 100


@pytest.mark.parametrize(
    ("count", "page_size", "options"),
    [
        (1000, 100, {"rows_cap": 50, "total": "of the page"}),
        (5, 5, {"rows_cap": 4, "total": "of the page"}),
    ],
)
@virtual
async def test_pages_that_come_short_hide_no_row_though_the_total_is_that_of_the_page(
    count: int, page_size: int, options: Any
) -> None:
    server = Odd(ids=list(range(1, count + 1)), **options)
    found, _ = await walked(server, page_size=page_size, walk="page")
    assert sorted(found) == list(range(1, count + 1))


@virtual
async def test_a_highest_id_that_is_gone_and_a_total_that_is_too_high_are_no_drift() -> None:
    def less(server: Odd, query: dict[str, str]) -> None:
        if query.get("page") == "3" and 40 in server.ids:
            server.ids.remove(40)

    server = Odd(ids=list(range(1, 41)), total="too high", change=less)
    found, progress = await walked(server, walk="page", concurrency=1)
    assert found == list(range(1, 40))
    assert progress.repaired == 0
    assert len(server.asked) == 10  # an empty page that is asked for again, and the highest ids


# The rest.


@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_404_to_a_range_says_that_it_is_empty(concurrency: int) -> None:
    class Missing(Odd):
        async def __call__(self, request: Request) -> Response:
            response = await super().__call__(request)
            if not json.loads(response.body)["data"]:
                raise NotFound("nothing there", status=404, sent="yes")
            return response

    draw = random.Random(1)
    ids = [*sorted(draw.sample(range(1, 10**6), 300)), *range(9 * 10**8, 9 * 10**8 + 300)]
    found, progress = await walked(Missing(ids=ids), page_size=50, concurrency=concurrency)
    assert found == ids
    assert progress.strategy == "keyset"
    with pytest.raises(NotFound):
        await walked(Missing(ids=[]))


@pytest.mark.parametrize("passing", [True, False])
@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_a_404_in_the_middle_hides_no_row(concurrency: int, passing: bool) -> None:
    class Lost(Odd):
        """Loses its way at the sixth request, for this one or for good."""

        async def __call__(self, request: Request) -> Response:
            self.requests = getattr(self, "requests", 0) + 1
            if self.requests == 6 or (self.requests > 6 and not passing):
                raise NotFound("no such path", status=404, sent="yes")
            return await super().__call__(request)

    ids = list(range(1, 801))
    if passing:
        assert (await walked(Lost(ids=ids), page_size=50, concurrency=concurrency))[0] == ids
    else:
        with pytest.raises(NotFound):
            await walked(Lost(ids=ids), page_size=50, concurrency=concurrency)


@pytest.mark.parametrize("times", [1, 2, 3, 10**6])
@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_a_range_that_is_not_found_again_and_again_hides_no_row(
    concurrency: int, times: int
) -> None:
    class Lost(Odd):
        """Does not find what lies above 300 and below 400, so many times."""

        left = times

        async def __call__(self, request: Request) -> Response:
            conditions = json.loads(dict(request.query).get("filter", "[]"))
            if any(300 <= each["value"] < 400 for each in conditions) and self.left:
                self.left -= 1
                raise NotFound("no such range", status=404, sent="yes")
            return await super().__call__(request)

    ids, found = list(range(1, 801)), list[int]()
    with contextlib.suppress(NotFound):
        async for record in Cdrs(Lost(ids=ids)).list(page_size=50, concurrency=concurrency):
            found.append(record.id)
        assert times < 10
    assert found == ids[: len(found)]
    assert (found == ids) == (times < 10)


@virtual
async def test_filters_that_leave_no_room_for_conditions_on_id_are_walked_by_page() -> None:
    long = Filter("name", "like", "x" * 3930)
    server = Odd(ids=list(range(1, 101)), conditions="for every row")
    found, progress = await walked(server, filters=long)
    assert found == list(range(1, 101))
    assert progress.strategy == "page"
    before = len(server.asked)
    with pytest.raises(ClientMisuse, match="too long for a keyset walk"):
        Cdrs(server).list(filters=long, walk="keyset")
    with pytest.raises(ClientMisuse, match="more than the"):
        Cdrs(server).list(filters=[long, where("name") == "y"])
    assert len(server.asked) == before


@pytest.mark.one_in(2)
@pytest.mark.parametrize("concurrency", [2, 8, 32])
def test_ranges_within_ranges_hold_no_more_pages_than_the_window(concurrency: int) -> None:
    draw, ids = random.Random(51), set[int]()

    def spread(low: int, high: int, count: int, depth: int) -> None:
        """Nine rows of ten in a hundredth of the ids, and so on."""
        if depth == 0:
            ids.update(draw.sample(range(low, high), min(count, high - low)))
            return
        width = max(2, (high - low) // 100)
        at = low + draw.randrange(high - low - width + 1)
        spread(at, at + width, count * 9 // 10, depth - 1)
        ids.update(draw.randrange(low, high) for _ in range(count // 10))

    spread(1, 10**15, 4000, 6)

    def held(tasks: weakref.WeakSet[asyncio.Task[Any]]) -> int:
        """The answers that are held; a function, so that the count itself holds none."""
        return sum(task.done() and not task.cancelled() for task in tasks)

    async def run() -> int:
        tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()

        def watched(loop: Any, work: Any, **more: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(work, loop=loop, **more)
            tasks.add(task)
            return task

        asyncio.get_running_loop().set_task_factory(watched)
        table, most, found = Table(sorted(ids)), 0, 0
        async for _ in Cdrs(table).list(page_size=10, concurrency=concurrency):
            found += 1
            if found % 50 == 0 and held(tasks) > most:
                gc.collect()  # what only a cycle refers to is held by nobody
                most = max(most, held(tasks))
        assert found == len(ids)
        return most

    assert asyncio.run(run()) <= concurrency + 6
