"""What the beginning of a keyset walk comes to, where it does not prove what it is to prove."""

from __future__ import annotations

from typing import Any

from voipstudio_cmb.models import Page

from .ids import ascends, ids_of


class KeysetUnsupported(Exception):
    """The server does not support `filter` or `sort` on `id`: the walk has to count pages."""


class KeysetUnproved(KeysetUnsupported):
    """Rows came and went too fast to tell whether the server supports it."""


class Changed(Exception):
    """Two responses contradict each other, perhaps because rows have come or gone.

    It may hold the ids of the later one.
    """


class Wrong(Changed):
    """An answer was wrong, and no row that came or went explains it."""


def within(page: Page[Any], low: int, high: int | None) -> bool:
    """Whether the ids of `page` ascend strictly, above `low` and up to `high`."""
    ids = ids_of(page)
    return ascends(ids, low) and (not ids or high is None or ids[-1] <= high)
