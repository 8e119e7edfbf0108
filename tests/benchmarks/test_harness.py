"""The harness measures and serves what it says."""

from __future__ import annotations

import asyncio
import gc
import json
import socket

import pytest

from benchmarks.harness.clocks import HurriedLoop, SteadyLoop
from benchmarks.harness.memory import MIB
from benchmarks.harness.peer import RawRequest
from benchmarks.harness.rate_limits import SERVERS, measure_cell
from benchmarks.harness.tables import LONG, Table, tables_elsewhere
from benchmarks.harness.walk_memory import spread_ids, walk_elsewhere
from benchmarks.harness.walks import WALKS, By, least_round_trips

pytestmark = pytest.mark.campaign  # they test what proves, and not the package


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["RateLimit", "none"])
def test_a_cell_of_the_limiters_table_counts(server: str, name: str) -> None:
    # An hour of requests would pass on skipped time as fast as these ten seconds.
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        cell = runner.run(measure_cell(server, name, 8, True, 2.0, 10.0, seed=1))
    assert cell.requests > 200
    assert cell.refused == 0 or name == "none"
    assert f"{server} " in str(cell)


@pytest.mark.parametrize("ids", [range(3, 60, 3), [], [5], [1, 2, 40, 41, 2**53]])
@pytest.mark.parametrize("low", [0, 2, 5, 40])
@pytest.mark.parametrize("high", [1, 5, 41, 2**53])
@pytest.mark.parametrize("way", ["ASC", "DESC"])
def test_the_table_is_exact(ids: list[int], low: int, high: int, way: str) -> None:
    conditions = [
        {"property": "id", "operator": "gt", "value": low},
        {"property": "id", "operator": "lte", "value": high},
    ]
    among = sorted((id for id in ids if low < id <= high), reverse=way == "DESC")
    for size in (1, 3, 50):
        for number in range(1, len(among) // size + 3):
            query = {
                "page": str(number), "limit": str(size), "sort": "id", "dir": way,
                "filter": json.dumps(conditions),
            }  # fmt: skip
            request = RawRequest(method="GET", path="/", query=query, body=b"", connection={})
            page = json.loads(Table(ids).respond(request).parts[0].partition(b"\r\n\r\n")[2])
            assert page["total"] == len(among)
            expected = among[(number - 1) * size : number * size]
            assert [row["id"] for row in page["data"]] == expected


@pytest.mark.parametrize("by", WALKS)
def test_a_walk_in_a_process_of_its_own_is_measured(by: By) -> None:
    ids = list(spread_ids(400, seed=3))
    with tables_elsewhere({"rows": Table(ids, row=LONG)}) as base:
        right = walk_elsewhere(f"{base}rows", by, 400, 8, 50, 3)
        wrong = walk_elsewhere(f"{base}rows", by, 401, 8, 50, 3)
    assert right.exact
    assert not wrong.exact
    assert right.requests >= 9
    assert right.memory >= right.before > MIB


def test_the_least_time_of_a_walk() -> None:
    assert least_round_trips(100, 8) == 14


def test_what_a_server_accepted_as_it_was_closed_is_not_left_to_the_collector() -> None:
    async def close_with_a_caller_at_the_door() -> None:
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            server.close()

    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        runner.run(close_with_a_caller_at_the_door())
    gc.collect()  # pytest makes an error of what is found unclosed
