"""Plans and outcomes as text for people, a line at a time. No I/O, and no colours.

A line that changes something begins with `+` (create), `~` (update), `-` (delete) or `=` (adopt),
after blanks: by that a terminal may colour it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .forms import quoted, spelt
from .items import ButtonOf, Item
from .planner import Plan
from .run import Outcome, State

_LONG, _SHOWN = 1000, 200
"""Of a text of more characters than the first only as many as the second are shown."""

_NAMED = 8
"""The most items that one line names."""

_SIGNS = {"create": "+", "update": "~", "delete": "-", "adopt": "="}


def render(plan: Plan) -> str:
    """What `plan` does; its last line counts that."""
    lines = [line for item in plan.items for line in _lines(item)]
    return "\n".join([*lines, _counts(plan)]) + "\n"


def render_drift(plan: Plan) -> str:
    """How the account differs from the document, what is gone, and what is not in the document."""
    lines = []
    for item in plan.items:
        if item.local and item.id is None:
            id = None if item.section is None else item.section.id
            gone = "is not there" if id is None else f"(id {id}) is gone"
            lines.append(f"  - {_name(item)} {gone}")
        elif item.local and item.changes:
            lines.append(f"  ~ {_name(item)}")
            # What the document says comes first: the account has moved away from that.
            lines.extend(
                f"      {name}: {_shown(after, begin)} -> {_shown(before, begin)}"
                for name, (before, after) in item.changes.items()
                for begin in [_parting(before, after)]
            )
    differ = sum(bool(item.changes) for item in plan.items)
    for kind, id, name in plan.unlisted:
        lines.append(f"    {kind} {id} {_shown(name)} is not in the document")
    same = sum(not item.changes for item in plan.items)
    return "\n".join([*lines, f"{differ} differ from the document, {same} as it says"]) + "\n"


def render_outcome(outcome: Outcome) -> str:
    """What is not done and why, a line for each reason, and a last line that counts what is."""
    groups: dict[tuple[State, str], list[str]] = {}
    for result in outcome.results:
        if result.state != "done":
            groups.setdefault((result.state, result.message), []).append(_name(result.item))
    lines = [f"{state}: {_listed(names)}: {why}" for (state, why), names in groups.items()]
    states: tuple[State, ...] = ("stopped", "failed", "unknown", "not tried")
    others = [f"{len(outcome.of(state))} {state}" for state in states if outcome.of(state)]
    return "\n".join([*lines, ", ".join([f"{len(outcome.of('done'))} done", *others])]) + "\n"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _lines(item: Item) -> Iterator[str]:
    reason = f" ({item.reason})" if item.reason else ""
    if item.action == "none":
        if item.incomparable or item.reason:
            yield f"    {_name(item)}{reason}"
    else:
        yield f"  {_SIGNS[item.action]} {item.action} {_name(item)}{reason}"
    for name, (before, after) in item.changes.items():
        begin = _parting(before, after)
        was = "" if item.action == "create" else f"{_shown(before, begin)} -> "
        yield f"      {name}: {was}{_shown(after, begin)}"
    for name in item.incomparable:
        yield f"      {name}: can't be compared, and is left alone"


def _name(item: Item) -> str:
    if not item.local:
        name = item.known.get("name")
        return f"{item.kind} {item.id}" + (f" {_shown(name)}" if isinstance(name, str) else "")
    return f"{item.kind}.{item.local}" + ("" if item.id is None else f" (id {item.id})")


def _parting(before: Any, after: Any) -> int:
    """Shortly before where two texts differ first; 0 of what is no text."""
    if not isinstance(before, str) or not isinstance(after, str):
        return 0
    pairs = enumerate(zip(before, after, strict=False))
    same = next((n for n, (a, b) in pairs if a != b), min(len(before), len(after)))
    return max(0, same - _SHOWN // 5)


def _shown(form: Any, begin: int = 0) -> str:
    """A value; of a long text, such as a picture, what stands from `begin` on."""
    if form is None:
        return "null"
    if isinstance(form, str) and len(form) > _LONG:
        shown = quoted(form[begin : begin + _SHOWN])
        return f"{shown} (from character {begin + 1} of {len(form)})"
    return f"(the id of buttons.{form.local})" if isinstance(form, ButtonOf) else spelt(form)


def _counts(plan: Plan) -> str:
    counts: dict[str, int] = dict.fromkeys(("create", "adopt", "update", "delete"), 0)
    for item in plan.items:
        if item.action != "none":
            counts[item.action] += 1
    unchanged = len(plan.items) - sum(counts.values())
    if not counts["adopt"]:
        del counts["adopt"]
    shown = [f"{count} to {action}" for action, count in counts.items()]
    return ", ".join([*shown, f"{unchanged} unchanged"])
