"""Plans: what a document would change in an account, and the way from there to an outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Self

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import ClientMisuse, DocumentError

from .document import Document, Part
from .edits import check_editor
from .forms import UNKNOWN, Kind
from .items import ButtonOf, Item, compare
from .remote import read_account
from .run import Outcome, Result, Run

MAX_DELETIONS = 5
"""More than these, or than a share of 30 % of all items, are only deleted by force."""


@attrs.frozen(kw_only=True)
class Plan:
    """What a document would change in an account. Nothing is changed before `apply`."""

    document: Document
    account: str
    """Which part of the document; "" of one that is about one account."""
    prune: bool
    """Whether it deletes what no section has any more."""
    identity: str
    """Whose account it is, as `client.identity()` says it; "" if the API does not say."""
    items: tuple[Item, ...]
    """In the order in which they are applied: buttons, settings, deletions."""
    unlisted: tuple[tuple[Kind, int, str], ...]
    """What the account has besides: kind, id and name. It is left alone."""
    client: CallMeBackClient = attrs.field(eq=False, repr=False)
    """Who is asked."""

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(item.action != "none" for item in self.items)

    @property
    def deletions(self) -> int:
        """How many resources it deletes."""
        return sum(item.action == "delete" for item in self.items)

    @property
    def risk(self) -> str:
        """Why it is only applied by force; "" if it need not be.

        It deletes more than 5, or than 30 % of its items. Or all that the document has ids of is
        gone, and it does not say whose it is: it may be for another account.
        """
        count, deletions = len(self.items), self.deletions
        if deletions > MAX_DELETIONS or 10 * deletions > 3 * count:
            return f"this deletes {deletions} of {count}"
        named = [each for each in self.items if each.section and each.section.id is not None]
        nameless = self.document.parts[self.account].account is None
        if nameless and named and all(each.id is None for each in named):
            whose = self.identity or "…"
            return f'no id of the document is there, and it lacks account = "{whose}"'
        return ""

    def to_json(self) -> str:
        """The plan as JSON, for machines and for `SavedPlan`. It holds no token."""
        content = {
            "format": 1,
            "document": str(self.document.path),
            "sha256": self.document.sha256,
            "base_url": self.client.base_url,
            "account": self.account,
            "identity": self.identity,
            "prune": self.prune,
            "changes": self.changes,
            "items": [_plain(item) for item in self.items],
            "unlisted": [
                {"kind": kind, "id": id, "name": name} for kind, id, name in self.unlisted
            ],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    async def apply(
        self, *, force: bool = False, on_item: Callable[[Result], Any] | None = None
    ) -> Outcome:
        """Does what the plan says, and writes the ids into the document.

        An item that has changed since it was planned is stopped, and one that fails does not keep
        the others from being tried, but for a refused token. `on_item` is called with each result.

        Raises:
            DocumentError: the document has changed since; nothing was sent.
            ClientMisuse: there is a `risk`, and no `force`; or tomlkit is not installed. Nothing
                was sent.
        """
        if not self.changes:
            return Outcome(())
        if self.risk and not force:
            raise ClientMisuse(f"{self.risk}: look at the plan, and apply it with force")
        check_editor()
        self.document.file.check()
        known = {item.id for item in self.items if item.kind == "settings" and item.id}
        known.update(id for kind, id, _ in self.unlisted if kind == "settings")
        run = Run(self.client, self.document.file, self.account, known)
        return await run.apply(self.items, on_item or (lambda _: None))


async def plan(
    client: CallMeBackClient, document: Document, *, account: str = "", prune: bool = False
) -> Plan:
    """What `document` would change in the account of `client`; of many, in its part `account`.

    `prune` deletes what an earlier apply has made or adopted and no section has any more.

    Raises:
        DocumentError: it is for another account, has no such part, or a name is not unique there.
        CallMeBackError: the account can't be read.
    """
    if (part := document.parts.get(account)) is None:
        wanted = f"no [accounts.{account}]" if account else "[accounts.NAME]: name one of them"
        raise DocumentError(f"{document.path}: it has {wanted}")
    identity = await _identity(client, document, part)
    found = compare(part, *await read_account(client, part), prune=prune)
    if found.mistakes:
        lines = (f"{document.path}:{line}: {why}" for line, why in found.mistakes)
        raise DocumentError("\n".join(lines))
    return Plan(
        document=document,
        account=account,
        prune=prune,
        identity=identity,
        items=found.items,
        unlisted=found.unlisted,
        client=client,
    )


async def _identity(client: CallMeBackClient, document: Document, part: Part) -> str:
    """Whose account it is, if the API says that; raises if it is not that of the document."""
    names, error = await client.identities()
    known = next((name for name in names if name.startswith("id ")), "")
    if part.account is None or part.account in names:
        return known
    if error is not None:
        raise error.with_detail("so it is not known whether the document is for this account")
    whose = f": {known}" if known else ""
    raise DocumentError(
        f"{document.path}:{part.line}: it is for another account than that of the token{whose}"
    )


@attrs.frozen(kw_only=True)
class SavedPlan:
    """A plan that `Plan.to_json` has written: what it was made of, and what it said."""

    path: str
    """The document's path, as it was given."""
    account: str
    """Which part of the document."""
    prune: bool
    """Whether it deletes."""
    content: dict[str, Any] = attrs.field(repr=False)
    """All of it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `Plan.to_json` has written.

        Raises:
            ClientMisuse: it is no such text.
        """
        try:
            content = json.loads(text)
            if content["format"] != 1:
                raise KeyError
            return cls(
                path=str(content["document"]),
                account=str(content["account"]),
                prune=content["prune"] is True,
                content=content,
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ClientMisuse("it is no saved plan: write one with `plan --out`") from None

    async def reopen(self, client: CallMeBackClient, document: Document) -> Plan:
        """The same plan, to be applied.

        Raises:
            DocumentError: the document, the account or anything that was read of it has changed.
            CallMeBackError: the account can't be read.
        """
        if document.sha256 != self.content.get("sha256"):
            raise DocumentError(f"{document.path}: it was edited after it was planned: plan again")
        found = await plan(client, document, account=self.account, prune=self.prune)
        now, before = json.loads(found.to_json()), self.content
        moved = [key for key in now if now[key] != before.get(key) and key != "document"]
        if moved:
            items = before.get("items")
            known = items if isinstance(items, list) else []
            names = [f"{item['kind']}.{item['local'] or item['id']}"
                     for item in now["items"] if item not in known]  # fmt: skip
            raise DocumentError(
                f"{document.path}: the account has changed since ({', '.join(names or moved)}): "
                "plan again"
            )
        return found


def _plain(item: Item) -> dict[str, Any]:
    """An item as plain values."""
    return {
        "kind": item.kind,
        "local": item.local,
        "id": item.id,
        "action": item.action,
        "changes": {
            name: {"before": _value(before), "after": _value(after)}
            for name, (before, after) in item.changes.items()
        },
        "incomparable": list(item.incomparable),
        "reason": item.reason,
        "blocked": item.blocked,
        "read": {name: _value(value) for name, value in item.known.items() if value is not UNKNOWN},
    }


def _value(form: Any) -> Any:
    if isinstance(form, ButtonOf):
        return {"button": form.local}
    if isinstance(form, Decimal):
        return format(form, "f")
    return list(form) if isinstance(form, tuple) else form
