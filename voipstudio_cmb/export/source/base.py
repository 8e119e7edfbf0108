"""What a source of rows hands on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TypeAlias

import attrs

from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.models import Reject, Rows

OnRejects: TypeAlias = Callable[[Sequence[Reject]], None]
"""Is given the rows of a page that can't be used."""


@attrs.frozen(kw_only=True)
class Batch:
    """Some rows of one resource."""

    rows: Rows
    """The rows, side by side."""
    cursor: str | None = None
    """Where to resume after them; None: nowhere."""
    total: int | None = None
    """How many rows there are in all; None where only those that are left are known."""


@attrs.define(kw_only=True, eq=False)
class Source(ABC):
    """The rows that go into one file."""

    plan: Plan
    file: OutputFile
    missing: set[int] = attrs.field(factory=set)
    """The ids that were asked for and do not exist."""

    async def ready(self) -> None:
        """Returns when the rows can be asked for."""
        return

    @abstractmethod
    def batches(self, cursor: str | None, on_rejects: OnRejects) -> AsyncGenerator[Batch]:
        """The rows after the `cursor`, in the order of their ids where the API has one."""
