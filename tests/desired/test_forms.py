"""How attributes are written and read back: one canonical form, whatever a row says."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voipstudio_cmb.desired.document import Part, parse
from voipstudio_cmb.desired.forms import (
    FIELDS,
    UNKNOWN,
    Kind,
    attributes,
    canonical,
    comparable,
    read_row,
    spelt,
    written,
)
from voipstudio_cmb.desired.items import compare
from voipstudio_cmb.desired.snapshot import document_of
from voipstudio_cmb.sandbox.api.bodies import BUTTON, SETTING, fields_of

TEXTS = st.text(max_size=12) | st.sampled_from(["", " ", "a\r\nb", '"""', "\\", "\x7f\u202e", "\0"])
NUMBERS = st.integers() | st.floats() | st.integers(-9, 9) | st.integers(0, 99).map(str)
ANYTHING = st.none() | st.booleans() | TEXTS | NUMBERS | st.lists(TEXTS, max_size=2)
COUNTRIES = st.lists(st.sampled_from(["GB", "ie", " US ", "", "d e"]), max_size=4)
ODD = {
    "allowed_countries": COUNTRIES | COUNTRIES.map(",".join) | st.just({"0": "GB"}),
    "button_id": st.sampled_from([None, 0, 222, "222", 223, 9.0]),
    "floating_icon": st.sampled_from([True, 0, "1", "true", "yes"]),
    "max_call_rate": st.decimals(-9, 999, places=3).map(str)
    | st.floats(0, 1e9)
    | st.sampled_from(["1e3", 1e300, 1e-300, -0.0]),
}
NAMES = {"settings": [*attributes("settings"), "ddi", "title"], "buttons": attributes("buttons")}
ROWS = {
    kind: st.fixed_dictionaries(
        {}, optional={name: ODD.get(name, ANYTHING) | ANYTHING for name in names}
    )
    for kind, names in NAMES.items()
}


@pytest.mark.parametrize(
    ("attribute", "values", "form"),
    [
        ("position", [3, "3", 3.0, "+3", "03"], 3),
        ("culture", ["en_GB"], "en_GB"),
        ("button_id", [True, "x", "", 3.5, 2**63, [3], "3 "], UNKNOWN),
        ("floating_icon", [True, 1, "1", "true", 1.0], True),
        ("floating_icon", [False, 0, "0", "false"], False),
        ("floating_icon", ["yes", 2, "", [], "True"], UNKNOWN),
        ("max_call_rate", [100, "100.00", 100.0, "100", Decimal("1E+2")], Decimal(100)),
        ("max_call_rate", [0.15, "0.150", Decimal("0.15")], Decimal("0.15")),
        ("max_call_rate", ["free", True, "nan", float("inf"), 10**400, "1e3", 1e300], UNKNOWN),
        ("allowed_countries", [["GB", "IE"], "ie, gb", "GB,IE,gb,", ["IE,GB"]], ("GB", "IE")),
        ("allowed_countries", [None, "", [], ",", " "], ()),
        ("allowed_countries", [{"0": "GB"}, [1], 5, ["\ud800"]], UNKNOWN),
        ("name", [5, [], "\ud800"], UNKNOWN),
        ("name", [""], ""),
        ("name", [None], None),
    ],
)
def test_all_forms_of_a_value_have_one_that_is_compared(
    attribute: str, values: list[Any], form: Any
) -> None:
    for value in values:
        found = canonical(attribute, value)
        assert found == form, value
        assert type(found) is type(form), value


def test_every_documented_attribute_has_a_form() -> None:
    for kind in FIELDS:
        assert read_row(kind, {}) == dict.fromkeys(attributes(kind), UNKNOWN)


@pytest.mark.parametrize(
    ("row", "form"),
    [
        ({"ddi": 4420}, 4420),
        ({"ddi_e164": "4420", "ddi": 1}, 4420),
        ({"ddi_e164": None, "ddi": 1}, None),
    ],
)
def test_the_number_has_two_names_in_rows(row: dict[str, Any], form: Any) -> None:
    assert read_row("settings", row)["ddi_e164"] == form


def test_a_choice_by_name_does_not_compare_with_its_number() -> None:
    assert not comparable(0, "en")
    assert comparable("de", "en")
    assert comparable(None, "en")
    assert comparable(0, None)
    assert not comparable(UNKNOWN, None)


@given(st.data())
def test_what_pull_writes_of_any_row_is_no_change(data: st.DataObject) -> None:
    account: dict[Kind, dict[int, dict[str, Any]]] = {"buttons": {}, "settings": {}}
    kinds: tuple[Kind, ...] = ("buttons", "settings")
    for kind in kinds:
        rows = data.draw(st.lists(ROWS[kind], max_size=3))
        account[kind] = {222 + n: read_row(kind, row) for n, row in enumerate(rows)}
    name = data.draw(st.sampled_from(["", "shop", "the shop", "Größe"]))
    text = document_of(account["settings"], account["buttons"], "id 1", name)
    part: Part = parse(Path("x.toml"), text.encode()).parts[name] if name else _only(text)
    found = compare(part, account, {}, prune=True)
    assert not found.mistakes
    assert [item for item in found.items if item.action != "none" or item.incomparable] == []
    assert len(found.items) == sum(map(len, account.values()))
    assert not found.unlisted


def _only(text: str) -> Part:
    return parse(Path("x.toml"), text.encode()).parts[""]


VALUES = {
    "settings": {
        "button_id": st.integers(-(2**63) + 1, 2**63 - 1),
        "position": st.integers(-(10**14), 10**14) | st.integers(0, 9).map(str),
        "floating_icon": st.booleans(),
        "culture": st.integers(0, 9),
        "allowed_countries": COUNTRIES | COUNTRIES.map(",".join),
        "show_to_allowed_countries_only": st.booleans(),
        "ddi_e164": st.integers(0, 10**15),
        "max_call_rate": st.decimals(0, 10**9, places=4) | st.integers(0, 99).map(str),
    },
    "buttons": {},
}


@given(st.data())
def test_what_is_written_comes_back_as_what_was_wanted(data: st.DataObject) -> None:
    for kind, stand_in in (("settings", SETTING), ("buttons", BUTTON)):
        for name in stand_in:
            value = data.draw(VALUES[kind].get(name, st.text()) | st.none(), label=name)
            body = json.dumps({name: written(name, value)}).encode()
            row = fields_of(body, stand_in)
            assert read_row(kind, row)[name] == canonical(name, value)  # type: ignore[arg-type]


def test_what_is_sent_is_what_the_api_documents() -> None:
    assert written("max_call_rate", Decimal("1E+2")) == "100"
    assert written("position", 3) == "3"
    assert written("allowed_countries", ["ie", "GB"]) == "GB,IE"
    assert written("allowed_countries", []) == ""
    assert written("allowed_countries", None) is None
    assert written("ddi_e164", 4420) == 4420


def test_what_can_not_be_seen_is_escaped() -> None:
    assert spelt('a"b\\\n\u202e\x1b[31m\U000e0041') == r'"a\"b\\\n\u202e\u001b[31m\U000e0041"'
