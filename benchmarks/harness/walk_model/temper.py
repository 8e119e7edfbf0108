"""What kind of server the model server is: its habits, and those of the others who write to it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from operator import eq, ge, gt, le, lt
from typing import Any

import attrs

NONE = object()
"""No total at all."""


@attrs.frozen
class Counts:
    """What a total may be made of."""

    rows: int
    """How many rows meet the request's conditions."""
    shown: int
    """How many the response holds."""
    everything: int
    """How many the table holds."""
    earlier: int
    """How many met the conditions when this was counted last."""


TOTALS: dict[str, Callable[[Counts], Any]] = {
    "exact": lambda count: count.rows,
    "string": lambda count: str(count.rows),
    "missing": lambda count: NONE,
    "null": lambda count: None,
    "zero": lambda count: 0,
    "one above": lambda count: count.rows + 1,
    "five above": lambda count: count.rows + 5,
    "one below": lambda count: max(0, count.rows - 1),
    "five below": lambda count: max(0, count.rows - 5),
    "threefold": lambda count: 3 * count.rows,
    "a third": lambda count: count.rows // 3,
    "of the page": lambda count: count.shown,
    "of everything": lambda count: count.everything,
    "capped": lambda count: min(count.rows, 10),
    "rounded": lambda count: round(count.rows, -1),
    "cached": lambda count: count.earlier,
}


def _same(id: int, bits: int) -> int:
    return id


def _text(id: int, bits: int) -> str:
    return str(id)


def _clamped(id: int, bits: int) -> int:
    return min(id, 2**bits - 1)


def _wrapped(id: int, bits: int) -> int:
    return (id + 2**bits) % 2 ** (bits + 1) - 2**bits


def _float(id: int, bits: int) -> float:
    value: float = struct.unpack("f", struct.pack("f", id))[0]
    return value


COMPARES: dict[str, tuple[Callable[[int, int], Any], Callable[[int, int], Any]]] = {
    "": (_same, _same),
    "text": (_text, _text),
    "clamped": (_same, _clamped),
    "clamped both": (_clamped, _clamped),
    "wrapped": (_same, _wrapped),
    "float": (_float, _float),
}
"""What an id and a bound become before they are compared, in so many bits."""

_OPERATORS = {"gt": gt, "gte": ge, "lt": lt, "lte": le, "eq": eq}


@attrs.frozen(kw_only=True)
class Temper:
    """The habits of a server, and of those who write to its table."""

    cap: int = 0
    """The most rows of a page; pages are counted by it."""
    rows_cap: int = 0
    """The most rows of a page; pages are counted by the size that was requested."""
    fixed: int = 0
    """The size of all pages, whatever is requested."""
    deaf_page: bool = False
    """Whether `page` is ignored."""
    from_zero: bool = False
    """Whether the first page is page 0."""
    order: str = ""
    """The order of a server that ignores `sort`: ascending, newest, shuffled, text."""
    filter: str = ""
    """What becomes of a filter: ignored, refused."""
    compare: str = ""
    """One of `COMPARES`."""
    bits: int = 31
    """How many bits a value has that is clamped or wrapped."""
    refuse_sort: bool = False
    past: str = ""
    """What comes past the end instead of an empty page: 404, 400, last."""
    last_row: int = 0
    """The row number where pages end, whatever comes after it."""
    last_page: int = 0
    """The number of the last page that has rows."""
    total: str = "exact"
    """One of `TOTALS`."""
    weight: int = 0
    """The most bytes of a response, where half of the rows take 1 and half take 3."""
    varying: bool = False
    """Whether the most rows of a page differ from response to response."""
    short_page: int = 0
    """The number of a page that always comes short."""
    later: int = 0
    """The size of the pages from page 3 on, whatever is requested."""
    later_by: str = "request"
    """What those pages are counted by: the size of the request, or their own."""
    spoils: str = ""
    """What a page may be once instead of itself: empty, short, twice, 404."""
    times: int = 1
    """How often in a row it is."""
    replicas: str = ""
    """How two replicas take turns, of which one is behind: alternating, random."""
    lag: int = 2
    """How many changes the second replica is behind."""
    cached: int = 0
    """For how many requests a response is given again to the same URL."""
    writes: str = ""
    """How others write instead of at the end: late (a row is visible after later ones), low (any
    free id), re-used (the id of a row that was deleted), opening (rows come with the first
    responses of a walk), flood (rows come with each response)."""
    deletes: bool = True
    """Whether rows are deleted."""

    def __str__(self) -> str:
        fields = ((f.name, getattr(self, f.name), f.default) for f in attrs.fields(Temper))
        odd = [f"{name} {value}" for name, value, default in fields if value != default]
        return ", ".join(odd).replace("deaf_page True", "ignores page") or "honest"

    def meets(self, id: int, operator: str, bound: int) -> bool:
        """Whether a row with this `id` meets a condition, as the server compares them."""
        of_id, of_bound = COMPARES[self.compare]
        return bool(_OPERATORS[operator](of_id(id, self.bits), of_bound(bound, self.bits)))

    @property
    def edge(self) -> int:
        """The id around which its comparison begins to go wrong, or 0."""
        if self.compare == "float":
            return 2**24  # beyond it not every integer is one
        return 0 if self.compare in ("", "text") else 2**self.bits

    @property
    def ascends(self) -> bool:
        """Whether it pages in the order of ids."""
        return self.order in ("", "ascending")

    @property
    def by_id(self) -> bool:
        """Whether it supports a keyset walk."""
        return not (self.order or self.filter or self.compare or self.refuse_sort)

    @property
    def counts(self) -> bool:
        """Whether its totals are right."""
        return self.total in ("exact", "string")

    @property
    def even(self) -> bool:
        """Whether each page has the rows that its number and the size of all pages say."""
        odd = self.weight or self.varying or self.short_page or self.later or self.from_zero
        return not (odd or self.last_row or self.last_page or self.deaf_page)

    @property
    def single(self) -> bool:
        """Whether all its responses are of one table, as it is at that moment."""
        return not (self.replicas or self.cached)

    @property
    def upright(self) -> bool:
        """Whether a walk over it can't fail while nothing changes."""
        right = self.counts and self.even and self.single
        return right and not (self.refuse_sort or self.spoils or self.misreads)

    @property
    def misreads(self) -> bool:
        """Whether it takes ids for anything but whole numbers of any size."""
        return bool(self.compare) or self.order == "text"


HONEST = Temper()
