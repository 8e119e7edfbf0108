"""The envelopes: a page, a total and the API's own words come out, and garbage has a name."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from voipstudio_cmb.codec import envelopes
from voipstudio_cmb.errors import BadPayload, EmptyBody, NotJSON, WrongShape
from voipstudio_cmb.http import Request, Response
from voipstudio_cmb.middleware.status import check_status
from voipstudio_cmb.models import Cdr


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", EmptyBody),
        (b"  \r\n", EmptyBody),
        (b"<html>maintenance</html>", NotJSON),
        (b'{"data":[', NotJSON),
        (b'{"data":[]}trailing', NotJSON),
        (b"\xef\xbb\xbf{}", NotJSON),
        (b'{"data":"\xff"}', NotJSON),
        ('{"data":[]}'.encode("utf-16"), NotJSON),
        (b'{"data":[{"id":1,"x":NaN}]}', NotJSON),
        (b'{"data":' + b"[" * 100_000, NotJSON),
        (b'{"data":[{"id":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}", NotJSON),
        (b'{"data":[{"id":1' + b"9" * 5000 + b"}]}", WrongShape),
        (b"null", WrongShape),
        (b"[]", WrongShape),
        (b'"text"', WrongShape),
        (b"{}", WrongShape),
        (b'{"data":null}', WrongShape),
        (b'{"data":{}}', WrongShape),
        (b'{"data":"x"}', WrongShape),
        (b'{"error":"no"}', WrongShape),
        (b'{"success":false}', WrongShape),
        (b'{"message":"no"}', WrongShape),
    ],
)
def test_garbage_has_a_name(body: bytes, kind: type[BadPayload]) -> None:
    with pytest.raises(BadPayload) as caught:
        envelopes.read_page(Response(status=200, body=body), Cdr, 1)
    assert type(caught.value) is kind
    assert caught.value.sent == "yes"


async def test_a_message_quotes_at_most_200_characters_on_one_line() -> None:
    body = b"<html>\n" + b"x" * 5000

    async def network(_: Request) -> Response:
        return Response(status=200, body=body, headers={"content-type": "t/h"})

    request = Request(method="GET", path="/x", parse=lambda r: envelopes.read_page(r, Cdr, 1))
    with pytest.raises(NotJSON) as caught:
        await check_status(request, network)
    message = str(caught.value)
    assert "5007 bytes" in message
    assert "t/h" in message
    assert message.count("x") <= 201
    assert "\n" not in message


@pytest.mark.parametrize(
    ("total", "read_as"),
    [
        (59, 59),
        ("59", 59),
        (0, 0),
        (None, None),
        (-1, None),
        (1e9, None),
        ("x", None),
        (True, None),
    ],
)
def test_a_total_is_a_count_or_nothing(total: Any, read_as: int | None) -> None:
    body = json.dumps({"data": [], "total": total}).encode()
    assert envelopes.read_page(Response(status=200, body=body), Cdr, 1).total == read_as


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_only_documented_exceptions_come_out_of_any_bytes(body: bytes) -> None:
    for reader in (
        lambda r: envelopes.read_page(r, Cdr, 1),
        lambda r: envelopes.read_item(r, Cdr),
        envelopes.read_total,
    ):
        try:
            reader(Response(status=200, body=body))
        except BadPayload:
            pass  # the documented one; some bytes are a page
    assert isinstance(envelopes.read_messages(body), dict)


@pytest.mark.parametrize(
    ("body", "messages"),
    [
        (b'{"message":"no"}', {"": ["no"]}),
        (b'{"errors":[{"message":"a","field":"name"},{"message":"b"}]}',
         {"name": ["a"], "": ["b"]}),
        (b'{"message":"m","errors":[{"property":"p","message":"x"},3,{"message":4}]}',
         {"": ["m"], "p": ["x"]}),
        (b'{"errors":{"name":"x"}}', {}),
        (b"<html>", {}),
        (b"", {}),
        (b"[]", {}),
    ],
)  # fmt: skip
def test_the_apis_own_words_are_read_by_field(body: bytes, messages: dict[str, Any]) -> None:
    assert envelopes.read_messages(body) == messages


PRICE = {"errors": [{"field": "max_call_rate", "message": "rate exceeded"}], "message": "Invalid"}


@pytest.mark.parametrize(
    ("status", "body", "throttling"),
    [
        (429, None, True),
        (400, {"message": "Maximum per minute call rate exceeded for 442012345678"}, True),
        (400, {"errors": [{"message": "Maximum per minute call rate exceeded for x"}]}, True),
        (400, {"errors": [{"field": "to", "message": "Call rate exceeded"}]}, True),
        (400, {"message": "Rate exceeded"}, True),
        (400, {"error": "RATE LIMIT EXCEEDED"}, True),
        (400, "You have exceeded the call rate", True),
        (403, {"message": "API rate limit exceeded for user 7"}, True),
        (420, {"message": "Too many requests"}, True),
        (400, {"message": "Filtration error"}, False),
        (400, {"message": "max_call_rate exceeded"}, False),
        (400, PRICE, False),
        (400, {"errors": {"max_call_rate": ["rate exceeded"]}}, False),
        (400, None, False),
        (401, {"message": "Too many requests with a wrong password"}, False),
        (404, {"message": "rate limit"}, False),
        (503, {"message": "rate limit"}, False),
    ],
)
def test_a_refusal_for_too_many_requests_is_known_by_its_words(
    status: int, body: Any, throttling: bool
) -> None:
    content = b"" if body is None else json.dumps(body).encode()
    assert envelopes.is_throttling(Response(status=status, body=content)) is throttling
    html = b"<html><p>Rate limit exceeded</p>"
    assert envelopes.is_throttling(Response(status=400, body=html))


@pytest.mark.parametrize(
    ("headers", "sign"),
    [
        ({"age": "35"}, "Age: 35"),
        ({"age": " 035 "}, "Age: 35"),
        ({"age": "12", "x-cache": "HIT, MISS"}, "Age: 12, X-Cache: HIT"),
        ({"x-cache": "TCP_MEM_HIT from a.example"}, "X-Cache: HIT"),
        ({"cf-cache-status": "STALE"}, "CF-Cache-Status: STALE"),
        ({"cache-status": "edge; hit; ttl=3"}, "Cache-Status: hit"),
        ({"age": "0", "x-cache": "MISS"}, ""),
        ({"age": "soon", "x-cache": "RefreshHit from cloudfront"}, ""),
        ({"x-cache": "TCP_REFRESH_HIT from a.example", "cache-control": "max-age=9"}, ""),
        ({}, ""),
    ],
)
def test_headers_that_say_that_a_response_is_cached(headers: dict[str, str], sign: str) -> None:
    assert envelopes.cache_signs(Response(status=200, headers=headers)) == sign
