"""`list --follow`: the newest rows, and then each that comes, until somebody interrupts it.

Rows are found by their ids. Where several write, a row may be seen after one with a higher id: it
still comes if that is no later than some looks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from voipstudio_cmb.errors import CallMeBackError
from voipstudio_cmb.exit_codes import passes
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.models import Record
from voipstudio_cmb.services import Collection

R = TypeVar("R", bound=Record)

INTERVAL = 5.0
"""Seconds from one look for new rows to the next."""

_LOOKS_BACK = 12
"""So many looks later, a row with a lower id than one that was shown is still found."""

_LONGEST = 300.0
"""The most seconds between two looks while the API can't be reached."""


async def follow(
    service: Collection[R],
    *,
    first: int,
    filters: Sequence[Filter] = (),
    interval: float = INTERVAL,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    note: Callable[[str], object] = lambda text: None,
) -> AsyncGenerator[list[R]]:
    """The newest `first` rows, then those that come, each once, in the order of their ids.

    Looks every `interval` seconds. After an error that may pass, it says so by `note`, and looks
    again after twice as long each time, up to five minutes.

    Raises:
        CallMeBackError: from the first look, or an error that does not pass: a refused token, a
            server that ignores conditions on `id`.
    """
    newest = service.list(filters=filters, sort="id", descending=True, limit=first)
    rows = (await newest.collect())[::-1]
    highest = deque([rows[-1].id if rows else 0], _LOOKS_BACK)
    shown, pause, failures = set[int](), interval, 0
    while True:
        if rows:
            yield rows
        shown = {id for id in (*shown, *(row.id for row in rows)) if id > highest[0]}
        await sleep(pause)
        try:
            # All or none: what came before an error comes again.
            found = await service.list(filters=(*filters, where("id") > highest[0])).collect()
        except CallMeBackError as error:
            if not passes(error):
                raise
            rows, failures = [], failures + 1
            pause = min(interval * 2.0**failures, max(interval, _LONGEST))
            note(f"{error}: looking again in {pause:.0f} s")
            continue
        if failures:
            note("the API is back")
        pause, failures = interval, 0
        rows = sorted((row for row in found if row.id not in shown), key=lambda row: row.id)
        highest.append(max([highest[-1], *(row.id for row in rows)]))
