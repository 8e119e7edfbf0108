"""A mock server as others make one from an OpenAPI description: it knows nothing but examples."""

from __future__ import annotations

import json
import re
from typing import Any

import attrs
import jsonschema_rs

from benchmarks.harness.peer import RawRequest, Reply, http


@attrs.define
class MockServer:
    """Responds with the first example of the first success, to what the description allows."""

    description: dict[str, Any]
    refused: list[str] = attrs.field(factory=list)
    """What requests did that the description does not allow."""

    def respond(self, request: RawRequest) -> Reply:
        for path, operations in self.description["paths"].items():
            match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path), request.path)
            operation = operations.get(request.method.lower()) if match else None
            if match and operation:
                given = {**request.query, **match.groupdict()}
                self._check_parameters(operation, given)
                self._check_body(operation, request.body)
                return Reply(parts=(self._example(operation),))
        self.refused.append(f"{request.method} {request.path}")
        return Reply(parts=(http(b'{"message": "no such path"}', "404 Not Found"),))

    def _check_parameters(self, operation: dict[str, Any], given: dict[str, str]) -> None:
        known = {each["name"]: each for each in map(self._found, operation.get("parameters", []))}
        for name, text in given.items():
            parameter = known.get(name)
            if parameter is None:
                self.refused.append(f"a parameter {name}")
                continue
            nested = parameter.get("content", {}).get("application/json")
            schema = nested["schema"] if nested else parameter["schema"]
            plain = not nested and schema.get("type") != "integer"
            self._check(schema, text if plain else json.loads(text))

    def _check_body(self, operation: dict[str, Any], body: bytes) -> None:
        described = operation.get("requestBody")
        if body and described:
            self._check(described["content"]["application/json"]["schema"], json.loads(body))
        elif bool(body) != bool(described and described["required"]):
            self.refused.append(f"a body: {body!r}")

    def _check(self, schema: dict[str, Any], value: Any) -> None:
        schema = {**schema, "components": self.description["components"]}
        try:
            jsonschema_rs.validate(schema, value)
        except jsonschema_rs.ValidationError as error:
            self.refused.append(f"{value!r}: {error}")

    def _example(self, operation: dict[str, Any]) -> bytes:
        status, response = next(iter(operation["responses"].items()))  # the success comes first
        if "content" not in response:
            return http(b"", f"{status} Fine")
        media = response["content"]["application/json"]
        value = media["example"] if "example" in media else next(iter(media["examples"].values()))
        body = json.dumps(value if "example" in media else value["value"])
        return http(body.encode(), f"{status} Fine")

    def _found(self, thing: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = thing
        if "$ref" in thing:
            found = self.description
            for name in thing["$ref"].removeprefix("#/").split("/"):
                found = found[name]
        return found
