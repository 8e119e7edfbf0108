"""The records that the API sends.

Where they come from: the attributes of the vendor's page for the module (`operations.json` in the
tests). That page prints one generated example for all five resources, so real rows carry other
fields too: those are in `extra`. Nothing but `id` is ever required.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from .sent import AsSent, with_lazy_extra


@with_lazy_extra
@attrs.frozen(kw_only=True, repr=False)
class Record(AsSent):
    """What all five kinds of record have in common: the documented fields and `extra`.

    A field is None if the API sent null, sent nothing, or sent a value that does not fit its type.
    All that it sent, as it came, are the items: `record["src"]`, `record.keys()`; `to_dict` gives
    the whole row.
    """

    id: int
    allowed_countries: str | None = None
    button_id: int | None = None
    created_at: datetime | None = None
    """Without a zone, because the API documents none."""
    culture: int | str | None = None
    """An integer in the documented responses and a string in the requests: stays as it was sent."""
    ddi: int | None = None
    floating_icon: bool | None = None
    max_call_rate: Decimal | None = None
    name: str | None = None
    position: int | str | None = None
    """Sent as `culture` is."""
    privacy_policy_url: str | None = None
    show_to_allowed_countries_only: bool | None = None
    title: str | None = None
    welcome_screen_msg: str | None = None
    extra: Mapping[str, Any] = attrs.field(factory=dict, hash=False)
    """The fields that are not documented, and the values that do not fit their field's type."""


# One that adds no field is not made by attrs again, which would take a millisecond at each start.
class Website(Record):
    """A website that carries a call-me-back widget."""

    __slots__ = ()


@attrs.frozen(kw_only=True, repr=False)
class Setting(Record):
    """The settings of a call-me-back widget."""

    ddi_e164: int | None = None
    """What requests call the number that responses call `ddi`."""


class Cdr(Record):
    """The record of one call back."""

    __slots__ = ()


class Visitor(Record):
    """A visitor who met a call-me-back widget."""

    __slots__ = ()


@attrs.frozen(kw_only=True, repr=False)
class Button(Record):
    """A call-me-back button."""

    data_online: str | None = None
    """What it shows while the office is online."""
    data_offline: str | None = None
    """What it shows while the office is offline."""


RECORDS: Mapping[str, type[Record]] = {
    "cdrs": Cdr, "visitors": Visitor, "websites": Website, "settings": Setting, "buttons": Button
}  # fmt: skip
"""The records of each resource."""
