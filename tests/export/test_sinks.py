"""The formats: whatever the API sends can be read back by others, and a failed write is no file."""

from __future__ import annotations

import csv
import datetime as dt
import errno
import gzip
import io
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from resource import RLIM_INFINITY
from typing import Any

import attrs
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.disks import limit_file_size
from benchmarks.harness.processes import call_elsewhere
from voipstudio_cmb import Button, Cdr, Setting
from voipstudio_cmb.columns import Schema, Splitter, documented
from voipstudio_cmb.errors import ClientMisuse, WrongShape
from voipstudio_cmb.export.sinks import compression, parquet, sqlite, sqlite_rows
from voipstudio_cmb.export.sinks.csv import CsvLines
from voipstudio_cmb.export.sinks.formats import FORMATS, sink
from voipstudio_cmb.models import Record

ALL = [
    ("jsonl", None), ("jsonl", "gzip"), ("jsonl", "zstd"), ("csv", None), ("csv", "gzip"),
    ("csv", "zstd"), ("sqlite", None), ("parquet", None), ("parquet", "gzip"),
]  # fmt: skip
EACH = pytest.mark.parametrize(("format", "compress"), ALL)
INTEGERS = {"id", "button_id", "ddi", "ddi_e164"}
BOOLEANS = {"floating_icon", "show_to_allowed_countries_only"}
INTEGERS |= {"culture", "position"}
HALF = re.compile("[\ud800-\udfff]")
UNSEEN = "".join(
    c for c in map(chr, range(sys.maxunicode + 1))
    if c.isspace() or unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc", "Cf")
) + "\u034f\u115f\u1160\u2800\u3164\uffa0\ufe0f\U000e0100"  # fmt: skip
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"  # noqa: RUF001


ABOUT = {"resource": "settings", "account": "0af1"}


@attrs.frozen
class Number:
    """A number's JSON text: `1.10` is not `1.1` here, and no string."""

    text: str


def exact(json_text: str | bytes) -> Any:
    return json.loads(json_text, parse_int=Number, parse_float=Number)


def fields(record: Any) -> list[str]:
    return [field.name for field in attrs.fields(record) if field.name not in ("extra", "_row")]


def write(
    path: Path, rows: Iterable[bytes], format: str, compress: str | None = None, **more: Any
) -> int:
    return sink(format, compress, **more).write([*rows], "settings", Setting, path, ABOUT)


def plain(path: Path) -> bytes:
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        return gzip.decompress(data)
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def read_csv(data: bytes, null: str = "") -> list[dict[str, Any]]:
    """By a reader that tells cells in quotes from others; and by Python's, which must agree."""
    names = next(csv.reader(io.StringIO(data.decode(), newline="")))
    table = pyarrow.csv.read_csv(
        io.BytesIO(data),
        read_options=pyarrow.csv.ReadOptions(block_size=1 << 24),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name: pyarrow.string() for name in names},
            null_values=[null], strings_can_be_null=True, quoted_strings_can_be_null=False,
        ),
    )  # fmt: skip
    rows: list[dict[str, Any]] = table.to_pylist()
    csv.field_size_limit(10**6)
    again = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
    assert again == [{n: null if c is None else c for n, c in row.items()} for row in rows]
    return rows


def read(path: Path, format: str, null: str = "") -> list[dict[str, Any]]:
    if format == "csv":
        return read_csv(plain(path), null)
    if format == "parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = database.execute('SELECT * FROM "settings"')
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]


def mended(value: str) -> str:
    return HALF.sub("\ufffd", value)


def guarded(value: str) -> str:
    value = mended(value)
    seen = value.lstrip(UNSEEN)
    runs = seen[:1] in tuple(SIGNS) and not re.fullmatch("[+-]?[0-9][0-9 ().-]*", seen)
    return "'" + value if value and (value[0] in "\t\r\n" or (seen and runs)) else value


def holds(format: str, name: str, sent: Any, cell: Any, token: str) -> bool:
    """Whether *cell* is what the column *name* should hold for *sent*."""
    spelt = sent.text if isinstance(sent, Number) else sent
    if name not in fields(Setting):
        return further(format, sent, cell, token)
    if name in INTEGERS:
        return type(cell) is (str if format == "csv" else int) and str(cell) == spelt
    if name in BOOLEANS:
        if format == "csv":
            cell = {"true": True, "false": False}[cell]
        else:
            assert type(cell) is (int if format == "sqlite" else bool)
        return bool(spelt in ((True, "1") if cell else (False, "0")))
    if name == "created_at":
        if format != "parquet":
            return bool(cell == sent)
        return bool(cell == dt.datetime.fromisoformat(sent))
    if name == "max_call_rate":
        return bool(cell == spelt)
    return type(cell) is str and cell == (guarded if format == "csv" else mended)(spelt)


def further(format: str, sent: Any, cell: Any, token: str) -> bool:
    """Whether *cell* gives back *sent*, which is of no documented field."""
    if format == "csv":
        return bool(cell == (guarded(sent) if isinstance(sent, str) else token))
    if isinstance(sent, str):
        return bool(cell == mended(sent))
    if isinstance(sent, Number):
        number = sent.text.removesuffix(".0") if type(cell) is float else sent.text
        return str(cell).removesuffix(".0") == number
    if isinstance(sent, bool):
        return cell == sent and type(cell) is (int if format == "sqlite" else bool)
    return bool(cell == token)


def compare(format: str, sent: dict[str, Any], cells: dict[str, Any], tokens: Any) -> None:
    """Every member of the row *sent* is in its column or in extra, and nothing else is there."""
    extra = exact(cells["extra"]) if cells["extra"] is not None else {}
    assert extra != {} or cells["extra"] is None
    assert list(extra) == sorted(extra)
    for name in cells:
        if name == "extra":
            continue
        value, cell = sent.get(name), cells[name]
        if value is None:
            assert cell is None
            assert name not in extra
        elif cell is None:
            assert extra.pop(name) == value
        else:
            assert name not in extra
            assert holds(format, name, value, cell, tokens.get(name)), (name, value, cell)
    assert extra == {n: v for n, v in sent.items() if n not in cells or n == "extra"}


def written_and_read(
    format: str, rows: list[bytes], null: str = "", columns: Any = "all"
) -> list[dict[str, Any]]:
    """Writes *rows*, reads them back and compares."""
    more = {"columns": columns, **({"csv_null": null} if format == "csv" else {})}
    first = fields(Setting) if isinstance(columns, str) else ["id", *columns]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        write(path, rows, format, **more)
        assert os.listdir(directory) == ["file"]
        found = read(path, format, null)
    assert len(found) == len(rows)
    for row, cells in zip(rows, found, strict=True):
        sent, names = exact(row), [*cells]
        assert names[: len(first)] == first
        assert names[len(first) :] == ["extra"] or columns == "all"
        if not isinstance(columns, str):  # what is not chosen is left out
            sent = {name: value for name, value in sent.items() if name in first}
        compare(format, sent, cells, json_texts(row))
    return found


def json_texts(row: bytes) -> dict[str, str]:
    """The members of *row* as it spells them, which must be the way that json.dumps does."""

    def spelt(value: Any) -> str:
        if isinstance(value, Number):
            return value.text
        if isinstance(value, dict):
            return "{" + ",".join(f"{json.dumps(n)}:{spelt(v)}" for n, v in value.items()) + "}"
        if isinstance(value, list):
            return f"[{','.join(map(spelt, value))}]"
        return json.dumps(value)

    return {name: spelt(value) for name, value in exact(row).items()}


TYPED = ("csv", "sqlite", "parquet")
HOSTILE = {
    "V1": ['"=cmd|\'/c calc\'!A1"', '"+1+1"', '"-2-cmd"', '"@SUM(1)"', '"\\tx"', '"\\rx"', '"\\nx"',
           '"+442079460000"', "-5", "-1.50"],
    "V2": ['"\\u0000"', '"a\\u0000b"'],
    "V3": ['"\\ud800"', '"a\\udc00b\\ud83d\\ude00"', '{"a":["\\ud800"]}'],
    "V4": ['"a\\u2028b\\u2029c\\u0085d\\u000be\\ff"'],
    "V5": ["1e400", "-1e400", "1e-400", "-0", "-0.0"],
    "V6": ["9223372036854775807", "9223372036854775808", "-9223372036854775808", "1" + "0" * 30,
           "-" + "9" * 5000],
    "V7": ['{"a":{"b":[1.50,null,true]}}', "[]", "{}", '["a","\\""]'],
    "V8": ["7", '"seven"', "7.5", "true", '"7"', '"1"', "0", "[7]"],
    "V9": ['""', "null", '" "', '" a "', '"NULL"', '"null"', '"\\\\N"'],
    "V10": ['"a\\r\\nb"', '"\\r"', '"\\""', '"\\"\\""', '","', '"a,b"', f'"{"x" * 200_000}"',
            '"' + "\\u00e9" * 40_000 + '"'],
    "V11": ['"100.00"', "100.00", "1E+2", '"1e2"', '"NaN"', '"Infinity"', '"1_0"', '" 1"'],
    "V12": ['"../../x"', '"CON"', '"\\u202e"'],
    "V14": ['"\\u001b[31m"', '"\\u009b0m"', '"\\u007f"'],
}  # fmt: skip
NAMES = (*fields(Setting)[1:], "other")


def hostile(values: list[str]) -> list[bytes]:
    """Each value in every column, in a row of its own: types change from row to row."""
    rows = []
    for value in values:
        for name in NAMES:
            rows.append(f'{{"id":{len(rows) + 1},"{name}":{value}}}'.encode())
    return rows


@pytest.mark.one_in(3)
@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("columns", ["all", "documented", ("other", "name", "ddi", "gone")])
@pytest.mark.parametrize("format", TYPED)
def test_hostile_values_are_read_back(format: str, columns: Any, values: list[str]) -> None:
    written_and_read(format, hostile(values), columns=columns)


@pytest.mark.parametrize("format", TYPED)
def test_hostile_names_are_members_of_extra_and_nothing_else(format: str) -> None:
    """V13."""
    names = ['"; DROP TABLE settings; --', "extra", "_row", "ID", "Name", "", "\ud800", "\udc00",
             "\0", 'a"b', "rowid", "\u2028", "x" * 5000]  # fmt: skip
    row = json.dumps({"id": 1, **{name: n for n, name in enumerate(names)}}).encode()
    [cells] = written_and_read(format, [row])
    columns = ["ID", "_row", "rowid"]
    assert [name for name in cells if name not in (*fields(Setting), "extra")] == columns[1:]
    assert list(json.loads(cells["extra"])) == sorted({*names} - {*columns[1:]})


@EACH
def test_lines_are_kept_to_the_byte_and_other_formats_hold_the_rows(
    format: str, compress: str | None, tmp_path: Path
) -> None:
    rows = [row for values in HOSTILE.values() for row in hostile(values)]
    rows = [b'{"id":%d' % n + row[row.index(b",") :] for n, row in enumerate(rows, 1)]
    altered = write(tmp_path / "file", rows, format, compress)
    if format == "jsonl":
        assert plain(tmp_path / "file") == b"".join(row + b"\n" for row in rows)
        assert altered == 0
        return
    found = read(tmp_path / "file", format)
    for row, cells in zip(rows, found, strict=True):
        compare(format, exact(row), cells, json_texts(row))
    assert altered == sum("\ufffd" in str(cell) for cells in found for cell in cells.values()) > 0


@pytest.mark.parametrize(
    ("name", "token", "in_sqlite", "in_parquet"),
    [
        ("ddi", "4764", 4764, 4764),
        ("ddi", '"442012345678"', 442012345678, 442012345678),
        ("ddi", '"0044"', None, None),
        ("ddi", '"+44"', None, None),
        ("ddi", '"1_0"', None, None),
        ("ddi", "5.0", None, None),
        ("ddi", "1e2", None, None),
        ("ddi", "true", None, None),
        ("ddi", "9223372036854775807", 2**63 - 1, 2**63 - 1),
        ("ddi", "9223372036854775808", None, None),
        ("ddi", "-9223372036854775808", -(2**63), -(2**63)),
        ("ddi", "-9223372036854775809", None, None),
        ("floating_icon", "true", 1, True),
        ("floating_icon", "0", 0, False),
        ("floating_icon", '"1"', 1, True),
        ("floating_icon", '"false"', None, None),
        ("floating_icon", "2", None, None),
        ("floating_icon", "1.0", None, None),
        ("max_call_rate", '"100.00"', "100.00", "100.00"),
        ("max_call_rate", "100.00", "100.00", "100.00"),
        ("max_call_rate", "1e400", "1e400", "1e400"),
        ("max_call_rate", '"NaN"', None, None),
        ("max_call_rate", '"a lot"', None, None),
        ("max_call_rate", "true", None, None),
        ("culture", "2", 2, 2),
        ("culture", '"2"', 2, 2),
        ("culture", '"en_GB"', None, None),
        ("culture", "1.5", None, None),
        ("position", "1" + "0" * 30, None, None),
        ("name", '"7"', "7", "7"),
        ("name", '"1e5"', "1e5", "1e5"),
        ("name", "7", None, None),
        ("name", "[]", None, None),
        ("created_at", '"2024-07-17 04:46:26"', "2024-07-17 04:46:26",
         dt.datetime(2024, 7, 17, 4, 46, 26)),
        ("created_at", '"2024-07-17T04:46:26.5"', "2024-07-17T04:46:26.5",
         dt.datetime(2024, 7, 17, 4, 46, 26, 500_000)),
        ("created_at", '"2024-07-17 04:46:26.1234567"', None, None),
        ("created_at", '"2024-07-17 04:46:26Z"', None, None),
        ("created_at", '"2024-07-17 04:46:26+01:00"', None, None),
        ("created_at", '"2024-07-17"', None, None),
        ("created_at", '"2024-02-30 00:00:00"', None, None),
        ("created_at", '"2024-07-17 24:00:00"', None, None),
        ("created_at", '"0000-00-00 00:00:00"', None, None),
        ("created_at", '"9999-12-31 23:59:59"', "9999-12-31 23:59:59",
         dt.datetime(9999, 12, 31, 23, 59, 59)),
        ("created_at", "1700000000", None, None),
    ],
)  # fmt: skip
def test_what_fits_is_typed_and_the_rest_is_in_extra_to_the_digit(
    name: str, token: str, in_sqlite: Any, in_parquet: Any
) -> None:
    row = f'{{"id":1,"{name}":{token},"extra":1.10}}'.encode()
    for format, expected in (("sqlite", in_sqlite), ("parquet", in_parquet)):
        [cells] = written_and_read(format, [row])
        assert cells[name] == expected
        assert type(cells[name]) is type(expected)
        misfit = [f'"{name}":{token}'] if expected is None else []
        members = sorted(['"extra":1.10', *misfit])
        assert cells["extra"] == f"{{{','.join(members)}}}"


@pytest.mark.parametrize(
    ("token", "line"),
    [
        ("null", ""),
        ('""', '""'),
        ('"a"', "a"),
        ('"a b"', "a b"),
        ('" a"', '" a"'),
        ('"a "', '"a "'),
        ("\"=cmd|'/c calc'!A1\"", "'=cmd|'/c calc'!A1"),
        ('"+1+1"', "'+1+1"),
        ('"-2-cmd"', "'-2-cmd"),
        ('"@SUM(1)"', "'@SUM(1)"),
        ('"\\tx"', "'\tx"),
        ('"\\rx"', '"\'\rx"'),
        ('"\\nx"', '"\'\nx"'),
        ('"=1,2"', '"\'=1,2"'),
        ('"+442079460000"', "+442079460000"),
        ('"+44 (20) 7946-0000"', "+44 (20) 7946-0000"),
        ('"-5"', "-5"),
        ("-5", "-5"),
        ("-1e400", "-1e400"),
        ("true", "true"),
        ('"quo\\"te, comma"', '"quo""te, comma"'),
        ('{"a":[1.50,null]}', '"{""a"":[1.50,null]}"'),
        ("[-1]", "[-1]"),
        ('"a\\u2028b"', '"a\u2028b"'),
        ('"a\u2028b"', '"a\u2028b"'),
        ('"a\x85b"', '"a\x85b"'),
        ('"£5 é☂"', "£5 é☂"),
        ('"\\ud800"', "\ufffd"),
    ],
)
def test_a_csv_cell_runs_in_no_spreadsheet_and_has_quotes_where_it_needs_them(
    token: str, line: str
) -> None:
    row = f'{{"id":1,"name":{token}}}'.encode()
    extra = "" if token.startswith(('"', "n")) else '"{""name"":' + token.replace('"', '""') + '}"'
    before, after = "1,,,,,,,,", "," * 8 + extra
    assert fields(Button)[8] == "name"
    assert csv_of(row).decode() == f"{before}{'' if extra else line}{after}\r\n"
    header = CsvLines(Schema(documented(Button))).header()
    assert header.decode() == ",".join([*fields(Button), "extra"]) + "\r\n"


def csv_of(row: bytes, null: str = "") -> bytes:
    """The line of `row`, which is the same beside rows with plain cells and with quotes."""
    schema = Schema(documented(Button))

    def lines(*rows: bytes) -> bytes:
        return CsvLines(schema, null).lines(Splitter(schema).split(rows))

    plain, quotes = b'{"id":2,"name":"a"}', b'{"id":3,"name":"\\""}'
    line = lines(row)
    assert lines(row, plain) == line + lines(plain)
    assert lines(row, quotes) == line + lines(quotes)
    assert lines(quotes, row, plain) == lines(quotes) + line + lines(plain)
    return line


@pytest.mark.one_in(2)
@pytest.mark.parametrize("raw", [True, False])
def test_nothing_unseen_hides_a_formula(raw: bool) -> None:
    """What the API sent as it is, and as escapes."""
    values = [
        *SIGNS,
        *(c + "=1+1" for c in UNSEEN),
        *(f"\ufeff \u200b{c}cmd|'/c'!A1" for c in SIGNS),
    ]
    values += [
        f"{UNSEEN[-40:]}@SUM(1)",
        "\xa0-2-cmd",
        "\t5",
        "\n+44 20",
        " +1+1",
        "+1~=1",
        "=",
        "\u3000\uff1d",
    ]
    for value in values:
        row = b'{"id":1,"name":%s}' % json.dumps(value, ensure_ascii=not raw).encode()
        [_, cells] = csv.reader(io.StringIO((b"h\r\n" + csv_of(row)).decode(), newline=""))
        assert cells[8] == "'" + value, value


def test_no_other_text_is_altered() -> None:
    texts = [
        " +44 20", "\xa0-5", "\u200b+442079460000", "a=1", "\xa0a", "한국", "カナ=", "اسم=", "é-",
        ".5", "1-2", "\u3000", "\ufeff", "👍=", "क=", "※@", "'=1", "\u22125", "x\uff1d1", "ID",
    ]  # fmt: skip
    for value in texts:
        row = b'{"id":1,"name":%s}' % json.dumps(value, ensure_ascii=False).encode()
        [cells] = csv.reader(io.StringIO(csv_of(row).decode(), newline=""))
        assert cells[8] == value
    for record in (Button, Cdr, Setting):  # or Excel would take the file for SYLK
        assert not CsvLines(Schema(documented(record))).header().startswith(b"ID")


@pytest.mark.parametrize("null", ["", "\\N", "NULL", "-", "7", "true", "a", "{}", "ø", "=1"])
def test_null_can_be_told_from_every_text(null: str) -> None:
    values = ["null", '""', f'"{null}"'.replace("\\N", "\\\\N"), "7", "true", '"a"', '"ø"', "{}"]
    rows = [f'{{"id":{100 + n},"name":{v}}}'.encode() for n, v in enumerate(values)]
    found = written_and_read("csv", rows, null)
    texts = [row["name"] is not None for row in found]
    assert texts == [value.startswith('"') for value in values]
    lines = [csv_of(row, null).decode().split(",") for row in rows]
    assert [line[8] for line in lines[:3]] == [
        null,
        '""',
        guarded(null) if guarded(null) != null else f'"{null}"',
    ]


@EACH
def test_no_rows_are_a_valid_file(format: str, compress: str | None, tmp_path: Path) -> None:
    assert write(tmp_path / "file", [], format, compress) == 0
    if format == "jsonl":
        assert plain(tmp_path / "file") == b""
    elif format == "csv":
        assert plain(tmp_path / "file").decode() == ",".join([*fields(Setting), "extra"]) + "\r\n"
    else:
        assert read(tmp_path / "file", format) == []
    if format == "parquet":
        table = pyarrow.parquet.read_table(tmp_path / "file")
        assert table.schema.names == [*fields(Setting), "extra"]
        assert table.schema.field("max_call_rate").type == pyarrow.string()
        assert table.schema.field("created_at").type == pyarrow.timestamp("us")


def many(count: int) -> Iterator[bytes]:
    """Rows that do not compress well."""
    for n in range(1, count + 1):
        noise = n * 0x9E3779B97F4A7C15 % 2**64
        yield b'{"id":%d,"name":"%x %x","ddi":%d,"more":%d.10}' % (
            n, noise, noise * noise % 2**127, noise >> 2, noise,
        )  # fmt: skip


@EACH
def test_the_same_rows_give_the_same_bytes(
    format: str, compress: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 700)
    rows = list(many(3000))
    written = []
    for number in range(2):
        path = tmp_path / str(number) / f"other-name-{number}"
        path.parent.mkdir()
        monkeypatch.setattr("time.time", lambda number=number: 1e9 + 1e6 * number)
        write(path, rows, format, compress)
        assert [p.name for p in path.parent.iterdir()] == [path.name]
        written.append(path.read_bytes())
    assert written[0] == written[1]
    if compress == "gzip" and format != "parquet":
        assert written[0][:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"  # no name and no time
    if format == "parquet":
        metadata = pyarrow.parquet.read_metadata(tmp_path / "0" / "other-name-0")
        groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
        assert groups == [768, 768, 768, 696]
        column = metadata.row_group(0).column(0)
        assert column.compression == (compress or "zstd").upper()


def test_a_row_group_ends_early_where_rows_are_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1_000_000)
    rows = [f'{{"id":{n},"name":"{"x" * 1500}"}}'.encode() for n in range(1, 2001)]
    write(tmp_path / "file", rows, "parquet")
    metadata = pyarrow.parquet.read_metadata(tmp_path / "file")
    groups = [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)]
    assert groups == [768, 768, 464]
    assert pyarrow.parquet.read_schema(tmp_path / "file").metadata == {
        name.encode(): value.encode() for name, value in ABOUT.items()
    }


def write_to_small_disks(directory: str) -> list[Any]:
    """What becomes of each format on disks of several sizes; the last one is large enough."""
    rows, found = list(many(3000)), []
    for format, compress in ALL:
        path = Path(directory, f"{format} {compress}")
        path.mkdir()
        write(path / "whole", rows, format, compress)
        size = (path / "whole").stat().st_size
        results: list[Any] = []
        limits = [0, 1, 100, 4096, size // 3, size // 2]
        for limit in (*limits, *(size - left for left in (4097, 100, 8, 1, 0))):
            limited = path / str(limit)
            limit_file_size(limit)
            try:
                write(limited, rows, format, compress)
                results.append(limited.read_bytes() == (path / "whole").read_bytes())
            except OSError as error:
                results.append(error.errno)
            finally:
                limit_file_size(RLIM_INFINITY)
        found.append([format, results])
    return found


@pytest.mark.campaign
def test_a_full_disk_is_an_error_wherever_it_is_met(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    for format, results in call_elsewhere(write_to_small_disks, str(tmp_path)):
        number = errno.EIO if format == "sqlite" else errno.EFBIG
        assert results == [number] * 10 + [True]
    assert capfd.readouterr().err == ""


@EACH
def test_no_space_left_is_called_so(
    format: str, compress: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, mode: str, **more: Any) -> Any:
        return open("/dev/full", "wb", **more)

    if format == "sqlite":
        small = (*sqlite.PRAGMAS, "PRAGMA max_page_count = 9")
        monkeypatch.setattr(sqlite, "PRAGMAS", small)
    else:
        monkeypatch.setattr(parquet if format == "parquet" else compression, "open", full, False)
    for count in (1, 3000):
        if format != "sqlite" or count > 1:
            with pytest.raises(OSError, match="No space left on device") as raised:
                write(tmp_path / f"{count}", many(count), format, compress)
            assert raised.value.errno == errno.ENOSPC


def test_a_parquet_file_without_its_end_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(pyarrow.parquet.ParquetWriter, "close", lambda self: None)
        patch.setattr(pyarrow.parquet.ParquetWriter, "__del__", lambda self: None)
        with pytest.raises(OSError, match="Parquet"):
            write(tmp_path / "a", many(10), "parquet")
    write(tmp_path / "b", many(9), "parquet")
    short = pyarrow.parquet.read_metadata(tmp_path / "b")
    monkeypatch.setattr(pyarrow.parquet, "read_metadata", lambda path: short)
    with pytest.raises(OSError, match="9 rows of 10 are in it"):
        write(tmp_path / "c", many(10), "parquet")


@EACH
def test_a_file_that_cant_be_made_is_an_error(
    format: str, compress: str | None, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "file", many(1), format, compress)
    (tmp_path / "taken").write_text("precious")
    expected = ClientMisuse if format == "sqlite" else FileExistsError
    with pytest.raises(expected):
        write(tmp_path / "taken", many(1), format, compress)
    assert (tmp_path / "taken").read_text() == "precious"


@EACH
def test_an_error_of_the_rows_comes_through(
    format: str, compress: str | None, tmp_path: Path
) -> None:
    class Broken:
        def __iter__(self) -> Iterator[bytes]:
            yield from many(2000)
            raise LookupError("the spool is gone")

    with pytest.raises(LookupError, match="the spool is gone"):
        rows: Any = Broken()
        sink(format, compress).write(rows, "settings", Setting, tmp_path / "file", ABOUT)


@pytest.mark.parametrize("format", ["sqlite", "parquet"])
@pytest.mark.parametrize("row", [b'{"id":null}', b'{"name":"a"}', b'{"id":0}', b'{"id":1.5}'])
def test_a_row_without_an_id_is_refused(format: str, row: bytes, tmp_path: Path) -> None:
    with pytest.raises(WrongShape, match="a row can't be exported: it"):
        write(tmp_path / "file", [b'{"id":1}', row], format)


@pytest.mark.parametrize("format", TYPED)
def test_rows_that_can_be_iterated_over_only_once_are_refused(format: str, tmp_path: Path) -> None:
    with pytest.raises(ClientMisuse, match="rows are iterated over more than once"):
        sink(format).write(many(3), "settings", Setting, tmp_path / "file", ABOUT)


@pytest.mark.parametrize("most", [4, 9, 30, 32_766])
@pytest.mark.parametrize("count", [1, 15, 16, 17, 256])
def test_sqlite_adds_each_row_once_however_many_a_statement_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, most: int
) -> None:
    class Database(sqlite3.Connection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, most)

    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Database))
    rows = [b'{"id":%d,"name":"%d","position":%d}' % (id, id, -id) for id in range(1, count + 1)]
    write(tmp_path / "file", rows, "sqlite")
    found = [(row["id"], row["name"], row["position"]) for row in read(tmp_path / "file", "sqlite")]
    assert found == [(id, str(id), -id) for id in range(1, count + 1)]


def test_sqlite_has_what_many_rows_have_in_common_in_each_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        b'{"id":%d,"name":"all","title":"%s","floating_icon":true,"more":%d,"flag":%s,"d":0.5}'
        % (id, b"a" if id <= 300 else b"b", id % 3, b"true" if id > 16 else b"null")
        for id in range(1, 601)
    ]
    rows += rows[-3:-2] * 605  # some chunks have nothing else
    for name in ("file", "again"):
        write(tmp_path / name, rows, "sqlite")
        monkeypatch.setattr(sqlite_rows, "CAN_SHARE", False)
        monkeypatch.setattr(sqlite_rows, "AT_ONCE", 1)
    assert (tmp_path / "file").read_bytes() == (tmp_path / "again").read_bytes()
    found = read(tmp_path / "file", "sqlite")
    assert len(found) == 600
    for row, cells in zip(rows, found, strict=False):
        compare("sqlite", exact(row), cells, json_texts(row))


def test_sqlite_has_the_last_of_several_rows_with_an_id(tmp_path: Path) -> None:
    rows = [b'{"id":%d,"position":%d}' % (at % 5 + 1, at) for at in range(23)]
    write(tmp_path / "file", rows, "sqlite")
    found = [(row["id"], row["position"]) for row in read(tmp_path / "file", "sqlite")]
    assert found == [(1, 20), (2, 21), (3, 22), (4, 18), (5, 19)]


def test_sqlite_replaces_rows_by_their_id_and_adds_the_others(tmp_path: Path) -> None:
    path = tmp_path / "file"
    first = [b'{"id":1,"name":"old"}', b'{"id":2,"name":"kept","more":[1]}',
             b'{"id":3,"ddi":5,"title":"%s"}' % (b"goes" * 5000)]  # fmt: skip
    write(path, first, "sqlite")
    before = path.read_bytes()
    second = [b'{"id":4,"name":"new"}', b'{"id":3,"ddi":"none"}', b'{"id":1,"name":"late"}',
              b'{"id":1,"name":"latest"}']  # fmt: skip
    write(path, second, "sqlite")
    rows = {row["id"]: row for row in read(path, "sqlite")}
    for sent in (first[1], second[0], second[1], second[3]):
        row = exact(sent)
        compare("sqlite", row, rows.pop(int(row["id"].text)), json_texts(sent))
    assert rows == {}
    assert b"goes" not in path.read_bytes()
    assert os.listdir(tmp_path) == ["file"]
    again = tmp_path / "again"
    again.write_bytes(before)
    write(again, second, "sqlite")
    assert again.read_bytes() == path.read_bytes()


def test_a_database_says_what_it_is_and_its_columns_have_types(tmp_path: Path) -> None:
    write(tmp_path / "file", [b'{"id":1}'], "sqlite")
    with closing(sqlite3.connect(tmp_path / "file")) as database:
        assert database.execute("PRAGMA application_id").fetchone() == (0x76434D42,)
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        found = {
            name: type for _, name, type, *_ in database.execute("PRAGMA table_info(settings)")
        }
    assert list(found) == [*fields(Setting), "extra"]
    assert {name for name, type in found.items() if type == "INTEGER"} == INTEGERS | BOOLEANS


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("PRAGMA application_id = 0", "no export wrote it"),
        ("PRAGMA user_version = 1", "its schema has version 1, not 2"),
        ("ALTER TABLE settings RENAME TO other", "it has no table 'settings'"),
        ("ALTER TABLE settings ADD COLUMN more VARCHAR", "it has no table 'settings'"),
        ("ALTER TABLE settings DROP COLUMN extra", "it has no table 'settings'"),
    ],
)
def test_rows_are_added_to_no_other_database(change: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, [b'{"id":1}'], "sqlite")
    with closing(sqlite3.connect(path)) as database:
        database.execute(change)
        database.commit()
    before = path.read_bytes()
    with pytest.raises(ClientMisuse, match=why) as raised:
        write(path, [b'{"id":2}'], "sqlite")
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before


def test_rows_are_added_to_no_broken_database(tmp_path: Path) -> None:
    write(tmp_path / "whole", many(3000), "sqlite")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "head").write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(ClientMisuse, match="it is no complete database"):
        write(tmp_path / "head", many(1), "sqlite")
    (tmp_path / "torn").write_bytes(data[: len(data) // 2])
    with pytest.raises((ClientMisuse, OSError)):
        write(tmp_path / "torn", many(1), "sqlite")


def test_a_database_that_was_used_with_a_write_ahead_log_is_one_file_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, [b'{"id":1}'], "sqlite")
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
    write(path, [b'{"id":2}'], "sqlite")
    assert os.listdir(tmp_path) == ["file"]
    assert [row["id"] for row in read(path, "sqlite")] == [1, 2]


def test_formats_are_built_by_name() -> None:
    assert FORMATS == ("jsonl", "csv", "sqlite", "parquet")
    suffixes = [(sink(*way).suffix, sink(*way).appends) for way in ALL]
    assert suffixes == [
        ("jsonl", False), ("jsonl.gz", False), ("jsonl.zst", False), ("csv", False),
        ("csv.gz", False), ("csv.zst", False), ("sqlite", True), ("parquet", False),
        ("parquet", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "null", "message"),
    [
        (("xml",), "", r"unknown format \(known: jsonl, csv, sqlite, parquet\)"),
        (("csv", "rar"), "", r"unknown compression \(known: gzip, zstd\)"),
        (("parquet", "rar"), "", "unknown compression"),
        (("sqlite", "gzip"), "", "sqlite can't be compressed: leave it out"),
        (("jsonl",), "NULL", "jsonl has a null of its own"),
        (("csv",), "a,b", "can't stand for null in CSV: choose one without"),
        (("csv",), '"', "can't stand for null"),
        (("csv",), "\n", "can't stand for null"),
        (("csv",), " ", "can't stand for null"),
        (("csv",), "\ud800", "can't stand for null"),
    ],
)
def test_what_cant_be_is_said_with_what_to_do(arguments: Any, null: str, message: str) -> None:
    with pytest.raises(ClientMisuse, match=message):
        sink(*arguments, csv_null=null)


def test_packages_that_are_not_there_are_named_by_their_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.delitem(sys.modules, "voipstudio_cmb.export.sinks.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for wrong in (("jsonl", "zstd"), ("csv", "zstd")):
        with pytest.raises(ClientMisuse, match=r"install '\.\[zstd\]' in a clone"):
            sink(*wrong)
    with pytest.raises(
        ClientMisuse,
        match=r"^parquet takes the extra arrow: pip install '\.\[arrow\]' in a clone of",
    ):
        sink("parquet")
    assert sink("csv", "gzip").suffix == "csv.gz"


def test_an_export_loads_no_package_that_its_format_does_not_need() -> None:
    code = (
        "import sys, voipstudio_cmb.export\n"
        "from voipstudio_cmb.export.sinks.formats import sink\n"
        "sink('csv', 'gzip'), sink('sqlite'), sink('jsonl')\n"
        "print([name for name in ('pyarrow', 'zstandard') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_parquet_does_without_pandas_where_it_is_installed(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(
        b'{"id":1,"created_at":"2026-01-01 00:00:00"}\n{"id":2,"a":1.5}'
    )
    code = (
        "import sys; from pathlib import Path; from voipstudio_cmb import Cdr\n"
        "from voipstudio_cmb.export.sinks.formats import sink\n"
        "to = Path(sys.argv[1]); rows = (to / 'rows').read_bytes().splitlines()\n"
        "sink('parquet').write(rows, 'cdrs', Cdr, to / 'file', {})\n"
        "print('pyarrow' in sys.modules, 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "True False\n"


def test_equal_decimals_keep_the_digits_of_their_own_columns() -> None:
    rows = [b'{"id":1,"a":1.10,"b":1.100,"c":-0.50}', b'{"id":2,"a":1.20,"b":1.200,"c":0.00}']
    rows += [b'{"id":3,"a":%s.99,"b":-%s.999,"c":null}' % (b"9" * 36, b"9" * 35)]
    found = written_and_read("parquet", rows)
    assert [str(row["b"]) for row in found] == ["1.100", "1.200", "-" + "9" * 35 + ".999"]


def test_each_resource_has_its_table_and_columns(tmp_path: Path) -> None:
    kinds: dict[str, type[Record]] = {"cdrs": Cdr, "buttons": Button}
    for resource, record in kinds.items():
        sink("sqlite").write([b'{"id":1}'], resource, record, tmp_path / resource, ABOUT)
        with closing(sqlite3.connect(tmp_path / resource)) as database:
            found = database.execute(f'SELECT * FROM "{resource}"')
            assert [column[0] for column in found.description] == [*fields(record), "extra"]


TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(
    ["", "1", "0", "-5", "1.50", "007", "2024-07-17 04:46:26", "0000-00-00 00:00:00", "\\N", "=1"]
)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-3, 3) | st.floats(allow_nan=False)
    .filter(lambda f: abs(f) < 1e309 and f not in (float("inf"), float("-inf"))) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
ROWS = st.lists(
    st.dictionaries(st.sampled_from(fields(Setting)[1:]) | TEXTS, VALUES, max_size=8), max_size=5
)


@pytest.mark.parametrize("format", TYPED)
@given(rows=ROWS, ascii=st.booleans())
def test_any_row_is_read_back(format: str, rows: list[dict[str, Any]], ascii: bool) -> None:
    numbered = [row | {"id": n} for n, row in enumerate(rows, 1)]
    try:
        lines = [
            json.dumps(r, ensure_ascii=ascii, separators=(",", ":")).encode() for r in numbered
        ]
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
        lines = [json.dumps(row, separators=(",", ":")).encode() for row in numbered]
        ascii = True
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "file"
        write(path, lines, format)
        for row, cells in zip(lines, read(path, format), strict=True):
            spelt = {
                name: json.dumps(value, ensure_ascii=ascii, separators=(",", ":"))
                for name, value in json.loads(row).items()
            }
            compare(format, exact(row), cells, spelt)
