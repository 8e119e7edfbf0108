"""Applies the items of a plan: one after the other, each as it was planned or not at all.

What may be killed at any moment is made so that the next run finds what this one has left: that a
creation begins is in the document before it is sent, and its id right after it has come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal, TypeAlias

import attrs

from voipstudio_cmb.client import CallMeBackClient
from voipstudio_cmb.errors import (
    CallMeBackError,
    DocumentError,
    HTTPStatusError,
    NotFound,
    Unauthorized,
)

from .edits import Edit
from .file import DocumentFile
from .forms import UNKNOWN, written
from .items import ButtonOf, Item
from .remote import read_one, read_settings, read_websites

State: TypeAlias = Literal["done", "stopped", "failed", "unknown", "not tried"]
"""What came of an item.

It is "stopped" if the resource has changed since it was planned, and "unknown" if nobody knows
whether the API has carried it out."""


@attrs.frozen(kw_only=True)
class Result:
    """What came of one item."""

    item: Item
    state: State
    id: int | None = None
    """The id of the resource, also of one that was just made."""
    message: str = ""
    """What happened and what to do, unless it is done."""
    error: CallMeBackError | None = None
    """The error that it failed with, or that left it unknown."""


@attrs.frozen
class Outcome:
    """What came of a plan, an item at a time. Applying the document again is always right."""

    results: tuple[Result, ...]
    """Of all items that were to be changed, in their order."""

    def of(self, state: State) -> tuple[Result, ...]:
        """The results with this `state`."""
        return tuple(each for each in self.results if each.state == state)

    @property
    def complete(self) -> bool:
        """Whether everything is done."""
        return all(each.state == "done" for each in self.results)


_AGAIN = "the account has changed since it was planned: look at a new plan"
_GONE = f"it is gone: {_AGAIN}"
_LOOK = "look for it in the dashboard, and apply again, which says what to do"


class Run:
    """One apply."""

    def __init__(
        self, client: CallMeBackClient, file: DocumentFile, part: str, known: Collection[int]
    ) -> None:
        self._client = client
        self._file = file
        self._part = part
        self._made: dict[str, int] = {}
        """The ids of buttons, by their local names."""
        self._known = known
        """The ids of the settings that the account had when it was planned."""
        self._end = ""
        """Why nothing more is tried."""

    async def apply(self, items: Iterable[Item], on_item: Callable[[Result], Any]) -> Outcome:
        """Applies `items`, in their order; `on_item` is called with each result."""
        results: list[Result] = []
        for item in items:
            if item.kind == "buttons" and item.local and item.id is not None:
                self._made[item.local] = item.id
            if item.action == "none":
                continue
            results.append(await self._result(item, results))
            on_item(results[-1])
        return Outcome(tuple(results))

    async def _result(self, item: Item, earlier: list[Result]) -> Result:
        if why := self._waits(item, earlier):
            return Result(item=item, state="not tried", id=item.id, message=why)
        if item.blocked:
            return Result(item=item, state="unknown", message=item.reason)
        steps = {"create": self._create, "delete": self._delete}
        try:
            return await steps.get(item.action, self._change)(item)
        except CallMeBackError as error:
            return self._failed(item, error)

    def _waits(self, item: Item, earlier: list[Result]) -> str:
        """Why `item` can't be tried after what came of `earlier` ones; "" if it can."""
        try:
            self._file.check()
        except DocumentError as error:
            self._end = self._end or error.message
        if self._end:
            return self._end
        for _, after in item.changes.values():
            if isinstance(after, ButtonOf) and after.local not in self._made:
                return f"its button {after.local} is not there"
        undone = (each for each in earlier if each.state != "done" and each.item.kind == "settings")
        if item.action == "delete" and item.kind == "buttons" and any(undone):
            return "a setting may use it still"
        return ""

    def _failed(
        self, item: Item, error: CallMeBackError, *, id: int | None = None, doubt: str = ""
    ) -> Result:
        """That `item` has failed; or nobody knows, with words of what to do in such a `doubt`."""
        if isinstance(error, Unauthorized):
            self._end = "the token was refused"
        return Result(
            item=item,
            state="unknown" if doubt else "failed",
            id=id or item.id,
            message=f"{error}; it may have been carried out: {doubt}" if doubt else str(error),
            error=error,
        )

    def _service(self, item: Item) -> Any:
        return self._client.buttons if item.kind == "buttons" else self._client.settings

    def _values(self, item: Item) -> dict[str, Any]:
        """What is sent: of a creation all that the section names, else what differs."""
        values = {}
        named = item.section.values if item.section else {}
        for name, (_, after) in item.changes.items():
            value = self._made[after.local] if isinstance(after, ButtonOf) else after
            values[name] = written(name, named[name]) if name in named else value
        return values

    def _write(self, item: Item, *, anyway: bool = True, **changes: Any) -> bool:
        known = item.section.id if item.section else None
        edit = Edit(part=self._part, kind=item.kind, local=item.local, known_id=known, **changes)
        return self._file.write(edit, anyway=anyway)

    async def _create(self, item: Item) -> Result:
        if item.kind == "settings" and await self._is_there(item):
            return Result(item=item, state="stopped", message=f"there is one now: {_AGAIN}")
        if not self._write(item, creating=True, anyway=False):
            return Result(item=item, state="not tried", message=self._waits(item, []))
        try:
            made = await self._service(item).create(**self._values(item))
        except CallMeBackError as error:
            if _refused(error):
                self._write(item, creating=False)
                return self._failed(item, error)
            found = "apply again, which finds it"
            return self._failed(item, error, doubt=found if item.kind == "settings" else _LOOK)
        if item.kind == "buttons":
            self._made[item.local] = made.id
        return self._settled(item, made.id)

    async def _is_there(self, item: Item) -> bool:
        """Whether somebody has created a setting of that name since it was planned."""
        rows = await read_settings(self._client)
        new = {row["name"] for id, row in rows.items() if id not in self._known}
        return item.changes["name"][1] in new

    def _settled(self, item: Item, id: int) -> Result:
        """Writes the `id` of what was made or adopted into the document, as that is now."""
        try:
            self._write(item, id=id, creating=False)
        except DocumentError as error:
            todo = f"write id = {id} into [{item.kind}.{item.local}] yourself"
            return self._failed(item, error.with_detail(todo), id=id)
        return Result(item=item, state="done", id=id)

    async def _moved(self, item: Item) -> str:
        """Why a resource is not as it was planned; "" if it is, and _GONE if there is none.

        A collection may send other attributes than a single resource does, but what is to be
        changed must be known to be as it was.
        """
        if item.id is None or (now := await read_one(self._client, item.kind, item.id)) is None:
            return _GONE
        for name, before in item.known.items():
            unseen = UNKNOWN in (before, now[name])
            if before != now[name] and (not unseen or name in item.changes):
                return f"{name}: {_AGAIN}"
        return ""

    async def _change(self, item: Item) -> Result:
        if moved := await self._moved(item):
            return Result(item=item, state="stopped", id=item.id, message=moved)
        result = Result(item=item, state="done", id=item.id)
        if item.action == "adopt" and item.id is not None:
            result = self._settled(item, item.id)
        if result.state != "done" or not (values := self._values(item)):
            return result
        try:
            await self._service(item).update(item.id, **values)
        except CallMeBackError as error:
            return self._failed(item, error, doubt="" if _refused(error) else "apply again")
        return result

    async def _is_used(self, button: int | None) -> bool:
        """Whether a setting or a website uses a `button` that none was to use any more."""
        settings = await read_settings(self._client)
        used = {row["button_id"] for row in settings.values()}
        websites = await read_websites(self._client)
        return button in used or UNKNOWN in used or button in websites.values()

    async def _delete(self, item: Item) -> Result:
        moved = await self._moved(item)
        if item.kind == "buttons" and not moved and await self._is_used(item.id):
            moved = f"it is used now: {_AGAIN}"
        if moved not in ("", _GONE):
            return Result(item=item, state="stopped", id=item.id, message=moved)
        try:
            if not moved:
                await self._service(item).delete(item.id)
        except NotFound:
            pass  # which is what was wanted
        except CallMeBackError as error:
            return self._failed(item, error, doubt="" if _refused(error) else "apply again")
        self._write(item, release=item.id)
        return Result(item=item, state="done", id=item.id)


def _refused(error: CallMeBackError) -> bool:
    """Whether a change was certainly not carried out: a success that can't be read was."""
    return error.sent == "no" or (error.sent == "yes" and isinstance(error, HTTPStatusError))
