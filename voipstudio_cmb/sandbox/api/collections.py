"""Lists: query parameters in, one page of rows out, as a server with the given temper does it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Set

import attrs
import msgspec

from voipstudio_cmb.sandbox.data import Data, Drift, Query, Table, TableDrift, TablePage, parse
from voipstudio_cmb.sandbox.refusal import Refusal
from voipstudio_cmb.sandbox.temper import Temper


@attrs.frozen(kw_only=True)
class Collection:
    """One table that can be listed."""

    table: Table
    temper: Temper
    limit_cap: int
    drift: TableDrift
    random: random.Random
    """Decides which totals are wrong."""
    _emptied: set[int] = attrs.field(factory=set, init=False)
    _late: dict[int, int] = attrs.field(factory=dict, init=False)
    """For how many requests more a new row is not there yet, by id."""

    def page(self, params: Mapping[str, str]) -> msgspec.Raw:
        """Returns the JSON of the page that `params` ask for; raises `Refusal`."""
        try:
            query = self._query(params)
            page = self._page(query, self._hidden())
            ids = () if self._is_emptied(query.page) else page.ids
            rows = b",".join([self.table.encoded(row_id) for row_id in ids])
            return msgspec.Raw(b'{"data":[%b]%b}' % (rows, self._total(page.total)))
        finally:
            self.drift.apply()

    def _query(self, params: Mapping[str, str]) -> Query:
        temper, cap = self.temper, self.limit_cap
        ignored = temper.ignored()
        params = {name: value for name, value in params.items() if name not in ignored}
        if refused := sorted(temper.refused() & params.keys()):
            message = "Filtration error" if "filter" in refused else "Validation error"
            raise Refusal(400, message, dict.fromkeys(refused, "Is not supported."))
        query = parse(params, self.table.columns)
        limit = None if temper.ignore_limit else query.limit
        if limit is not None and not temper.offset_by_requested_limit:
            limit = min(limit, cap)  # without a word, as the vendor's server may do it
        unordered = not {"sort", "dir"} & params.keys()
        return attrs.evolve(
            query,
            limit=limit,
            max_rows=cap if temper.offset_by_requested_limit else None,
            descending=query.descending or (temper.newest_first and unordered),
        )

    def _hidden(self) -> Set[int]:
        """Returns the new rows that this request does not see yet."""
        requests = self.temper.late_visibility
        if not requests:
            return frozenset()
        new = {row_id for row_id in self.table.new_ids if row_id % 2}
        for row_id in new - self._late.keys():
            self._late[row_id] = requests
        hidden = {row_id for row_id in new if self._late[row_id] > 0}
        for row_id in hidden:
            self._late[row_id] -= 1
        return hidden

    def _page(self, query: Query, hidden: Set[int]) -> TablePage:
        page = self.table.page(query, hidden)
        if page.ids or query.page == 1 or self.temper.past_end == "empty":
            return page
        if self.temper.past_end == "missing":
            raise Refusal(404, "Resource not found")
        last = -(-page.total // (query.limit or page.total or 1))
        return self.table.page(attrs.evolve(query, page=max(1, last)), hidden)

    def _is_emptied(self, page: int) -> bool:
        if page in self.temper.empty_once and page not in self._emptied:
            self._emptied.add(page)
            return True
        return page in self.temper.empty_pages

    def _total(self, matching: int) -> bytes:
        temper = self.temper
        total = round(matching * temper.total_factor) + temper.total_offset
        if temper.total_jitter and self.random.random() < 0.25:
            total += self.random.choice((-1, 1)) * self.random.randint(1, temper.total_jitter)
        total = max(0, total)
        forms = {"exact": b"%d" % total, "string": b'"%d"' % total, "null": b"null"}
        return b"" if temper.total == "missing" else b',"total":' + forms[temper.total]


def collections_of(
    data: Data, temper: Temper, drift: Drift, *, limit_cap: int, seed: int
) -> dict[str, Collection]:
    """Returns all collections of `data` by name, each with random numbers of its own."""
    return {
        name: Collection(
            table=table,
            temper=temper,
            limit_cap=limit_cap,
            drift=TableDrift(
                drift if name in drift.collections else Drift(), table, f"{seed} drift {name}"
            ),
            random=random.Random(f"{seed} total {name}"),
        )
        for name, table in data.collections().items()
    }
