"""Which rows `list` begins with."""

from __future__ import annotations

from typing import Any

import pytest

from voipstudio_cmb.cli.newest import more_note, newest_first
from voipstudio_cmb.errors import ClientMisuse

PLAIN: dict[str, Any] = {
    "newest": False, "sort": None, "descending": False, "every": False, "terminal": True
}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "changed", "expected"),
    [
        ("cdrs", {}, True),
        ("visitors", {}, True),
        ("settings", {}, False),
        ("websites", {}, False),
        ("cdrs", {"terminal": False}, False),
        ("cdrs", {"every": True}, False),
        ("cdrs", {"sort": "name"}, False),
        ("cdrs", {"descending": True}, False),
        ("settings", {"newest": True, "terminal": False}, True),
    ],
)
def test_calls_and_visitors_begin_with_the_newest_where_a_person_looks(
    resource: str, changed: dict[str, Any], expected: bool
) -> None:
    assert newest_first(resource, **PLAIN | changed) is expected


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"sort": "id"}, "--sort"), ({"descending": True}, "--desc"), ({"every": True}, "--all")],
)
def test_newest_and_another_order_are_refused(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(ClientMisuse, match=f"leave out {named}"):
        newest_first("cdrs", **PLAIN | {"newest": True} | changed)


def test_what_was_not_printed_is_said() -> None:
    assert more_note(25, newest=True) == "only the newest 25 printed; --limit N or --all for more"
    assert more_note(3, newest=False) == "only the first 3 printed; --limit N or --all for more"
