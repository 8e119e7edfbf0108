"""Printing records: every format holds the rows, and no value steers the terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from typing import Any

import pytest

from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb import Cdr
from voipstudio_cmb.cli.printers import PRINTERS
from voipstudio_cmb.cli.terminal import escape_controls, print_message

EVIL = "\x1b[31mred\x07\x9b0m\u202eevil\tx"
RECORDS = [Cdr(id=1, name="a", extra={"calls": [1, 2]}), Cdr(id=2, name="b[/]", title=EVIL)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(form: str, records: list[Cdr], stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    printer = PRINTERS[form](Cdr, stream)
    return "".join(map(printer.add, records)) + printer.finish()


ROWS = [{"id": 1, "name": "a", "calls": [1, 2]}, {"id": 2, "name": "b[/]", "title": EVIL}]


def test_json_and_json_lines_hold_the_rows() -> None:
    assert json.loads(printed("json", RECORDS)) == ROWS
    assert [json.loads(line) for line in printed("jsonl", RECORDS).splitlines()] == ROWS
    assert json.loads(printed("json", [])) == []
    assert printed("jsonl", []) == ""


def test_csv_holds_the_rows() -> None:
    found = list(csv.DictReader(io.StringIO(printed("csv", RECORDS), newline="")))
    assert [(row["id"], row["name"], row["extra"]) for row in found] == [
        ("1", "a", '{"calls":[1,2]}'),
        ("2", "b[/]", ""),
    ]


def test_a_table_has_a_column_for_every_field_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = printed("table", RECORDS)
    assert text.splitlines()[0].split() == ["id", "name", "calls", "title"]
    assert printed("table", []) == ""
    on_terminal = printed("table", RECORDS, Terminal())
    assert "b[/]" in on_terminal
    assert "calls" in on_terminal
    assert "┃" in on_terminal
    monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.rich", None)
    assert printed("table", RECORDS, Terminal()) == text


def test_a_table_on_a_terminal_shows_what_fits_and_names_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    wide = [Cdr(id=123456789, name="n", title="t" * 90, extra={f"field_{n}": n for n in range(9)})]
    for rich in (True, False):
        if not rich:
            monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.rich", None)
        text = printed("table", wide, Terminal())
        assert "123456789" in text
        assert "not shown: title, " in text
        assert all(
            len(line) <= 40 or line.startswith("not shown")
            for line in re.sub(r"\x1b\[\d*m", "", text).splitlines()
        )
    assert "t" * 90 in printed("table", wide)
    assert len(printed("table", [Cdr(id=1, name="two\nlines")]).splitlines()) == 2


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
def test_no_value_steers_the_terminal(form: str) -> None:
    text = printed(form, RECORDS, Terminal())
    for control in ("\x07", "\x9b", "\u202e", "\x1b[31m"):
        assert control not in text


def test_escaping_keeps_json_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value: Any = {"a": EVIL + HOSTILE, HOSTILE: ["\U000e0041", "\n"]}
    text = escape_controls(json.dumps(value, indent=1, ensure_ascii=False))
    assert json.loads(text) == value
    assert harmful(text.replace("\n", "")) == []
    print_message(f"two\nlines\x1b[0m and {HOSTILE}.")
    shown = capsys.readouterr().err
    assert shown.startswith("two lines\N{REPLACEMENT CHARACTER}[0m and ")
    assert harmful(shown.removesuffix("\n")) == []


@pytest.mark.parametrize("form", ["json", "jsonl", "csv", "table"])
@pytest.mark.parametrize("on_terminal", [True, False])
def test_no_name_of_a_field_steers_what_reads_it(
    form: str, on_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    named = [
        Cdr(id=id, name="n", extra={f"{HOSTILE}[red]x{n}": f"\n{HOSTILE}" for n in range(9)})
        for id in (1, 2)
    ]
    for rich in (True, False):
        if not rich:
            monkeypatch.setitem(sys.modules, "voipstudio_cmb.ext.rich", None)
        text = printed(form, named, Terminal() if on_terminal else io.StringIO())
        if form == "csv" and not on_terminal:
            continue  # the same file as an export's
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert harmful(plain.replace("\r\n", "").replace("\n", "")) == []
        assert "FORGED" not in [line.strip() for line in plain.splitlines()]
        if form == "table":
            assert "[red]x0" in plain
