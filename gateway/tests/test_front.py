"""What every request passes: paths, identities, bodies, limits, addresses, documents."""

import asyncio

import httpx
from structlog.testing import capture_logs

from shoal.identity import HEADER, Principal, Verifier, Via
from shoal.testing.suite import ServiceUnderTest, Suite, eventually


def headers_seen(answer: httpx.Response) -> dict[str, list[str]]:
    """What the service behind was sent, by lower-case name."""
    seen: dict[str, list[str]] = {}
    for name, value in answer.json()["headers"]:
        seen.setdefault(name.lower(), []).append(value)
    return seen


async def test_service_is_told_who_asks_under_the_gateways_signature(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    answer = await admin.get("/api/agents", headers={"user-agent": "x", "x-request-id": "abc-1"})
    seen = headers_seen(answer)
    keys = {name: made.public_key for name, made in suite.installation.services.items()}
    principal = Verifier("agent-runtime", keys).verify(seen[HEADER.decode()][0])
    me = (await admin.get("/api/v1/auth/me")).json()
    assert (principal.user_id, principal.account_id) == (me["id"], me["account"]["id"])
    assert (principal.via, principal.source) == (Via.SESSION, "127.0.0.1")
    assert seen["x-request-id"] == ["abc-1"]
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert answer.headers["x-request-id"] == "abc-1"
    assert "cookie" not in seen


async def test_caller_whose_answer_has_not_begun_when_the_gateway_stops_is_told_so(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    arrived = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            arrived.set()
        writer.close()

    stopped = await outside.another_gateway(suite, SHOAL_DRAIN_TIMEOUT="1s")
    program = outside.visitor((await outside.add_key(admin))[1], at=stopped)
    host, _, port = suite.announce("pairing").rpartition(":")
    async with await asyncio.start_server(hang, host, int(port)):
        asked = asyncio.create_task(program.get("/v1/connections", headers={"x-request-id": "abc-1"}))
        await asyncio.wait_for(arrived.wait(), 5)
        with capture_logs() as lines:
            await suite.stop(stopped)
            answer = await asked
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
    assert answer.headers.get_list("x-request-id") == ["abc-1"]
    told = "The gateway is restarting; try again."
    assert answer.json() == {
        "detail": told,
        "error": {"code": "SHUTTING_DOWN", "message": told, "status": 503, "details": []},
        "request_id": "abc-1",
    }
    (line,) = [line for line in lines if line["event"] == "http_request"]
    assert (line["request_id"], line["status"]) == ("abc-1", 503)


async def test_forged_identity_is_stripped_in_every_spelling(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    for name in [
        "X-Shoal-Identity",
        "x_shoal_identity",
        "X-SHOAL_identity",
        "X_Shoal-Account",
        "X-Real-IP",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Host",
        "Forwarded",
        "Traceparent",
    ]:
        forged = suite.gateway.issue(
            Principal(via=Via.SESSION, user_id="user_evil", account_id="acct_evil"), audience="agent-runtime"
        )
        seen = headers_seen(await admin.get("/api/agents", headers={name: forged}))
        assert all(forged not in values for values in seen.values())
        assert len(seen[HEADER.decode()]) == 1


async def test_forged_identity_opens_nothing_of_the_gateways_own(
    outside, admin: httpx.AsyncClient, suite: Suite
) -> None:
    me = Principal(via=Via.SESSION, user_id="user_evil", account_id="acct_evil", role="admin")  # type: ignore[arg-type]
    forged = suite.gateway.issue(me, audience="gateway")
    client = outside.visitor(None, **{HEADER.decode(): forged})
    assert (await client.get("/api/v1/auth/me")).status_code == 401
    assert (await client.get("/internal/export")).status_code == 401


async def test_absent_services_are_told_in_the_familys_spelling(outside, admin: httpx.AsyncClient) -> None:
    for path, code in [
        ("/telemetry/metrics/agent_1", "service_absent"),
        ("/v1/agents", "UPSTREAM_UNREACHABLE"),
        ("/api/v1/instances", "service_absent"),
        ("/api/v1/ssh-status", "service_absent"),
        ("/pairing", "upstream_unreachable"),
    ]:
        answer = await admin.get(path)
        assert answer.status_code in {502, 503}
        body = answer.json()
        assert (body["error"]["code"], body["detail"]) == (code, body["error"]["message"])
        assert body["request_id"] == answer.headers["x-request-id"]


async def test_refusal_is_a_problem_document_when_asked_for(outside) -> None:
    answer = await outside.visitor().get("/api/agents", headers={"accept": "application/problem+json"})
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["code"]) == (401, "unauthorized")


async def test_what_is_not_routed_is_not_there(outside, admin: httpx.AsyncClient) -> None:
    for path in ["/internal/principal", "/nothing", "/api/v1/unknown", "/API/v1/auth/me", "/v1/unknown"]:
        assert (await admin.get(path, headers={"x-forwarded-for": "203.0.113.1"})).status_code == 404


async def test_inner_paths_are_closed_to_what_comes_through_a_proxy(outside) -> None:
    for path in ["/healthz", "/readyz", "/metrics", "/internal/openapi.json"]:
        assert (await outside.visitor().get(path, headers={"x-forwarded-for": "203.0.113.1"})).status_code == 404
        assert (await outside.visitor().get(path)).status_code in {200, 401}


async def test_ambiguous_paths_are_refused(outside) -> None:
    for target in [
        "/api/../api/v1/users",
        "/api/%2e%2e/v1/users",
        "//api/agents",
        "/api/agents%2f",
        "/api/%5cagents",
        "/api/%00",
        "/api/%zz",
    ]:
        status, _ = await raw(outside.gateway, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert status == 400


async def test_absolute_form_is_refused(outside) -> None:
    status, _ = await raw(outside.gateway, "GET http://evil/api/agents HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 400


async def test_hostile_bodies_get_the_familys_status(outside) -> None:
    for content_type, body, status in [
        ("application/json", b'{"username": "a\\u0000b", "password": "x"}', 400),
        ("application/json", b'{"username": ' + b"1" * 30 + b', "password": "x"}', 400),
        ("application/json", b"[" * 200_000, 400),
        ("application/json", b'{"username": "\xff", "password": "x"}', 400),
        ("application/json", b"", 400),
        ("text/plain", b'{"username": "a", "password": "x"}', 415),
        ("application/x-www-form-urlencoded", b"username=a", 415),
        ("application/json", b'{"username": "' + b"x" * 2_000_000 + b'"}', 413),
    ]:
        headers = {"content-type": content_type, "sec-fetch-site": "same-origin"}
        answer = await outside.visitor().post("/api/v1/auth/login", content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"detail", "error", "request_id"}


async def test_hostile_ids_are_not_found(outside, admin: httpx.AsyncClient) -> None:
    for number in ["1" * 30, "-1", "1%2e5", "٣"]:
        assert (await admin.delete(f"/api/v1/users/{number}")).status_code == 404


async def test_request_ids_of_callers_are_kept_when_harmless(outside) -> None:
    client = outside.visitor()
    assert (await client.get("/health", headers={"x-request-id": "a-b_C1"})).headers["x-request-id"] == "a-b_C1"
    for hostile in ("x" * 129, "a b", "<script>", 'a"b', ""):
        given = (await client.get("/health", headers={"x-request-id": hostile})).headers["x-request-id"]
        assert given.startswith("req_")


async def test_methods_that_nobody_takes_are_refused(outside) -> None:
    assert (await outside.visitor().request("TRACE", "/api/agents")).status_code == 405
    assert (await outside.visitor().request("DELETE", "/health")).status_code == 405


async def test_answers_are_dated_and_heads_are_answered_too(outside) -> None:
    answer = await outside.visitor().head("/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["date"].endswith("GMT")


async def test_head_of_a_forwarded_route_is_get_without_a_body(admin: httpx.AsyncClient) -> None:
    got, head = await admin.get("/api/agents"), await admin.head("/api/agents")
    assert got.json()["method"] == "GET"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert (await admin.get("/api/agents")).status_code == 200


async def test_root_leads_to_the_documentation(outside) -> None:
    answer = await outside.visitor().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/docs")
    assert answer.json()["health"] == "/health"


async def test_rate_limit_is_announced_and_kept(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    slow = await outside.another_gateway(suite, GATEWAY_RATE_LIMIT="2", GATEWAY_RATE_LIMIT_ANONYMOUS="3")
    client = outside.visitor(admin.cookies["shoal_session"], at=slow)
    first = await client.get("/api/agents")
    assert first.headers["ratelimit-policy"] == '"principal";q=4;w=2'
    assert first.headers["ratelimit"] == '"principal";r=3;t=1'
    answers = await asyncio.gather(*(client.get("/api/agents") for _ in range(30)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert len(refused) < len(answers)
    assert int(refused[0].headers["retry-after"]) >= 1
    assert refused[0].json()["error"]["code"] == "rate_limited"
    stranger = outside.visitor("agd_unknown", at=slow)
    strangers = await asyncio.gather(*(stranger.get("/api/agents") for _ in range(30)))
    assert {answer.status_code for answer in strangers} == {401, 429}


async def test_addresses_come_from_trusted_proxies_only(outside, admin: httpx.AsyncClient, suite: Suite) -> None:
    behind = await outside.another_gateway(suite, GATEWAY_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8")
    session = admin.cookies["shoal_session"]

    async def seen(*forwarded: str, at: ServiceUnderTest | None = None) -> str:
        headers = [("authorization", f"Bearer {session}"), *(("x-forwarded-for", value) for value in forwarded)]
        answer = await outside.visitor(at=at).get("/api/agents", headers=headers)
        return headers_seen(answer)["x-forwarded-for"][0]

    assert await seen("203.0.113.1") == "127.0.0.1"
    assert await seen("198.51.100.9, 203.0.113.1, 10.1.1.1", at=behind) == "203.0.113.1"
    assert await seen("198.51.100.9", "203.0.113.1", at=behind) == "203.0.113.1"
    assert await seen("[2001:db8::1]:443", at=behind) == "2001:db8::1"
    assert await seen("garbage, 10.1.1.1", at=behind) == "10.1.1.1"
    assert await seen(", ".join(["10.0.0.1"] * 200), at=behind) == "10.0.0.1"
    assert await seen(at=behind) == "127.0.0.1"


async def test_health_has_the_fields_of_both_contracts(outside, admin: httpx.AsyncClient) -> None:
    answer = await outside.visitor().get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["database"], body["kubernetes"]) == ("degraded", "connected", "disabled")
    assert body["services"]["pairing"] == "unreachable"
    system = (await outside.visitor().get("/api/health")).json()
    assert system["status"] == "degraded"
    assert {
        "uptime_seconds",
        "uptime_secs",
        "memory_usage_mb",
        "agent_count",
        "session_count",
        "tool_count",
        "version",
    } <= set(system)


async def test_health_answers_within_a_second_when_a_service_hangs(outside, suite: Suite) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host, _, port = suite.announce("pairing").rpartition(":")
    async with await asyncio.start_server(hang, host, int(port)):
        started = asyncio.get_running_loop().time()
        answer = await outside.visitor().get("/health")
        assert asyncio.get_running_loop().time() - started < 1
    assert answer.json()["services"]["pairing"] == "unreachable"


async def test_document_holds_what_is_routed_and_nothing_else(outside, suite: Suite) -> None:
    await suite.start("pairing")
    client = outside.visitor()

    async def is_complete() -> bool:
        return "/pairing/init" in (await client.get("/openapi.json")).json()["paths"]

    await eventually(is_complete)
    document = (await client.get("/openapi.json")).json()
    assert {"/api/v1/users", "/api/v1/auth/login", "/pairing/confirm"} <= set(document["paths"])
    assert not [path for path in document["paths"] if path.startswith(("/internal", "/metrics", "/healthz"))]
    names = set(document["components"]["schemas"])
    text = (await client.get("/openapi.json")).text
    assert all(f'"#/components/schemas/{name}"' in text or name for name in names)


async def test_documentation_page_loads_nothing_from_elsewhere(outside) -> None:
    client = outside.visitor()
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("docs.js", "docs.css"):
        assert f"/docs/{name}" in page.text
        answer = await client.get(f"/docs/{name}")
        assert answer.status_code == 200
        assert "://" not in answer.text
    assert "://" not in page.text


async def raw(gateway: ServiceUnderTest, request: str | bytes) -> tuple[int, bytes]:
    """Send bytes; returns the status and everything that came back."""
    host, _, port = gateway.url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request.encode() if isinstance(request, str) else request)
        answer = await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
    return int(answer.split(b" ", 2)[1]), answer
