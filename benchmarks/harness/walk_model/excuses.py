"""Why a walk may lose a row without an error: each reason is one that the guide `walking` names.

A walk promises that a row which exists throughout comes exactly once, or that it raises. A row
counts as existing while it is visible in every response that the server may still give: on both
replicas, and in what is cached.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from benchmarks.harness.walk_model.temper import Temper


@attrs.frozen(kw_only=True)
class Circumstances:
    """What a walk met."""

    temper: Temper
    strategy: str | None
    page_size: int
    """The rows of a page, as the server counts them."""
    inserted: int
    """How many rows came since the walk began."""
    inserted_before: int
    """How many of them came before others, in the order of ids."""
    deleted: int
    came: int
    """How many rows came, up to the highest id of its beginning."""
    too_low: set[int]
    """Totals that were sent with a first page or the highest rows, and were below their number."""


@attrs.frozen
class Excuse:
    """What the guide says is not guaranteed, in its `words`, and when it is the reason."""

    name: str
    words: str
    """The guide's own, under "Not guaranteed"."""
    applies: Callable[[Circumstances], bool]
    """Whether a walk could not tell."""


def _blind_totals(met: Circumstances) -> bool:
    return met.strategy == "page" and met.deleted > 0 and met.came in met.too_low


def _inserted_before(met: Circumstances) -> bool:
    before = met.inserted_before if met.temper.ascends else met.inserted
    return met.strategy == "page" and met.deleted > 0 and before > 0


def _stale(met: Circumstances) -> bool:
    return met.strategy == "page" and not met.temper.single


def _uncounted(met: Circumstances) -> bool:
    temper = met.temper
    return met.strategy == "page" and temper.last_row > 0 and temper.total == "capped"


EXCUSES = (
    Excuse(
        "totals too low",
        "Totals that are now and then wrong by exactly the number of rows that were missed",
        _blind_totals,
    ),
    Excuse(
        "inserted before",
        "Rows inserted *before* existing ones",
        _inserted_before,
    ),
    Excuse(
        "stale responses",
        "Responses older than the walk, from a cache or from a replica that is behind",
        _stale,
    ),
    Excuse(
        "neither shown nor counted",
        "Rows that the server neither shows nor counts: it ends its pages at a row number, caps "
        "its total at the same number",
        _uncounted,
    ),
)


def excuse_of(met: Circumstances) -> Excuse | None:
    """The reason why such a walk may lose a row silently, or None."""
    return next((one for one in EXCUSES if one.applies(met)), None)
