"""Which source the rows of a file come from."""

from __future__ import annotations

from collections.abc import Sequence

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.export.plan.files import OutputFile
from voipstudio_cmb.export.plan.plan import Plan

from .base import Source
from .buttons import ButtonIds, ButtonSource
from .collection import CollectionSource


def source_of(
    client: CallMeBackClient, plan: Plan, file: OutputFile, named: Sequence[ButtonIds]
) -> Source:
    """The rows that go into `file`; of buttons, those that are `named`."""
    if file.resource == "buttons":
        return ButtonSource(plan=plan, file=file, client=client, named=named)
    return CollectionSource(plan=plan, file=file, service=getattr(client, file.resource))
