"""Pages, health and the description: what every service answers alike."""

import pytest

from shoal.installation import Installation

from .toy import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_pages_are_followed_to_the_end(door: Door) -> None:
    found: list[int] = []
    after: str | None = "0"
    while after is not None:
        page = (await door.client.get("/pairing/things", params={"after": after})).json()
        found += page["items"]
        after = page["next"]
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "many", "9" * 30])
async def test_limit_out_of_bounds_is_refused(door: Door, limit: str) -> None:
    assert (await door.client.get("/pairing/things", params={"limit": limit})).status_code == 422
    assert (await door.client.get("/v1/things", params={"limit": limit})).status_code == 400


# health


async def test_alive_needs_nothing_and_ready_names_what_is_missing(door: Door) -> None:
    assert (await door.anonymous.get("/healthz")).json() == {"status": "alive"}
    answer = await door.anonymous.get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ready"] is False
    assert body["checks"]["nats"] == "not connected"
    assert "database cannot be reached" in body["checks"]["schema"]
    assert "nothing" not in answer.text.replace("nothing to", "")  # the password of this environment


async def test_check_that_raises_is_told_as_a_problem(door: Door) -> None:
    def broken() -> str | None:
        raise KeyError("x")

    health = door.running.resources.health
    health.add("broken", broken)
    try:
        answer = await door.anonymous.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["broken"] == "cannot be checked; the log tells why"
    finally:
        health._checks.pop("broken")


async def test_description_is_openapi_without_internal_routes(door: Door, credentials: Installation) -> None:
    token = door.gateway.issue_own(audience="toy")
    answer = await door.anonymous.get("/internal/openapi.json", headers={"x-shoal-identity": token})
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    assert "/pairing/things" in document["paths"]
    assert not {path for path in document["paths"] if path in {"/healthz", "/readyz", "/metrics"}}
    pattern = document["components"]["schemas"]["Thing"]["properties"]["token"]["pattern"]
    assert pattern == "^[A-Za-z0-9_-]{1,64}$"  # as JavaScript reads it


async def test_description_says_which_bodies_refuse_unknown_fields(door: Door, credentials: Installation) -> None:
    token = door.gateway.issue_own(audience="toy")
    answer = await door.anonymous.get("/internal/openapi.json", headers={"x-shoal-identity": token})
    schemas = answer.json()["components"]["schemas"]
    body = {"name": "x", "unknown": True}
    assert (await door.client.post("/pairing/things", json=body)).status_code == 201
    assert "additionalProperties" not in schemas["Thing"]
    assert (await door.client.put("/strict", json=body)).status_code == 400
    assert schemas["Strict"]["additionalProperties"] is False


async def test_description_shows_the_shapes_of_a_body_that_is_read_openly(door: Door) -> None:
    token = door.gateway.issue_own(audience="toy")
    document = (await door.anonymous.get("/internal/openapi.json", headers={"x-shoal-identity": token})).json()
    body = document["paths"]["/shape"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert body == {"oneOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("Circle", "Square")]}
    circle = document["components"]["schemas"]["Circle"]
    assert circle["properties"]["shape"] == {"const": "circle", "type": "string"}
    assert (await door.client.put("/shape", json={"shape": "triangle"})).status_code == 200
