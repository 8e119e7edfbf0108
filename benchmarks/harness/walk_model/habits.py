"""The habits of servers, by name: each is a few tempers that have it, and a plain one beside it.

With more than one habit at a time, or one and a total, the contract promises little.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from benchmarks.harness.walk_model.temper import HONEST, Temper

_WRONG = ("missing", "null", "zero", "one above", "five above", "one below", "five below",
          "threefold", "a third")  # fmt: skip

HABITS: dict[str, tuple[Temper, ...]] = {
    "honest": (HONEST,) * 8,
    "wrong totals": tuple(Temper(total=total) for total in ("string", *_WRONG)),
    "own order": tuple(Temper(order=order, total=total) for order, total in product(
        ("ascending", "newest", "shuffled"), ("exact", "missing"))),
    "no filters": tuple(Temper(filter=kind, total=total) for kind, total in product(
        ("ignored", "refused"), ("exact", "missing", "one below", "five above"))),
    "own page size": (
        *(Temper(cap=size) for size in (1, 2, 3, 5)),
        *(Temper(rows_cap=size) for size in (1, 2, 3, 5)),
        *(Temper(fixed=size) for size in (2, 4, 10_000)),
    ),
    "past the end": tuple(Temper(past=past, total=total) for past, total in product(
        ("404", "last"), ("exact", "string", *_WRONG))),
    "spoilt pages": tuple(Temper(spoils=kind) for kind in ("empty", "short", "twice")),
    "no pages": (
        Temper(deaf_page=True),
        Temper(deaf_page=True, total="missing"),
        Temper(deaf_page=True, fixed=10_000),
        Temper(refuse_sort=True),
    ),
    "compares text": (
        Temper(compare="text"),
        Temper(compare="text", order="text"),
        Temper(compare="text", total="missing"),
        Temper(order="text"),
    ),
    "compares narrow": (
        *(Temper(compare=kind) for kind in ("clamped", "clamped both", "wrapped")),
        *(Temper(compare="clamped", bits=bits) for bits in (15, 32, 53)),
    ),
    "compares floats": (Temper(compare="float"),),
    "404 for rows": tuple(Temper(spoils="404", times=times) for times in (1, 2, 3)),
    "ends at a row": (
        *(Temper(last_row=row, past=past, filter=filter) for row, past, filter
            in product((5, 10), ("", "404", "400"), ("", "ignored"))),
        *(Temper(last_row=10, total="capped", filter=filter) for filter in ("", "ignored")),
    ),
    "ends at a page": tuple(Temper(last_page=page, past=past, filter=filter)
        for page, past, filter in product((2, 3), ("", "last"), ("", "ignored"))),
    "total of the page": (
        Temper(total="of the page"),
        Temper(total="of the page", weight=6),
        Temper(total="of the page", cap=3),
        Temper(total="of the page", rows_cap=3),
        Temper(total="of the page", varying=True),
    ),
    "total of everything": (Temper(total="of everything"), Temper(total="of everything", cap=3)),
    "total capped": (Temper(total="capped"), Temper(total="capped", past="404")),
    "total rounded": (Temper(total="rounded"),),
    "total cached": (Temper(total="cached"), Temper(total="cached", past="last")),
    "later page size": tuple(Temper(later=size, later_by=by, filter=filter)
        for size, by, filter in product((2, 5), ("request", "own"), ("", "ignored"))),
    "pages from 0": (
        Temper(from_zero=True),
        Temper(from_zero=True, filter="ignored"),
        Temper(from_zero=True, past="last"),
    ),
    "cut by bytes": tuple(Temper(weight=weight, filter=filter)
        for weight, filter in product((3, 6), ("", "ignored"))),
    "a short page": tuple(Temper(short_page=page, filter=filter)
        for page, filter in product((2, 3, 5), ("", "ignored"))),
    "varying cap": (Temper(varying=True), Temper(varying=True, filter="ignored")),
    "replicas": tuple(Temper(replicas=turns, lag=lag, filter=filter) for turns, lag, filter
        in product(("alternating", "random"), (1, 4), ("", "ignored"))),
    "cached by URL": tuple(Temper(cached=age, filter=filter)
        for age, filter in product((5, 20), ("", "ignored"))),
    "late rows": (Temper(writes="late"), Temper(writes="late", filter="ignored")),
    "low ids": (Temper(writes="low"), Temper(writes="low", filter="ignored")),
    "re-used ids": (Temper(writes="re-used"), Temper(writes="re-used", filter="ignored")),
    "inserts only": tuple(Temper(deletes=False, writes=writes, filter=filter, total=total)
        for writes, filter, total in product(
            ("", "late", "low"), ("", "ignored"), ("exact", "missing"))),
    "rows while it opens": (Temper(writes="opening"), Temper(writes="opening", filter="ignored")),
    "flood": tuple(Temper(writes="flood", deletes=deletes, filter=filter)
        for deletes, filter in product((False, True), ("", "ignored"))),
}  # fmt: skip

UNSOLVED = frozenset({"compares floats"})
"""Habits over which walks still lose rows, which are tried only where they are named."""

HELD = tuple(name for name in HABITS if name not in UNSOLVED)


_NAMES = {str(temper): name for name in reversed(HABITS) for temper in HABITS[name]}


def tempers_of(kind: str, habits: Sequence[str]) -> tuple[Temper, ...]:
    """The tempers with these `habits` over which walks of this `kind` may run.

    A server that gives a keyset walk no reason to begin has nothing to show to walks that insist.
    """
    tempers = tuple(temper for name in habits for temper in HABITS[name])
    if kind == "page":
        return tempers
    by_id = tuple(temper for temper in tempers if temper.by_id or temper.compare)
    return by_id or (HONEST,)


def habit_of(temper: str) -> str:
    """The first habit of the temper with this description."""
    return _NAMES.get(temper, "several habits at once")
