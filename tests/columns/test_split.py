"""Rows split into columns: what the campaign `fuzz` has found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from voipstudio_cmb.columns import (
    Census,
    Column,
    Sampled,
    Schema,
    Splitter,
    documented,
    write_columns,
)
from voipstudio_cmb.models import Cdr


def test_members_that_no_first_row_has_are_counted_with_those_learnt() -> None:
    counted = Census(Cdr, "all")
    splitter = Splitter(Census(Cdr, "all").schema(), census=counted)
    for _ in range(2):
        splitter.split([b'{"id":1}', b'{"id":2,"src":"a"}'])
    assert [column.name for column in counted.schema().columns if not column.documented] == ["src"]
    assert counted.sorts["src"].total() == 2


def test_any_name_can_be_met_again() -> None:
    splitter = Splitter(Census(Cdr, "documented").schema())
    names = ["", '"', "\\", "\n", "\ud800", "é"]
    row = json.dumps({"id": 1} | dict.fromkeys(names, 2)).encode()
    [once], [again] = splitter.split([row])[-1], splitter.split([row])[-1]
    assert once == again
    assert json.loads(once) == dict.fromkeys(names, 2)


def test_values_that_fit_no_column_are_met_once_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        b'{"id":1,"created_at":"2026-01-01 00:00:00","metadata":"","nb":0,"rate":-0.5}',
        b'{"id":2,"created_at":"0000-00-00 00:00:00","metadata":{"a":1},"nb":"12"}',
        b'{"id":3,"culture":true,"more":1}',
    ] * 3
    schema = Schema((*documented(Cdr), Column("metadata", "text"), Column("nb", "integer")))
    counted = Census(Cdr, "all")
    splitter = Splitter(schema, census=counted)
    first = splitter.split(rows)
    monkeypatch.setattr(Splitter, "split_one", None)
    assert [*map(list, splitter.split(rows))] == [*map(list, first)]
    assert first[-1][1:3] == [
        '{"created_at":"0000-00-00 00:00:00","metadata":{"a":1},"nb":"12"}',
        '{"culture":true,"more":1}',
    ]
    assert {name: sorts.total() for name, sorts in counted.sorts.items()} == {
        "metadata": 12, "nb": 12, "rate": 6, "more": 6
    }  # fmt: skip


@pytest.mark.parametrize("late", [300, 1_599])
def test_rows_are_written_at_most_twice_and_not_in_vain(late: int) -> None:
    rows = [b'{"id":1}'] * 1_600
    rows[late] = b'{"id":2,"src":"a"}'
    written: list[tuple[bool, int]] = []

    def write(schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        written.append(("src" in schema.names, sum(len(columns[0]) for columns in chunks)))

    write_columns(rows, partial(Census, Cdr, "all"), (), write, lambda: None)
    assert written == [(False, late // 256 * 256), (True, len(rows))]


def test_columns_are_guessed_from_the_last_rows_too() -> None:
    rows = [b'{"id":1}'] * 64 * 256 + [b'{"id":2,"src":"a"}']
    schemas: list[Schema] = []

    def write(schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        schemas.append(schema)
        assert sum(len(columns[0]) for columns in chunks) == len(rows)

    write_columns(rows, partial(Census, Cdr, "all"), (), write, lambda: None)
    assert ["src" in schema.names for schema in schemas] == [True]


def test_some_rows_say_which_columns_there_are_so_that_all_are_read_once() -> None:
    class Rows(Sampled):
        read = 0

        def __iter__(self) -> Iterator[bytes]:
            self.read += 1
            yield from [b'{"id":1}'] * 600 + [b'{"id":2,"src":"a"}']

        def some(self) -> list[bytes]:
            return [b'{"id":1}', b'{"id":2,"src":"a"}']

    rows, schemas = Rows(), list[Schema]()

    def write(schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        schemas.append(schema)
        assert sum(len(columns[0]) for columns in chunks) == 601

    write_columns(rows, partial(Census, Cdr, "all"), (), write, lambda: None)
    assert ["src" in schema.names for schema in schemas] == [True]
    assert rows.read == 1


def test_a_file_is_whole_though_another_column_seemed_to_be_missing_meanwhile() -> None:
    """Names that databases take for one have one column: that of most rows."""
    src, other = b'{"id":1,"src":1}', b'{"id":1,"SRC":1}'
    rows = [b'{"id":1}'] * 255 + [src] + [other] * 256 + [src] * 512
    written: list[tuple[bool, int]] = []

    def write(schema: Schema, chunks: Iterator[list[Sequence[Any]]]) -> None:
        written.append(("src" in schema.names, sum(len(columns[0]) for columns in chunks)))

    write_columns(rows, partial(Census, Cdr, "all"), (), write, written.clear)
    assert written == [(True, len(rows))]


def test_nothing_is_learnt_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    splitter = Splitter(Schema((*documented(Cdr), Column("nb", "integer"))))
    rows = [b'{"id":1,"nb":-0,"more":1}', b'{"id":2,"nb":"x"}', b'{"id":3,"name":"\\ud800"}']
    first = splitter.split(rows)
    monkeypatch.setattr(msgspec, "defstruct", None)
    assert [*map(list, splitter.split(rows))] == [*map(list, first)]
    assert splitter.altered == 2
