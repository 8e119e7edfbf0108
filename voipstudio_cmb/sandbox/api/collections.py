"""Collection requests: what one answer holds, by the habits of the server."""

from __future__ import annotations

import random
from collections.abc import Mapping

import attrs

from voipstudio_cmb.sandbox.data import Data, Drift, Query, Slice, Table, Tide, parse
from voipstudio_cmb.sandbox.refusal import Complaint, Refusal
from voipstudio_cmb.sandbox.temper import Temper


@attrs.frozen(kw_only=True)
class Listing:
    """One collection as a server with such a *temper* answers for it.

    *tide* changes the table after each answer; *draw* decides which totals are wrong.
    """

    table: Table
    temper: Temper
    limit_cap: int
    tide: Tide | None
    draw: random.Random
    _emptied: set[int] = attrs.field(factory=set, init=False)

    def answer(self, params: Mapping[str, str]) -> bytes:
        """Returns the JSON of the page that *params* ask for; raises `Refusal`."""
        try:
            query = self._query(params)
            part = self._part(query)
            ids = () if self._is_emptied(query.page) else part.ids
            rows = b",".join([self.table.encoded(row_id) for row_id in ids])
            return b'{"data":[%b]%b}' % (rows, self._total(part.total))
        finally:
            if self.tide is not None:
                self.tide.turn()

    def _query(self, params: Mapping[str, str]) -> Query:
        temper, deaf = self.temper, self.temper.deaf_to()
        heard = {name: value for name, value in params.items() if name not in deaf}
        self._refuse(heard)
        query = parse(heard, self.table.columns, None if temper.count_by_asked else self.limit_cap)
        if temper.count_by_asked:
            query = attrs.evolve(query, most=self.limit_cap)
        if temper.ignore_limit:
            query = attrs.evolve(query, limit=None)
        if temper.newest_first and not {"sort", "dir"} & heard.keys():
            query = attrs.evolve(query, descending=True)
        return query

    def _refuse(self, heard: Mapping[str, str]) -> None:
        refused = self.temper.refuses() & heard.keys()
        if refused:
            message = "Filtration error" if "filter" in refused else "Validation error"
            complaints = [Complaint(name, "Is not supported.") for name in sorted(refused)]
            raise Refusal(400, message, complaints)

    def _part(self, query: Query) -> Slice:
        part = self.table.slice(query)
        if part.ids or query.page == 1 or self.temper.past_end == "empty":
            return part
        if self.temper.past_end == "missing":
            raise Refusal(404, "Resource not found")
        last = -(-part.total // (query.limit or part.total or 1))
        return self.table.slice(attrs.evolve(query, page=max(1, last)))

    def _is_emptied(self, page: int) -> bool:
        if page in self.temper.empty_once and page not in self._emptied:
            self._emptied.add(page)
            return True
        return page in self.temper.empty_pages

    def _total(self, matching: int) -> bytes:
        temper = self.temper
        number = round(matching * temper.total_factor) + temper.total_offset
        if temper.total_jitter and self.draw.random() < 0.25:
            number += self.draw.choice((-1, 1)) * self.draw.randint(1, temper.total_jitter)
        number = max(0, number)
        match temper.total:
            case "exact":
                return b',"total":%d' % number
            case "string":
                return b',"total":"%d"' % number
            case "null":
                return b',"total":null'
            case "missing":
                return b""


def listings(
    data: Data, temper: Temper, drift: Drift, *, limit_cap: int, seed: int
) -> dict[str, Listing]:
    """Returns all collections of *data*, by name, each with draws of its own from *seed*."""
    return {
        name: Listing(
            table=table,
            temper=temper,
            limit_cap=limit_cap,
            tide=Tide(drift, table, f"{seed} drift {name}") if name in drift.collections else None,
            draw=random.Random(f"{seed} total {name}"),
        )
        for name, table in data.collections().items()
    }
