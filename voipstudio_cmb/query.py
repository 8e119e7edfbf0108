"""What a caller may ask of a collection, and the request for one page of it. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypedDict, TypeVar, get_args

from .boundary.checks import checked_integer, described
from .boundary.value import Frozen, replace
from .codec.json import to_json
from .errors import ClientMisuse
from .models import Identified, Page

if TYPE_CHECKING:
    from .filters import Filter

R = TypeVar("R", bound=Identified)
"""The rows of a walk: records of one kind, or rows as they were sent."""

PAGE_SIZE = 500
"""Rows a page if the caller names no page size: few requests, small responses (some 200 kB)."""

MAX_PAGE_SIZE = 10_000
"""The largest page that was seen in use; the server may cap it lower without saying."""

MAX_CONCURRENCY = 64
"""The most page requests that one walk may have in flight."""

_MAX_FILTER = 4_000
_MAX_ID = 2**63 - 1

WalkStrategy: TypeAlias = Literal["auto", "page", "keyset"]
OnIgnoredFilter: TypeAlias = Literal["raise", "client"]


class RawWalkOptions(TypedDict, total=False):
    """What `raw_pages` takes, and `list` and `pages` too."""

    filters: Filter | Iterable[Filter] | None
    """Only rows that meet all of them."""
    on_ignored_filter: OnIgnoredFilter
    """What to do about a server that ignores filters.

    "raise", the default, raises `FilterIgnored` where its rows prove that.

    "client" sends no filters: all rows are walked, and compared here. The walk's `progress` then
    counts them all, and its pages have no total."""
    limit: int | None
    """The most rows to hand out; None for all. No more are asked for, as far as that is known."""
    page_size: int
    """Rows asked for in one request, from 1 to 10,000; 500 unless it is given."""
    concurrency: int
    """Page requests in flight at most, from 1 to 64; 4 unless it is given. What is in memory is
    bounded by this times the page size."""
    walk: WalkStrategy
    """How to walk.

    "keyset" asks for ids above the last one, so that rows may come and go meanwhile. Each row that
    stays is yielded once, in the order of ids, up to the highest id of the beginning.

    "page" counts pages, which any server supports. Rows that moved meanwhile are found again, if
    need be at the end, or it raises.

    "auto", the default, walks by keyset if the server's responses prove that it supports
    conditions on `id`, and else by page; by page too if the filters are too long for more."""
    cursor: str | None
    """The `cursor` of an earlier walk with the same filters: this one resumes behind its last row.
    A walk by page keeps the page size that it began with. It knows how many rows came before, not
    which: where rows have gone meanwhile, it can't make sure that none was missed, and raises."""


class WalkOptions(RawWalkOptions, total=False):
    """What `list` and `pages` take."""

    sort: str | None
    """The property to sort by; "id" unless it is given.

    Where an order is named, by `sort` or by `descending`, `SortIgnored` is raised if the rows prove
    that the server ignores it."""
    descending: bool
    """Whether the highest comes first."""


_BOUNDS = {
    "limit": (0, None), "page_size": (1, MAX_PAGE_SIZE), "concurrency": (1, MAX_CONCURRENCY)
}  # fmt: skip
_RENAMED = {"window": "concurrency", "after": "cursor", "position": "cursor", "max": "limit"}


def checked_filters(filters: Filter | Iterable[Filter] | None) -> tuple[Filter, ...]:
    """`filters` as a tuple.

    Raises:
        ClientMisuse: one is no `Filter`.
    """
    if filters is None:
        return ()
    from .filters import Filter, Property  # late: a tenth of what the client takes to import

    single = isinstance(filters, Filter | str | bytes | Property | Mapping)
    conditions: tuple[Any, ...]
    conditions = (filters,) if single or not isinstance(filters, Iterable) else tuple(filters)
    for condition in conditions:
        if not isinstance(condition, Filter):
            raise ClientMisuse(
                f"filters must be Filter objects, not {type(condition).__name__}: "
                'write where("created_at") >= "2026-01-01", or Filter(property, operator, value)'
            )
    return conditions


class PageRequest(Frozen, frozen=True):
    """One page to ask a collection for: by its number, or by a range of ids."""

    page_size: int
    """How many rows to ask for."""
    number: int = 1
    """The number of the page, from 1. The first is not named, so that it is the first from wherever
    the server counts."""
    after: int = 0
    """Only ids above this one; 0 for any."""
    through: int | None = None
    """Only ids up to this one; None for any."""
    sort: str | None = "id"
    """The property to sort by; None for the server's own order."""
    descending: bool = False
    """Whether the highest comes first."""
    conditions: tuple[Filter, ...] = ()
    """Only rows that meet all of them."""
    once: bool = False
    """Whether it is not tried again if it fails."""
    named: bool = False
    """Whether the first page is named, too."""

    def query(self) -> tuple[tuple[str, str], ...]:
        """The pairs of the URL's query.

        Raises:
            ClientMisuse: the conditions are too long for a URL.
        """
        page = (("page", str(self.number)),) if self.named or self.number > 1 else ()
        return (*page, ("limit", str(self.page_size)), *self.rows())

    def rows(self) -> tuple[tuple[str, str], ...]:
        """The part of the query that says which rows, in which order."""
        direction = "DESC" if self.descending else "ASC"
        order = (("sort", self.sort), ("dir", direction)) if self.sort is not None else ()
        if not (self.conditions or self.after or self.through is not None):
            return order
        from .filters import Filter

        conditions = list(self.conditions)
        if self.after:
            conditions.append(Filter("id", "gt", self.after))
        if self.through is not None:
            conditions.append(Filter("id", "lte", self.through))
        text = to_json(conditions).decode()
        if len(text) > _MAX_FILTER:
            raise ClientMisuse(
                f"the filters take {len(text)} characters, more than the {_MAX_FILTER} that fit "
                "into a URL everywhere: use fewer or shorter ones and filter the records instead"
            )
        return (*order, ("filter", text))


Fetch = Callable[[PageRequest], Awaitable[Page[R]]]
"""Fetches one page. All that a walk knows of the network."""


class WalkQuery(Frozen, frozen=True, kw_only=True):
    """The options of one walk, checked; `WalkOptions` says what they mean."""

    filters: tuple[Filter, ...] = ()
    on_ignored_filter: OnIgnoredFilter = "raise"
    sort: str | None = None
    descending: bool = False
    limit: int | None = None
    page_size: int = PAGE_SIZE
    concurrency: int = 4
    walk: WalkStrategy = "auto"
    cursor: str | None = None

    @classmethod
    def of(cls, call: str, options: Mapping[str, Any], known: type) -> Self:
        """The query that the keyword arguments `options` of `call` make, `known` to a TypedDict.

        Raises:
            ClientMisuse: an argument is unknown, out of range, or does not go with another.
        """
        for name in options.keys() - known.__annotations__.keys():
            takes = f"it takes {', '.join(known.__annotations__)}"
            hint = f"it is called `{_RENAMED[name]}`" if name in _RENAMED else takes
            raise ClientMisuse(f"{call}() takes no `{name}`: {hint}")
        numbers = {
            name: checked_integer(name, options[name], *bounds)
            for name, bounds in _BOUNDS.items()
            if name in options and (name, options[name]) != ("limit", None)
        }
        return cls(**{**options, **numbers, "filters": checked_filters(options.get("filters"))})

    def __post_init__(self) -> None:
        if self.sort is not None and (not isinstance(self.sort, str) or not self.sort):
            raise ClientMisuse(f"sort must be the name of a property, not {described(self.sort)}")
        if self.on_ignored_filter not in get_args(OnIgnoredFilter):
            raise ClientMisuse('on_ignored_filter must be "raise" or "client"')
        if self.walk not in get_args(WalkStrategy):
            names = ", ".join(get_args(WalkStrategy))
            raise ClientMisuse(f"walk must be one of {names}")
        if not self.by_id and (self.walk == "keyset" or self.cursor is not None):
            what = "a keyset walk is" if self.cursor is None else "a walk resumes"
            raise ClientMisuse(f"{what} in the order of ids: leave out sort and descending")
        self.first.query()  # raises if the filters are too long

    @property
    def options(self) -> dict[str, object]:
        """What the caller has chosen, by its name, for people to read."""
        defaults = WalkQuery().to_dict().items()
        chosen = dict(each for each in self.to_dict().items() if each not in defaults)
        if self.filters:
            chosen["filters"] = ", ".join(map(str, self.filters))
        return chosen

    @property
    def names_order(self) -> bool:
        """Whether the caller has named an order."""
        return self.sort is not None or self.descending

    @property
    def conditions_here(self) -> tuple[Filter, ...]:
        """The conditions that rows are compared with here, because the server ignores them."""
        return self.filters if self.on_ignored_filter == "client" else ()

    @property
    def most(self) -> int | None:
        """The most rows to ask for; None if that is not known."""
        return None if self.conditions_here else self.limit

    @property
    def first(self) -> PageRequest:
        """The request for the first page."""
        size = self.page_size if self.most is None else min(self.page_size, self.most)
        return PageRequest(
            # One row would show no order.
            page_size=max(size, min(2, self.page_size)) if self.names_order else size,
            sort=self.sort or "id",
            descending=self.descending,
            conditions=() if self.conditions_here else self.filters,
        )

    @property
    def rows(self) -> tuple[object, ...]:
        """Which rows it walks over, in which order: what all its requests have in common."""
        return (*self.first.rows(), *self.conditions_here)

    @property
    def by_id(self) -> bool:
        """Whether rows are asked for in ascending order of ids."""
        return self.sort in ("id", None) and not self.descending

    @property
    def fits_keyset(self) -> bool:
        """Whether the filters leave room for the two conditions of a keyset walk."""
        if not self.filters or self.conditions_here:
            return True
        try:
            replace(self.first, after=_MAX_ID, through=_MAX_ID).query()
        except ClientMisuse:
            return False
        return True
