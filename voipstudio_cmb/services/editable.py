"""Resources whose single items are read and changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from voipstudio_cmb.boundary.checks import checked_integer
from voipstudio_cmb.codec import envelopes
from voipstudio_cmb.codec.payloads import write_payload
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Identified, Row

from .service import R, Service

Item = TypeVar("Item", bound=Identified)


class Editable(Service[R]):
    """A resource whose single items can be read and changed."""

    fields: ClassVar[type]

    async def get(self, id: int) -> R:
        """Fetches the resource with this `id`.

        Raises:
            NotFound: it does not exist. Forbidden: it is not this account's.
        """
        return await self._get(self._path(id), self._item)

    async def raw(self, id: int) -> Row:
        """Fetches the resource with this `id`, its bytes as the API sent them."""
        return await self._get(self._path(id), envelopes.read_row)

    async def _get(self, path: str, parse: Callable[[Response], Item]) -> Item:
        item = await self._send("GET", "get", parse, path=path)
        if path != f"/{item.id}":
            # A response that a server left on an idle connection is taken for that of the next
            # request. If it is asked again, the response is the API's own, whatever it says.
            item = await self._send("GET", "get", parse, path=path)
        return item

    async def delete(self, id: int) -> None:
        """Deletes the resource with this `id`.

        A deletion whose response was lost is sent again, and has succeeded if nothing is left then.

        Raises:
            NotFound: it does not exist. Forbidden: it is not this account's.
        """
        await self._send("DELETE", "delete", envelopes.read_nothing, path=self._path(id))

    async def _create(self, values: dict[str, Any]) -> R:
        body = write_payload(values, self.fields)
        return await self._send("POST", "create", self._item, body=body)

    async def _update(self, id: int, values: dict[str, Any]) -> R:
        path = self._path(id)
        body = write_payload(values, self.fields)
        if body is None:
            raise ClientMisuse("nothing to update: name at least one attribute")
        return await self._send("PATCH", "update", self._item, path=path, body=body)

    @staticmethod
    def _path(id: int) -> str:
        return f"/{checked_integer('id', id, 1, 2**63 - 1)}"
