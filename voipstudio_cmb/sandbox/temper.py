"""The temper of a server: what it does with the parameters and cases the API does not document."""

from __future__ import annotations

from typing import Literal

import attrs
from attrs.validators import ge, in_


@attrs.frozen(kw_only=True)
class Temper:
    """How the sandbox behaves where real servers differ, or may differ."""

    ignore_page: bool = False
    ignore_limit: bool = False
    """Returns all rows on page 1."""
    ignore_sort: bool = False
    """Ignores the direction too."""
    ignore_filter: bool = False
    refuse_sort: bool = False
    """Refuses requests with a sort or a direction (400)."""
    refuse_filter: bool = False
    """Refuses requests with a filter (400)."""
    newest_first: bool = False
    """The order when a request asks for none, or when it is ignored."""
    offset_by_requested_limit: bool = False
    """Counts pages by the requested limit when the cap makes them shorter: some rows are on no
    page."""

    total: Literal["exact", "missing", "string", "null"] = "exact"
    """How the total of a collection is written."""
    total_factor: float = attrs.field(default=1.0, validator=ge(0))
    total_offset: int = 0
    """Added to the total, after `total_factor`."""
    total_jitter: int = attrs.field(default=0, validator=ge(0))
    """The most rows, up or down, by which one total in four is wrong."""

    empty_pages: frozenset[int] = attrs.field(default=frozenset(), converter=frozenset)
    """Pages that are always empty."""
    empty_once: frozenset[int] = attrs.field(default=frozenset(), converter=frozenset)
    """Pages that are empty the first time."""
    past_end: Literal["empty", "repeat", "missing"] = "empty"
    """Pages after the last one: empty, the last one again, or 404. Page 1 always exists."""

    late_visibility: int = attrs.field(default=0, validator=ge(0))
    """The requests for a collection after which a new row with an odd id is in it. Meanwhile those
    with even ids are: a lower id shows up after a higher one."""
    throttle_status: Literal[429, 503] = attrs.field(default=429, validator=in_((429, 503)))
    """The status of a request above the rate limit. The 503 is that of a proxy: a small HTML page,
    and no ``Retry-After``."""

    delete_missing_status: int = 404
    """The status for deleting a row that does not exist."""
    forbidden_ids: frozenset[int] = attrs.field(default=frozenset(), converter=frozenset)
    """The settings and buttons that are refused with 403."""
    two_factor: bool = False
    """Makes ``POST /login`` return 202 with a nonce, which ``POST /login2fa`` takes with a code."""

    def ignored(self) -> frozenset[str]:
        """Returns the names of the query parameters that this server ignores."""
        flags = {
            "page": self.ignore_page, "limit": self.ignore_limit, "sort": self.ignore_sort,
            "dir": self.ignore_sort, "filter": self.ignore_filter,
        }  # fmt: skip
        return frozenset(name for name, ignored in flags.items() if ignored)

    def refused(self) -> frozenset[str]:
        """Returns the names of the query parameters that this server refuses."""
        flags = {"sort": self.refuse_sort, "dir": self.refuse_sort, "filter": self.refuse_filter}
        return frozenset(name for name, refused in flags.items() if refused)
