"""Large collections at a peer in a process of its own, so that only the client is measured.

They support `page`, `limit`, `sort` and `filter` on id, and `dir`; their totals are exact. Rows are
made when they are requested, all from one template: a million of them take no room.
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

import attrs

from benchmarks.harness.peer import RawRequest, Reply, http, serving
from benchmarks.harness.processes import ROOT

SHORT = b'{"id": %d}'
# The fields of the documented example, and as long as the vendor's words make them.
LONG = (
    b'{"id": %d, "allowed_countries": "GB,IE,FR", "button_id": 6253, '
    b'"created_at": "%b", "culture": 2, "ddi": 442079460123, '
    b'"floating_icon": true, "name": "Garden shop", "position": 4, '
    b'"privacy_policy_url": "https://shop1.example/privacy", '
    b'"show_to_allowed_countries_only": true, "title": "Garden shop: call me back", '
    b'"welcome_screen_msg": "Hello from Garden shop!\\nWe call you in 30 seconds."}'
)
# The same with what a call record has beside them, and the API does not document.
CALL = LONG[:-1] + (
    b', "src": "+4420794%05d", "dst": "+442079460123", "duration": %d, "disposition": "ANSWERED", '
    b'"answered": true, "cost": 0.0125, "country": "GB", "agent_id": %d, "tags": ["sales", "uk"]}'
)
_TIMES = [str(datetime(2024, 1, 1) + timedelta(hours=at)).encode() for at in range(10_000)]


def created(id: int) -> bytes:
    """When the row was created: rows with higher ids later, but some share their time."""
    return _TIMES[(id >> 10) % len(_TIMES)]


def call(id: int) -> bytes:
    """The row of `CALL` with that id."""
    return CALL % (id, created(id), id % 99_991, id % 1_201, id % 37)


ITEM = b'{"data": ' + LONG % (1, created(1)) + b', "links": {}}'
REFUSED = Reply(parts=(http(b'{"message": "Filtration error"}', "400 Bad Request"),))
UNKNOWN = Reply(parts=(http(b'{"message": "Not shown"}', "404 Not Found"),))


@attrs.frozen
class Table:
    """One collection."""

    ids: Sequence[int]
    """They ascend."""
    row: bytes = SHORT
    """The template of a row."""
    latency: float = 0.0
    """Seconds until a response."""

    def respond(self, request: RawRequest) -> Reply:
        query, low, high = request.query, 0, len(self.ids)
        for condition in json.loads(query.get("filter", "[]")):
            value = condition["value"]
            if condition["property"] != "id" or condition["operator"] not in ("gt", "lte"):
                return REFUSED
            if condition["operator"] == "gt":
                low = max(low, bisect_right(self.ids, value))
            else:
                high = min(high, bisect_right(self.ids, value))
        if query.get("sort", "id") != "id":
            return REFUSED
        total, size = max(0, high - low), int(query["limit"])
        skipped = min(total, (int(query.get("page", 1)) - 1) * size)
        if query.get("dir") == "DESC":
            shown = self.ids[max(low, high - skipped - size) : high - skipped][::-1]
        else:
            shown = self.ids[low + skipped : min(high, low + skipped + size)]
        cells: Iterable[object] = shown
        if self.row == LONG:
            cells = chain.from_iterable((id, created(id)) for id in shown)
        if self.row == CALL:
            rows = b", ".join(map(call, shown))
        else:
            rows = b", ".join([self.row] * len(shown)) % tuple(cells)
        body = b'{"data": [%b], "total": %d}' % (rows, total)
        return Reply(parts=(http(body),), delay=self.latency)


def _serve(tables: Mapping[str, Table]) -> None:
    """Serves the tables until standard input ends; prints the port."""

    def respond(request: RawRequest) -> Reply:
        if request.path.endswith(("/1", "/me")):
            return Reply(parts=(http(ITEM),))
        table = tables.get(request.path.split("/")[1])
        return UNKNOWN if table is None else table.respond(request)

    async def run() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
        async with serving(respond) as (_, port):
            print(port, flush=True)
            await over.wait()

    asyncio.run(run())


@contextlib.contextmanager
def tables_elsewhere(tables: Mapping[str, Table]) -> Iterator[str]:
    """Serves the tables from another process; yields the URL to which a table's name is added."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.harness.tables"],
        cwd=ROOT,
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
