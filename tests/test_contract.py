"""The stand-in, the OpenAPI description and the vendor's page say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import ignored_auth

from benchmarks.harness.peer import serving
from tests.fakes.mock_server import MockServer
from voipstudio_cmb import CallMeBackClient
from voipstudio_cmb.sandbox import Fault, Sandbox

DATA = Path(__file__).parent / "data"
OPENAPI = json.loads((DATA / "openapi.json").read_text(encoding="utf-8"))
OPERATIONS = json.loads((DATA / "operations.json").read_text(encoding="utf-8"))
NAMES = [f"{each['method']} {each['path']}" for each in OPERATIONS]

# What the page does not print but the API's other pages tell: a query can be invalid, and an id
# can be missing or somebody else's wherever there is one.
ADDED_ANSWERS = {
    "GET /callmeback/websites": {"400"},
    "GET /callmeback/settings": {"400"},
    "GET /callmeback/cdrs": {"400"},
    "GET /callmeback/visitors": {"400"},
    "DELETE /callmeback/settings/{id}": {"404"},
    "DELETE /callmeback/buttons/{id}": {"404"},
    "PATCH /callmeback/buttons/{id}": {"403", "404"},
}
# The creation of a button documents no body; the attributes of its update are offered, not asked.
ADDED_BODIES = {"POST /callmeback/buttons": "ButtonBody"}

WHOLE = {"type": ["integer", "null"], "minimum": -(2**63 - 1), "maximum": 2**63 - 1}
DOCUMENTED_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": ["string", "null"]},
    "integer": WHOLE,
    "boolean": {"type": ["boolean", "null"]},
    "undefined": {},
    "float": {
        "anyOf": [
            {"type": "number", "minimum": -1e12, "maximum": 1e12},
            {"type": "string", "pattern": r"^[+-]?[0-9]{1,12}(\.[0-9]{1,15})?$"},
            {"type": "null"},
        ]
    },
}
# Documented as strings in requests and shown as integers in answers.
QUARRELS = {
    name: {**WHOLE, "type": ["string", "integer", "null"]} for name in ("culture", "position")
}

# Of the account, not of the module: an export asks who it is, and `ping` asks whether it is let in.
OF_THE_ACCOUNT = ("GET /me", "GET /ping")

SCHEMA = schemathesis.openapi.from_dict(OPENAPI)


def described(name: str) -> dict[str, Any]:
    method, path = name.split(" ")
    operation: dict[str, Any] = OPENAPI["paths"][path][method.lower()]
    return operation


def component(name: str) -> dict[str, Any]:
    found: dict[str, Any] = OPENAPI["components"]["schemas"][name]
    return found


def test_the_description_has_exactly_the_documented_operations_and_two_of_the_account() -> None:
    paths = OPENAPI["paths"]
    found = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    assert OPENAPI["openapi"].startswith("3.1")
    assert found == {*NAMES, *OF_THE_ACCOUNT}
    assert len(NAMES) == 12


@pytest.mark.parametrize("documented", OPERATIONS, ids=NAMES)
def test_an_operation_answers_with_the_documented_statuses(documented: dict[str, Any]) -> None:
    name = f"{documented['method']} {documented['path']}"
    expected = documented["responses"].keys() | ADDED_ANSWERS.get(name, set())
    assert described(name)["responses"].keys() == expected


@pytest.mark.parametrize("documented", OPERATIONS, ids=NAMES)
def test_an_operation_takes_the_documented_attributes(documented: dict[str, Any]) -> None:
    name = f"{documented['method']} {documented['path']}"
    body = described(name).get("requestBody")
    attributes = documented.get("body_attributes")
    if attributes is None:
        assert (body is not None) == (name in ADDED_BODIES)
        assert body is None or not body["required"]
        return
    assert body is not None
    media = body["content"]["application/json"]
    schema = component(media["schema"]["$ref"].rsplit("/", 1)[1])
    assert body["required"]
    assert media["example"] == documented["example_request"]["json"]
    assert schema["properties"] == {
        attribute: QUARRELS.get(attribute, DOCUMENTED_TYPES[kind])
        for attribute, kind in attributes.items()
    }


@pytest.mark.parametrize("documented", OPERATIONS, ids=NAMES)
def test_the_documented_example_answer_fits_the_description(documented: dict[str, Any]) -> None:
    name = f"{documented['method']} {documented['path']}"
    status = documented["example_response"]["status_line"].split(" ")[1]
    answer = described(name)["responses"][status]
    example = documented["example_response"].get("json")
    if example is None:
        assert "content" not in answer
        return
    pointer = answer["content"]["application/json"]["schema"]["$ref"]
    schema = {"$ref": pointer, "components": OPENAPI["components"]}
    jsonschema_rs.validate(schema, example)
    media = answer["content"]["application/json"]
    if isinstance(example["data"], list):
        # The page's example says 59 and shows one: no server says so of a complete collection.
        assert media["examples"]["page"]["value"] == example
        first = next(iter(media["examples"].values()))["value"]
        assert first == {"data": example["data"], "total": 1}
    else:
        assert media["example"] == example
    single = example["data"][0] if isinstance(example["data"], list) else example["data"]
    assert single.keys() == component("Record")["properties"].keys() - {"max_call_rate"}
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {**example, "data": {"name": "no id"}})
    wrong: Any = {**single, "id": 0}
    wrong = [wrong] if isinstance(example["data"], list) else wrong
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(schema, {**example, "data": wrong})


async def test_every_operation_succeeds_at_a_mock_server_made_from_the_description() -> None:
    mock = MockServer(OPENAPI)
    async with serving(mock.respond) as (host, port):
        async with CallMeBackClient("token", base_url=f"http://{host}:{port}") as cmb:
            for service in (cmb.websites, cmb.settings, cmb.cdrs, cmb.visitors):
                for descending in (False, True):
                    walk: Any = service.list(sort="id", descending=descending, page_size=100)
                    [row] = await walk.collect()
                    assert row.id > 0
            body = OPERATIONS[2]["example_request"]["json"]
            settings = [
                await cmb.settings.create(**body), await cmb.settings.get(77),
                await cmb.settings.update(47, name=None, max_call_rate=1.5),
            ]  # fmt: skip
            buttons = [
                await cmb.buttons.create(), await cmb.buttons.create(name="x"),
                await cmb.buttons.get(98), await cmb.buttons.update(34, name="x"),
            ]  # fmt: skip
            assert all(each.id > 0 for each in [*settings, *buttons])
            await cmb.settings.delete(72)
            await cmb.buttons.delete(98)
            assert await cmb.identity() == "id 1001"
    assert mock.refused == []


@pytest.fixture(scope="module")
def api() -> Iterator[Sandbox]:
    with Sandbox(rows=60) as api:
        yield api


@pytest.mark.campaign
@SCHEMA.parametrize()
@settings(max_examples=settings.default.max_examples // 10, suppress_health_check=list(HealthCheck))
def test_the_stand_in_keeps_to_the_description(case: schemathesis.Case[Any], api: Sandbox) -> None:
    # The ids of the examples, so that reading and changing find something, also after deleting.
    for table, row_id in ((api.data.settings, 77), (api.data.buttons, 98)):
        if row_id not in table:
            table.insert(id=row_id)
    headers = {"X-Auth-Token": api.token}
    case.call_and_validate(base_url=api.base_url, headers=headers, excluded_checks=[ignored_auth])


@pytest.mark.parametrize("name", [*NAMES, *OF_THE_ACCOUNT])
def test_no_operation_is_for_strangers(name: str, api: Sandbox) -> None:
    # What `ignored_auth` would ask about each case once more.
    method, path = name.split(" ")
    case = SCHEMA[path][method].Case(
        path_parameters={"id": 77}, body={} if "P" in method else None,
        media_type="application/json",
    )  # fmt: skip
    for headers in ({}, {"X-Auth-Token": "another"}):
        assert case.call(base_url=api.base_url, headers=headers).status_code == 401


RECORD = {"id": 7, "name": "x"}
NO_ID = {"name": "x"}


@pytest.mark.parametrize(
    ("method", "path", "fault"),
    [
        ("POST", "/callmeback/settings", Fault(status=200, body={"data": RECORD, "links": {}})),
        ("POST", "/callmeback/buttons", Fault(status=201, body={"data": NO_ID, "links": {}})),
        ("POST", "/callmeback/settings", Fault(status=500)),
        ("GET", "/callmeback/cdrs", Fault(body={"data": [NO_ID], "total": 1})),
        ("GET", "/callmeback/cdrs", Fault(body={"data": [RECORD], "total": "1"})),
        ("GET", "/callmeback/cdrs", Fault(body=b"<html></html>")),
        ("GET", "/callmeback/websites", Fault(status=403)),
    ],
)
def test_the_check_notices_a_server_that_breaks_the_contract(
    method: str, path: str, fault: Fault
) -> None:
    case = SCHEMA[path][method].Case(
        body={} if method == "POST" else None, media_type="application/json"
    )
    with Sandbox(rows=5) as api:
        headers = {"X-Auth-Token": api.token}
        case.call_and_validate(base_url=api.base_url, headers=headers)
        api.script(fault)
        with pytest.raises(FailureGroup):
            case.call_and_validate(base_url=api.base_url, headers=headers)
