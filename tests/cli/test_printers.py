"""Printing records: every format holds the rows, and no value steers the terminal."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest
from rich.cells import cell_len

from tests.fakes.hostile import HOSTILE, harmful
from voipstudio_cmb import Cdr
from voipstudio_cmb.cli.printers import PRINTERS
from voipstudio_cmb.cli.table import width
from voipstudio_cmb.cli.terminal import escape_controls, print_message
from voipstudio_cmb.errors import ClientMisuse

EVIL = "\x1b[31mred\x07\x9b0m\u202eevil\tx"
RECORDS = [Cdr(id=1, name="a", extra={"calls": [1, 2]}), Cdr(id=2, name="b[/]", title=EVIL)]


FORMS = ["json", "jsonl", "csv", "tsv", "table"]


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")


def printed(
    form: str, records: list[Cdr], stream: io.StringIO | None = None, columns: str | None = None
) -> str:
    printer = PRINTERS[form](Cdr, stream or io.StringIO(), columns)
    return "".join(map(printer.add, records)) + printer.finish()


ROWS = [{"id": 1, "name": "a", "calls": [1, 2]}, {"id": 2, "name": "b[/]", "title": EVIL}]


def test_json_and_json_lines_hold_the_rows() -> None:
    assert json.loads(printed("json", RECORDS)) == ROWS
    assert [json.loads(line) for line in printed("jsonl", RECORDS).splitlines()] == ROWS
    assert json.loads(printed("json", [])) == []
    assert printed("jsonl", []) == ""


def test_json_comes_as_the_rows_come() -> None:
    for form in ("json", "jsonl"):
        printer = PRINTERS[form](Cdr, io.StringIO())
        assert '"id":1' in printer.add(RECORDS[0])
        printer = PRINTERS[form](Cdr, io.StringIO(), "id,calls")
        assert '"calls":[1,2]' in printer.add(RECORDS[0])


def test_csv_and_tsv_have_a_column_for_every_member() -> None:
    found = list(csv.DictReader(io.StringIO(printed("csv", RECORDS), newline="")))
    assert [(row["id"], row["name"], row["calls"]) for row in found] == [
        ("1", "a", "[1,2]"),
        ("2", "b[/]", ""),
    ]
    heads, *lines = [line.split("\t") for line in printed("tsv", RECORDS).splitlines()]
    rows = [dict(zip(heads, line, strict=True)) for line in lines]
    assert [(row["id"], row["name"], row["calls"]) for row in rows] == [
        ("1", "a", "[1,2]"),
        ("2", "b[/]", ""),
    ]
    assert printed("csv", []).startswith("id,")
    assert printed("tsv", []).startswith("id\t")


def test_a_cell_of_tsv_is_one_cell_of_one_line_whatever_it_holds() -> None:
    text = "a\tb\nc\rd\\te"
    out = printed("tsv", [Cdr(id=1, name=text, floating_icon=True)], columns="name,floating_icon")
    assert out == "name\tfloating_icon\na\\tb\\nc\\rd\\\\te\ttrue\n"


def test_rows_beyond_those_held_keep_the_columns_and_lose_nothing() -> None:
    many = [Cdr(id=at, extra={"src": str(at)}) for at in range(1, 502)]
    many.append(Cdr(id=502, extra={"late": 1}))
    rows = list(csv.DictReader(io.StringIO(printed("csv", many), newline="")))
    assert [row["src"] for row in rows[:501]] == [str(at) for at in range(1, 502)]
    assert rows[-1]["extra"] == '{"late":1}'
    many[-2] = Cdr(id=501, extra={"src": ["-1+1", 2]})
    rows = list(csv.DictReader(io.StringIO(printed("csv", many), newline="")))
    assert rows[-2]["src"] == '["-1+1",2]'  # whatever the column held before


@pytest.mark.parametrize("form", FORMS)
def test_columns_come_in_the_order_in_which_they_are_named(form: str) -> None:
    text = printed(form, RECORDS, columns="calls, id,name,calls")
    if form == "json":
        assert [list(row) for row in json.loads(text)] == [["calls", "id", "name"], ["id", "name"]]
    elif form == "jsonl":
        assert text.startswith('{"calls":[1,2],"id":1,"name":"a"}\n')
    elif form == "table":
        assert text.splitlines()[0].split() == ["calls", "id", "name"]
    else:
        assert re.split(r"[,\t\r\n]", text)[:3] == ["calls", "id", "name"]


@pytest.mark.parametrize("form", FORMS)
def test_a_column_that_no_row_has_is_refused_with_the_nearest(form: str) -> None:
    records = [Cdr(id=1, extra={"duration": 7})]
    printer = PRINTERS[form](Cdr, io.StringIO(), "id,durration")
    assert printer.add(records[0]) == ""  # nothing is printed that would be refused
    with pytest.raises(ClientMisuse, match="no row has 'durration'; did you mean 'duration'"):
        printer.finish()
    with pytest.raises(ClientMisuse, match="no row has 'zzz'; --columns all shows all"):
        printed(form, records, columns="zzz")
    printed(form, [], columns="durration")  # of which no row says that it is wrong
    printed(form, records, columns="welcome_screen_msg")  # documented, if absent here
    with pytest.raises(ClientMisuse, match="one is empty"):
        printed(form, records, columns="id,,name")
    with pytest.raises(ClientMisuse, match="one is empty"):
        printed(form, records, columns="")


def test_a_table_in_a_pipe_has_every_column_whole_and_no_colour() -> None:
    text = printed("table", RECORDS)
    assert text.splitlines()[0].split() == ["id", "calls", "name", "title"]
    assert printed("table", []) == ""
    same = [Cdr(id=id, name="n" * 200, culture=1) for id in (1, 2)]
    text = printed("table", same)
    assert text.splitlines()[0].split() == ["id", "name", "culture"]
    assert "n" * 200 in text
    assert "\x1b" not in text
    assert len(printed("table", [Cdr(id=1, name="two\nlines")]).splitlines()) == 2


CALLS = [
    Cdr(
        id=1000 + at,
        culture=1,
        name=("Café", "東京デンキ")[at % 2],
        welcome_screen_msg="w" * 60,
        extra={
            "calldate": f"2026-01-0{at} 10:00:00", "created_at": f"2026-01-0{at} 10:00:00",
            "clid": "c" * at, "src": f"44207946000{at}", "dst": "+12015550100" + "1" * (at % 2),
            "billsec": at * 7, "duration": at * 9, "disposition": ("BUSY", "ANSWERED")[at % 2],
        },
    )
    for at in range(1, 5)
]  # fmt: skip


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_on_a_terminal_shows_the_call_and_says_what_is_left_out(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    printer = PRINTERS["table"](Cdr, Terminal())
    text = "".join(map(printer.add, CALLS)) + printer.finish()
    plain = re.sub(r"\x1b\[\d*m", "", text)
    shown = plain.splitlines()[0].split()
    assert shown[:6] == ["id", "created_at", "src", "dst", "duration", "disposition"]
    assert all(width(line) <= columns for line in plain.splitlines())
    assert text.startswith("\x1b[1m")
    assert "culture (always 1)" in printer.note
    assert "welcome_screen_msg (" in printer.note
    assert "calldate (same as created_at)" in printer.note
    assert printer.note.endswith("; --columns all shows them")
    assert ("name" in shown) == (columns == 120)
    assert ("name (no room)" in printer.note) == (columns == 80)


def test_what_is_left_out_is_said_in_one_line_however_much_it_is() -> None:
    printer = PRINTERS["table"](Cdr, Terminal())
    many = [Cdr(id=1, extra={f"m{at}": at + id for at in range(99)}) for id in (1, 2)]
    text = "".join(map(printer.add, many)) + printer.finish()
    left = 99 - (len(text.splitlines()[0].split()) - 1)
    assert re.fullmatch(
        rf"left out: (m\d+, ){{7}}m\d+ \(no room\), and {left - 8} more; --columns all shows them",
        printer.note,
    )


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "table"])
@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_rows_that_come_later_stand_below_the_first(form: str, stream: type[io.StringIO]) -> None:
    printer = PRINTERS[form](Cdr, stream())
    assert printer.flush() == ("" if form in ("jsonl", "table") else printed(form, [], stream()))
    printer = PRINTERS[form](Cdr, stream())
    at_once = PRINTERS[form](Cdr, stream())
    whole = "".join(map(at_once.add, CALLS)) + at_once.finish()
    text = "".join(map(printer.add, CALLS[:3])) + printer.flush()
    text += printer.add(CALLS[3]) + printer.flush() + printer.flush()
    assert text == whole


def test_columns_that_are_chosen_are_shown_whole_on_a_terminal_too() -> None:
    text = printed("table", CALLS, Terminal(), "welcome_screen_msg,culture")
    assert "w" * 60 in text
    heads = printed("table", CALLS, Terminal(), "all").splitlines()[0]
    assert "welcome_screen_msg" in heads
    assert "calldate" in heads


@pytest.mark.parametrize("columns", [20, 40])
def test_a_table_is_never_wider_than_its_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    wide = [Cdr(id=123456789, title="東" * 90, extra={f"field_{n}": "é" * n for n in range(40)})]
    lines = re.sub(r"\x1b\[\d*m", "", printed("table", wide, Terminal())).splitlines()
    assert len(lines) == 2
    assert all(width(line) <= columns for line in lines)


def test_a_terminal_without_styles_or_without_the_characters_gets_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")

    class Ascii(Terminal):
        encoding = "ascii"

    text = printed("table", [Cdr(id=1, name="é", title="t" * 35)], Ascii())
    assert text.isascii()
    assert "\x1b" not in text
    assert "t" * 27 + "...\n" in text
    assert "\\xe9" in text


@pytest.mark.parametrize("form", FORMS)
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


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("on_terminal", [True, False])
def test_no_name_of_a_field_steers_what_reads_it(
    form: str, on_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    named = [
        Cdr(
            id=id,
            name="n",
            extra={f"[red]x{n}{HOSTILE}": f"\n{id}{n}{HOSTILE[12 * n :][:12]}" for n in range(9)},
        )
        for id in (1, 2)
    ]
    if form not in ("csv", "tsv") or on_terminal:  # else the same cells as an export's
        text = printed(form, named, Terminal() if on_terminal else io.StringIO())
        plain = re.sub(r"\x1b\[[\d;]*m", "", text)
        assert harmful(plain.translate({10: "", 13: "", 9: ""})) == []
        assert "FORGED" not in [line.strip() for line in plain.splitlines()]
        if form == "table":
            assert "[red]x0" in plain


def test_columns_are_aligned_as_a_terminal_shows_wide_characters_and_accents() -> None:
    names = ["東京デンキ", "Cafe\u0301", "ab", "각", "\u1100\u1161\u11a8", "ｈａｌｆ", "🚀"]  # noqa: RUF001
    assert [*map(width, names)] == [*map(cell_len, names)]
    calls = [Cdr(id=at + 1, name=name, title=f"t{at}") for at, name in enumerate(names)]
    lines = printed("table", calls, Terminal(), "name,title").splitlines()[1:]
    assert {cell_len(line[: line.index("t" + str(at))]) for at, line in enumerate(lines)} == {12}


@pytest.mark.parametrize("form", ["csv", "tsv"])
def test_what_is_nested_steers_no_terminal_and_comes_to_a_pipe_as_it_is(form: str) -> None:
    nested = [Cdr(id=1, extra={"calls": ["\x9b0m\u202e\x7f"]})]
    assert harmful(re.sub(r"[\r\n\t]", "", printed(form, nested, Terminal()))) == []
    assert "\x9b0m\u202e\x7f" in printed(form, nested)
