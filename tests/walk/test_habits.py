"""What code that is not async does with a walk, which raises one sentence with the right line."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pyarrow
import pytest

from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.sandbox import Sandbox

LOOP = "`async for item in walk:`, or `await walk.collect()`"

HABITS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "for": (lambda walk: [*walk], LOOP),
    "list": (list, LOOP),
    "next": (next, LOOP),
    "in": (lambda walk: 7 in walk, LOOP),
    "an index": (lambda walk: walk[0], "`await walk.first()`"),
    "a slice": (lambda walk: walk[:10], "`await cmb.cdrs.list(limit=10).collect()`"),
    "len": (len, "`len(await walk.collect())`, or `await cmb.cdrs.count()`"),
    "if": (lambda walk: "some" if walk else "none", "`await cmb.cdrs.count()`"),
    "reversed": (reversed, "`len(await walk.collect())`"),
}


@pytest.mark.parametrize(("habit", "line"), HABITS.values(), ids=HABITS)
@pytest.mark.parametrize("kind", ["list", "pages", "batches"])
def test_a_walk_says_how_it_is_used(habit: Callable[[Any], Any], line: str, kind: str) -> None:
    walk = getattr(CallMeBackClient("sandbox-token").cdrs, kind)()
    with pytest.raises(ClientMisuse) as raised:
        habit(walk)
    assert line in str(raised.value)


@pytest.mark.parametrize("read", [pyarrow.table, pyarrow.RecordBatchReader.from_stream])
def test_batches_that_are_read_without_a_reader_say_so(read: Callable[[Any], Any]) -> None:
    with pytest.raises(
        ClientMisuse, match=r"`with cmb\.cdrs\.batches\(\)\.to_reader\(\) as calls:`"
    ):
        read(CallMeBackClient("sandbox-token").cdrs.batches())


async def test_a_walk_that_is_awaited_says_so_and_can_still_be_used() -> None:
    async with Sandbox(rows=5) as api, CallMeBackClient(api.token, base_url=api.base_url) as cmb:
        walk: Any = cmb.cdrs.list()
        for awaited in (walk, asyncio.gather(walk)):
            with pytest.raises(ClientMisuse, match=r"`await walk\.collect\(\)`"):
                await awaited
        assert cmb.usage.requests == 0
        assert len(await walk.collect()) == 5
