"""Rows as bytes: what comes out is what came in, to the digit, on one line each."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voipstudio_cmb.codec.envelopes import read_page, read_row, read_rows, read_total
from voipstudio_cmb.codec.rows import as_rows, tokens
from voipstudio_cmb.errors import EmptyBody, NotJSON, WrongShape
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Cdr, Reject, Row, Rows
from voipstudio_cmb.walk.ids import record_ids


def read(body: bytes) -> tuple[list[tuple[int, bytes]], list[Reject], int | None]:
    rejects: list[Reject] = []
    page = read_rows(Response(status=200, body=body), 3, rejects.extend)
    return [(row.id, row.json) for row in page.records], rejects, page.total


@pytest.mark.parametrize(
    "row",
    [
        b'{"id":1,"rate":1.10,"big":123456789012345678901234567890,"far":1e400,"least":-0.0}',
        b'{"id":1,"a":{"b":[1.50,{"c":1E+2}]},"a":2}',
        rb'{"id":1,"text":"\u00e9 \/ \\ud800 \ud83d\ude00 \n"}',
        rb'{"id":1,"half":"\ud800 and \uDC00x","whole":"\uD83D\uDE00","rate":1.10}',
        rb'{"id":1,"\ud800":1}',
        '{"id":1,"größe":"日本 \U0001f600"}'.encode(),
    ],
)
def test_a_row_is_kept_to_the_digit(row: bytes) -> None:
    rows, rejects, total = read(b'{"total": 9, "data": [' + row + b', {"id": 2}]}')
    assert rows == [(1, row), (2, b'{"id": 2}')]
    assert (rejects, total) == ([], 9)
    assert b":".join(tokens(row).values()) in row or len(tokens(row)) > 1
    assert read_row(Response(status=200, body=b'{"data": ' + row + b"}")).json == row


def test_a_row_is_one_line_for_every_reader() -> None:
    body = '{"data": [\n {\n "id": 1,\r\n "t": "a\u2028b\u2029c\x85d"\t}\n]}'
    [(_, row)], _, total = read(body.encode())
    assert row.decode().splitlines() == [row.decode()]
    assert json.loads(row) == {"id": 1, "t": "a\u2028b\u2029c\x85d"}
    assert total is None
    for end in ("\r", "\n"):
        [(_, row)], _, _ = read(f'{{"data":[{{"id": 1,{end}"t": 2}}]}}'.encode())
        assert row == b'{"id":1,"t":2}'


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (b"null", "it is no object but null"),
        (b'"text"', "it is no object but a string"),
        (b"[1]", "it is no object but an array"),
        (b"true", "it is no object but true"),
        (b"false", "it is no object but false"),
        (b"-5", "it is no object but a number"),
        (b"{}", "it has no id"),
        (b'{"id":null}', "its id is no integer from 1 to 2**63 - 1: null"),
        (b'{"id":"7"}', 'its id is no integer from 1 to 2**63 - 1: "7"'),
        (b'{"id":0}', "its id is no integer from 1 to 2**63 - 1: 0"),
        (b'{"id":1.0}', "its id is no integer from 1 to 2**63 - 1: 1.0"),
        (b'{"id":true}', "its id is no integer from 1 to 2**63 - 1: true"),
        (
            b'{"id":9223372036854775808}',
            "its id is no integer from 1 to 2**63 - 1: 9223372036854775808",
        ),
        (rb'{"id":"\ud800"}', r'its id is no integer from 1 to 2**63 - 1: "\ud800"'),
        (
            b'{"id":%b}' % (b"9" * 5000),
            "its id is no integer from 1 to 2**63 - 1: " + "9" * 40,
        ),
        (b'{"id":2,"created_at":1e400}', "its created_at is a number that can't be read"),
    ],
)
def test_a_row_without_an_id_is_rejected_and_the_others_are_not(row: bytes, why: str) -> None:
    rows, rejects, total = read(b'{"data":[{"id":1},' + row + b',{"id":3}],"total":9}')
    assert [id for id, _ in rows] == [1, 3]
    assert total == 8
    assert rejects == [Reject(page=3, index=2, why=why, json=row)]


LEVELS = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("row", "why"),
    [
        (LEVELS, "it is nested too deeply"),
        (b'{"id":2,"x":%b}' % LEVELS, "it is nested too deeply"),
        (b'{"id":2,"created_at":%b}' % LEVELS, "it is nested too deeply"),
        (rb'{"id":2,"\ud800":"\"}]}","x":%b}' % LEVELS, "it is nested too deeply"),
        (b'{"id":2,"x":%b1%b}' % (b'{"a":' * 100_000, b"}" * 100_000), "it is nested too deeply"),
        (b'{"id":2,"x":NaN}', "NaN is no JSON"),
        (b'{"id":2,"x":[-Infinity, NaN]}', "-Infinity is no JSON"),
        (b"NaN", "NaN is no JSON"),
    ],
)
@pytest.mark.parametrize("join", [b",", b" ,\r\n\t"])
def test_a_row_that_no_reader_takes_is_rejected_and_the_others_are_not(
    join: bytes, row: bytes, why: str
) -> None:
    half = rb'{"id":3,"x":"\ud800,{[ NaN"}'
    around = b'{"links":{"data":[[%b]]},"data":[%b],"x":%b,"total":9}'
    rows, rejects, total = read(around % (b"1", join.join([b'{"id":1}', row, half, b"1"]), b"{}"))
    assert rows == [(1, b'{"id":1}'), (3, half)]
    assert total == 7
    text = json.dumps(row.decode()).encode()
    assert rejects[0] == Reject(page=3, index=2, why=why, json=text)
    assert rejects[1:] == [Reject(page=3, index=4, why="it is no object but a number", json=b"1")]
    envelope = b'{"data":[{"id":1},%b],"total":9}' % row
    with pytest.raises(NotJSON, match=f"1 of the response's rows can't be read .{why}") as caught:
        read_page(Response(status=200, body=envelope), Cdr, 1)
    assert not caught.value.retryable
    assert read_total(Response(status=200, body=envelope)) == 9


def test_numbers_of_any_size_cost_nothing() -> None:
    huge, far = b"9" * 5000, b"-1e99999999999999999999"
    body = b'{"data":[{"id":1,"x":%b,"y":%b}]}' % (huge, far)
    assert read(body) == ([(1, body[9:-2])], [], None)
    record = read_page(Response(status=200, body=body), Cdr, 1).records[0]
    assert (record.extra["x"], record.extra["y"]) == (Decimal(huge.decode()), far.decode())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", EmptyBody),
        (b"<html>", NotJSON),
        (b'{"data":[{"id":1}', NotJSON),
        (b'{"data":[{"id":1,"x":"\xff"}]}', NotJSON),
        (b'{"data":[{"id":1,"x":NaN},]}', NotJSON),
        (b'{"data":[{"id":1,"x":NaN}],"total":NaN}', NotJSON),
        (b'{"data":[{"id":1,"x":' + b"[" * 100_000 + b"]" * 100_000, NotJSON),
        (b'{"data":[{"id":1,"x":' + b"[" * 100_000 + b"}]}", NotJSON),
        (b"[]", WrongShape),
        (b'{"data":{}}', WrongShape),
        (b'{"total":1}', WrongShape),
        (rb'{"x":"\ud800"}', WrongShape),
    ],
)
def test_what_is_no_page_is_an_error(body: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        read(body)


@pytest.mark.parametrize("body", [b'{"data":[]}', b'{"data":{}}', b'{"data":{"id":"1"}}', b"{}"])
def test_what_is_no_item_is_an_error(body: bytes) -> None:
    with pytest.raises(WrongShape):
        read_row(Response(status=200, body=body))


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(), VALUES, max_size=4), max_size=4),
    st.booleans(),
    st.integers(),
)
@example([{"half": "\ud800"}], False, 0)
def test_any_page_comes_back(rows: list[dict[str, Any]], escaped: bool, indent: int) -> None:
    rows = [row | {"id": n} for n, row in enumerate(rows, 1)]
    page, indent = {"data": rows}, max(0, indent % 3)
    try:
        body = json.dumps(page, ensure_ascii=escaped, indent=indent).encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can write
        body = json.dumps(page, indent=indent).encode()
    found, rejects, _ = read(body)
    assert [json.loads(row) for _, row in found] == rows
    assert not rejects
    for (_, row), sent in zip(found, rows, strict=True):
        assert len(row.decode().splitlines()) == 1
        assert {name: json.loads(cell) for name, cell in tokens(row).items()} == sent


def test_rows_are_made_when_they_are_asked_for() -> None:
    body = b'{"data":[{"id":3,"created_at":"x"},{"id":1},{"id":2}]}'
    rows = read_rows(Response(status=200, body=body), 1, lambda _: None).records
    assert isinstance(rows, Rows)
    assert (rows.ids, rows.created, len(rows), bool(rows)) == (
        [3, 1, 2],
        ["x", None, None],
        3,
        True,
    )
    assert rows[0] == Row(3, b'{"id":3,"created_at":"x"}')
    assert rows[-1] == Row(2, b'{"id":2}')
    assert list(rows[1:]) == list(rows)[1:] == [Row(1, b'{"id":1}'), Row(2, b'{"id":2}')]
    assert rows.lines() == b'{"id":3,"created_at":"x"}\n{"id":1}\n{"id":2}\n'
    assert (rows[:1].created, rows[1:].created) == (["x"], [None, None])
    assert rows[:0].lines() == b""
    assert repr(rows) == "<3 rows>"
    with pytest.raises(IndexError):
        rows[3]
    again = as_rows(list(rows))
    assert (again.ids, again.created, again.lines()) == (rows.ids, rows.created, rows.lines())
    ids = record_ids(rows)
    ids.clear()
    assert rows.ids == [3, 1, 2]


def test_a_row_that_is_left_out_takes_its_time_with_it() -> None:
    body = b'{"data":[{"id":1,"created_at":"a"},{"created_at":"b"},{"id":3,"created_at":"c"}]}'
    rows = read_rows(Response(status=200, body=body), 1, lambda _: None).records
    assert isinstance(rows, Rows)
    assert (rows.ids, rows.created) == ([1, 3], ["a", "c"])
