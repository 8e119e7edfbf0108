"""A collection at the cheap peer, in a process of its own, so that only the client is measured.

It honours `page`, `limit`, `sort` and `filter` on id and `dir`, and its totals are exact. Its rows
are made when they are asked for, all from one template: a million of them take no room.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import attrs

from benchmarks.harness.peer import Asked, Reply, http, serving

SMALL = b'{"id": %d}'
# The fields of the documented example, and as long as the vendor's words make them.
WHOLE = (
    b'{"id": %d, "allowed_countries": "GB,IE,FR", "button_id": 6253, '
    b'"created_at": "%b", "culture": 2, "ddi": 442079460123, '
    b'"floating_icon": true, "name": "Garden shop", "position": 4, '
    b'"privacy_policy_url": "https://shop1.example/privacy", '
    b'"show_to_allowed_countries_only": true, "title": "Garden shop: call me back", '
    b'"welcome_screen_msg": "Hello from Garden shop!\\nWe call you in 30 seconds."}'
)
_TIMES = [str(datetime(2024, 1, 1) + timedelta(hours=at)).encode() for at in range(10_000)]


def created(id: int) -> bytes:
    """When the row *id* was created: a later one later, but for some that share their time."""
    return _TIMES[(id >> 10) % len(_TIMES)]


ITEM = b'{"data": ' + WHOLE % (1, created(1)) + b', "links": {}}'
REFUSED = Reply(parts=(http(b'{"message": "Filtration error"}', "400 Bad Request"),))
UNKNOWN = Reply(parts=(http(b'{"message": "Not found"}', "404 Not Found"),))


@attrs.frozen
class Table:
    """A collection with these *ids*, which ascend; each answer takes *latency* seconds."""

    ids: Sequence[int]
    row: bytes = SMALL
    latency: float = 0.0

    def answer(self, asked: Asked) -> Reply:
        query, low, high = asked.query, 0, len(self.ids)
        for condition in json.loads(query.get("filter", "[]")):
            bound = condition["value"]
            if condition["property"] != "id" or condition["operator"] not in ("gt", "lte"):
                return REFUSED
            if condition["operator"] == "gt":
                low = max(low, bisect_right(self.ids, bound))
            else:
                high = min(high, bisect_right(self.ids, bound))
        if query.get("sort", "id") != "id":
            return REFUSED
        total, size = max(0, high - low), int(query["limit"])
        skipped = min(total, (int(query["page"]) - 1) * size)
        if query.get("dir") == "DESC":
            found = self.ids[max(low, high - skipped - size) : high - skipped][::-1]
        else:
            found = self.ids[low + skipped : min(high, low + skipped + size)]
        cells: Iterable[object] = found
        if self.row == WHOLE:
            cells = chain.from_iterable((id, created(id)) for id in found)
        rows = b", ".join([self.row] * len(found)) % tuple(cells)
        body = b'{"data": [%b], "total": %d}' % (rows, total)
        return Reply(parts=(http(body),), delay=self.latency)


def _serve(tables: Mapping[str, Table]) -> None:
    """Serves *tables* until standard input ends; tells the port on standard output."""

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith(("/1", "/me")):
            return Reply(parts=(http(ITEM),))
        table = tables.get(asked.path.split("/")[1])
        return UNKNOWN if table is None else table.answer(asked)

    async def run() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
        async with serving(answer) as (_, port):
            print(port, flush=True)
            await over.wait()

    asyncio.run(run())


@contextlib.contextmanager
def elsewhere(tables: Mapping[str, Table]) -> Iterator[str]:
    """Serves *tables* from another process; gives the URL that the name of each is added to."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.tables"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:  # ends it by closing its standard input, as the end of this process would
        assert process.stdin is not None
        assert process.stdout is not None
        pickle.dump(tables, process.stdin)
        process.stdin.flush()
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/"


if __name__ == "__main__":
    _serve(pickle.load(sys.stdin.buffer))
