"""Servers that order, count or refuse otherwise than one would think: no row is lost unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import attrs
import pytest

from benchmarks.harness.clocks import virtual
from benchmarks.harness.responses import json_response
from tests.fakes.collections import meets, page
from voipstudio_cmb import Cdr, Walk
from voipstudio_cmb.errors import PageDrift
from voipstudio_cmb.http import Request, Response, chain
from voipstudio_cmb.middleware.status import check_status
from voipstudio_cmb.services import Cdrs

RANGES = {
    "to 120": [*range(1, 121)],
    "every 3rd": [*range(1, 181, 3)],
    "a gap": [*range(100, 200), *range(900, 1000), *range(2000, 2300)],
    "a longer one on page 1": [*range(1, 9), *range(100, 131)],
}


@attrs.define
class Server:
    """It filters and counts right, and does not change."""

    ids: list[int]
    key: Callable[[int], Any] = int
    """What it sorts ids by."""
    from_zero: bool = False
    """It counts its pages from 0."""
    past: str = ""
    """What it sends for pages behind its last one: nothing, or the "last" again."""
    filters: bool = True
    total: bool = True
    status: int = 0
    """What it answers conditions with."""

    async def __call__(self, request: Request) -> Response:
        query = dict(request.query)
        conditions = json.loads(query.get("filter", "[]"))
        if conditions and self.status:
            return json_response({"message": "no"}, self.status)
        found = [
            id for id in self.ids
            if not self.filters or all(meets(id, condition) for condition in conditions)
        ]  # fmt: skip
        found.sort(key=self.key, reverse=query.get("dir") == "DESC")
        size = int(query["limit"])
        number = int(query.get("page", 0 if self.from_zero else 1)) - (not self.from_zero)
        if self.past:
            number = min(number, max(0, len(found) - 1) // size)
        shown = found[number * size : (number + 1) * size]
        return page(shown, len(found) if self.total else None)


async def ids_in(walk: Walk[Cdr]) -> list[int]:
    return [record.id async for record in walk]


@pytest.mark.one_in(4)
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("page_size", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("walk", ["auto", "page"])
@pytest.mark.parametrize("ids", RANGES.values(), ids=RANGES)
@virtual
async def test_a_server_that_sorts_ids_as_texts_is_walked_whole(
    ids: list[int], walk: Any, page_size: int, concurrency: int
) -> None:
    for filters in (True, False):
        for total in (True, False):
            cdrs = Cdrs(Server(ids, str, filters=filters, total=total))
            for _ in range(2):
                records = await cdrs.list(
                    walk=walk, page_size=page_size, concurrency=concurrency
                ).collect()
                assert sorted(record.id for record in records) == ids


@pytest.mark.parametrize("filters", [True, False])
@virtual
async def test_that_the_highest_row_has_gone_does_not_make_a_walk_longer(filters: bool) -> None:
    server = Server([*range(1, 101)], filters=filters)
    walk = Cdrs(server).list(walk="page", page_size=10, concurrency=1)
    found = []
    async for record in walk:
        found.append(record.id)
        server.ids = [*range(1, 100), *range(200, 260)]
    assert found[:99] == [*range(1, 100)]
    assert len(found) <= 110


@pytest.mark.one_in(4)
@pytest.mark.parametrize("past", ["", "last"])
@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("page_size", [1, 2, 8, 50, 500])
@pytest.mark.parametrize("count", [0, 1, 2, 9, 60, 520])
@virtual
async def test_a_server_that_counts_from_0_loses_nothing_unseen(
    count: int, page_size: int, total: bool, past: str
) -> None:
    ids = [*range(1, count + 1)]
    for filters, concurrency in product((True, False), (1, 4)):
        made = Server(ids, from_zero=True, past=past, filters=filters, total=total)
        for limit in (None, 1, 2, page_size, page_size + 1, 3 * page_size):
            options: Any = {"page_size": page_size, "concurrency": concurrency, "limit": limit}
            try:
                found = await ids_in(Cdrs(made).list(**options))
                assert (found if limit else sorted(found)) == ids[:limit]
                found = await ids_in(Cdrs(made).list(**options, sort="id", descending=True))
                assert (found if limit else sorted(found)[::-1]) == ids[::-1][:limit]
            except PageDrift:
                assert limit is None or limit > min(page_size, count)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 414, 422, 501])
@virtual
async def test_a_server_that_refuses_conditions_is_walked_by_page(status: int) -> None:
    ids = [*range(1, 101)]
    walk = Cdrs(chain(Server(ids, status=status), [check_status])).list(page_size=10)
    assert [record.id async for record in walk] == ids
    assert walk.progress.strategy == "page"
