"""Following a collection: each row once, whatever happens between two looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from voipstudio_cmb import CallMeBackClient, ClientConfig, where
from voipstudio_cmb.cli.follow import follow
from voipstudio_cmb.errors import (
    CallMeBackError,
    FilterIgnored,
    PageDrift,
    RateLimited,
    RequestTimeout,
    Unauthorized,
)
from voipstudio_cmb.sandbox import Fault, Sandbox, Temper


class Steps:
    """A sleep that takes no time, in which the next of `steps` happens; behind them, Ctrl-C."""

    def __init__(self, steps: Iterable[Callable[[], object]]) -> None:
        self._steps = [*steps]
        self.pauses: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)
        if not self._steps:
            raise KeyboardInterrupt
        self._steps.pop(0)()


async def followed(
    api: Sandbox, steps: Iterable[Callable[[], object]], **options: Any
) -> tuple[list[list[int]], list[str], list[float]]:
    """The ids of each time that rows came, what was said, and the pauses."""
    came: list[list[int]] = []
    notes: list[str] = []
    sleep = Steps(steps)
    config = ClientConfig(attempts=1)
    async with CallMeBackClient(api.token, base_url=api.base_url, config=config) as cmb:
        rows = follow(cmb.cdrs, sleep=sleep, note=notes.append, **{"first": 3, **options})
        with pytest.raises(KeyboardInterrupt):
            async for batch in rows:
                came.append([row.id for row in batch])
    return came, notes, sleep.pauses


async def test_the_newest_rows_come_and_then_each_that_is_new_once() -> None:
    async with Sandbox(rows=20) as api:
        cdrs = api.data.cdrs
        newest = [*cdrs.ids][-3:]

        def three() -> None:
            for _ in range(3):
                cdrs.insert()

        came, notes, pauses = await followed(
            api, [lambda: None, three, lambda: None, cdrs.insert, lambda: cdrs.delete(newest[0])]
        )
        new = [*cdrs.ids][-4:]
        assert came == [newest, new[:3], new[3:]]
        assert notes == []
        assert pauses == [5.0] * 6


async def test_an_empty_collection_is_followed_from_its_first_row() -> None:
    async with Sandbox(rows=0) as api:
        came, _, _ = await followed(api, [lambda: None, api.data.cdrs.insert])
        assert came == [[*api.data.cdrs.ids]]


async def test_filters_hold_for_the_newest_and_for_the_new() -> None:
    async with Sandbox(rows=50) as api:
        cdrs = api.data.cdrs

        def two() -> None:
            cdrs.insert(disposition="BUSY")
            cdrs.insert(disposition="ANSWERED")

        came, _, _ = await followed(api, [two], filters=[where("disposition") == "BUSY"])
        rows = [id for id in cdrs.ids if cdrs.get(id)["disposition"] == "BUSY"]
        assert came == [rows[-4:-1], rows[-1:]]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 503}, {"status": 502, "body": b"<html>"}, {"drop": "before"},
        {"drop": "mid-body"},
    ],
    ids=str,
)  # fmt: skip
async def test_an_error_that_passes_is_outlasted_and_nothing_is_lost(fault: Any) -> None:
    async with Sandbox(rows=20) as api:
        cdrs = api.data.cdrs

        def outage() -> None:
            cdrs.insert()
            api.script(Fault(path="/callmeback/cdrs", times=None, **fault))

        came, notes, pauses = await followed(
            api, [outage, cdrs.insert, api.clear_faults, lambda: None], interval=2.0
        )
        assert came == [[*cdrs.ids][-5:-2], [*cdrs.ids][-2:]]
        assert [note.rpartition(": ")[2] for note in notes] == [
            "looking again in 4 s",
            "looking again in 8 s",
            "the API is back",
        ]
        assert pauses == [2.0, 4.0, 8.0, 2.0, 2.0]


async def test_a_walk_that_breaks_in_its_middle_repeats_no_row() -> None:
    async with Sandbox(rows=20) as api:
        cdrs = api.data.cdrs

        def many() -> None:
            for _ in range(1200):  # more than two pages
                cdrs.insert()
            api.script(Fault(path="/callmeback/cdrs", after=2, times=2, status=503))

        came, notes, _ = await followed(api, [many, lambda: None, lambda: None])
        assert len(notes) == 2
        assert [id for ids in came for id in ids] == [*cdrs.ids][-1203:]


async def test_a_row_that_is_seen_after_a_higher_one_comes_too_and_once() -> None:
    async with Sandbox(rows=20, temper=Temper(late_visibility=3)) as api:
        cdrs = api.data.cdrs
        came, _, _ = await followed(api, [*[cdrs.insert] * 20, *[lambda: None] * 20], first=1)
        ids = [id for ids in came for id in ids]
        assert sorted(ids) == [*cdrs.ids][-21:]
        assert ids != sorted(ids)


class Failing:
    """A service whose first walk has no rows, and whose others fail."""

    def __init__(self, error: CallMeBackError) -> None:
        self._error = error
        self._walks = 0

    def list(self, **_: Any) -> Any:
        return self

    async def collect(self) -> list[Any]:
        self._walks += 1
        if self._walks > 1:
            raise self._error
        return []


@pytest.mark.parametrize(
    "error", [RateLimited("slow down", status=429), RequestTimeout("late"), PageDrift("moved")]
)
async def test_pauses_grow_to_five_minutes_and_no_further(error: CallMeBackError) -> None:
    service: Any = Failing(error)
    sleep, notes = Steps([lambda: None] * 9), list[str]()
    with pytest.raises(KeyboardInterrupt):
        async for _ in follow(service, first=3, sleep=sleep, note=notes.append):
            pass
    assert sleep.pauses == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0, 300.0]
    assert len(notes) == 9


async def test_an_error_that_does_not_pass_is_raised() -> None:
    async with Sandbox(rows=3) as api:

        def revoke() -> None:
            api.script(Fault(path="/callmeback/cdrs", times=None, status=401))

        with pytest.raises(Unauthorized):
            await followed(api, [revoke])


async def test_a_server_that_ignores_conditions_is_noticed() -> None:
    async with Sandbox(rows=3, temper=Temper(ignore_filter=True)) as api:
        with pytest.raises(FilterIgnored):
            await followed(api, [lambda: None])
