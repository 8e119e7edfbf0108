"""What an export would fetch: counted, and compared with what is kept. Writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import BadRequest, CallMeBackError, ExportError, FilterIgnored
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.place import StoreUrl
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.plan.preflight import Preflight
from voipstudio_cmb.export.store.disk import in_thread, status
from voipstudio_cmb.export.store.ended import end_mark
from voipstudio_cmb.export.store.failures import before_sending
from voipstudio_cmb.export.store.state import Finished, Interrupted, State
from voipstudio_cmb.services import Collection

from .owner import checked_owner
from .store_workspace import StoreWorkspace

BESIDES = 2
"""Requests of a walk beside those for its pages: how far the ids go, and a probe."""

MARKS = 2
"""Requests that find out where the next export begins: the highest row by id, and by time."""


@attrs.frozen(kw_only=True)
class Forecast:
    """One resource of an export that has not been run."""

    resource: str
    """What would be exported."""
    account: str = ""
    """The name of the account, where many would be."""
    rows: int | None = None
    """How many rows are read, as the API counts them; None: not known before others are read."""
    kept: int = 0
    """How many of them an interrupted run has left."""
    requests: int | None = None
    """About how many requests fetch the others; None: not known."""
    already: bool = False
    """Whether the file is complete."""
    error: CallMeBackError | None = None
    """Why nothing is known."""


async def forecast(
    client: CallMeBackClient, plan: Plan, *, mark: Path | None = None
) -> list[Forecast]:
    """What `Export(client, plan).run()` would fetch, by one request for each resource and one more.

    `mark` is where it would say that it is complete, if that is not in its directory.

    Raises:
        ClientMisuse: that export would be refused.
        CallMeBackError: the account could not be asked who it is.
    """
    mark = mark or end_mark(plan.directory)
    try:
        if isinstance(plan.to, StoreUrl):
            with StoreWorkspace(plan) as workspace:
                await in_thread(workspace.fetch)
        files = plan.files(mark)
        preflight = Preflight(plan, files, client.base_url, mark=mark)
    except ExportError as error:
        return [Forecast(resource=name, error=error) for name in plan.resources]
    await checked_owner(client, preflight)
    pairs = zip(files, preflight.states, strict=True)
    return [await _forecast(client, plan, file, state) for file, state in pairs]


async def _forecast(
    client: CallMeBackClient, plan: Plan, file: OutputFile, state: State
) -> Forecast:
    name, kept = file.resource, 0
    already = fetched = isinstance(state, Finished)
    if isinstance(state, Finished):
        kept = state.entry.rows
    elif isinstance(state, Interrupted):
        kept, fetched = state.checkpoint.rows, state.checkpoint.complete
        with before_sending(plan.directory):
            already = state.checkpoint.file is not None and status(file.path) is not None
    if already or fetched:
        return Forecast(resource=name, rows=kept, kept=kept, requests=0, already=already)
    if name == "buttons":
        return Forecast(resource=name, kept=kept)
    try:
        rows = await _count(getattr(client, name), plan, file)
    except CallMeBackError as error:
        return Forecast(resource=name, kept=kept, error=error)
    pages = max(1, -(-max(0, rows - kept) // plan.page_size))  # an empty one is asked for too
    besides = BESIDES + file.share.reaches_back
    if plan.since and file.share.end is None and not isinstance(state, Interrupted):
        besides += MARKS
    return Forecast(resource=name, rows=rows, kept=kept, requests=pages + besides)


async def _count(service: Collection[Any], plan: Plan, file: OutputFile) -> int:
    """How many rows would be read."""
    conditions = file.share.conditions()
    try:
        return await service.count(filters=[*plan.sent_filters, *conditions])
    except (FilterIgnored, BadRequest):
        if not conditions:
            raise
        return await service.count(filters=plan.sent_filters)  # and those of the file are chosen


def requests(forecasts: Sequence[Forecast]) -> int:
    """About how many requests they take, of which one asks for the identity of each account."""
    return sum(each.requests or 0 for each in forecasts) + len({f.account for f in forecasts})
