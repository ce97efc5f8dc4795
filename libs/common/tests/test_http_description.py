"""What OpenAPI documents say of refusals is what is sent."""

from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest

from shoal.describe import describe
from shoal.http.app import MAX_BODY_BYTES
from shoal.http.bodies import ErrorBody, ProblemBody
from shoal.service import installed

from .toy import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (operation for item in document["paths"].values() for operation in item.values())


async def described(door: Door) -> dict[str, Any]:
    token = door.gateway.issue_own(audience="toy")
    answer = await door.anonymous.get("/internal/openapi.json", headers={"x-shoal-identity": token})
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("name", sorted(installed()))
async def test_every_operation_of_a_service_says_how_it_refuses(name: str) -> None:
    document = msgspec.json.decode(describe(installed()[name]))
    assert "status_code" not in str(document["paths"])
    for operation in operations(document):
        content = operation["responses"]["default"]["content"]
        schema = content["application/json"]["schema"]
        assert {"$ref": "#/components/schemas/ErrorBody"} in [schema, *schema.get("anyOf", [])]
        assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/ProblemBody"}
    assert {"ErrorBody", "ErrorView", "FieldProblem", "ProblemBody"} <= document["components"]["schemas"].keys()


REFUSALS = [
    (400, "POST", "/v1/things", {"content": b"{", "headers": {"content-type": "application/json"}}),
    (404, "GET", "/pairing/nowhere", {}),
    (405, "PATCH", "/pairing/things", {}),
    (409, "GET", "/v1/raise/full", {}),
    (413, "POST", "/pairing/things", {"json": {"name": "x" * MAX_BODY_BYTES}}),
    (415, "POST", "/pairing/things", {"content": b"x", "headers": {"content-type": "text/plain"}}),
    (422, "POST", "/pairing/things", {"json": {"name": 1}}),
    (429, "GET", "/pairing/raise/later", {}),
    (500, "GET", "/pairing/raise/secret", {}),
]


@pytest.mark.parametrize(("status", "method", "path", "sent"), REFUSALS)
@pytest.mark.parametrize("shape", [ErrorBody, ProblemBody])
async def test_refusal_is_as_it_is_described(
    door: Door, status: int, method: str, path: str, sent: dict[str, Any], shape: type[msgspec.Struct]
) -> None:
    headers = sent.get("headers", {}) | ({"accept": "application/problem+json"} if shape is ProblemBody else {})
    answer = await door.client.request(method, path, **sent | {"headers": headers})
    assert answer.status_code == status
    check(answer.content, shape, await described(door))


async def test_refusal_of_who_is_nobody_is_as_it_is_described(door: Door) -> None:
    answer = await door.anonymous.get("/who")
    assert answer.status_code == 401
    check(answer.content, ErrorBody, await described(door))


def check(body: bytes, shape: type[msgspec.Struct], document: dict[str, Any]) -> None:
    """Check that a body is of a described shape, and has nothing else."""
    schema = {"$ref": f"#/components/schemas/{shape.__name__}", "components": document["components"]}
    jsonschema.validate(msgspec.json.decode(body), schema)
    assert msgspec.json.encode(msgspec.json.decode(body, type=shape)) == body


async def test_family_is_told_with_its_spelling(door: Door) -> None:
    paths = (await described(door))["paths"]
    told = paths["/v1/things"]["get"]["responses"]["default"]["description"]
    assert told == "Refused. `code` is UPPER_SNAKE; a request of another shape is 400."
    told = paths["/pairing/things"]["get"]["responses"]["default"]["description"]
    assert told == "Refused. `code` is lower_snake; a request of another shape is 422."


async def test_body_that_may_be_left_out_is_told_so(door: Door) -> None:
    paths = (await described(door))["paths"]
    assert paths["/perhaps"]["post"]["requestBody"]["required"] is False
    assert (await door.client.post("/perhaps")).status_code == 200
    assert paths["/strict"]["put"]["requestBody"]["required"] is True


async def test_routes_that_answer_otherwise_than_most_are_told_so() -> None:
    def responses(name: str, method: str, path: str) -> dict[str, Any]:
        answers: dict[str, Any] = msgspec.json.decode(describe(installed()[name]))["paths"][path][method]["responses"]
        return answers

    def reference(name: str) -> dict[str, str]:
        return {"$ref": f"#/components/schemas/{name}"}

    said = responses("agent-runtime", "post", "/api/sessions/{key}/messages")
    assert said["200"]["content"]["application/json"]["schema"] == reference("AnswerView")
    unfinished = said["202"]["content"]["application/json"]["schema"]["oneOf"]
    assert unfinished == [reference("AnswerView"), reference("RunSummary")]
    assert responses("agent-runtime", "get", "/api/runs/{run_id}/stream")["200"]["content"].keys() == {
        "text/event-stream"
    }
    spoken = responses("agent-runtime", "post", "/api/voice/tts")["default"]["content"]["application/json"]["schema"]
    assert spoken == {"anyOf": [reference("ErrorBody"), reference("ErrorInWords")]}
    spent = responses("gateway", "get", "/api/v1/auth/link/{code}")["default"]["content"]
    assert spent.keys() == {"application/json", "application/problem+json", "text/html"}
    for method in ("get", "post"):
        assert responses("pairing", method, "/v1/agents/{agent_id}/inbox").keys() == {"404", "default"}
