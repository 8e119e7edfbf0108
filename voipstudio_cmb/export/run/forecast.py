"""What an export would fetch: counted, and compared with what is in hand. Writes nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import CallMeBackError, ClientMisuse
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.plan import Plan
from voipstudio_cmb.export.store.checkpoint import Checkpoint

from .export import Export

BESIDES = 2
"""Requests of a walk beside those for its pages: how far the ids go, and a proof."""


@attrs.frozen(kw_only=True)
class Forecast:
    """One resource of an export that has not been run.

    *rows* there are, as the API counts them, of which *kept* are in hand; fetching the others takes
    about that many *requests*. None: not known before other rows are read, or because of *error*.
    *already* says that the file is there and whole.
    """

    resource: str
    account: str = ""
    rows: int | None = None
    kept: int = 0
    requests: int | None = None
    already: bool = False
    error: CallMeBackError | None = None


async def forecast(client: CallMeBackClient, plan: Plan, *, account: str = "") -> list[Forecast]:
    """What `Export(client, plan).run()` would fetch, by one request for each resource and one more.

    Raises:
        ClientMisuse: that export would be refused.
        CallMeBackError: the account could not be asked who it is.
    """
    parts = plan.parts()
    kept = found(plan, client.base_url, parts)
    await Export(client, plan).account(kept)
    return [
        await _part(client, plan, part, kept.get(part.path), account, already=part.path in kept)
        for part in parts
    ]


def found(plan: Plan, base_url: str, parts: Sequence[OutputFile]) -> dict[Path, Checkpoint | None]:
    """What `plan.prepare` would find, without making a directory.

    Raises:
        ClientMisuse: as `plan.prepare`.
    """
    if os.path.lexists(plan.to):
        return plan.prepare(base_url, parts)
    above = next(parent for parent in plan.to.absolute().parents if os.path.lexists(parent))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise ClientMisuse(
            f"the export directory {str(plan.to)!r} can't be made in {str(above)!r}: "
            "choose another with --to, or mend its permissions"
        )
    return {}


async def _part(
    client: CallMeBackClient,
    plan: Plan,
    part: OutputFile,
    kept: Checkpoint | None,
    account: str,
    *,
    already: bool,
) -> Forecast:
    name = part.resource
    if already and (kept is None or (kept.file is not None and part.path.exists())):
        rows = None if kept is None else kept.rows
        return Forecast(
            resource=name, account=account, rows=rows, kept=rows or 0, requests=0, already=True
        )
    in_hand = 0 if kept is None else kept.rows
    if kept is not None and kept.whole:
        return Forecast(resource=name, account=account, rows=in_hand, kept=in_hand, requests=0)
    if name == "buttons":
        return Forecast(resource=name, account=account, kept=in_hand)
    try:
        filters = [*plan.filters, *part.ids.conditions()]
        rows = await getattr(client, name).count(filters=filters)
    except CallMeBackError as error:
        return Forecast(resource=name, account=account, kept=in_hand, error=error)
    return Forecast(
        resource=name,
        account=account,
        rows=rows,
        kept=in_hand,
        requests=pages(max(0, rows - in_hand), plan.page_size) + BESIDES,
    )


def pages(rows: int, page_size: int) -> int:
    """The pages of at most *limit* rows that hold *rows*; an empty one is asked for too."""
    return max(1, -(-rows // page_size))


def requests(resources: Sequence[Forecast]) -> int:
    """About how many requests the *resources* take, of which one asks whose account each is."""
    return sum(each.requests or 0 for each in resources) + len({r.account for r in resources})
