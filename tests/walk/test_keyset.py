"""The keyset walk: each row that stays is yielded once, in order, whatever comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from benchmarks.harness.clocks import VirtualLoop, virtual
from benchmarks.harness.responses import json_response
from tests.fakes.collections import HABITS, Table
from tests.fakes.handlers import full_chain
from voipstudio_cmb.errors import (
    BadRequest,
    ClientMisuse,
    NotFound,
    PageDrift,
    ServerFault,
    WalkError,
)
from voipstudio_cmb.filters import where
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.models import Cdr, Page
from voipstudio_cmb.retry import Backoff, RetryBudget
from voipstudio_cmb.services import Cdrs
from voipstudio_cmb.walk import Capabilities, Tasks
from voipstudio_cmb.walk.flights import Guess
from voipstudio_cmb.walk.ranges import Cutter

WINDOWS = (1, 2, 4, 16)


async def walked(table: Table, **options: Any) -> list[int]:
    walk = Cdrs(table).list(**{"walk": "keyset", "page_size": 10, "concurrency": 4, **options})
    return [record.id async for record in walk]


SHAPES = {
    "none": [],
    "one": [7],
    "a page less one": list(range(1, 10)),
    "a page": list(range(1, 11)),
    "a page and one": list(range(1, 12)),
    "even": list(range(3, 3000, 3)),
    "sparse": random.Random(1).sample(range(1, 2**53), 300),
    "clustered": [*range(1, 200), *range(10**9, 10**9 + 300), 2**53],
    "a cluster at the far end": [1, *range(2**53, 2**53 + 500)],
    "powers of two": [2**n for n in range(62)],
}


@pytest.mark.one_in(4)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("habit", HABITS)
@virtual
async def test_every_row_once_and_in_order(shape: str, habit: str, concurrency: int) -> None:
    table = Table(SHAPES[shape], **HABITS[habit])
    assert await walked(table, concurrency=concurrency) == sorted(set(SHAPES[shape]))
    assert table.most_flying <= max(concurrency, 1)


def _mutations(seed: int) -> Callable[[Table], None]:
    draw = random.Random(seed)
    ever: dict[str, Any] = {}

    def change(table: Table) -> None:
        ids = table.ids
        for _ in range(draw.choice((0, 0, 1, 3))):
            if ids and draw.random() < 0.5:
                ids.remove(draw.choice(ids))
            elif draw.random() < 0.6:
                ids.append(max(ids, default=0) + draw.randint(1, 5))  # as a new call back does
            else:
                new = draw.randint(1, max(ids, default=1) + 1)
                if new not in ids:
                    ids.append(new)

    ever["change"] = change
    return change


@settings(max_examples=2 * settings.default.max_examples)
@given(
    st.integers(0, 10**9),
    st.integers(0, 300),
    st.integers(1, 40),
    st.sampled_from([*range(1, 17)]),
    st.sampled_from(sorted(HABITS)),
)
def test_rows_may_come_and_go(
    seed: int, count: int, page_size: int, concurrency: int, habit: str
) -> None:
    draw = random.Random(seed)
    ids = sorted(draw.sample(range(1, 10 * count + 2), count))
    change = _mutations(seed)
    stayed, ever = set(ids), set(ids)

    def watched(table: Table) -> None:
        change(table)
        stayed.intersection_update(table.ids)
        ever.update(table.ids)

    async def run() -> None:
        table = Table(list(ids), change=watched, latency=0.01, **HABITS[habit])
        table.latency = 0.01
        try:
            found = await walked(table, page_size=page_size, concurrency=concurrency)
        except WalkError:
            return  # a tiny table may change too fast to prove anything: refused, and nothing lost
        assert found == sorted(set(found)), "out of order, or twice"
        assert stayed <= set(found), "lost"
        assert set(found) <= ever

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_it_ends_at_the_highest_id_of_its_beginning(concurrency: int) -> None:
    def grow(table: Table) -> None:
        table.ids.extend(range(table.ids[-1] + 1, table.ids[-1] + 50))

    table = Table(list(range(1, 101)), change=grow)
    found = await walked(table, concurrency=concurrency)
    assert set(range(1, 101)) <= set(found)
    assert len(table.asked) < 60


def _sequential(ids: list[int], page_size: int) -> int:
    return len(ids) // page_size + 1


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", [2, 8, 16])
@pytest.mark.parametrize("gap", [1, 7, 1000])
@virtual
async def test_evenly_spread_ids_cost_at_most_a_tenth_more_requests(
    concurrency: int, gap: int
) -> None:
    ids = list(range(1, 10_000 * gap, gap))
    table = Table(ids)
    await walked(table, page_size=100, concurrency=concurrency)
    assert len(table.asked) <= 1.1 * _sequential(ids, 100)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("concurrency", [2, 8, 16])
@pytest.mark.parametrize("seed", range(2))
@virtual
async def test_no_id_space_costs_more_than_twice_the_requests(concurrency: int, seed: int) -> None:
    draw = random.Random(seed)
    spaces = [
        [draw.randrange(1, 2**53) for _ in range(5000)],
        [int(2 ** (53 * draw.random())) + n for n in range(5000)],
        [c * 10**12 + n for c in draw.sample(range(1, 1000), 10) for n in range(500)],
        [1, *range(2**52, 2**52 + 5000)],
        [*range(1, 5000), 2**53],
    ]
    for ids in spaces:
        ids = sorted(set(ids))
        table = Table(ids)
        assert await walked(table, page_size=100, concurrency=concurrency) == ids
        assert len(table.asked) <= 2 * _sequential(ids, 100)


@virtual
async def test_a_window_walks_nearly_as_fast_as_the_latency_allows() -> None:
    table = Table(list(range(1, 10_001)), latency=0.05)
    began = asyncio.get_running_loop().time()
    await walked(table, page_size=100, concurrency=8)
    latencies = (asyncio.get_running_loop().time() - began) / 0.05
    assert latencies <= 1.15 * 14  # ceil((100 - 1) / 8) + 1
    assert table.most_flying <= 8


@pytest.mark.parametrize(("concurrency", "trips"), [(16, 2), (64, 2), (8, 3)])
@virtual
async def test_the_first_ranges_are_asked_for_while_the_server_is_probed(
    concurrency: int, trips: int
) -> None:
    table = Table(list(range(1, 5000, 7)), latency=0.05)  # 15 pages
    began = asyncio.get_running_loop().time()
    assert await walked(table, page_size=50, concurrency=concurrency) == table.ids
    assert asyncio.get_running_loop().time() - began == pytest.approx(trips * 0.05)
    assert table.most_flying <= concurrency


@pytest.mark.parametrize("gap", [1, 2, 5, 30])
@pytest.mark.parametrize("dense", [1, 6, 11, 16, 21])
@virtual
async def test_rows_behind_the_first_page_may_lie_otherwise_than_those_on_it(
    dense: int, gap: int
) -> None:
    ids = [*range(10, 210, 10), *range(210, 210 + dense), *range(300, 300 + 400 * gap, gap)]
    table = Table(ids)
    assert await walked(table, concurrency=16) == ids


@virtual
async def test_of_a_limit_no_more_is_asked_for_ahead() -> None:
    table = Table(list(range(1001, 2000)))
    assert len(await walked(table, concurrency=16, limit=25)) == 25
    assert len(table.asked) == 5  # both ends, the probe and two pages


class Stuck(Table):
    """One that never answers what is asked for behind the second page."""

    async def __call__(self, request: Request) -> Response:
        if any('"value":20}' in text for _, text in request.query):
            await asyncio.sleep(3600)
        return await super().__call__(request)


@pytest.mark.parametrize("last", [1, 11])
@virtual
async def test_nothing_is_left_of_what_was_asked_for_ahead(last: int) -> None:
    tasks = Tasks()
    walk = Cdrs(Stuck(list(range(1, 1000)), latency=0.05), tasks).list(
        walk="keyset", page_size=10, concurrency=16
    )
    async with walk:
        async for record in walk:
            if record.id == last:
                break
        assert len(tasks) > 0
    assert len(tasks) == 0


class Refusing(Table):
    """One that answers a range, which is a guess, by an error so many times."""

    def __init__(self, ids: list[int], error: Exception, times: int) -> None:
        super().__init__(ids, latency=0.05)
        self.error, self.times = error, times

    async def __call__(self, request: Request) -> Response:
        response = await super().__call__(request)
        if self.times and any('"value":30}' in text for _, text in request.query):
            self.times -= 1
            raise self.error
        return response


@pytest.mark.parametrize(
    "error",
    [
        ServerFault("Away", status=503, sent="maybe", retryable=True),
        NotFound("None", status=404, sent="yes"),
    ],
    ids=repr,
)
@virtual
async def test_a_guess_that_fails_is_asked_for_again_when_it_is_due(error: Exception) -> None:
    table = Refusing(list(range(1, 1000)), error, 1)
    assert await walked(table, concurrency=16) == table.ids
    assert table.times == 0


@pytest.mark.parametrize("concurrency", [4, 64])
@virtual
async def test_a_guess_is_tried_once(concurrency: int) -> None:
    table = Table(list(range(1, 3000)), latency=0.05)
    tried = list[Request]()

    async def away(request: Request) -> Response:
        if "filter" in dict(request.query):
            tried.append(request)
            raise ServerFault("Away", status=503, sent="maybe", retryable=True)
        return await table(request)

    budget = RetryBudget()
    handler = full_chain(away, budget=budget, policy=Backoff(attempts=3))
    with pytest.raises(ServerFault):
        await Cdrs(handler).list(walk="keyset", page_size=10, concurrency=concurrency).collect()
    guesses = Counter(id(each.call) for each in tried if each.call.once)
    assert len(guesses) == concurrency - 2
    assert {*guesses.values()} == {1}
    assert budget.used < 100


class Spoilt(Table):
    """One with rows without a usable id."""

    bad: range = range(0)

    async def __call__(self, request: Request) -> Response:
        found = json.loads((await super().__call__(request)).body)
        for row in found["data"]:
            if row["id"] in self.bad:
                row.update(id=f"{row['id']} ")
        return json_response(found)


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("bad", [(404, 416), (400, 440), (404, 410), (12, 60), (430, 450)])
@virtual
async def test_rows_behind_a_page_of_which_none_can_be_used_come(
    bad: tuple[int, int], concurrency: int
) -> None:
    ids = [*range(2, 400, 4), *range(400, 440), *range(440, 900, 4)]
    table, rejected = Spoilt(ids), set[bytes]()
    table.bad = range(*bad)
    walk = Cdrs(table).raw_pages(
        reject=lambda rows: rejected.update(row.json for row in rows),
        walk="keyset", page_size=10, concurrency=concurrency,
    )  # fmt: skip
    async with walk:
        found = [row.id async for page in walk for row in page.records]
    assert found == [id for id in ids if id not in table.bad]
    assert len(rejected) == len({*ids} & {*table.bad})


class OneFlies:
    """Stands in for `Flights`."""

    held = 0

    def take_off(self, _: Cutter, flying: Any, besides: int) -> None:
        flying.append((20, 30, None))

    def ask(self, low: int, high: int) -> Any:
        return low, high, None


def _page(*ids: int, unusable: int = 0) -> Page[Cdr]:
    return Page(records=[Cdr(id=id) for id in ids], number=1, total=50, unusable=unusable)


def test_a_guess_is_given_up_where_the_beginning_was_another_or_rows_lie_otherwise() -> None:
    first = _page(*range(1, 11))
    ahead = _page(*range(11, 21))

    def fitting(*given: Any) -> list[int] | None:
        page = Guess[Cdr](OneFlies(), first, 50).fitting(*given)  # type: ignore[arg-type]
        return page and [record.id for record in page.records]

    assert fitting(first, 50, ahead) == [*range(11, 21)]
    assert fitting(first, 50, _page(*range(12, 22))) == [*range(12, 21)]
    assert fitting(_page(*range(1, 11)), 50, ahead) is None
    assert fitting(first, 51, ahead) is None
    assert fitting(first, 50, _page(*range(11, 21), unusable=1)) is None
    assert fitting(first, 50, _page(*range(16, 26))) is None


@pytest.mark.parametrize("habit", ["ignore_filter", "refuse_filter", "ignore_sort"])
@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_does_not_honour_conditions_is_walked_by_page(
    habit: str, concurrency: int
) -> None:
    ids = [*range(50, 100), *range(1, 50)] if habit == "ignore_sort" else list(range(1, 100))
    table, capabilities = Table(ids, **{habit: True}), Capabilities()
    cdrs = Cdrs(table, None, capabilities)
    found = [r.id async for r in cdrs.list(walk="auto", page_size=10, concurrency=concurrency)]
    assert sorted(found) == list(range(1, 100))
    if habit != "ignore_sort":
        assert capabilities.refused == {"/callmeback/cdrs"}
        before = len(table.asked)
        await cdrs.list(walk="auto", page_size=10, concurrency=concurrency).collect()
        assert not any("filter" in query for query in table.asked[before:])
    with pytest.raises(WalkError, match="can't be walked by keyset"):
        await cdrs.list(walk="keyset", page_size=10, concurrency=concurrency).collect()


@virtual
async def test_a_proof_is_remembered() -> None:
    table, capabilities = Table(list(range(1, 100))), Capabilities()
    cdrs = Cdrs(table, None, capabilities)
    await cdrs.list(walk="auto", page_size=10, concurrency=4).collect()
    assert list(capabilities.supported) == ["/callmeback/cdrs"]
    first = len(table.asked)
    await cdrs.list(walk="auto", page_size=10, concurrency=4).collect()
    assert len(table.asked) - first <= first


@virtual
async def test_a_server_that_breaks_its_proof_is_reported() -> None:
    def turn(table: Table) -> None:
        table.ignore_filter = len(table.asked) > 8

    with pytest.raises(PageDrift, match="after it had proved"):
        await walked(Table(list(range(1, 200)), change=turn))


@virtual
async def test_conditions_of_the_callers_own_are_kept() -> None:
    table = Table(list(range(1, 200)))
    found = await walked(table, filters=where("id") > 50)
    assert found == list(range(51, 200))
    bad = Table(list(range(1, 200)), refuse_filter=True)
    with pytest.raises(BadRequest):
        await walked(bad, walk="auto", filters=where("nothing") == 1)


@pytest.mark.parametrize(
    "options", [{"walk": "keyset", "sort": "name"}, {"walk": "keyset", "descending": True},
                {"walk": "both"}],
)  # fmt: skip
def test_what_a_keyset_walk_cant_do_is_refused_at_the_call(options: Any) -> None:
    with pytest.raises(ClientMisuse, match=r"leave out sort|walk must be one of"):
        Cdrs(Table([])).list(**options)


@virtual
async def test_another_order_is_walked_by_page() -> None:
    table = Table(list(range(1, 30)))
    found = await walked(table, walk="auto", descending=True)
    assert found == list(range(29, 0, -1))
    assert not any("filter" in query for query in table.asked)


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_leaving_early_leaves_no_task(concurrency: int) -> None:
    tasks = Tasks()
    table = Table(list(range(1, 1000)), latency=1.0)
    cdrs = Cdrs(table, tasks)
    async with cdrs.list(walk="keyset", page_size=10, concurrency=concurrency) as walk:
        async for record in walk:
            if record.id == 35:
                break
    assert (len(tasks), table.flying) == (0, 0)


@given(
    st.integers(0, 2**53),
    st.integers(0, 2**53),
    st.integers(0, 10**6),
    st.integers(1, 5000),
    st.integers(1, 10**6),
    st.lists(st.integers(0, 10**4), max_size=50),
)
def test_ranges_cover_all_ids_without_gap_or_overlap(
    low: int, ids: int, rows: int, size: int, near: int, found: list[int]
) -> None:
    cutter, edge, high = Cutter(low, low + ids, rows, size, near), low, low + ids
    for learnt in found:
        cut = cutter.next(flying=0)
        if cut is None:
            assert edge == high
            break
        assert cut[0] == edge < cut[1] <= high
        edge = cut[1]
        cutter.learn(learnt)


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_an_empty_answer_that_says_that_there_are_rows_is_asked_for_again(
    concurrency: int,
) -> None:
    class Hiccup(Table):
        """Sends no rows once, with the total that it should have sent them with."""

        done = False

        async def __call__(self, request: Request) -> Response:
            response = await super().__call__(request)
            if len(self.asked) < 6 or self.done:
                return response
            content = json.loads(response.body)
            self.done = True
            return json_response({**content, "data": []})

    table = Hiccup(list(range(1, 200)))
    assert await walked(table, concurrency=concurrency) == list(range(1, 200))
    assert table.done


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_answers_any_condition_with_nothing_has_proved_nothing(
    concurrency: int,
) -> None:
    class Nothing(Table):
        async def __call__(self, request: Request) -> Response:
            response = await super().__call__(request)
            return (
                json_response({"data": [], "total": 0}) if "filter" in self.asked[-1] else response
            )

    ids, capabilities = list(range(1, 100)), Capabilities()
    cdrs = Cdrs(Nothing(ids), None, capabilities)
    assert [
        r.id async for r in cdrs.list(walk="auto", page_size=10, concurrency=concurrency)
    ] == ids
    assert (capabilities.supported, capabilities.refused) == ({}, {"/callmeback/cdrs"})


@pytest.mark.parametrize("walk", ["keyset", "auto"])
@virtual
async def test_a_single_row_on_the_first_page_proves_no_order(walk: Any) -> None:
    class Newest(Table):
        """Keeps conditions and an order of its own, and grows before it tells the highest ids."""

        async def __call__(self, request: Request) -> Response:
            if dict(request.query)["dir"] == "DESC" and 8 not in self.ids:
                self.ids.insert(0, 8)
            return await super().__call__(request)

    table = Newest([7, 5, 3, 1], ignore_sort=True)
    found: list[int] = []
    with contextlib.suppress(WalkError):
        async for record in Cdrs(table).list(walk=walk, page_size=1, concurrency=1):
            found.append(record.id)
        assert {1, 3, 5, 7} <= set(found)


@virtual
async def test_two_rows_that_fall_by_chance_are_not_the_highest() -> None:
    class Shuffled(Table):
        async def __call__(self, request: Request) -> Response:
            if dict(request.query)["dir"] == "DESC" and 13 not in self.ids:
                self.ids.insert(0, 13)
            return await super().__call__(request)

    table = Shuffled([5, 10, 3, 1], ignore_sort=True)
    found: list[int] = []
    with contextlib.suppress(WalkError):
        async for record in Cdrs(table).list(walk="keyset", page_size=2, concurrency=1):
            found.append(record.id)
        assert {1, 3, 5, 10} <= set(found)


@virtual
async def test_a_gap_that_has_a_total_is_not_asked_for_id_by_id() -> None:
    """Each total is one too high, so that a range in the gap seems to have a row."""
    ids = [n * 10**10 + id for n in range(6) for id in range(1, 7)]
    server = Table(list(ids), total=lambda count: count + 1)
    found = [r.id async for r in Cdrs(server).list(walk="keyset", page_size=1, concurrency=11)]
    assert found == ids
    assert len(server.asked) < 3 * len(ids)


@pytest.mark.parametrize("deaf", [{}, {"ignore_filter": True}, {"refuse_filter": True}], ids=str)
@virtual
async def test_the_first_record_takes_one_response_and_comes_once(deaf: dict[str, bool]) -> None:
    cdrs = Cdrs(Table(list(range(1, 36)), **deaf))
    async with cdrs.list(page_size=10) as walk:
        first = await anext(walk)
        assert (first.id, walk.progress.requests, walk.progress.seen) == (1, 2, 10)
        found = [first.id, *[record.id async for record in walk]]
    assert found == list(range(1, 36))
    assert (walk.progress.seen, walk.progress.pages) == (35, 4)
    assert walk.progress.strategy == ("page" if deaf else "keyset")


@virtual
async def test_who_wants_no_more_than_the_first_page_gets_a_cursor_by_keyset() -> None:
    cdrs = Cdrs(Table(list(range(1, 36))))
    walk = cdrs.list(page_size=10, limit=10)
    assert len(await walk.collect()) == 10
    assert str(walk.cursor).startswith("keyset:")
