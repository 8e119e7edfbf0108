"""What a keyset walk makes sure of before it ends: no row was left out of what it asked for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import Any

import pytest

from benchmarks.harness.clocks import virtual
from tests.fakes.collections import Odd, page, take
from voipstudio_cmb.errors import PageDrift, WalkError
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.walk import Capabilities
from voipstudio_cmb.walk.cursor import is_resumable

WAYS = [(10, 1), (10, 4), (100, 1), (100, 4)]
"""Page sizes and concurrencies."""

PROVED_WRONG = [
    ("as text", range(9001, 12001, 5)),
    ("as text", range(90, 131)),
    ("as text", [*range(5, 60), *range(2000, 2400)]),
    ("as text", [*range(995, 1150), *range(9950, 10_050)]),
    ("up to 2^31", range(2**31 - 150, 2**31 + 150)),
    ("up to 2^31", [*range(1, 200), *range(3 * 10**9, 3 * 10**9 + 200)]),
    ("up to 2^31", range(3 * 10**9, 3 * 10**9 + 300)),
    ("up to 2^53", range(2**53 - 150, 2**53 + 150)),
]


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("page_size", "concurrency"), WAYS)
@pytest.mark.parametrize(("conditions", "ids"), PROVED_WRONG)
@virtual
async def test_conditions_that_are_right_for_some_ids_are_found_out(
    conditions: str, ids: Any, page_size: int, concurrency: int
) -> None:
    options: Any = {"page_size": page_size, "concurrency": concurrency}
    for total in ("exact", "missing", "of the page"):
        server = Odd(ids=list(ids), conditions=conditions, total=total)
        if len(ids) > page_size:
            found: list[int] = []
            with contextlib.suppress(WalkError):  # before anything is handed out
                async for record in Cdrs(server).list(walk="keyset", **options):
                    found.append(record.id)
            assert found == []
        if total != "of the page":
            assert [record.id async for record in Cdrs(server).list(**options)] == list(ids)


@pytest.mark.parametrize(("page_size", "concurrency"), WAYS)
@pytest.mark.parametrize(
    ("conditions", "before", "since"),
    [
        ("as text", range(9000, 9500), range(9500, 12_000, 5)),
        ("up to 2^31", range(2**31 - 300, 2**31), range(2**31, 2**31 + 200)),
    ],
)
@virtual
async def test_what_was_proved_of_short_ids_is_not_taken_for_longer_ones(
    conditions: str, before: range, since: range, page_size: int, concurrency: int
) -> None:
    server = Odd(ids=list(before), conditions=conditions)
    cdrs = Cdrs(server, None, Capabilities())
    options: Any = {"page_size": page_size, "concurrency": concurrency}
    walk = cdrs.list(**options)
    await take(walk, 150)
    assert [record.id async for record in cdrs.list(**options)] == list(before)
    server.ids.extend(since)
    rest = [record.id async for record in cdrs.list(cursor=walk.cursor, **options)]
    assert rest == list(before)[150:]  # up to its own end, which is as long as before
    assert [record.id async for record in cdrs.list(**options)] == [*before, *since]


@virtual
async def test_what_was_proved_of_two_lengths_apart_is_not_taken_for_both_together() -> None:
    server = Odd(ids=list(range(1, 14, 2)), conditions="as text", total="missing")
    cdrs = Cdrs(server, None, Capabilities())
    for page_size in (6, 1, 1):
        options: Any = {"page_size": page_size, "concurrency": 4}
        assert [record.id async for record in cdrs.list(**options)] == server.ids


@virtual
async def test_what_was_proved_of_all_lengths_is_not_proved_again() -> None:
    server = Odd(ids=list(range(1, 1201)))
    cdrs = Cdrs(server, None, Capabilities())
    for requests in (2 + 13 - 1, 2 + 12 - 1):  # the ends, the pages but the first, the probe once
        before = len(server.asked)
        await cdrs.list(page_size=100, concurrency=1).collect()
        assert len(server.asked) - before == requests
    server.ids.append(10_000)
    before = len(server.asked)
    await cdrs.list(page_size=100, concurrency=1).collect()
    assert len(server.asked) - before <= 2 + 13


@virtual
async def test_totals_are_not_looked_behind_once_one_has_counted_more_than_its_page() -> None:
    server = Odd(ids=sorted(random.Random(7).sample(range(1000, 9000), 1200)))
    cdrs = Cdrs(server, None, Capabilities())
    await cdrs.list(page_size=100, limit=50).collect()
    for _ in range(2):
        before = len(server.asked)
        await cdrs.list(page_size=100, concurrency=4).collect()
        assert len(server.asked) - before < 1.5 * 12


@pytest.mark.parametrize("grows", [False, True])
@pytest.mark.parametrize(("page_size", "concurrency"), WAYS)
@virtual
async def test_the_highest_id_has_to_come_or_be_gone(
    page_size: int, concurrency: int, grows: bool
) -> None:
    def more(server: Odd, query: dict[str, str]) -> None:
        if grows:
            top = server.ids[-1]
            server.ids.extend(range(top + 1, top + 4))
            server.ids.remove(top)

    ids = [*range(20_000, 20_090), *range(20_150, 20_350)]
    server = Odd(ids=ids, conditions="up to 20,100", change=more)
    cdrs = Cdrs(server, None, Capabilities())
    with pytest.raises(WalkError, match="has left out rows|after it had proved|by keyset"):
        await cdrs.list(page_size=page_size, concurrency=concurrency, walk="keyset").collect()
    server.change = lambda server, query: None
    found = [record.id async for record in cdrs.list(page_size=page_size, concurrency=concurrency)]
    assert found == server.ids, "it is not refused"


@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_rows_that_come_above_the_last_one_are_no_drift(concurrency: int) -> None:
    def late(server: Odd, query: dict[str, str]) -> None:
        if "filter" in query and 300 in server.ids and len(server.asked) > 30:
            server.ids.remove(300)
        if query["dir"] == "DESC" and "1" in query.get("page", "1") and 300 not in server.ids:
            server.ids = sorted({*server.ids, 297})

    ids = [*range(1, 290), 300]
    server = Odd(ids=ids, change=late)
    walk = Cdrs(server).list(page_size=10, concurrency=concurrency, walk="keyset")
    found = [record.id async for record in walk]
    assert found == [*range(1, 290), 297] or found == [*ids]


@pytest.mark.parametrize("page_size", [10, 25])
@pytest.mark.parametrize("concurrency", [1, 4, 16])
@virtual
async def test_rows_that_the_totals_still_claim_are_missed(
    concurrency: int, page_size: int
) -> None:
    ids = list(range(1000, 1300))
    server = Odd(ids=ids, conditions="for no bound in the 1060s")
    walk = Cdrs(server).list(page_size=page_size, concurrency=concurrency, walk="keyset")
    found: list[int] = []
    with contextlib.suppress(PageDrift):
        async for record in walk:
            found.append(record.id)
        assert found == ids


@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_totals_that_count_rows_where_none_can_be_miss_none(concurrency: int) -> None:
    def change(server: Odd, query: dict[str, str]) -> None:
        if len(server.asked) in (2, 4):
            server.ids.pop(0)
        if len(server.asked) == 4:
            server.ids.pop()

    server = Odd(ids=list(range(100, 120)), total="too high", change=change)
    walk = Cdrs(server).list(page_size=7, concurrency=concurrency, walk="keyset")
    assert {*server.ids[2:-1]} <= {record.id async for record in walk}


@pytest.mark.one_in(2)
@pytest.mark.parametrize("concurrency", [4, 1])
@virtual
async def test_rows_that_come_behind_the_walk_are_no_drift(concurrency: int) -> None:
    for seed in range(20):
        draw = random.Random(seed)

        def change(server: Odd, query: dict[str, str], draw: random.Random = draw) -> None:
            if draw.random() < 0.5:
                server.ids.remove(draw.choice(server.ids[-100:-1]))
            server.ids = sorted({*server.ids, *draw.choices(range(1, 200), k=2)})

        server = Odd(ids=list(range(2, 1000, 2)), change=change)
        walk = Cdrs(server).list(page_size=20, concurrency=concurrency, walk="keyset")
        found = [record.id async for record in walk]
        assert {*range(200, 1000, 2)} & {*server.ids} <= {*found}


# Totals that show no end.


@pytest.mark.one_in(3)
@pytest.mark.parametrize("heavy", [range(300, 900), range(1, 300), range(500, 505)])
@pytest.mark.parametrize("total", ["of the page", "of the page by id", "rounded down"])
@pytest.mark.parametrize("concurrency", [1, 4])
@virtual
async def test_totals_that_show_no_end_are_looked_behind(
    concurrency: int, total: str, heavy: range
) -> None:
    class Cut(Odd):
        """Ends a page where it would be too large, and its total shows no end."""

        async def __call__(self, request: Request) -> Response:
            content = json.loads((await super().__call__(request)).body)
            ids, weight = [], 0
            for each in content["data"]:
                weight += 5 if each["id"] in heavy else 1
                if ids and weight > 30:
                    break
                ids.append(each["id"])
            if total == "rounded down":
                return page(ids, content["total"] // 10 * 10)
            right = total != "of the page" and "filter" not in self.asked[-1]
            return page(ids, content["total"] if right else len(ids))

    server = Cut(ids=list(range(1, 901)))
    cdrs = Cdrs(server, None, Capabilities())
    for options in ({"limit": 20}, {}, {}):
        server.asked.clear()
        walk = cdrs.list(page_size=30, concurrency=concurrency, walk="keyset", **options)
        found = [record.id async for record in walk]
        assert found == list(range(1, len(found) + 1))
        assert len(found) == options.get("limit", 900)
    await take(walk := cdrs.list(page_size=30, concurrency=concurrency), 250)
    rest = [record.id async for record in cdrs.list(cursor=walk.cursor, page_size=30)]
    assert rest == list(range(251, 901))


# Rows that come while a walk begins.


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@virtual
async def test_rows_that_come_while_it_begins_leave_it_its_end(count: int) -> None:
    class Growing(Odd):
        """Answers after a while, and there is a new row by then."""

        async def __call__(self, request: Request) -> Response:
            if dict(request.query)["dir"] == "ASC":
                await asyncio.sleep(1)
                self.ids.append(max(self.ids, default=0) + 1)
            return await super().__call__(request)

    server = Growing(ids=list(range(1, count + 1)))
    walk = Cdrs(server).list(page_size=100, walk="keyset")
    found = [record.id async for record in walk]
    assert found == list(range(1, found[-1] + 1))
    assert walk.progress.through == found[-1] > count


@virtual
async def test_a_row_that_comes_below_the_first_page_is_not_handed_out_behind_it() -> None:
    def change(server: Odd, query: dict[str, str]) -> None:
        if "filter" in query and 4 not in server.ids:
            server.ids = [4, 10, 20, 30]  # without the highest, so that it begins again

    server = Odd(ids=[10, 20, 30, 40, 50], total="missing", change=change)
    walk = Cdrs(server).list(page_size=3)
    assert [record.id async for record in walk] == [10, 20, 30]
    assert walk.progress.seen == 3


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 6, 7, 8, 20])
@pytest.mark.parametrize("gone", [(), (1,), (1, 2, 50_000), (2, 3, 4, 5, 6)])
@virtual
async def test_ids_that_are_sorted_as_text_and_compared_as_numbers_lose_no_row(
    page_size: int, gone: tuple[int, ...]
) -> None:
    """The first page ascends all the same: 1, 10007, 10008, and 2 comes behind all of those."""
    all_ids = [*range(1, 7), *range(10_007, 10_013), *range(20_013, 20_037), 50_000, 60_000]
    ids, asked = [*all_ids], 0

    async def network(request: Request) -> Response:
        nonlocal asked
        query, asked = dict(request.query), asked + 1
        if asked % 4 == 0 and asked // 4 <= len(gone):
            ids.remove(gone[asked // 4 - 1])
        found = sorted(ids, key=str, reverse=query["dir"] == "DESC")
        for condition in json.loads(query.get("filter", "[]")):
            above = condition["operator"] == "gt"
            found = [id for id in found if (id > condition["value"]) == above]
        start = (int(query.get("page", 1)) - 1) * page_size
        size = min(page_size, int(query["limit"]))
        return page(found[start : start + size], len(found))

    came, cursor = list[int](), None
    for _ in range(2):  # a walk that is resumed elsewhere finds it out too
        walk = Cdrs(network).list(page_size=page_size, concurrency=1, cursor=cursor)
        try:
            async for record in walk:
                came.append(record.id)
        except WalkError:
            if is_resumable(cursor := walk.cursor):
                continue
        else:
            assert {*all_ids} - {*gone} <= {*came}
        break
    assert len(came) == len({*came})
