"""What a server has shown of each resource; a client's walks share it. No I/O.

What is proved for some ids is not for all. A server that compares ids as text is right as long as
all have as many digits, and one that takes no number above 2,147,483,647 until they reach it. So
what is proved holds for ids that are no shorter and no longer than those it was proved by.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from voipstudio_cmb.boundary.value import State, field
from voipstudio_cmb.models import Page

from .ids import ids_of

LARGEST = 2**63 - 1
"""The largest id."""

_LIMITS = (2**31 - 1, 2**32 - 1, 2**53)
"""The largest numbers that some servers compare: they take a larger one for this one."""


_Length: TypeAlias = tuple[int, int]
"""How long an id is, as a text and as a number."""

Question: TypeAlias = tuple[int, int, list[int]]
"""Two bounds, and the ids above the first and up to the second."""


class Capabilities(State):
    """What a server supports of each resource."""

    supported: dict[str, set[tuple[_Length, _Length]]] = field(default_factory=dict)
    """From which length up to which it has proved that it supports conditions on `id`."""
    refused: set[str] = field(default_factory=set)
    """It has shown that it does not."""
    counted: set[str] = field(default_factory=set)
    """Its totals have counted more rows than their page, where conditions on `id` went with it."""
    sorts_numbers: set[str] = field(default_factory=set)
    """It has sent a shorter id before a longer one that comes first as a text."""
    unsorted: set[str] = field(default_factory=set)
    """It answers only if no order is asked for."""

    def supports(self, resource: str, low: int, high: int) -> bool:
        """Whether what was proved of `resource` holds for the ids from `low` to `high`."""
        shortest, longest = _length(low), _length(high)
        proved = self.supported.get(resource, ())
        return any(least <= shortest and longest <= most for least, most in proved)

    def prove(self, resource: str, low: int, high: int) -> None:
        """Notes that conditions on the ids from `low` to `high` are supported."""
        self.supported.setdefault(resource, set()).add((_length(low), _length(high)))

    def refuse(self, resource: str) -> None:
        """Notes that conditions on `id` are not supported."""
        self.supported.pop(resource, None)
        self.refused.add(resource)


def probes(known: list[int]) -> list[Question]:
    """What to ask about the first ids of a collection, so that only a right response is right.

    A condition that is ignored lets rows in that are known to lie beyond it. One row alone would
    come by an equality too; where there is no other, none must come that an equality would let in.
    """
    if len(known) < 2:
        return []
    if len(known) < 4:
        first, second = known[:2]
        return [(first, second, [second]), (first, first, [])]
    # Not from the very first: the oldest may be those that are deleted all the time.
    low = (len(known) - 1) // 2 - 1
    return [(known[low], known[-2], known[low + 1 : -1])]


def is_right(probe: Question, received: list[int], stayed: set[int]) -> bool | None:
    """Whether the `received` ids answer the `probe`; None if rows that came or went hide that.

    The rows that `stayed` were on the first page before and after it.
    """
    low, high, expected = probe
    if not stayed.intersection(expected) <= {*received}:
        return False
    around = any(id <= low for id in stayed) and any(id > high for id in stayed)
    return True if around and high in received and len(received) > 1 else None


def is_proof(page: Page[Any], low: int, high: int, left: int | None) -> bool:
    """Whether `page`, of ids above `low` and up to `high`, proves conditions on all between these.

    A server that compares texts sends no row that is not between the two as text. One that takes
    large numbers for smaller ones does not count all rows that are `left`.
    """
    if not page.records or _length(low) == _length(high):
        return bool(page.records)
    least, most = str(low), str(high)
    as_numbers = len(least) == len(most) or any(not least < str(id) <= most for id in ids_of(page))
    is_counted = left is not None and page.total == left
    return as_numbers and (is_counted or _limits(low) == _limits(high))


def _length(id: int) -> _Length:
    return len(str(id)), _limits(id)


def _limits(id: int) -> int:
    return sum(map(id.__gt__, _LIMITS))
