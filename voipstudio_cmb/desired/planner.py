"""Plans: what a document would change in an account, and the way from there to an outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import attrs

from voipstudio_cmb.client import CallMeBackClient

from .document import Document
from .forms import Kind
from .items import Item
from .run import Outcome, Result


@attrs.frozen(kw_only=True)
class Plan:
    """What a document would change in an account. Nothing is changed before `apply`."""

    document: Document
    account: str
    """Which part of the document; "" of one that is about one account."""
    prune: bool
    """Whether it deletes what no section has any more."""
    items: tuple[Item, ...]
    """In the order in which they are applied: buttons, settings, deletions."""
    unlisted: tuple[tuple[Kind, int, str], ...]
    """What the account has besides: kind, id and name. It is left alone."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(item.action != "none" for item in self.items)

    def to_json(self) -> str:
        """The plan as JSON, for machines and for `SavedPlan`. It holds no token."""
        raise NotImplementedError

    async def apply(
        self, *, force: bool = False, on_item: Callable[[Result], Any] | None = None
    ) -> Outcome:
        """Does what the plan says, and writes the ids into the document.

        An item that has changed since it was planned is stopped, and one that fails does not keep
        the others from being tried, but for a refused token. `on_item` is called with each result.

        Raises:
            DocumentError: the document has changed since; nothing was sent.
            ClientMisuse: more than 5 deletions, or of more than 30 % of the items, without `force`;
                or tomlkit is not installed. Nothing was sent.
        """
        raise NotImplementedError


async def plan(
    client: CallMeBackClient, document: Document, *, account: str = "", prune: bool = False
) -> Plan:
    """What `document` would change in the account of `client`; of many, in its part `account`.

    `prune` deletes what an earlier apply has made or adopted and no section has any more.

    Raises:
        DocumentError: it is for another account, has no such part, or a name is not unique there.
        CallMeBackError: the account can't be read.
    """
    raise NotImplementedError


@attrs.frozen(kw_only=True)
class SavedPlan:
    """A plan that `Plan.to_json` has written: what it was made of, and what it said."""

    path: str
    """The document's path, as it was given."""
    account: str
    """Which part of the document."""
    prune: bool
    """Whether it deletes."""
    text: str
    """All of it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `Plan.to_json` has written.

        Raises:
            ClientMisuse: it is no such text.
        """
        raise NotImplementedError

    async def reopen(self, client: CallMeBackClient, document: Document) -> Plan:
        """The same plan, to be applied.

        Raises:
            DocumentError: the document, the account or anything that was read of it has changed.
            CallMeBackError: the account can't be read.
        """
        raise NotImplementedError
