"""The page walk while rows come and go: what is repaired, what is refused, and going on later."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from array import array
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from benchmarks.harness.clocks import VirtualLoop, virtual
from benchmarks.harness.responses import json_response
from tests.fakes.collections import HABITS, Jumbling, Pages, Table, take
from voipstudio_cmb.errors import BadRequest, ClientMisuse, NotFound, PageDrift, WalkError
from voipstudio_cmb.filters import where
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.services import Cdrs, Visitors
from voipstudio_cmb.walk.ids import ids_of

WINDOWS = (1, 2, 3, 8)


def moving(changes: dict[int, Callable[[Table], object]], count: int = 50, **habits: Any) -> Table:
    """A table of rows 1 to *count* in which *changes* happen right before the n-th answer."""

    answers = iter(range(1, 10_000))

    def change(table: Table) -> None:
        if happens := changes.get(next(answers)):
            happens(table)

    return Table(list(range(1, count + 1)), change=change, **habits)


def gone(*ids: int) -> Callable[[Table], object]:
    return lambda table: [table.ids.remove(id) for id in ids]


def come(*ids: int) -> Callable[[Table], object]:
    return lambda table: table.ids.extend(ids)


def both(*changes: Callable[[Table], object]) -> Callable[[Table], object]:
    return lambda table: [change(table) for change in changes]


async def walked(table: Table, **options: Any) -> tuple[list[int], Any]:
    walk = Cdrs(table).list(**{"walk": "page", "page_size": 10, "concurrency": 1, **options})
    return [record.id async for record in walk], walk.progress


# One request after the other: the highest id is the first, page 1 the second, page 2 the third.


@virtual
async def test_a_row_that_has_crossed_a_border_is_yielded_in_its_place() -> None:
    table = moving({3: gone(4)})
    found, progress = await walked(table)
    assert found == list(range(1, 51))
    assert (progress.repaired, progress.strategy) == (1, "page")
    assert len(table.asked) == 6 + 1  # and page 1 once more


@virtual
async def test_rows_that_have_crossed_several_pages_are_looked_for_until_known_ones_come() -> None:
    table = moving({4: gone(*range(1, 16))})
    found, progress = await walked(table)
    assert found == list(range(1, 51))
    assert progress.repaired == 15
    assert [query.get("page") for query in table.asked] == [None, None, *"232", None, "4"]


@virtual
async def test_a_row_that_has_crossed_the_last_border_is_found() -> None:
    table = moving({7: gone(4)}, ignore_sort=True)  # highest, 1, the total's row, 2 to 5
    found, progress = await walked(table)
    assert (found, progress.repaired) == (list(range(1, 51)), 1)


@virtual
async def test_a_row_hidden_by_a_deletion_and_an_addition_at_once_is_found_late() -> None:
    table = moving({3: both(gone(4), come(51))})
    found, progress = await walked(table)
    assert found == [*range(1, 11), *range(12, 52), 11]
    assert progress.repaired == 1


@virtual
async def test_a_row_deleted_before_it_came_costs_nothing_where_no_id_is_left_out() -> None:
    table = moving({3: gone(44)})
    found, progress = await walked(table)
    assert found == [*range(1, 44), *range(45, 51)]
    assert (progress.repaired, len(table.asked)) == (0, 7)


@virtual
async def test_a_row_deleted_before_it_came_costs_a_look_across_each_border() -> None:
    table = moving({3: gone(132)})
    table.ids = [3 * id for id in range(1, 51)]
    found, progress = await walked(table)
    assert found == [id for id in range(3, 153, 3) if id != 132]
    # And page 1 in two sizes, and one without a number.
    assert (progress.repaired, len(table.asked)) == (0, 7 + 4 + 3)


class Late(Table):
    """Answers last of all what the highest id is, and changes right before."""

    async def __call__(self, request: Request) -> Response:
        if dict(request.query)["dir"] == "DESC":
            await asyncio.sleep(1)
            both(gone(4), come(51))(self)
        return await super().__call__(request)


@pytest.mark.parametrize("concurrency", [2, 3, 8])
@virtual
async def test_a_change_between_the_first_page_and_the_highest_id_is_noticed(
    concurrency: int,
) -> None:
    found, _ = await walked(Late(list(range(1, 51))), concurrency=concurrency)
    assert sorted(set(found) - {51}) == list(range(1, 51))
    assert len(found) == len(set(found))


@virtual
async def test_rows_that_are_added_all_the_time_are_not_run_after() -> None:
    def grow(table: Table) -> None:
        table.ids.extend(range(table.ids[-1] + 1, table.ids[-1] + 31))

    table = Table(list(range(1, 51)), change=grow)
    found, _ = await walked(table)
    assert found[:50] == list(range(1, 51))
    assert len(table.asked) < 20


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_newest_first_is_walked_without_loss_while_rows_are_added(concurrency: int) -> None:
    def grow(table: Table) -> None:
        table.ids.append(table.ids[-1] + 1)

    table = Table(list(range(1, 51)), change=grow)
    found, _ = await walked(table, concurrency=concurrency, descending=True)
    assert set(range(1, 51)) <= set(found)
    assert len(found) == len(set(found))


@virtual
async def test_another_order_in_which_rows_vanish_each_time_is_refused_with_the_evidence() -> None:
    def shrink(table: Table) -> None:
        table.ids.pop(len(table.ids) // 2)

    found: list[int] = []
    table = Table(list(range(1, 101)), change=shrink)
    with pytest.raises(PageDrift, match="walked 3 times") as caught:
        async for record in Cdrs(table).list(descending=True, page_size=10, concurrency=1):
            found.append(record.id)
    assert "rows at the beginning: " in caught.value.evidence
    assert set(table.ids) <= set(found)


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("total", [lambda count: count, lambda count: None])
@virtual
async def test_an_order_of_the_servers_own_is_walked_until_it_shows_the_same(
    concurrency: int, total: Any
) -> None:
    ids = random.Random(4).sample(range(1, 1000), 60)
    table = Table(ids, ignore_sort=True, total=total)
    found, _ = await walked(table, concurrency=concurrency)
    assert found == ids


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_refuses_to_sort_is_walked_as_it_is(concurrency: int) -> None:
    class Unsorted(Table):
        async def __call__(self, request: Request) -> Response:
            if "sort" in dict(request.query):
                self.asked.append({})
                raise BadRequest("Validation error", status=400, sent="yes")
            return await super().__call__(
                request.with_changes(query=(*request.query, ("dir", "ASC")))
            )

    table = Unsorted(list(range(1, 51)))
    cdrs = Cdrs(table)
    for walk in ("page", "auto"):
        refused = table.asked.count({})
        found = [r.id async for r in cdrs.list(walk=walk, page_size=10, concurrency=concurrency)]  # type: ignore[arg-type]  # the literals
        assert found == list(range(1, 51))
    assert table.asked.count({}) == refused  # it is remembered
    with pytest.raises(BadRequest):
        await cdrs.list(sort="name").collect()


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_answers_its_last_page_again_past_the_end(concurrency: int) -> None:
    class Clamping(Table):
        async def __call__(self, request: Request) -> Response:
            page = min(request.page or 1, 5)
            query = tuple((k, str(page) if k == "page" else v) for k, v in request.query)
            return await super().__call__(request.with_changes(query=query))

    for total in (lambda count: None, lambda count: count + 5):
        found, _ = await walked(Clamping(list(range(1, 46)), total=total), concurrency=concurrency)
        assert found == list(range(1, 46))


@virtual
async def test_a_row_twice_on_a_page_is_yielded_once_as_it_came_last() -> None:
    async def twice(request: Request) -> Response:
        return json_response(
            {"data": [{"id": 1, "name": "old"}, {"id": 1, "name": "new"}], "total": 1}
        )

    walk = Cdrs(twice).list(walk="page", concurrency=1)
    assert [(r.id, r.name) async for r in walk] == [(1, "new")]
    assert walk.progress.repeated > 0


@virtual
async def test_a_row_that_is_looked_for_late_is_not_given_up_for_an_empty_page() -> None:
    class Hiccup(Table):
        async def __call__(self, request: Request) -> Response:
            response = await super().__call__(request)
            firsts = [q for q in self.asked if ("page" in q, q["dir"]) == (False, "ASC")]
            if len(firsts) == 2 and self.asked[-1] is firsts[-1]:
                return json_response({**json.loads(response.body), "data": []})
            return response

    table = Hiccup(list(range(1, 51)), change=moving({3: both(gone(4), come(51))}).change)
    found, progress = await walked(table)
    assert found == [*range(1, 11), *range(12, 52), 11]
    assert progress.repaired == 1


@pytest.mark.parametrize(("concurrency", "requests"), [(1, 2), (2, 2), (3, 3), (16, 3)])
@virtual
async def test_a_collection_of_a_page_costs_no_more_requests(
    concurrency: int, requests: int
) -> None:
    for count in (0, 1, 5, 10):
        _, progress = await walked(Table(list(range(1, count + 1))), concurrency=concurrency)
        assert progress.requests == requests
    deaf = Table(list(range(1, 6)), ignore_sort=True)
    found, progress = await walked(deaf, concurrency=concurrency)
    assert (found, progress.requests) == (list(range(1, 6)), 3)  # an empty page ends it


# What a server can get wrong besides.


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_pages_that_come_in_a_circle_are_refused(concurrency: int) -> None:
    pages = Pages(lambda page, page_size: [10 * (page % 3) + n for n in range(1, page_size + 1)])
    with pytest.raises(PageDrift, match="repeat each other"):
        await Cdrs(pages).list(walk="page", page_size=5, concurrency=concurrency).collect()


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_page_that_is_ignored_is_noticed_although_rows_vanish(concurrency: int) -> None:
    ids = list(range(1, 51))

    def first(page: int, page_size: int) -> list[int]:
        if page > 1:
            ids.pop(0)
        return ids[:page_size]

    pages = Pages(first)
    with pytest.raises(PageDrift, match="ignore `page`"):
        await Cdrs(pages).list(walk="page", page_size=10, concurrency=concurrency).collect()
    assert len(pages.asked) <= 6


@virtual
async def test_a_page_that_is_ignored_is_noticed_although_all_its_rows_vanish_once() -> None:
    ids = list(range(1, 51))

    def first(page: int, page_size: int) -> list[int]:
        if page == 2 and len(ids) == 50:
            del ids[:10]
        return ids[:page_size]

    with pytest.raises(PageDrift, match="ignore `page`"):
        await Cdrs(Pages(first)).list(walk="page", page_size=10, concurrency=1).collect()


@virtual
async def test_the_same_page_again_is_no_end_if_the_next_is_another() -> None:
    again = iter([2, 2])

    def moved(page: int, page_size: int) -> list[int]:
        page = next(again, page) if page == 3 else page
        return list(range(10 * page - 9, 10 * page + 1)) if page < 6 else []

    walk = Cdrs(Pages(moved)).list(walk="page", page_size=10, concurrency=1)
    found = [record.id async for record in walk]
    assert found == [*range(1, 21), *range(31, 51), *range(21, 31)]


@pytest.mark.parametrize("concurrency", WINDOWS)
@virtual
async def test_a_server_that_sorts_no_more_than_a_page(concurrency: int) -> None:
    class Page(Table):
        async def __call__(self, request: Request) -> Response:
            backwards = dict(request.query)["dir"] == "DESC"
            query = tuple(pair for pair in request.query if pair[0] != "dir")
            request = request.with_changes(query=(*query, ("dir", "ASC")))
            content = json.loads((await super().__call__(request)).body)
            return json_response({**content, "data": content["data"][:: -1 if backwards else 1]})

    found, _ = await walked(Page(list(range(1, 51))), concurrency=concurrency)
    assert found == list(range(1, 51))


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("total", [lambda count: count, lambda count: None])
@virtual
async def test_a_server_that_sends_one_row_a_page_in_its_own_order(
    concurrency: int, total: Any
) -> None:
    table = Table(list(range(1, 31)), cap=1, ignore_sort=True, total=total)
    found, _ = await walked(table, concurrency=concurrency)
    assert found == list(range(1, 31))


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("deaf", [False, True])
@virtual
async def test_a_passing_empty_page_without_a_total_is_no_end(concurrency: int, deaf: bool) -> None:
    class Hiccup(Table):
        done = False

        async def __call__(self, request: Request) -> Response:
            if request.page == 3 and not self.done:
                self.done = True
                return json_response({"data": []})
            return await super().__call__(request)

    table = Hiccup(list(range(1, 51)), total=lambda count: None, ignore_sort=deaf)
    found, progress = await walked(table, concurrency=concurrency)
    assert sorted(found) == list(range(1, 51))
    if not deaf:  # the highest id says that there is more
        assert (found, progress.repaired) == (list(range(1, 51)), 0)


@pytest.mark.one_in(4)
@pytest.mark.parametrize("page_size", [1, 5])
@pytest.mark.parametrize("ascending", [0, 5])
@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_another_order_is_walked_whole_or_refused(
    page_size: int, ascending: int, seed: int
) -> None:
    draw = random.Random(seed)
    stayed = set(range(1, 41))
    ids = [*range(1, ascending + 1), *range(40, ascending, -1)]
    table = Table(ids, ignore_sort=True, total=lambda count: None)

    def change(table: Table) -> None:
        if draw.random() < 0.5:
            table.ids.insert(ascending, max(table.ids) + 1)
        if draw.random() < 0.5:
            stayed.discard(table.ids.pop(draw.randrange(len(table.ids))))

    table.change = change
    found: list[int] = []
    with contextlib.suppress(PageDrift):
        async for record in Cdrs(table).list(walk="page", page_size=page_size, concurrency=1):
            found.append(record.id)
        assert stayed <= set(found)
    assert len(found) == len(set(found))


# Resuming from a cursor.


@pytest.mark.one_in(3)
@pytest.mark.parametrize("walk", ["page", "keyset", "auto"])
@pytest.mark.parametrize("count", [1, 9, 10, 11, 35])
@pytest.mark.parametrize("habit", ["honest", "caps limit"])
@virtual
async def test_a_walk_resumes_from_any_record(walk: Any, count: int, habit: str) -> None:
    ids = list(range(1, count + 1))
    for stop in range(1, count + 1):
        for concurrency, later in ((1, 4), (4, 1), (3, 16)):
            cdrs = Cdrs(Table(ids, **HABITS[habit]))
            first = cdrs.list(walk=walk, page_size=10, concurrency=concurrency)
            assert first.cursor is None
            found = [record.id for record in await take(first, stop)]
            cursor = json.loads(json.dumps(first.cursor))
            second = cdrs.list(cursor=cursor, page_size=10, concurrency=later)
            assert second.cursor == cursor
            assert found + [record.id async for record in second] == ids


@pytest.mark.parametrize("deaf", ["refuse_filter", "ignore_filter"])
@pytest.mark.parametrize("count", [8, 35])
@virtual
async def test_a_walk_resumes_where_the_server_has_proved_nothing(deaf: str, count: int) -> None:
    for stop in (1, 8):
        cdrs = Cdrs(Table(list(range(1, count + 1)), **{deaf: True}))
        first = cdrs.list(page_size=10)
        found = [record.id for record in await take(first, stop)]
        found += [record.id async for record in cdrs.list(cursor=first.cursor)]
        assert found == list(range(1, count + 1))


@virtual
async def test_pages_resume_from_a_page() -> None:
    for walk in ("page", "keyset"):
        cdrs = Cdrs(Table(list(range(1, 36))))
        first = cdrs.pages(walk=walk, page_size=10, concurrency=2)  # type: ignore[arg-type]  # the literals
        page = await anext(first)
        assert len(page) == 10
        cursor = first.cursor
        await first.aclose()
        rest = [
            r.id async for page in cdrs.pages(cursor=cursor, page_size=10) for r in page.records
        ]
        assert rest == list(range(11, 36))


@virtual
async def test_a_page_walk_resumes_although_rows_have_gone_or_come_behind_it() -> None:
    table = Table(list(range(1, 101)))
    cdrs = Cdrs(table)
    first = cdrs.list(walk="page", page_size=10, concurrency=1)
    assert len(await take(first, 55)) == 55
    del table.ids[:23]
    table.ids.extend(range(101, 121))
    rest = [record.id async for record in cdrs.list(cursor=first.cursor, concurrency=4)]
    assert rest[:45] == list(range(56, 101))


@virtual
async def test_a_page_walk_that_can_not_account_for_the_rows_before_says_so_at_its_end() -> None:
    table = Table(list(range(1, 101)))
    cdrs = Cdrs(table)
    first = cdrs.list(walk="page", page_size=10, concurrency=1)
    assert len(await take(first, 55)) == 55
    table.ids.remove(80)
    rest = []
    with pytest.raises(PageDrift, match="rows before the cursor"):
        async for record in cdrs.list(cursor=first.cursor):
            rest.append(record.id)
    assert rest == [*range(56, 80), *range(81, 101)]


async def rest_of(cdrs: Cdrs, cursor: str | None, kept: Callable[[int], list[int]]) -> list[int]:
    """The ids that a walk from `cursor` gives where the rows before were kept."""

    async def ids(through: int) -> array[int]:
        return array("q", kept(through))

    walk = cdrs.raw_pages(reject=list, kept=ids, cursor=cursor, page_size=10)
    return [id for page in await walk.collect() for id in ids_of(page)]


@pytest.mark.parametrize("missed", [[], [3], [36, 150]])
@virtual
async def test_a_page_walk_makes_sure_of_the_rows_before_by_their_ids(missed: list[int]) -> None:
    table = Table([3 * id for id in range(1, 101)])
    cdrs = Cdrs(table)
    first = cdrs.list(walk="page", page_size=10, concurrency=1)
    kept = [record.id for record in await take(first, 55) if record.id not in missed]
    for gone in (3, 9, 240):
        table.ids.remove(gone)
    rest = await rest_of(cdrs, first.cursor, lambda through: [id for id in kept if id <= through])
    stayed = [id for id in missed if id in table.ids]
    assert rest[: 45 - 1] == [id for id in table.ids if id > 165]
    assert sorted(rest[45 - 1 :]) == stayed


@pytest.mark.parametrize("walk", ["page", "keyset"])
@virtual
async def test_what_was_kept_is_asked_for_only_where_it_is_needed(walk: Any) -> None:
    def kept(through: int) -> list[int]:
        raise AssertionError("it is not needed")

    table = Table(list(range(1, 101)))
    cdrs = Cdrs(table)
    first = cdrs.list(walk=walk, page_size=10, concurrency=1)
    await take(first, 55)
    if walk == "page":
        del table.ids[:23]
    else:
        table.ids.remove(80)
    assert await rest_of(cdrs, first.cursor, kept) == [id for id in table.ids if id > 55]


@virtual
async def test_a_cursor_remembers_what_was_read_before_the_highest_id() -> None:
    cdrs = Cdrs(Late(list(range(1, 51))))
    first = cdrs.list(walk="page", page_size=10, concurrency=2)
    found = [record.id for record in await take(first, 15)]
    with contextlib.suppress(PageDrift):
        async for record in cdrs.list(cursor=first.cursor):
            found.append(record.id)
        assert {*range(1, 4), *range(5, 51)} <= set(found)


@virtual
async def test_nothing_is_asked_for_after_the_end() -> None:
    table = Table(list(range(1, 36)))
    walk = Cdrs(table).list(walk="keyset", page_size=10)
    await walk.collect()
    asked = len(table.asked)
    assert await Cdrs(table).list(cursor=walk.cursor).collect() == []
    assert len(table.asked) == asked


@virtual
async def test_what_is_no_cursor_here_is_refused_at_the_call() -> None:
    table = Table(list(range(1, 36)))
    walk = Cdrs(table).list(walk="keyset", page_size=10)
    await take(walk, 15)
    keyset = walk.cursor
    walk = Cdrs(table).list(walk="page", page_size=10)
    await take(walk, 15)
    paged = walk.cursor
    walk = Cdrs(table).list(descending=True, page_size=10)
    await take(walk, 15)
    unordered = walk.cursor
    asked = len(table.asked)
    assert keyset
    assert paged
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        (5, {}, "must be the cursor of a walk"),
        ("", {}, "not the cursor"),
        ("keyset:zz:1:-2", {}, "not the cursor"),
        ("nonsense:1:2", {}, "not the cursor"),
        (keyset[: keyset.rindex(":")], {}, "only a part"),
        (paged[: paged.rindex(":")], {}, "only a part"),
        (keyset, {"filters": where("name") == "x"}, "other filters"),
        (keyset, {"walk": "page"}, "the cursor of a walk by keyset"),
        (paged, {"walk": "keyset"}, "the cursor of a walk by page"),
        (unordered, {"descending": True}, "order of ids"),
        (unordered, {}, "of another collection"),
        (keyset, {"descending": True}, "order of ids"),
        (keyset, {"sort": "name"}, "order of ids"),
    ]
    for cursor, options, why in wrong:
        with pytest.raises(ClientMisuse, match=why):
            Cdrs(table).list(cursor=cursor, **options)
    with pytest.raises(ClientMisuse, match="another collection"):
        Visitors(table).list(cursor=keyset)
    assert len(table.asked) == asked


# Anything at all.


def _changes(seed: int, come: float, go: float, stayed: set[int], ever: set[int]) -> Any:
    draw = random.Random(seed)

    def change(table: Table) -> None:
        while draw.random() < come:
            table.ids.append(max(ever, default=0) + 1)
            ever.add(table.ids[-1])
        while table.ids and draw.random() < go:
            at = draw.choice((0, draw.randrange(len(table.ids))))
            stayed.discard(table.ids.pop(at))

    return change


class Jumbled(Jumbling, Table):
    pass


@settings(max_examples=2 * settings.default.max_examples)
@given(
    st.integers(0, 10**9),
    st.integers(0, 80),
    st.integers(1, 8),
    st.integers(1, 16),
    st.sampled_from([(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.3, 0.2), (0.05, 0.05)]),
    st.sampled_from(sorted(HABITS)),
    st.sampled_from(["ignore_filter", "ignore_sort", "refuse_filter"]),
    st.booleans(),
)
def test_no_row_that_stays_is_missed_and_none_comes_twice(
    seed: int,
    count: int,
    page_size: int,
    concurrency: int,
    rates: tuple[float, float],
    habit: str,
    deaf: str,
    stops: bool,
) -> None:
    stayed, ever = set(range(1, count + 1)), set(range(1, count + 1))
    draw = random.Random(seed)

    async def run() -> None:
        table = Jumbled(
            sorted(stayed), change=_changes(seed, *rates, stayed, ever), **HABITS[habit],
            **{deaf: True},
        )  # fmt: skip
        table.draw = draw
        cdrs = Cdrs(table)
        found: list[int] = []
        cursor: str | None = None
        ended = False
        try:
            while not ended:
                stop = draw.randint(1, 30) if stops else 10**9
                walk = cdrs.list(page_size=page_size, concurrency=concurrency, cursor=cursor)
                more = [record.id for record in await collected(walk, stop, found)]
                ended, cursor = len(more) < stop, walk.cursor
                if cursor and cursor.startswith("none"):
                    return
        except WalkError:
            # Without an order nothing shows that a total which claims more is wrong.
            doubtful = (habit, deaf) == ("total too high", "ignore_sort")
            assert rates != (0.0, 0.0) or stops or doubtful, "nothing moved, and it was refused"
            return
        finally:
            assert len(found) == len(set(found)), "twice"
            assert set(found) <= ever
        assert stayed <= set(found), "lost"

    async def collected(walk: Any, stop: int, found: list[int]) -> list[Any]:
        records = []
        async with walk:
            async for record in walk:
                found.append(record.id)
                records.append(record)
                if len(records) == stop:
                    break
        return records

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


@virtual
async def test_a_first_page_that_is_not_there_is_an_error_and_no_end() -> None:
    async def missing(request: Request) -> Response:
        raise NotFound("nothing here", status=404)

    for walk in ("page", "auto"):
        with pytest.raises(NotFound):
            await Cdrs(missing).list(walk=walk).collect()  # type: ignore[arg-type]  # the literals


@pytest.mark.one_in(4)
@pytest.mark.parametrize("seed", range(20))
@virtual
async def test_rows_taken_a_few_at_a_time_come_once_though_others_come_and_go(seed: int) -> None:
    draw = random.Random(seed)
    table = Table(sorted(draw.sample(range(1, 400), 120)))
    cdrs = Cdrs(table)
    stay, found, cursor = set(table.ids), list[int](), None
    while True:
        limit = draw.randint(1, 25)
        walk = cdrs.list(limit=limit, page_size=10, concurrency=draw.choice((1, 4)), cursor=cursor)
        rows = [record.id for record in await walk.collect()]
        assert len(rows) <= limit
        found += rows
        if len(rows) < limit:
            break
        cursor = walk.cursor
        for gone in draw.sample(table.ids, 2):
            table.ids.remove(gone)
            stay.discard(gone)
        table.ids = sorted({*table.ids, *draw.sample(range(1, 600), 3)})
    assert sorted(set(found)) == found
    assert stay <= set(found)
