"""What a caller may ask of a collection: numbers and conditions, checked before they are sent."""

from __future__ import annotations

from collections.abc import Iterable

from .codec.json import to_json
from .errors import ClientMisuse
from .filters import Filter, checked

PAGE_SIZE = 500
"""Rows a page if the caller names no limit: few requests, small answers (some 200 kB)."""

MAX_PAGE_SIZE = 10_000
"""The largest limit that was seen in use; the server may cap it lower without saying."""

MAX_CONCURRENCY = 64
"""The most page requests that one walk may have in flight."""

_MAX_FILTER = 4_000


def collection_query(
    filters: Filter | Iterable[Filter] | None, sort: str, descending: bool
) -> tuple[tuple[str, str], ...]:
    if not isinstance(sort, str) or not sort:
        raise ClientMisuse(f"sort must be the name of a property, not {sort!r}")
    query = (("sort", sort), ("dir", "DESC" if descending else "ASC"))
    conditions = checked(filters)
    if not conditions:
        return query
    text = to_json(conditions).decode()
    if len(text) > _MAX_FILTER:
        raise ClientMisuse(
            f"the filters take {len(text)} characters, more than the {_MAX_FILTER} that fit into "
            "a URL everywhere: use fewer or shorter ones and filter the records instead"
        )
    return (*query, ("filter", text))
