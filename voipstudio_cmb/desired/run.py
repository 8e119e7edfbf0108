"""Applies the items of a plan: one after the other, each as it was planned or not at all."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from voipstudio_cmb.errors import CallMeBackError

from .items import Item

State: TypeAlias = Literal["done", "stopped", "failed", "unknown", "not tried"]
"""What came of an item.

It is "stopped" if the resource has changed since it was planned, and "unknown" if nobody knows
whether the API has carried it out."""


@attrs.frozen(kw_only=True)
class Result:
    """What came of one item."""

    item: Item
    state: State
    id: int | None = None
    """The id of the resource, also of one that was just made."""
    message: str = ""
    """What happened and what to do, unless it is done."""
    error: CallMeBackError | None = None
    """The error that it failed with, or that left it unknown."""


@attrs.frozen
class Outcome:
    """What came of a plan, an item at a time. Applying the document again is always right."""

    results: tuple[Result, ...]
    """Of all items that were to be changed, in their order."""

    def of(self, state: State) -> tuple[Result, ...]:
        """The results with this `state`."""
        return tuple(each for each in self.results if each.state == state)

    @property
    def complete(self) -> bool:
        """Whether everything is done."""
        return all(each.state == "done" for each in self.results)
