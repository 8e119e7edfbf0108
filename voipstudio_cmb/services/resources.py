"""The five resources, with the paths and attributes of the vendor's page for the module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.models import (
    Button,
    ButtonFields,
    Cdr,
    Setting,
    SettingFields,
    Visitor,
    Website,
)

from .collection import Collection, ListOnly
from .editable import Editable


class Websites(ListOnly[Website]):
    """`/callmeback/websites`: the websites that carry a widget."""

    path = "/callmeback/websites"
    record = Website


class Cdrs(ListOnly[Cdr]):
    """`/callmeback/cdrs`: the records of calls back."""

    path = "/callmeback/cdrs"
    record = Cdr


class Visitors(ListOnly[Visitor]):
    """`/callmeback/visitors`: the visitors who met a widget."""

    path = "/callmeback/visitors"
    record = Visitor


class Settings(Collection[Setting], Editable[Setting]):
    """`/callmeback/settings`: the widgets' settings."""

    path = "/callmeback/settings"
    record = Setting
    fields = SettingFields

    async def create(self, **attributes: Unpack[SettingFields]) -> Setting:
        """Creates settings with these `attributes`; pass None to send null.

        Never sent twice unless the first was certainly not received: after any error whose `sent`
        is "maybe", as a gateway's 5xx is, look before creating again.

        Raises:
            ClientMisuse: an unknown attribute or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it; `messages` says why.
        """
        if not attributes:
            raise ClientMisuse("nothing to create: name at least one attribute")
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[SettingFields]) -> Setting:
        """Changes these `attributes`; leave one out to keep its value, pass None to send null.

        Raises:
            ClientMisuse: no or an unknown attribute, or a value of another type; nothing was sent.
            BadRequest: the API's validation refused it. NotFound: there is no such setting.
        """
        return await self._update(id, dict(attributes))


class Buttons(Editable[Button]):
    """`/callmeback/buttons`: single buttons; the API has no collection of them."""

    if not TYPE_CHECKING:  # or each name would be an attribute to it

        def __getattr__(self, name: str) -> Any:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in ("list", "pages", "batches", "count"):
                text += ": the API has no collection of them; other records name theirs (button_id)"
            raise AttributeError(text, name=name, obj=self)

    path = "/callmeback/buttons"
    record = Button
    fields = ButtonFields

    async def create(self, **attributes: Unpack[ButtonFields]) -> Button:
        """Creates a button, with the promises and errors of `settings.create`.

        The API documents no attributes for this and takes those of `update`.
        """
        return await self._create(dict(attributes))

    async def update(self, id: int, **attributes: Unpack[ButtonFields]) -> Button:
        """Changes these `attributes`, as `settings.update` does."""
        return await self._update(id, dict(attributes))
