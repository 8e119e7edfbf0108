"""The habits of a server: what it does with the parameters and cases the API does not document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs
from attrs.validators import ge


def _numbers(values: Iterable[int]) -> frozenset[int]:
    return frozenset(values)


@attrs.frozen(kw_only=True)
class Temper:
    """How the stand-in behaves where real servers are known, or feared, to differ.

    *ignore_page*, *ignore_limit*, *ignore_sort* and *ignore_filter* make it deaf to a query
    parameter; a server that ignores the limit answers everything on page 1. *refuse_sort* (with
    the direction) and *refuse_filter* make it answer 400 to one. *newest_first* is the order it
    keeps when nobody asks for one, or when it ignores what was asked. With *count_by_asked*, pages
    that the limit cap cuts short are still counted by the limit asked for: rows are on no page.

    *total* says how the total of a collection is written. It is wrong by *total_factor* and by
    *total_offset* always, and by up to *total_jitter* rows, either way, in one answer of four.
    *empty_pages* always answer empty, *empty_once* only the first time. Pages *past_end* are empty,
    or ``"repeat"`` the last one, or are ``"missing"`` (404); page 1 is never past the end.

    *missing_delete* is the status for deleting what is not there, *forbidden* the ids of settings
    and buttons that answer 403, and *two_factor* makes ``POST /login`` answer 202 with a nonce.
    """

    ignore_page: bool = False
    ignore_limit: bool = False
    ignore_sort: bool = False
    ignore_filter: bool = False
    refuse_sort: bool = False
    refuse_filter: bool = False
    newest_first: bool = False
    count_by_asked: bool = False
    total: Literal["exact", "missing", "string", "null"] = "exact"
    total_factor: float = attrs.field(default=1.0, validator=ge(0))
    total_offset: int = 0
    total_jitter: int = attrs.field(default=0, validator=ge(0))
    empty_pages: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    empty_once: frozenset[int] = attrs.field(default=frozenset(), converter=_numbers)
    past_end: Literal["empty", "repeat", "missing"] = "empty"
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

    def refuses(self) -> frozenset[str]:
        """Returns the names of the query parameters this server answers 400 to."""
        sort = {"sort", "dir"} if self.refuse_sort else set()
        return frozenset(sort | ({"filter"} if self.refuse_filter else set()))
