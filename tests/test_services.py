"""Services: arguments are checked at the call, queries are what the API takes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness.responses import json_response
from tests.fakes.handlers import ScriptedHandler
from voipstudio_cmb.errors import BadPayload, ClientMisuse, NotJSON, WrongShape
from voipstudio_cmb.filters import Filter, where
from voipstudio_cmb.http import Response
from voipstudio_cmb.services import Buttons, Cdrs, Settings

ITEM = Response(status=200, body=b'{"data":{"id":7},"links":{}}')
NOBODY = Response(status=200, body=b'{"data":[],"total":0}')


class Index:
    """An integer of another library, as numpy's are."""

    def __index__(self) -> int:
        return 77


@pytest.mark.parametrize("id", [0, -1, "1", "../x", "", None, True, False, 1.0, 2**63, 2**64, b"1"])
@pytest.mark.parametrize("call", ["get", "update", "delete"])
async def test_an_id_is_an_integer_from_1_and_nothing_else(call: str, id: Any) -> None:
    network = ScriptedHandler([ITEM])
    for service in (Settings(network), Buttons(network)):
        with pytest.raises(ClientMisuse, match="id must be an integer from 1 to"):
            await getattr(service, call)(id, **({"name": "x"} if call == "update" else {}))
    assert network.requests == []


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("body", [b"", b"\n", b"{}", b'{"data":{}}'])
async def test_a_deletion_may_answer_with_nothing_or_with_json(status: int, body: bytes) -> None:
    await Settings(ScriptedHandler([Response(status=status, body=body)])).delete(7)


@pytest.mark.parametrize("body", [b"<html>Down for maintenance</html>", b'{"data":{'])
async def test_a_page_of_a_proxy_does_not_say_that_anything_was_deleted(body: bytes) -> None:
    with pytest.raises(NotJSON):
        await Buttons(ScriptedHandler([Response(status=200, body=body)])).delete(7)


async def test_an_integer_of_another_library_is_an_id() -> None:
    network = ScriptedHandler([ITEM])
    await Settings(network).get(Index())  # type: ignore[arg-type]
    assert network.requests[0].path == "/callmeback/settings/77"
    network = ScriptedHandler([json_response({"data": {"id": 77}})])
    await Settings(network).get(Index())  # type: ignore[arg-type]
    assert len(network.requests) == 1


@pytest.mark.parametrize("name", ["page_size", "concurrency"])
@pytest.mark.parametrize("value", [0, -1, 10**9, True, "10", 1.5, None])
def test_page_size_and_concurrency_are_checked_at_the_call(name: str, value: Any) -> None:
    network = ScriptedHandler([NOBODY])
    for walk in (Cdrs(network).list, Cdrs(network).pages):
        with pytest.raises(ClientMisuse, match=f"{name} must be an integer from 1 to"):
            walk(**{name: value})


@pytest.mark.parametrize("value", [-1, True, "10", 1.5])
def test_the_limit_is_checked_at_the_call(value: Any) -> None:
    with pytest.raises(ClientMisuse, match="limit must be an integer of at least 0, not"):
        Cdrs(ScriptedHandler([NOBODY])).list(limit=value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("window", "it is called `concurrency`"),
        ("after", "it is called `cursor`"),
        ("max", "it is called `limit`"),
        (
            "colour",
            "it takes filters, on_ignored_filter, limit, page_size, concurrency, walk, cursor",
        ),
    ],
)
def test_an_unknown_argument_is_refused_at_the_call(name: str, hint: str) -> None:
    cdrs = Cdrs(ScriptedHandler([NOBODY]))
    with pytest.raises(ClientMisuse, match=rf"^list\(\) takes no `{name}`: {hint}"):
        cdrs.list(**{name: 5})  # type: ignore[misc]
    with pytest.raises(ClientMisuse, match=rf"^raw_pages\(\) takes no `{name}`: {hint}"):
        cdrs.raw_pages(reject=print, **{name: 5})  # type: ignore[misc]


def test_raw_pages_come_in_the_order_of_ids() -> None:
    with pytest.raises(ClientMisuse, match="takes no `sort`"):
        Cdrs(ScriptedHandler([NOBODY])).raw_pages(reject=print, sort="name")  # type: ignore[call-arg]


@pytest.mark.parametrize("sort", ["", 3])
def test_sort_is_a_property(sort: Any) -> None:
    with pytest.raises(ClientMisuse, match="sort must be the name of a property"):
        Cdrs(ScriptedHandler([NOBODY])).list(sort=sort)


async def test_the_query_is_what_the_api_takes() -> None:
    network = ScriptedHandler([NOBODY])
    conditions = [where("created_at") >= "2026-01-01", Filter("name", "like", "a&b+c%\r\n'ü\"")]
    walk = Cdrs(network).list(
        filters=conditions, sort="created_at", descending=True, page_size=7, concurrency=1
    )
    conditions.clear()  # what the caller does with the list later has no effect
    assert await walk.collect() == []
    query = dict(network.requests[1].query)  # the first asks for the highest id
    sent = json.loads(query.pop("filter"))
    assert query == {"limit": "7", "sort": "created_at", "dir": "DESC"}
    assert sent == [
        {"property": "created_at", "operator": "gte", "value": "2026-01-01"},
        {"property": "name", "operator": "like", "value": "a&b+c%\r\n'ü\""},
    ]


def test_a_filter_that_no_url_can_carry_is_refused() -> None:
    with pytest.raises(ClientMisuse, match="more than the 4000 that fit"):
        Cdrs(ScriptedHandler([NOBODY])).list(filters=where("name") == "x" * 4000)


async def test_count_is_one_request_for_one_row() -> None:
    network = ScriptedHandler([json_response({"data": [{"id": 6}], "total": 59})])
    assert await Cdrs(network).count(filters=where("id") > 5) == 59
    assert len(network.requests) == 1
    assert dict(network.requests[0].query)["limit"] == "1"
    assert "gt" in dict(network.requests[0].query)["filter"]


@pytest.mark.parametrize("total", [None, -1, 1.5, "many", [], True])
async def test_count_does_not_guess_a_total(total: Any) -> None:
    with pytest.raises(WrongShape, match="no usable total"):
        await Cdrs(ScriptedHandler([json_response({"data": [], "total": total})])).count()


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.get(1),
        lambda s: s.list().collect(),
        lambda s: s.count(),
        lambda s: s.create(name="x"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"error":"x"}', b'{"data":null}', b"<p>"])
async def test_a_success_that_is_not_what_was_promised_is_an_error(
    call: Callable[[Settings], Any], body: bytes
) -> None:
    with pytest.raises(BadPayload) as caught:
        await call(Settings(ScriptedHandler([Response(status=200, body=body)])))
    assert caught.value.sent == "yes"


async def test_an_answer_that_is_another_records_is_asked_for_again() -> None:
    # As when a server has left an answer on an idle connection.
    network = ScriptedHandler([Response(status=200, body=b'{"data":{"id":1}}'), ITEM])
    assert (await Settings(network).get(7)).id == 7
    assert len(network.requests) == 2


async def test_a_deletion_is_answered_with_nothing() -> None:
    for fine in (
        Response(status=204),
        Response(status=200),
        Response(status=204, body=b"odd"),
        ITEM,
    ):
        await Settings(ScriptedHandler([fine])).delete(7)
    for body in (b"<html>please log in</html>", b'{"error":"no"}', b'{"success":false}', b"[]"):
        with pytest.raises(BadPayload):
            await Settings(ScriptedHandler([Response(status=200, body=body)])).delete(7)


async def test_subclasses_of_plain_types_are_sent_as_plain_values() -> None:
    class Text(str):
        pass

    class Number(int):
        pass

    class Real(float):
        pass

    network = ScriptedHandler([ITEM])
    await Settings(network).create(
        name=Text("x"), button_id=Number(5), max_call_rate=Real(1.5), allowed_countries=[Text("GB")]
    )
    assert json.loads(network.requests[0].body or b"") == {
        "name": "x", "button_id": 5, "max_call_rate": 1.5, "allowed_countries": ["GB"],
    }  # fmt: skip
    walk = Cdrs(ScriptedHandler([NOBODY])).list(
        filters=[where("x") == Text("y"), where("x") > Real(1.5)]
    )
    assert await walk.collect() == []


async def test_nothing_to_create_is_refused() -> None:
    with pytest.raises(ClientMisuse, match="nothing to create"):
        await Settings(ScriptedHandler([ITEM])).create()


def test_a_service_says_what_it_is() -> None:
    assert repr(Cdrs(ScriptedHandler([NOBODY]))) == "<Cdrs /callmeback/cdrs>"


async def test_one_of_what_only_a_list_gives_is_found_by_its_id() -> None:
    cdrs: Any = Cdrs(ScriptedHandler([]))
    with pytest.raises(
        AttributeError, match=r'no attribute \'get\': .*list\(filters=where\("id"\)'
    ):
        cdrs.get(1)
    with pytest.raises(AttributeError, match="'Cdrs' object has no attribute 'update'$"):
        cdrs.update(1)
    assert not hasattr(cdrs, "get")
    buttons: Any = Buttons(ScriptedHandler([]))
    with pytest.raises(AttributeError, match=r"no attribute 'list': .*\(button_id\)$"):
        buttons.list()
