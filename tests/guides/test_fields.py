"""The tables of `fields.md` are those of the models, and of the vendor's page."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any, get_type_hints

import pyarrow
import pytest

from tests.guides.documents import ROOT, guide
from voipstudio_cmb.codec.shape import alternatives, shape
from voipstudio_cmb.columns import Schema, documented
from voipstudio_cmb.columns.arrow import arrow_schema
from voipstudio_cmb.config import DEFAULT_BASE_URL
from voipstudio_cmb.export.sinks.sqlite import SqliteSink
from voipstudio_cmb.models import RECORDS, ButtonFields, Cdr, Record, SettingFields

FIELDS = guide("fields")
WRITTEN: dict[str, type] = {"settings": SettingFields, "buttons": ButtonFields}
OPERATIONS = json.loads((ROOT / "tests/data/operations.json").read_text())
CSV = {
    "integer": "digits", "boolean": "`true` or `false`", "time": "as sent", "number": "as sent",
    "text": "text",
}  # fmt: skip


def rows_below(heading: str) -> list[list[str]]:
    """The cells of the first table below `heading`, without its head."""
    table = FIELDS.text.partition(f"\n## {heading}\n")[2].partition("\n|")[2].partition("\n\n")[0]
    assert table, heading
    rows = [line.strip("| ").split(" |") for line in f"|{table}".splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in rows]


def types(kinds: Iterable[Any]) -> str:
    return " or ".join(f"`{kind.__name__ if isinstance(kind, type) else kind}`" for kind in kinds)


def alike(kind: Any) -> str:
    return types(each for each in alternatives(kind))


def taken(name: str) -> str:
    """What `create` and `update` take for the attribute `name`."""
    hints = {resource: get_type_hints(fields) for resource, fields in WRITTEN.items()}
    kinds = {resource: alike(each[name]) for resource, each in hints.items() if name in each}
    return "; ".join(f"{resource}: {kind}" for resource, kind in kinds.items())


def in_sqlite(resource: str, folder: Path) -> dict[str, str]:
    """The types of the columns in a database."""
    path = folder / f"{resource}.sqlite"
    SqliteSink().write([b'{"id":1}'], resource, RECORDS[resource], path, {})
    with closing(sqlite3.connect(path)) as database:
        found = database.execute(f"PRAGMA table_info({resource})").fetchall()
    return {name: type for _, name, type, *_ in found}


def rows(folder: Path) -> list[list[str]]:
    """The rows that the table of the fields has to have."""
    made: dict[str, list[str]] = {}
    common = {*shape(Cdr).fields}
    for resource, record in RECORDS.items():
        columns, declared = documented(record), in_sqlite(resource, folder)
        arrow: pyarrow.Schema = arrow_schema(Schema(columns))
        for column in columns:
            name = column.name
            made[name] = [
                f"`{name}`",
                "all" if name in common else resource,
                alike(shape(record).fields[name]),
                taken(name),
                CSV[column.kind],
                f"`{declared[name]}`",
                f"`{arrow.field(name).type}`",
            ]
    return [*made.values()]


def test_the_fields_are_those_of_the_records(tmp_path: Path) -> None:
    assert rows_below("The documented fields") == rows(tmp_path)


def test_what_is_only_written_is_none_of_them() -> None:
    named = {each.strip("`") for each, *_ in rows_below("The documented fields")}
    assert all({*get_type_hints(fields)} <= named for fields in WRITTEN.values())


def test_the_page_prints_one_record_for_all_resources() -> None:
    printed = set()
    for operation in OPERATIONS:
        sent = operation["example_response"].get("json", {}).get("data")
        if sent:
            printed.add(frozenset(sent[0] if isinstance(sent, list) else sent))
    [names] = printed
    assert {*shape(Record).fields} - names == {"max_call_rate"}


@pytest.mark.parametrize("name", [*shape(Record).fields])
def test_what_the_vendor_does_not_say_is_told_of_each_field(name: str) -> None:
    told = " ".join(row[0] for row in rows_below("What the vendor does not say"))
    assert f"`{name}`" in told


def test_the_departures_are_from_what_the_page_says() -> None:
    bodies = {f"{each['method']} {each['path']}": each.get("body_attributes", {})
              for each in OPERATIONS}  # fmt: skip
    assert bodies["POST /callmeback/buttons"] == {}
    body = bodies["POST /callmeback/settings"]
    assert (body["culture"], body["position"], body["allowed_countries"]) == (
        "string", "string", "undefined"
    )  # fmt: skip
    assert "ddi_e164" in body
    assert "ddi" not in body
    assert all("/v1.1/" in each["example_request"]["line"] for each in OPERATIONS)
    assert all("404" not in each["responses"] for each in OPERATIONS if each["method"] == "DELETE")
    assert DEFAULT_BASE_URL in FIELDS.text
