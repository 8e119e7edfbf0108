"""Where an export begins: what is known to have existed then, by which the next one continues."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from voipstudio_cmb.errors import BadPayload, BadRequest, NotFound, ServerFault
from voipstudio_cmb.export.plan.files import Share
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.store.marks import Mark, moved, time_of
from voipstudio_cmb.models import Rows
from voipstudio_cmb.services import Collection
from voipstudio_cmb.walk import Progress

_TAKES = 60.0
"""Seconds in which a walk asks for the first page and for the highest ids, in any order."""

_FEW = 10
"""Rows that are asked for: one alone may have no usable id, or a time that can't be."""

_FIRST = "0001-01-01 00:00:00"


async def first_mark(service: Collection[Any], plan: Plan, share: Share) -> Mark | None:
    """The mark before anything is read, from the highest row by id and by time of creation.

    Any row that existed will do, so that nothing depends on the order: from one that is not the
    highest, the next export only has more to compare. None if the API shows no such row.
    """
    by_time = await _newest(service, plan, "created_at")
    by_id = await _newest(service, plan, "id")
    if not by_id:
        return None
    rows = [by_id, *([] if by_time is None else [by_time])]
    times = [created for each in rows for created in each.created]
    return _mark(share, [id for each in rows for id in each.ids], times, plan.overlap)


def mark_of(progress: Progress, first: Rows, plan: Plan, share: Share) -> Mark:
    """The mark of a walk that has sent the `first` of its rows."""
    ids = first.ids if progress.through is None else [progress.through]
    # The highest ids may have been asked for after the first.
    earlier = [moved(time, -_TAKES) for time in map(time_of, progress.newest) if time]
    return _mark(share, ids, [*first.created, *earlier], plan.overlap)


async def _newest(service: Collection[Any], plan: Plan, by: str) -> Rows | None:
    try:
        return await service.raw_newest(by, _FEW, filters=plan.sent_filters)
    except (BadRequest, NotFound):
        return None
    except (ServerFault, BadPayload):
        if by == "id":
            raise
        return None  # it may not be able to sort so


def _mark(share: Share, ids: Iterable[int], created: Iterable[object], overlap: float) -> Mark:
    """The mark behind the `ids`, and `overlap` before the latest time in `created`."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
    # A date in the future would hide all rows that come until then.
    times = [each for each in map(time_of, created) if each <= tomorrow]
    latest = max((each for each in times if each and moved(each, 0)), default="")
    time = (moved(latest, -overlap) or _FIRST) if latest else None
    if share.since is not None:
        time = max(share.since, time or "")
    elif share.after:
        time = None  # earlier files do not know their rows by time
    return Mark(max([share.after, *ids]), time)
