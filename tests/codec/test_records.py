"""Records: what fits is typed, nothing is dropped, nothing is guessed."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import cattrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

import voipstudio_cmb.codec
from voipstudio_cmb.codec import envelopes, records
from voipstudio_cmb.codec.json import to_json
from voipstudio_cmb.errors import WrongShape
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Button, Cdr, Record, Setting
from voipstudio_cmb.models import sent as sent_rows


def page(*rows: Any, **more: Any) -> Response:
    return Response(status=200, body=json.dumps({"data": rows, **more}).encode())


def read(row: dict[str, Any], record: type[Record] = Setting) -> Any:
    return envelopes.read_page(page(row), record, 1).records[0]


@pytest.mark.parametrize(
    ("field", "sent", "typed"),
    [
        # Documented with two types: responses and requests spell these differently.
        ("culture", 2, 2),
        ("culture", "en_GB", "en_GB"),
        ("position", 4, 4),
        ("position", "left", "left"),
        ("ddi", 4764, 4764),
        ("ddi", "442012345678", 442012345678),
        ("ddi_e164", 442012345678, 442012345678),
        ("ddi_e164", "442012345678", 442012345678),
        ("max_call_rate", "100.00", Decimal("100.00")),
        ("max_call_rate", 100.5, Decimal("100.5")),
        ("max_call_rate", 100, Decimal(100)),
        ("floating_icon", True, True),
        ("floating_icon", 0, False),
        ("floating_icon", 1, True),
        ("floating_icon", "0", False),
        ("floating_icon", "1", True),
        ("created_at", "2024-07-17 04:46:26", datetime(2024, 7, 17, 4, 46, 26)),
        ("created_at", "2024-07-17T04:46:26Z", datetime(2024, 7, 17, 4, 46, 26, tzinfo=UTC)),
        ("name", None, None),
        ("name", "", ""),
        ("button_id", "17", 17),
    ],
)
def test_what_fits_is_typed_and_comes_back_as_it_was_sent(
    field: str, sent: Any, typed: Any
) -> None:
    record = read({"id": 1, field: sent})
    value = getattr(record, field)
    assert value == typed
    assert type(value) is type(typed)
    assert record.extra == {}
    assert record.to_dict() == {"id": 1, field: sent}


@pytest.mark.parametrize(
    ("field", "sent"),
    [
        ("floating_icon", "false"),
        ("floating_icon", "yes"),
        ("floating_icon", 2),
        ("floating_icon", 1.0),
        ("floating_icon", []),
        ("name", 7),
        ("name", True),
        ("name", ["a"]),
        ("name", {"a": 1}),
        ("button_id", 5.9),
        ("button_id", 5.0),
        ("button_id", True),
        ("button_id", "five"),
        ("button_id", "١٢"),
        ("button_id", "9" * 400),
        ("button_id", "007"),
        ("culture", 1.5),
        ("culture", True),
        ("created_at", "0000-00-00 00:00:00"),
        ("created_at", ""),
        ("created_at", "2024-07-17"),
        ("created_at", 1700000000),
        ("max_call_rate", "NaN"),
        ("max_call_rate", "Infinity"),
        ("max_call_rate", "a lot"),
        ("max_call_rate", True),
    ],
)
def test_what_does_not_fit_is_kept_in_extra(field: str, sent: Any) -> None:
    record = read({"id": 1, field: sent, "other": "kept"})
    assert getattr(record, field) is None
    assert record.extra == {field: sent, "other": "kept"}
    assert type(record.extra[field]) is type(sent)
    assert record.to_dict() == {"id": 1, field: sent, "other": "kept"}


def test_a_time_is_read_alike_whichever_way_its_row_takes() -> None:
    for text in ("2024-07-17t04:46:26z", "2024-07-17 04:46:26.123456789", "2024-07-17 04:46:26"):
        fast = read({"id": 1, "created_at": text})
        slow = read({"id": 1, "created_at": text, "floating_icon": "1"})
        assert fast.created_at == slow.created_at is not None


def test_what_only_an_escape_can_write_and_numbers_of_any_size_are_kept() -> None:
    body = b'{"data":[{"id":1,"half":"\\ud800","big":1e400,"n":%s}]}' % (b"7" * 40)
    record = envelopes.read_page(Response(status=200, body=body), Cdr, 1).records[0]
    assert record.extra["half"] == "\ud800"
    assert str(record.extra["big"]) == "1E+400"
    assert record.extra["n"] == int("7" * 40)
    line = to_json(record.to_dict())
    assert line.isascii()
    assert json.loads(line)["half"] == "\ud800"


def test_a_changed_field_takes_precedence_over_the_value_that_had_not_fitted_it() -> None:
    record = read({"id": 1, "ddi": "none"})
    assert attrs.evolve(record, ddi=5).to_dict() == {"id": 1, "ddi": 5}


@pytest.mark.parametrize("field", ["id2", "ddi", "created_at", "max_call_rate", "extra", "_row"])
def test_half_a_surrogate_pair_is_kept_wherever_it_stands(field: str) -> None:
    body = b'{"data":[{"id":1,"%s":"\\ud800"}]}' % field.encode()
    [record] = envelopes.read_page(Response(status=200, body=body), Cdr, 1).records
    assert record.extra == {field: "\ud800"}
    assert record.to_dict() == {"id": 1, field: "\ud800"}


def test_one_row_that_does_not_fit_changes_nothing_for_its_neighbours() -> None:
    rows = [{"id": 1, "name": "a"}, {"id": 2, "name": 5}, {"id": 3, "name": "c", "x": None}]
    records = envelopes.read_page(page(*rows), Cdr, 1).records
    assert [r.name for r in records] == ["a", None, "c"]
    assert [r.extra for r in records] == [{}, {"name": 5}, {"x": None}]


def test_unknown_fields_are_kept_also_those_named_like_our_own_attributes() -> None:
    row = {"id": 1, "extra": {"a": 1}, "_row": {"b": 2}, "new": [1, {"deep": None}]}
    for sent in (row, {**row, "extra": 5, "_row": "x"}):
        record = read(sent)
        assert record.extra == {key: sent[key] for key in ("extra", "_row", "new")}
        assert record.to_dict() == sent


def test_to_dict_keeps_keys_order_and_nulls() -> None:
    row = {"zeta": 1, "name": None, "id": 5, "created_at": "2024-07-17 04:46:26", "alpha": 2}
    assert list(read(row).to_dict().items()) == list(row.items())


def test_to_dict_gives_a_copy() -> None:
    record = read({"id": 1, "name": "a"})
    record.to_dict()["name"] = "changed"
    assert record.to_dict()["name"] == "a"


def test_a_changed_record_and_one_made_by_hand_give_what_they_hold() -> None:
    record = read({"id": 1, "name": "a", "created_at": "2024-07-17 04:46:26", "calls": 3})
    assert attrs.evolve(record, name="b").to_dict() == {
        "id": 1,
        "name": "b",
        "created_at": "2024-07-17 04:46:26",
        "calls": 3,
    }
    made = Setting(id=2, max_call_rate=Decimal("1.50"), extra={"k": "v"})
    assert made.to_dict() == {"id": 2, "max_call_rate": "1.50", "k": "v"}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (None, "row 1 of the response can't be used: it is no object but null"),
        ([], "it is no object but an array"),
        (3, "it is no object but a number"),
        ({"name": "x"}, "it has no id"),
        *(
            ({"id": id}, "its id is no integer from 1 to 2**63 - 1")
            for id in ("12", 12.0, True, None, 0, -4, 2**63, 10**30)
        ),
    ],
)
def test_a_row_without_a_usable_id_is_named_by_its_place(row: Any, words: str) -> None:
    with pytest.raises(WrongShape) as caught:
        envelopes.read_page(page({"id": 1}, row), Cdr, 1)
    assert words in str(caught.value)
    assert caught.value.sent == "yes"


def test_all_that_was_sent_are_items_as_they_came() -> None:
    row = {"src": "44", "id": 5, "name": None, "created_at": "2024-07-17 04:46:26", "cost": 4.5}
    record = read(row)
    assert dict(record) == row
    assert list(record.keys()) == list(row)
    assert "src" in record
    assert "dst" not in record
    with pytest.raises(KeyError, match="no 'dst'; it has src, id, name, created_at, cost"):
        record["dst"]
    assert dict(attrs.evolve(record, name="n")) == row | {"name": "n"}
    assert dict(Setting(id=1, ddi=7)) == {"id": 1, "ddi": 7}


def test_nothing_private_shows() -> None:
    record = read({"id": 5, "name": "a", "src": "44"})
    with pytest.raises(TypeError):
        vars(record)
    shown = {"id": 5, "name": "a", "extra": {"src": "44"}}
    assert {k: v for k, v in attrs.asdict(record).items() if v is not None} == shown
    made = cattrs.Converter().unstructure(record)
    assert {name: value for name, value in made.items() if value is not None} == shown


def test_a_notebook_shows_a_table_in_which_nothing_is_markup() -> None:
    html = read({"id": 5, "name": "<b>", "src": "&"})._repr_html_()
    assert "<td>&lt;b&gt;</td>" in html
    assert "<td>{&#x27;src&#x27;: &#x27;&amp;&#x27;}</td>" in html


def test_numbers_of_any_length_are_read() -> None:
    for text in ("1e400", "1e" + "9" * 30, "7" * 5000):
        row = b'{"id":1,"x":%s}' % text.encode()
        body = b'{"data":[%s]}' % row
        [record] = envelopes.read_page(Response(status=200, body=body), Cdr, 1).records
        assert str(record["x"]).upper().replace("+", "") == text.upper()


def test_an_unused_row_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    record = read({"id": 5, "name": "a", "src": "44"})
    monkeypatch.setattr(sent_rows, "read_json", None)
    assert (record.id, record.name) == (5, "a")


def test_a_record_prints_readably() -> None:
    record = read({"id": 631, "name": "value", "calls": 3})
    assert repr(record) == "Setting(id=631, name='value', extra={'calls': 3})"


def test_extra_is_the_same_whenever_it_is_asked_for() -> None:
    for record in (read({"id": 1}), read({"id": 1, "new": 2}), Setting(id=1)):
        assert record.extra is record.extra
        assert record.to_dict() == {"id": 1} | record.extra
    assert read({"id": 1}).extra is not read({"id": 1}).extra


def test_a_record_can_be_pickled_copied_hashed_and_compared() -> None:
    record = read({"id": 1, "name": "a", "calls": [1]})
    for other in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
        assert other == record
        assert hash(other) == hash(record)
        assert other.to_dict() == record.to_dict()
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        record.name = "b"


@attrs.frozen(kw_only=True, repr=False)
class Kind(Cdr):
    kind: str = "call"


def test_a_copy_keeps_a_value_that_does_not_fit_a_field_with_a_default() -> None:
    record = read({"id": 1, "kind": 5}, Kind)
    for other in (pickle.loads(pickle.dumps(record)), copy.copy(record), copy.deepcopy(record)):
        assert other == record
        assert (other.kind, other.extra) == ("call", {"kind": 5})


def test_a_record_is_complete_in_a_process_that_has_read_none() -> None:
    record = read({"id": 1, "name": "a"})
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).__repr__())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(record), stdout=subprocess.PIPE, check=True
    )
    assert done.stdout.decode().strip() == repr(record)


def test_a_subclass_with_fields_of_its_own_is_read_by_hooks_of_its_user() -> None:
    class Money(Decimal):
        pass

    @attrs.frozen(kw_only=True, repr=False)
    class MyCdr(Cdr):
        src: str | None = None
        charge: Money | None = None

    converter = voipstudio_cmb.codec.converter
    converter.register_structure_hook(Money, lambda value, _: Money(value))
    globals()["Money"] = Money
    try:
        record = read({"id": 1, "src": "44", "charge": "0.25", "x": 1}, MyCdr)
    finally:
        del globals()["Money"]
    assert (record.src, record.charge, record.extra) == ("44", Money("0.25"), {"x": 1})
    assert type(record.charge) is Money
    assert converter.structure({"id": 3, "name": "n"}, Cdr) == Cdr(id=3, name="n")
    assert converter.unstructure(Cdr(id=3, name="n")) == {"id": 3, "name": "n"}


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Plain(Cdr):
    src: int | None = None


@attrs.frozen(kw_only=True, repr=False)
class Slotted(Cdr):
    src: int | None = None


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Checked(Cdr):
    src: int | None = attrs.field(default=None, validator=attrs.validators.instance_of(int | None))


@attrs.frozen(kw_only=True, repr=False, slots=False)
class Prepared(Cdr):
    src: int | None = None

    def __attrs_post_init__(self) -> None:
        assert self.src in (None, 44)


@pytest.mark.parametrize("record", [Plain, Slotted, Checked, Prepared])
def test_a_subclass_is_read_alike_however_it_is_made(record: type[Cdr]) -> None:
    rows = [{"src": 44, "id": 1, "new": [1]}, {"id": 2, "created_at": "2026-07-17 04:46:26"}]
    first, second = records.records([*map(to_json, rows)], record)
    assert (first.src, second.src, first.created_at) == (44, None, None)
    assert second.created_at == datetime(2026, 7, 17, 4, 46, 26)
    assert (first.extra, second.extra) == ({"new": [1]}, {})
    assert [first.to_dict(), second.to_dict()] == rows
    assert list(first.to_dict()) == ["src", "id", "new"]
    assert first == record(id=1, src=44, extra={"new": [1]})


@attrs.frozen(kw_only=True, repr=False)
class Watched(Cdr):
    src: str | None = None

    def __attrs_pre_init__(self) -> None:
        Watched.made.append(self)  # type: ignore[attr-defined]


@pytest.mark.parametrize("record", [Cdr, Plain, Slotted, Watched])
def test_what_the_rows_before_lacked_is_read_all_the_same(record: type[Cdr]) -> None:
    Watched.made = []  # type: ignore[attr-defined]
    for row in ({"id": 1, "src": 44}, {"id": 2, "name": "a", "ddi": 5}, {"id": 3}) * 2:
        assert records.records([to_json(row)], record)[0].to_dict() == row
        one = records.single(to_json(row), record)
        assert (one.name, one.ddi) == (row.get("name"), row.get("ddi"))
    assert hasattr(record, "__attrs_pre_init__") == (record is Watched)
    assert bool(Watched.made) == (record is Watched)  # type: ignore[attr-defined]


@attrs.frozen(kw_only=True, repr=False)
class Outer(Cdr):
    src: str | None = None
    inner: Inner | None = None


@attrs.frozen(kw_only=True, repr=False)
class Inner(Outer):
    src: str | None = "unknown"


def test_a_class_that_is_met_while_another_is_looked_at_keeps_its_defaults() -> None:
    for _ in range(3):
        [outer] = records.records([b'{"id":1,"inner":{"id":2}}'], Outer)
        [inner] = records.records([b'{"id":3}'], Inner)
        assert (outer.src, outer.inner and outer.inner.src) == (None, "unknown")
        assert inner.src == "unknown"


def test_a_field_of_a_subclass_that_a_row_lacks_has_the_default_of_its_user() -> None:
    @attrs.frozen(kw_only=True, repr=False, slots=False)
    class MyCdr(Cdr):
        src: int = 7
        tags: list[str] = attrs.field(factory=list)

    one, other = records.records([b'{"id":1}', b'{"id":2,"src":3}'], MyCdr)
    assert (one.src, other.src, one.tags) == (7, 3, [])
    assert one.tags is not other.tags


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False,
    allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
_NAMES = st.sampled_from([f.name for f in attrs.fields(Button)]) | st.text(max_size=8)


@given(st.lists(st.dictionaries(_NAMES, _JSON, max_size=6), max_size=4))
def test_a_page_is_read_as_its_rows_are_one_by_one(rows: list[dict[str, Any]]) -> None:
    rows = [{**row, "id": n + 1} for n, row in enumerate(rows)]
    made = records.records([*map(to_json, rows)], Button)
    one_by_one = [voipstudio_cmb.codec.converter.structure(row, Button) for row in rows]
    assert made == one_by_one
    assert repr(made) == repr(one_by_one)
    for one, other in zip(made, one_by_one, strict=True):
        assert to_json(one.to_dict()) == to_json(other.to_dict())
        changed = attrs.evolve(one, name="changed")
        assert changed.to_dict() == attrs.evolve(other, name="changed").to_dict()
        assert copy.deepcopy(one) == pickle.loads(pickle.dumps(other)) == one


@given(st.lists(st.dictionaries(_NAMES, _JSON, max_size=6), max_size=4))
def test_no_row_loses_or_changes_a_value(rows: list[dict[str, Any]]) -> None:
    rows = [{**r, "id": n + 1} for n, r in enumerate(rows)]
    body = to_json({"data": rows})
    records = envelopes.read_page(Response(status=200, body=body), Button, 1).records
    for record, row in zip(records, rows, strict=True):
        assert record.to_dict() == row
        for name, value in row.items():
            if name not in attrs.fields_dict(Button) or name == "extra":
                assert record.extra[name] == value
            elif value is not None:
                assert getattr(record, name) is not None or record.extra[name] == value
