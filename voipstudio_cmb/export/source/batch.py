"""What a source of rows hands on."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

import attrs

from voipstudio_cmb.models import Reject, Rows


@attrs.frozen(kw_only=True)
class Batch:
    """Some rows, where to go on after them (None: nowhere), and how many there should be in all.

    *total* is None where that is not known any more: a walk by keyset that is gone on with is only
    told of those that are left.
    """

    rows: Rows
    cursor: str | None
    total: int | None


class Source(Protocol):
    """The rows of one resource."""

    async def ready(self) -> None:
        """Returns when the rows can be asked for."""
        ...

    def batches(
        self, after: str | None, reject: Callable[[Sequence[Reject]], None]
    ) -> AsyncGenerator[Batch]:
        """The rows after the position *after*; those that can't be used go to *reject*."""
        ...
