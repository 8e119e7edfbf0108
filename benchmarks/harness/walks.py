"""The two ways to walk, and the least time that a walk can take."""

from __future__ import annotations

from typing import Literal

By = Literal["page", "keyset"]
WALKS: tuple[By, ...] = ("page", "keyset")

SLOWDOWN = {"page": 1.05, "keyset": 1.15}
"""How much longer than the least a walk may take."""


def least_round_trips(pages: int, concurrency: int) -> int:
    """How many responses, one after the other, a walk has to wait for at least."""
    return -(-(pages - 1) // concurrency) + 1
