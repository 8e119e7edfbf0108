"""The attributes that the API takes, as the vendor's page documents them."""

# Not `from __future__ import annotations`: it would have each type compiled as the client starts.

from decimal import Decimal
from typing import TypedDict


class SettingFields(TypedDict, total=False):
    """The attributes that `settings.create` and `settings.update` take. None is sent as null."""

    button_id: int | None
    name: str | None
    position: str | int | None
    floating_icon: bool | None
    culture: str | int | None
    allowed_countries: str | list[str] | None
    """Documented as of an undefined type."""
    show_to_allowed_countries_only: bool | None
    welcome_screen_msg: str | None
    privacy_policy_url: str | None
    ddi_e164: int | None
    max_call_rate: float | Decimal | str | None
    """Documented as a float, with the string "100.00" for an example. A `Decimal` is sent as such a
    string."""


class ButtonFields(TypedDict, total=False):
    """The attributes that `buttons.create` and `buttons.update` take. None is sent as null.

    The API documents them for the update only and none for the creation.
    """

    name: str | None
    data_online: str | None
    data_offline: str | None
