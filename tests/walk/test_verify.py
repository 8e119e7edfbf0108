"""The page walk where its count does not come out: what it proves otherwise, what it refuses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from benchmarks.harness.clocks import VirtualLoop, virtual
from tests.fakes.collections import Jumbling, Odd, page
from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.walk.coverage import END, Coverage, page_over

CONCURRENCY = (1, 4, 16)


@attrs.define(kw_only=True)
class Server:
    """Sorts by id, and cuts its pages in a way of its own."""

    ids: list[int]
    cut: Callable[[list[int], int, int, bool], list[int]] = lambda ids, number, size, down: ids[
        (number - 1) * size : number * size
    ]
    """The rows of a page, by its number and size, and whether the highest come first."""
    total: Callable[[int, int], int | None] = lambda all_, here: all_
    """The total, by how many rows there are in all, and here."""
    change: Callable[[Server], object] = lambda server: None
    """Is called before each response."""
    views: Callable[[Server], list[int]] = lambda server: server.ids
    """The ids that the next response is made from."""
    first: int = 1
    """The number of the page that a request is for which names none."""
    asked: int = 0

    async def __call__(self, request: Request) -> Response:
        self.asked += 1
        assert self.asked < 2000, "it does not end"
        self.change(self)
        query, ids = dict(request.query), list(self.views(self))
        down = query["dir"] == "DESC"
        number, size = int(query.get("page", self.first)), int(query["limit"])
        shown = self.cut(ids[::-1] if down else ids, number, size, down)
        return page(shown, self.total(len(ids), len(shown)))


def sparse(count: int) -> list[int]:
    """So many ids, of which none follows another: what is between them is not known."""
    return list(range(3, 3 * count + 3, 3))


async def walked(server: Server | Odd, **options: Any) -> list[int]:
    walk = Cdrs(server).list(**{"walk": "page", "page_size": 50, "concurrency": 4, **options})
    return [record.id async for record in walk]


def _ends_at_row(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    start = (number - 1) * size
    return ids[start : start + size] if start < 500 else []


def _ends_at_page(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    return ids[(number - 1) * size : number * size] if number <= 10 else []


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("cut", [_ends_at_row, _ends_at_page])
@pytest.mark.parametrize("capped", [False, True])
@pytest.mark.parametrize("change", ["none", "the highest go", "more come"])
@virtual
async def test_a_server_that_ends_its_pages_before_its_rows_is_noticed(
    change: str, capped: bool, cut: Any, concurrency: int
) -> None:
    def changed(server: Server) -> None:
        if server.asked == 8 and change == "the highest go":
            del server.ids[-2:]
        if server.asked == 8 and change == "more come":
            server.ids.extend(range(3001, 3061))

    def total(all_: int, here: int) -> int:
        return min(all_, 500) if capped else all_

    with pytest.raises(PageDrift):
        server = Server(ids=sparse(1000), cut=cut, change=changed, total=total)
        await walked(server, concurrency=concurrency)


def _by_bytes(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    found = ids[(number - 1) * size : number * size]
    return found[:33] if found and max(found) > 900 else found


def _short_once(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    found = ids[(number - 1) * size : number * size]
    return found[:33] if number == 7 and not down else found


def _later(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    size = size if number < 3 else 80
    return ids[(number - 1) * size : number * size]


def _from_zero(ids: list[int], number: int, size: int, down: bool) -> list[int]:
    return ids[number * size : (number + 1) * size]


TOTALS: dict[str, Callable[[int, int], int | None]] = {
    "right": lambda all_, here: all_,
    "missing": lambda all_, here: None,
    "of the page": lambda all_, here: here,
    "of everything": lambda all_, here: all_ + 300,
    "capped": lambda all_, here: min(all_, 100),
    "rounded": lambda all_, here: round(all_, -2),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("total", TOTALS.values(), ids=TOTALS.keys())
@pytest.mark.parametrize("cut", [_by_bytes, _short_once])
@virtual
async def test_pages_that_come_short_hide_no_row(cut: Any, total: Any, concurrency: int) -> None:
    server = Server(ids=sparse(680), cut=cut, total=total)
    assert sorted(await walked(server, concurrency=concurrency)) == sparse(680)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("total", TOTALS.values(), ids=TOTALS.keys())
@pytest.mark.parametrize("cut", [_later, _from_zero])
@pytest.mark.parametrize("page_size", [1, 2, 50])
@virtual
async def test_pages_that_leave_rows_out_for_good_are_refused(
    page_size: int, cut: Any, total: Any, concurrency: int
) -> None:
    with pytest.raises(PageDrift):
        server = Server(ids=sparse(680 if page_size == 50 else 200), cut=cut, total=total)
        await walked(server, page_size=page_size, concurrency=concurrency)


@pytest.mark.parametrize("total", TOTALS.values(), ids=TOTALS.keys())
@virtual
async def test_an_honest_server_with_any_total_is_walked_whole(total: Any) -> None:
    for page_size, concurrency in ((1, 1), (1, 4), (2, 1), (7, 4), (50, 1), (500, 16)):
        for count in (0, 1, 2, 3, 7, 8, 50, 100):
            server = Server(ids=sparse(count), total=total)
            found = await walked(server, page_size=page_size, concurrency=concurrency)
            assert found == sparse(count)


class Jumbled(Jumbling, Server):
    pass


def _outcomes(make: Callable[[random.Random, set[int]], Jumbled]) -> tuple[int, int]:
    """How many of 40 walks ended, and how many raised; none may miss a row that stayed."""
    ends = [0, 0]
    for seed in range(40):
        draw, stayed = random.Random(seed), set(sparse(120))
        server = make(draw, stayed)
        server.draw = draw
        size, concurrency = draw.choice((1, 2, 5, 10, 30)), draw.choice(CONCURRENCY)
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            try:
                walk = walked(server, page_size=size, concurrency=concurrency)
                found = runner.run(walk)
            except PageDrift:
                ends[1] += 1
                continue
        ends[0] += 1
        assert len(found) == len(set(found))
        assert stayed <= set(found), f"lost with seed {seed}"
    return ends[0], ends[1]


def test_rows_that_are_only_inserted_hide_none_from_pages_in_flight() -> None:
    def make(draw: random.Random, stayed: set[int]) -> Jumbled:
        def change(server: Server) -> None:
            if draw.random() < 0.15:
                server.ids = sorted({*server.ids, draw.randrange(1, 360)})

        return Jumbled(ids=sparse(120), change=change)

    assert _outcomes(make)[0] >= 30


@virtual
async def test_the_highest_rows_in_another_order_close_no_gap() -> None:
    """Ids compared as text: a page of 1 shows no order, and the highest is "6"."""
    ids = [*range(1, 7), *range(1_000_007, 1_000_012)]
    for walk in ("auto", "page"):
        server = Odd(ids=ids, order="as text", conditions="as text")
        assert sorted(await walked(server, walk=walk, page_size=1)) == ids


@virtual
async def test_rows_that_come_late_are_in_order_on_their_page() -> None:
    server = Odd(ids=[1, 2, 3, 4, 5], rows_cap=3, total="of the page")
    assert await walked(server, walk="page", page_size=5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("random_turns", [False, True])
def test_two_replicas_of_which_one_is_behind_hide_no_row(random_turns: bool) -> None:
    def make(draw: random.Random, stayed: set[int]) -> Jumbled:
        before = [sparse(120)]

        def change(server: Server) -> None:
            if draw.random() < 0.15:
                gone = draw.choice(server.ids)
                stayed.discard(gone)
                server.ids = [id for id in server.ids if id != gone]
            before.append(server.ids)

        def views(server: Server) -> list[int]:
            behind = draw.random() < 0.5 if random_turns else server.asked % 2
            return before[max(0, len(before) - 6)] if behind else server.ids

        return Jumbled(ids=sparse(120), change=change, views=views)

    assert _outcomes(make)[0] >= 30


@pytest.mark.one_in(3)
@pytest.mark.parametrize("total", [TOTALS["right"], TOTALS["missing"]])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
@pytest.mark.parametrize("concurrency", CONCURRENCY)
@virtual
async def test_rows_that_come_faster_than_they_are_read_are_not_run_after(
    concurrency: int, count: int, total: Any
) -> None:
    def flood(server: Server) -> None:
        server.ids.extend(range(server.ids[-1] + 1 if server.ids else 1, 10**6)[:2])

    server = Server(ids=sparse(count), change=flood, total=total)
    found = await walked(server, page_size=1, concurrency=concurrency)
    assert set(sparse(count)) <= set(found)
    assert server.asked < 200


@virtual
async def test_a_table_of_which_nothing_is_left_has_been_walked() -> None:
    def emptied(server: Server) -> None:
        if server.asked == 4:
            server.ids.clear()

    assert len(await walked(Server(ids=sparse(200), change=emptied), concurrency=1)) == 100


@pytest.mark.parametrize(("at", "left"), [(16, 85), (19, 90), (20, 89)])
@virtual
async def test_a_table_that_has_lost_its_end_since_is_walked_without_an_order(
    at: int, left: int
) -> None:
    def unsorted(ids: list[int], number: int, size: int, down: bool) -> list[int]:
        return sorted(ids)[(number - 1) * size : number * size]

    def shrunk(server: Server) -> None:
        if server.asked == 6:
            del server.ids[60]  # it has not come, so that the count proves nothing
        if server.asked == at:
            del server.ids[left:]

    server = Server(ids=sparse(100), cut=unsorted, change=shrunk)
    found = await walked(server, page_size=10, concurrency=1)
    assert found == [id for id in sparse(100) if id != 183]
    assert server.asked > at


def test_what_is_covered_joins_where_it_meets() -> None:
    draw = random.Random(1)
    for _ in range(200):
        coverage, covered = Coverage(), {0}
        for _ in range(draw.randrange(8)):
            low = draw.randrange(1, 30)
            high = low + draw.randrange(6)
            coverage.add(low, high)
            covered |= {*range(low, high + 1)}
        assert [id for id in range(40) if id in coverage] == sorted(covered)
        assert coverage.last_gap == (max(covered), END)
        coverage.add(max(covered) + 1, END)
        gaps = [id for id in range(max(covered)) if id not in covered]
        gap = coverage.last_gap
        assert (gap is None) == (not gaps)
        if gap is not None:
            assert gap[1] == max(gaps) + 1


def test_what_is_not_certain_any_more_is_no_longer_covered() -> None:
    coverage = Coverage(20)
    coverage.add(15, 30)
    coverage.add(40, END)
    coverage.uncover(20)
    assert [id for id in range(50) if id in coverage] == [0, *range(20, 31), *range(40, 50)]
    coverage.add(31, 39)
    assert coverage.last_gap == (0, 20)


def test_a_page_over_a_border_has_rows_on_both_sides() -> None:
    for most in (2, 3, 8, 9, 10, 11, 50):
        for border in range(1, 5100):
            number, size = page_over(border, most)
            assert (number - 1) * size < border < number * size
            assert size <= most or not any(border % size for size in range((most + 1) // 2, most))
        for border in range(1, 5100, 7):
            number, size = page_over(border, most, after=True)
            assert (number - 1) * size < border < number * size
            assert border <= most or most < 50 or number * size - border >= size / 2


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize(("page_size", "rows"), [(3, 850), (10, 2600)])
@virtual
async def test_a_border_that_all_sizes_of_pages_share_is_no_loss(
    page_size: int, rows: int, concurrency: int
) -> None:
    def changed(server: Server) -> None:
        if server.asked == 20:
            del server.ids[-2]

    server = Server(ids=sparse(rows), change=changed)
    found = await walked(server, page_size=page_size, concurrency=concurrency)
    assert {*server.ids} <= {*found}
    assert len(found) == len({*found})


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize(("cap", "page_size"), [(33, 50), (20, 500)])
@virtual
async def test_a_cap_that_the_total_hides_is_no_loss(
    page_size: int, cap: int, concurrency: int
) -> None:
    def capped(ids: list[int], number: int, size: int, down: bool) -> list[int]:
        size = min(size, cap)
        return ids[(number - 1) * size : number * size]

    server = Server(ids=sparse(3000), cut=capped, total=lambda all_, here: here)
    found = await walked(server, page_size=page_size, concurrency=concurrency)
    assert sorted(found) == server.ids


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("page_size", [10, 50])
@virtual
async def test_the_oldest_rows_may_go_all_the_time(page_size: int, concurrency: int) -> None:
    server = Server(ids=sparse(1500), change=lambda server: server.ids.pop(0))
    found = await walked(server, page_size=page_size, concurrency=concurrency)
    assert {*server.ids} <= {*found}


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("total", [None, lambda all_, here: None])
@virtual
async def test_a_walk_finds_back_from_far_behind_the_last_row(total: Any, concurrency: int) -> None:
    def changed(server: Server) -> None:
        if server.asked == 80:
            del server.ids[:400]

    server = Server(ids=sparse(1000), change=changed)
    server.total = total or server.total
    found = await walked(server, page_size=10, concurrency=concurrency)
    assert {*server.ids} <= {*found}


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize(("page_size", "rows"), [(50, 50), (10, 60), (20, 100)])
@virtual
async def test_rows_that_come_before_the_first_page_do_not_make_page_2_the_first_again(
    page_size: int, rows: int, concurrency: int
) -> None:
    def changed(server: Server) -> None:
        if server.asked < 9:
            server.ids.insert(0, 100 - server.asked)

    ids = [id + 100 for id in sparse(rows)]
    server = Server(ids=list(ids), change=changed)
    found = await walked(server, page_size=page_size, concurrency=concurrency)
    assert {*ids} <= {*found}


@pytest.mark.parametrize("concurrency", CONCURRENCY)
@pytest.mark.parametrize("page_size", [50, 500])
@pytest.mark.parametrize("rows", [1, 2, 3, 50])
@pytest.mark.parametrize("walk", ["page", "auto"])
@virtual
async def test_a_page_0_that_holds_everything_is_walked(
    walk: str, rows: int, page_size: int, concurrency: int
) -> None:
    server = Server(
        ids=sparse(rows),
        cut=lambda ids, number, size, down: ids[number * size : (number + 1) * size],
        first=0,
    )
    found = await walked(server, walk=walk, page_size=page_size, concurrency=concurrency)
    assert found == sparse(rows)


@pytest.mark.parametrize("walk", ["page", "auto", "keyset"])
@virtual
async def test_a_total_that_claims_rows_where_there_are_none_is_no_page_0(walk: str) -> None:
    server = Server(ids=[], total=lambda all_, here: 3)
    assert await walked(server, walk=walk) == []


@virtual
async def test_a_row_that_comes_while_page_0_is_looked_for_is_none_of_it() -> None:
    for when in range(1, 12):

        def changed(server: Server, when: int = when) -> None:
            if server.asked == when:
                server.ids.append(7)

        server = Server(ids=[], total=lambda all_, here: 3, change=changed)
        assert await walked(server) in ([], [7])
