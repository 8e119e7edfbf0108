"""What becomes of one resource: a section of the document compared with what there is. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import attrs

from .document import Part, Section
from .forms import UNKNOWN, Kind, canonical, comparable

Action: TypeAlias = Literal["none", "create", "adopt", "update", "delete"]
"""What an apply does with a resource; an adoption may change attributes too."""

Rows: TypeAlias = Mapping[int, Mapping[str, Any]]

Uses: TypeAlias = Mapping[int, Any]
"""The button of each website, by the website's id."""


@attrs.frozen
class ButtonOf:
    """The id of a button that is not made yet."""

    local: str
    """Its name in the document."""


@attrs.frozen(kw_only=True)
class Item:
    """What a plan does with one resource."""

    kind: Kind
    local: str
    """Its name in the document; "" of one that only `managed` names."""
    id: int | None
    """Its id in the account; None if there is none yet."""
    action: Action
    changes: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict)
    """What each attribute is and becomes, in one form; of a creation the first is None."""
    incomparable: tuple[str, ...] = ()
    """Attributes that the API sends not at all or in an unknown form. An update leaves them."""
    reason: str = ""
    """Why, if that does not go without saying: "id 77 is gone"."""
    blocked: bool = False
    """Whether apply has to leave it to a person; `reason` says what that is to do."""
    known: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """All attributes as they were when it was planned."""
    section: Section | None = attrs.field(default=None, repr=False)
    """What the document says of it."""


@attrs.frozen
class Compared:
    """A part of a document beside its account."""

    items: tuple[Item, ...]
    unlisted: tuple[tuple[Kind, int, str], ...]
    """Kind, id and name of what is in no section and stays."""
    mistakes: tuple[tuple[int, str], ...]
    """What can't be decided: the line of a section, and why."""


def compare(part: Part, account: Mapping[Kind, Rows], websites: Uses, *, prune: bool) -> Compared:
    """What `part` changes in an `account`, whose rows are in canonical form."""
    mistakes: list[tuple[int, str]] = []
    buttons = _of_kind(part, "buttons", account["buttons"], {}, mistakes)
    ids = {item.local: item.id or ButtonOf(item.local) for item in buttons}
    settings = _of_kind(part, "settings", account["settings"], ids, mistakes)
    items, unlisted = [*buttons, *settings], list[tuple[Kind, int, str]]()
    kinds: tuple[Kind, ...] = ("settings", "buttons")
    for kind in kinds:
        listed = {item.id for item in items if item.kind == kind}
        for id, row in sorted(account[kind].items()):
            if id in listed:
                continue
            if prune and id in part.managed.get(kind, ()):
                items.append(
                    _deletion(kind, id, row, _users(id, account["settings"], websites, items))
                )
            else:
                unlisted.append((kind, id, row["name"] if isinstance(row["name"], str) else ""))
    return Compared(tuple(items), tuple(unlisted), tuple(mistakes))


def _of_kind(
    part: Part,
    kind: Kind,
    rows: Rows,
    buttons: Mapping[str, int | ButtonOf],
    mistakes: list[tuple[int, str]],
) -> list[Item]:
    sections = [section for section in part.sections if section.kind == kind]
    claimed = {section.id for section in sections if section.id in rows}
    names = Counter(section.values.get("name") for section in sections if _by_name(section, rows))
    items = []
    for section in sections:
        wanted = dict(section.values)
        if section.button is not None:
            wanted["button_id"] = buttons[section.button]
        if section.id is not None and section.id in rows:
            items.append(_item(section, "update", section.id, rows[section.id], wanted))
            continue
        name = section.values.get("name")
        found = [id for id in rows if id not in claimed and rows[id]["name"] == name]
        found = found if name and _by_name(section, rows) else []
        if problem := _ambiguous(section, found, names[name]):
            mistakes.append((section.line, f"{kind}.{section.local}: {problem}"))
        elif len(found) == 1:
            items.append(_item(section, "adopt", found[0], rows[found[0]], wanted))
        else:
            items.append(_creation(section, wanted))
    return items


def _by_name(section: Section, rows: Rows) -> bool:
    """Whether its resource is looked for by its name: not that of an id which is simply gone.

    What has that name then is another one, as ids were told apart by the document.
    """
    return section.id is None or (section.creating and section.id not in rows)


def _ambiguous(section: Section, found: list[int], same: int) -> str:
    """Why a `section` that has no resource can't be given one by its name; "" if it can."""
    gone = "" if section.id is None else f"id {section.id} is gone, and "
    if not section.values.get("name"):
        return f"{gone}without a name it can't be created: name it, or take it out"
    if same > 1:
        return f"{gone}another section without a resource has the same name: give them others"
    if len(found) > 1:
        ids = ", ".join(map(str, sorted(found)))
        return f"{gone}several have this name: give it one of the ids {ids}"
    return ""


def _gone(section: Section) -> str:
    return "" if section.id is None else f"id {section.id} is gone"


def _creation(section: Section, wanted: Mapping[str, Any]) -> Item:
    blocked = section.creating and section.kind == "buttons"
    todo = (
        "an earlier apply may have created it, and the API has no list of buttons: look into the "
        "dashboard, and write its id into the section, or take out `creating` if it is not there"
    )
    return Item(
        kind=section.kind,
        local=section.local,
        id=None,
        action="create",
        changes={name: (None, _form(name, value)) for name, value in wanted.items()},
        reason=todo if blocked else _gone(section),
        blocked=blocked,
        section=section,
    )


def _form(attribute: str, value: Any) -> Any:
    return value if isinstance(value, ButtonOf) else canonical(attribute, value)


def _item(
    section: Section, action: Action, id: int, row: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Item:
    changes: dict[str, tuple[Any, Any]] = {}
    incomparable = []
    for name, value in wanted.items():
        before, after = row[name], _form(name, value)
        if not comparable(before, after):
            incomparable.append(name)
        elif before != after:
            changes[name] = before, after
    if action == "update" and section.creating:
        action = "adopt"  # somebody has written the id of what an apply has made
    elif action == "update" and not changes:
        action = "none"
    return Item(
        kind=section.kind,
        local=section.local,
        id=id,
        action=action,
        changes=changes,
        incomparable=tuple(incomparable),
        reason=_gone(section) if id != section.id else "",
        known=row,
        section=section,
    )


def _deletion(kind: Kind, id: int, row: Mapping[str, Any], using: Iterable[str]) -> Item:
    users = list(using) if kind == "buttons" else []
    reason = f"kept: used by {', '.join(users)}" if users else ""
    action: Action = "none" if users else "delete"
    return Item(kind=kind, local="", id=id, action=action, reason=reason, known=row)


def _users(button: int, settings: Rows, websites: Uses, items: list[Item]) -> Iterator[str]:
    """The settings and websites that will use a `button` when all `items` are done."""
    planned = {item.id: item for item in items if item.kind == "settings"}
    for id, row in settings.items():
        item = planned.get(id)
        if item is not None and item.action == "delete":
            continue
        used = row["button_id"]
        if item is not None and "button_id" in item.changes:
            used = item.changes["button_id"][1]
        if used == button or used is UNKNOWN:
            yield f"settings {id}"
    yield from (f"websites {id}" for id, used in websites.items() if used == button)
