"""Walks over real sockets while rows come and go: none that stayed is lost, none comes twice.

A page walk may give up instead, if it says so.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig
from voipstudio_cmb.errors import WalkError
from voipstudio_cmb.sandbox import Drift, Fault, Sandbox, Temper, Watch

WINDOWS = (1, 4, 16)
SEEDS = (1, 2)
ENOUGH = 500
"""Requests: several times as many as any walk here should need."""
ONE_EACH = Drift(inserts=1, deletes=1)
SELDOM = Drift(inserts=0.2, deletes=0.3)
RARELY = Drift(inserts=0.02, deletes=0.02)

DRIFTS = {
    "one each": ONE_EACH,
    "now and then": SELDOM,
    "the oldest go": Drift(inserts=1, deletes=2, choose="oldest"),
    "the newest go": Drift(inserts=2, deletes=2, choose="newest"),
    "many": Drift(inserts=4, deletes=5),
    "only less": Drift(deletes=3),
    "only more": Drift(inserts=3),
}

TOTALS: dict[str, Temper] = {
    "total missing": Temper(total="missing"),
    "total null": Temper(total="null"),
    "total a string": Temper(total="string"),
    "total a third": Temper(total_factor=0.3),
    "total threefold": Temper(total_factor=3),
    "total too high": Temper(total_offset=40),
    "total too low": Temper(total_offset=-40),
    "total zero": Temper(total_factor=0),
}
PAGES: dict[str, Temper] = {
    "caps limit": Temper(),
    "counts pages by the limit asked for": Temper(offset_by_requested_limit=True),
    "ignores page": Temper(ignore_page=True),
    "ignores limit": Temper(ignore_limit=True),
    "an empty page, once": Temper(empty_once=[2, 5]),
    "an empty page": Temper(empty_pages=[3]),
    "its last page again": Temper(past_end="repeat"),
    "404 past the end": Temper(past_end="missing"),
}
DEAF: dict[str, Temper] = {
    "ignores filter": Temper(ignore_filter=True),
    "refuses filter": Temper(refuse_filter=True),
    "ignores sort": Temper(ignore_sort=True, newest_first=True),
}
FAULTS = (
    Fault(status=503),
    Fault(drop="before"),
    Fault(drop="after"),
    Fault(drop="mid-body"),
    Fault(status=429, headers={"Retry-After": "0.01"}),
    Fault(body=b'{"data":['),
)


@attrs.frozen(kw_only=True)
class Walked:
    """What a walk has found, what was there meanwhile, and how it ended."""

    found: list[int]
    rows: Watch
    before: list[int]
    error: WalkError | None

    def checked(self) -> Walked:
        """Itself, if it has kept to what any walk promises."""
        assert len(self.found) == len(set(self.found)), "an id came twice"
        assert set(self.found) <= self.rows.ever, "a row came that never was"
        lost = self.rows.throughout - set(self.found) if self.error is None else set()
        assert not lost, f"{len(lost)} of {len(self.rows.throughout)} rows lost in silence"
        return self


async def walked(api: Sandbox, **options: Any) -> Walked:
    config = ClientConfig(retry=lambda error, request, attempt: 0.0 if attempt < 6 else None)
    found: list[int] = []
    failure = None
    async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
        with api.data.cdrs.watched() as rows:
            before = list(api.data.cdrs.ids)
            try:
                async for cdr in cmb.cdrs.list(**options):
                    found.append(cdr.id)
                    assert api.requests < ENOUGH, "this walk does not end"
            except WalkError as error:
                failure = error
    return Walked(found=found, rows=rows, before=before, error=failure).checked()


def sandbox(seed: int, concurrency: int, **options: Any) -> Sandbox:
    """A stand-in with some hundred rows, which answers several requests in any order."""
    rows = random.Random(seed).randrange(120, 240)
    options.setdefault("latency", (0.0, 0.001) if concurrency > 1 else 0.0)
    return Sandbox(**{"rows": rows, "seed": seed, **options})


def size(seed: int) -> int:
    return random.Random(f"size {seed}").choice((7, 10, 16, 25, 50))


# --- by keyset --------------------------------------------------------------------------------


def assert_in_order_to_the_end_of_its_beginning(walk: Walked, inserts: float) -> None:
    assert walk.error is None
    assert walk.found == sorted(walk.found)
    # It learns the highest id by one of its first two answers, in either order.
    assert walk.found[-1] <= walk.before[-1] + inserts


@pytest.mark.one_in(3)
@pytest.mark.parametrize("walk", ["keyset", "auto"])
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
async def test_a_keyset_walk_loses_nothing(drift: Drift, concurrency: int, walk: str) -> None:
    for seed in SEEDS:
        async with sandbox(seed, concurrency, drift=drift) as api:
            found = await walked(api, walk=walk, concurrency=concurrency, page_size=size(seed))
            assert_in_order_to_the_end_of_its_beginning(found, -(-drift.inserts // 1))


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize(
    "temper",
    [*TOTALS.values(), PAGES["caps limit"], Temper(total_jitter=9)],
    ids=[*TOTALS, "caps limit", "total wrong now and then"],
)
async def test_no_habit_costs_a_keyset_walk_a_row(temper: Temper, concurrency: int) -> None:
    async with sandbox(1, concurrency, drift=ONE_EACH, temper=temper, limit_cap=15) as api:
        found = await walked(api, walk="keyset", concurrency=concurrency, page_size=20)
    assert found.error is None
    assert found.found == sorted(found.found)


@pytest.mark.parametrize("concurrency", WINDOWS)
async def test_no_fault_on_the_way_costs_a_keyset_walk_a_row(concurrency: int) -> None:
    for seed, walk in ((1, "keyset"), (2, "auto")):
        async with sandbox(seed, concurrency, drift=ONE_EACH) as api:
            scripted = [api.script(attrs.evolve(f, after=n)) for n, f in enumerate(FAULTS)]
            found = await walked(api, walk=walk, concurrency=concurrency, page_size=10)
            assert all(each.spent for each in scripted)
        assert found.error is None
        assert found.found == sorted(found.found)


@pytest.mark.parametrize("habit", DEAF)
async def test_a_keyset_walk_of_a_server_that_honours_no_condition_is_refused(habit: str) -> None:
    async with sandbox(1, 4, drift=ONE_EACH, temper=DEAF[habit]) as api:
        found = await walked(api, walk="keyset", concurrency=4, page_size=10)
    assert found.error is not None
    assert found.found == []


# --- by page ----------------------------------------------------------------------------------


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("drift", DRIFTS.values(), ids=DRIFTS)
async def test_a_page_walk_loses_nothing_in_silence(drift: Drift, concurrency: int) -> None:
    for seed in SEEDS:
        async with sandbox(seed, concurrency, drift=drift) as api:
            await walked(api, walk="page", concurrency=concurrency, page_size=size(seed))


@pytest.mark.one_in(2)
@pytest.mark.parametrize("drift", [ONE_EACH, SELDOM], ids=["one each", "now and then"])
@pytest.mark.parametrize("concurrency", WINDOWS)
async def test_a_page_walk_does_not_give_up_for_a_moderate_drift(
    concurrency: int, drift: Drift
) -> None:
    loud = []
    for seed in range(10, 15):
        async with sandbox(seed, concurrency, drift=drift) as api:
            found = await walked(api, walk="page", concurrency=concurrency, page_size=size(seed))
            loud += [found.error] if found.error else []
    assert loud == []


@pytest.mark.parametrize("concurrency", WINDOWS)
async def test_nor_does_it_in_a_larger_collection(concurrency: int) -> None:
    async with sandbox(1, concurrency, rows=2000, drift=ONE_EACH) as api:
        found = await walked(api, walk="page", concurrency=concurrency, page_size=50)
    assert found.error is None


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("temper", [*TOTALS.values(), *PAGES.values()], ids=[*TOTALS, *PAGES])
async def test_no_habit_costs_a_page_walk_a_row_in_silence(
    temper: Temper, concurrency: int
) -> None:
    async with sandbox(2, concurrency, drift=ONE_EACH, temper=temper, limit_cap=15) as api:
        await walked(api, walk="page", concurrency=concurrency, page_size=20)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("habit", DEAF)
async def test_no_server_that_honours_no_condition_costs_a_row_in_silence(
    habit: str, concurrency: int
) -> None:
    for drift in (ONE_EACH, SELDOM):
        async with sandbox(3, concurrency, drift=drift, temper=DEAF[habit]) as api:
            await walked(api, walk="auto", concurrency=concurrency, page_size=16)


@pytest.mark.parametrize("concurrency", WINDOWS)
async def test_no_fault_on_the_way_costs_a_page_walk_a_row_in_silence(concurrency: int) -> None:
    for seed in SEEDS:
        async with sandbox(seed, concurrency, drift=ONE_EACH) as api:
            scripted = [api.script(attrs.evolve(f, after=n)) for n, f in enumerate(FAULTS)]
            await walked(api, walk="page", concurrency=concurrency, page_size=10)
            assert all(each.spent for each in scripted)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("drift", [SELDOM, RARELY], ids=["now and then", "rarely"])
async def test_another_order_costs_no_row_in_silence(drift: Drift, concurrency: int) -> None:
    for seed, order in ((1, {"descending": True}), (2, {"sort": "billsec"})):
        async with sandbox(seed, concurrency, drift=drift) as api:
            await walked(api, walk="auto", concurrency=concurrency, page_size=16, **order)


@pytest.mark.parametrize("concurrency", WINDOWS)
@pytest.mark.parametrize("walk", ["page", "auto"])
async def test_without_drift_a_total_that_is_wrong_now_and_then_costs_nothing_in_silence(
    walk: str, concurrency: int
) -> None:
    async with sandbox(4, concurrency, temper=Temper(total_jitter=9)) as api:
        await walked(api, walk=walk, concurrency=concurrency, page_size=16)
