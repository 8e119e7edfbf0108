"""The habits of a server: what it does with the parameters and cases the API does not document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs


def _numbers(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


@attrs.frozen(kw_only=True)
class Temper:
    """How the stand-in behaves where real servers are known, or feared, to differ.

    *ignore_page*, *ignore_limit*, *ignore_sort* and *ignore_filter* make it deaf to a query
    parameter; a server that ignores the limit answers everything on page 1. *newest_first* is the
    order it keeps when nobody asks for one, or when it ignores what was asked.

    *total* says how the total of a collection is written and *total_offset* by how much it is
    wrong. *empty_pages* always answer empty, *empty_once* only the first time.

    *missing_delete* is the status for deleting what is not there, *forbidden* the ids of settings
    and buttons that answer 403, and *two_factor* makes ``POST /login`` answer 202 with a nonce.
    """

    ignore_page: bool = False
    ignore_limit: bool = False
    ignore_sort: bool = False
    ignore_filter: bool = False
    newest_first: bool = False
    total: Literal["exact", "missing", "string", "null"] = "exact"
    total_offset: int = 0
    empty_pages: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    empty_once: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    missing_delete: int = 404
    forbidden: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    two_factor: bool = False

    def deaf_to(self) -> frozenset[str]:
        """Returns the names of the query parameters this server ignores."""
        ignored = {
            "page": self.ignore_page,
            "limit": self.ignore_limit,
            "sort": self.ignore_sort,
            "dir": self.ignore_sort,
            "filter": self.ignore_filter,
        }
        return frozenset(name for name, deaf in ignored.items() if deaf)
