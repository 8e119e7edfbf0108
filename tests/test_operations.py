"""The twelve operations of `data/operations.json`: each is called, sent and read as documented."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.handlers import ScriptedHandler
from voipstudio_cmb.errors import ClientMisuse
from voipstudio_cmb.http import Response
from voipstudio_cmb.models import Button, Cdr, Page, Record, Setting, Visitor, Website
from voipstudio_cmb.services import Buttons, Cdrs, Settings, Visitors, Websites

OPERATIONS = json.loads((Path(__file__).parent / "data" / "operations.json").read_text())

Call = Callable[[Any, dict[str, Any], int], Awaitable[Any]]


async def _first_page(service: Any, body: dict[str, Any], id: int) -> Any:
    return await service.pages(concurrency=1).first()


CALLS: dict[tuple[str, str], tuple[type[Any], type[Record] | None, Call]] = {
    ("GET", "/callmeback/websites"): (Websites, Website, _first_page),
    ("GET", "/callmeback/settings"): (Settings, Setting, _first_page),
    ("POST", "/callmeback/settings"): (Settings, Setting, lambda s, b, id: s.create(**b)),
    ("GET", "/callmeback/settings/{id}"): (Settings, Setting, lambda s, b, id: s.get(id)),
    ("PATCH", "/callmeback/settings/{id}"): (
        Settings,
        Setting,
        lambda s, b, id: s.update(id, **b),
    ),
    ("DELETE", "/callmeback/settings/{id}"): (Settings, None, lambda s, b, id: s.delete(id)),
    ("GET", "/callmeback/cdrs"): (Cdrs, Cdr, _first_page),
    ("GET", "/callmeback/visitors"): (Visitors, Visitor, _first_page),
    ("GET", "/callmeback/buttons/{id}"): (Buttons, Button, lambda s, b, id: s.get(id)),
    ("PATCH", "/callmeback/buttons/{id}"): (Buttons, Button, lambda s, b, id: s.update(id, **b)),
    ("DELETE", "/callmeback/buttons/{id}"): (Buttons, None, lambda s, b, id: s.delete(id)),
    ("POST", "/callmeback/buttons"): (Buttons, Button, lambda s, b, id: s.create(**b)),
}


def test_no_operation_is_forgotten_and_none_is_invented() -> None:
    assert {(op["method"], op["path"]) for op in OPERATIONS} == set(CALLS)
    assert len(OPERATIONS) == 12


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: f"{op['method']} {op['path']}")
async def test_it_is_sent_and_read_as_documented(operation: dict[str, Any]) -> None:
    service, record, call = CALLS[operation["method"], operation["path"]]
    example = operation["example_request"]
    line = re.fullmatch(r"(\w+) /v1\.1/voipstudio(/\S+) HTTP/1\.1", example["line"])
    assert line is not None
    method, path = line.groups()
    id = int(path.rpartition("/")[2]) if "{id}" in operation["path"] else 0
    documented = operation["example_response"]
    status = int(documented["status_line"].split()[1])
    body = json.dumps(documented["json"]).encode() if "json" in documented else b""
    network = ScriptedHandler([Response(status=status, body=body)])

    found = await call(service(network), example.get("json", {}), id)

    request = network.requests[0]
    assert (request.method, request.path) == (method, path)
    assert (json.loads(request.body) if request.body else None) == example.get("json")
    if record is None:
        assert found is None
        return
    data = documented["json"]["data"]
    if isinstance(found, Page):
        assert found.total == documented["json"]["total"]
        assert [r.to_dict() for r in found.records] == data
        found, data = found.records[0], data[0]
    assert type(found) is record
    assert found.to_dict() == data
    assert not found.extra
    for name, value in data.items():
        typed = getattr(found, name)
        assert (str(typed) if name == "created_at" else typed) == value


@pytest.mark.parametrize("operation", [op for op in OPERATIONS if "body_attributes" in op],
                         ids=lambda op: f"{op['method']} {op['path']}")  # fmt: skip
async def test_every_documented_attribute_can_be_sent_alone_and_as_null(
    operation: dict[str, Any],
) -> None:
    service, _, call = CALLS[operation["method"], operation["path"]]
    for name, value in operation["example_request"]["json"].items():
        for sent in (value, None):
            network = ScriptedHandler([Response(status=200, body=b'{"data":{"id":1}}')])
            await call(service(network), {name: sent}, 1)
            assert json.loads(network.requests[0].body or b"") == {name: sent}


@pytest.mark.parametrize("service", [Settings, Buttons])
async def test_an_unknown_attribute_is_refused_before_anything_is_sent(service: Any) -> None:
    network = ScriptedHandler([Response(status=200)])
    for call in (service(network).create, lambda **a: service(network).update(1, **a)):
        with pytest.raises(ClientMisuse, match=r"no attribute 'colour' here \(known: .*name"):
            await call(colour="red")
    assert network.requests == []


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"floating_icon": "yes"}, "floating_icon must be bool or None, not a value of"),
        ({"floating_icon": 1}, "floating_icon must be bool"),
        ({"button_id": True}, "button_id must be int"),
        ({"button_id": "7"}, "button_id must be int"),
        ({"button_id": 7.0}, "button_id must be int"),
        ({"name": 7}, "name must be str"),
        ({"name": b"x"}, "name must be str"),
        ({"name": float("nan")}, "name must be str"),
        ({"max_call_rate": float("nan")}, "max_call_rate must be a finite number"),
        ({"max_call_rate": float("inf")}, "max_call_rate must be a finite number"),
        ({"max_call_rate": True}, "max_call_rate must be float"),
        ({"allowed_countries": ["GB", 1]}, "allowed_countries must be"),
        ({"name": "\ud800"}, "name holds half a surrogate pair"),
    ],
)
async def test_a_value_of_another_type_is_refused_before_anything_is_sent(
    attributes: Any, words: str
) -> None:
    network = ScriptedHandler([Response(status=200)])
    with pytest.raises(ClientMisuse) as caught:
        await Settings(network).create(**attributes)
    assert words in str(caught.value)
    assert network.requests == []


async def test_an_update_of_nothing_is_refused() -> None:
    network = ScriptedHandler([Response(status=200)])
    with pytest.raises(ClientMisuse, match="name at least one attribute"):
        await Settings(network).update(1)
    assert network.requests == []


async def test_a_button_can_be_created_without_attributes_which_sends_no_body() -> None:
    network = ScriptedHandler([Response(status=201, body=b'{"data":{"id":5}}')])
    assert (await Buttons(network).create()).id == 5
    assert network.requests[0].body is None
