"""The door, body checks, errors, health and pages, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, ClassVar

import httpx
import pytest
import pytest_asyncio
import structlog
import websockets
from litestar import Controller, Request, WebSocket, delete, get, post, put, websocket
from msgspec import Meta, Struct
from structlog.testing import capture_logs

from shoal import errors
from shoal.config import ServiceConfig
from shoal.errors import FieldProblem
from shoal.http.app import MOST_BODY_BYTES, create_app
from shoal.http.auth import require_admin, require_permitted_service, require_session, require_user
from shoal.http.errors import refusal
from shoal.http.families import AGENTDROP, CLAWDNET, CLAWFT, CLAWORC, family_of
from shoal.http.pagination import Limit, Page
from shoal.identity import Issuer, Principal, Role, Via
from shoal.ids import SubjectToken
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.service import Built

from .toy import Door, open_door, toy_service, until

USER = Principal(via=Via.SESSION, account_id="acct_1", user_id="user_1", role=Role.USER)


class Thing(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=20)]
    count: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    inner: dict[str, Any] | None = None
    token: SubjectToken = "x"


class FullError(errors.ConflictError):
    """No room is left."""

    code = "no_room_left"


class ThingController(Controller):
    """The same routes in several families."""

    @post("/things")
    async def make(self, data: Thing) -> Thing:
        return data

    @put("/things/{thing_id:str}")
    async def change(self, thing_id: str, data: Thing) -> dict[str, Any]:
        return {"id": thing_id, "name": data.name}

    @delete("/things/{thing_id:str}", status_code=200)
    async def drop(self, thing_id: str) -> dict[str, str]:
        return {"deleted": thing_id}

    @get("/things")
    async def list(
        self,
        limit: Limit = 2,
        after: int = 0,
    ) -> Page[int]:
        items = [number for number in range(5) if number >= after][:limit]
        following = items[-1] + 1 if items else 5
        return Page(items, next=str(following) if following < 5 else None)

    @get("/raise/{what:str}")
    async def fail(self, what: str) -> None:
        match what:
            case "full":
                raise FullError
            case "details":
                raise errors.ValidationError("No.", details=[FieldProblem("name", "too long")])
            case "later":
                raise errors.RateLimitedError(retry_after_s=2.4)
            case "secret":
                raise RuntimeError("canary-password")
            case "bare":
                raise errors.AppError("canary-password")


class PairingThings(ThingController):
    path: ClassVar[str] = "/pairing"  # type: ignore[misc]


class AgentDropThings(ThingController):
    path: ClassVar[str] = "/v1"  # type: ignore[misc]


class OtherController(Controller):
    @post("/lines", opt={"media_types": ("application/x-ndjson",)}, status_code=200)
    async def lines(self, request: Request[Any, Any, Any]) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @get("/who")
    async def who(self, principal: Principal) -> dict[str, str]:
        structlog.get_logger().info("asked")
        return {"who": principal.subject}

    @get("/user", guards=[require_user])
    async def user(self) -> None: ...

    @get("/admin", guards=[require_admin])
    async def admin(self) -> None: ...

    @get("/session", guards=[require_session])
    async def session(self) -> None: ...

    @get("/internal/export", guards=[require_permitted_service])
    async def export(self) -> None: ...

    @get("/slow")
    async def slow(self) -> dict[str, str]:
        await asyncio.sleep(0.3)
        return {"slow": "done"}

    @websocket("/socket")
    async def socket(self, socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        text = await socket.receive_text()
        if text == "fail":
            raise RuntimeError("canary-password")
        await socket.send_text(text)
        await socket.close(4403)


def build(resources: Resources[ServiceConfig]) -> Built:
    app = create_app(resources, controllers=[PairingThings, AgentDropThings, OtherController], dependencies={})
    return Built(app=app, described=app.inside)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(credentials: Installation) -> AsyncIterator[Door]:
    """Nothing stands behind this door; it serves all the same."""
    async with open_door(toy_service(build), credentials) as opened:
        yield opened


pytestmark = pytest.mark.asyncio(loop_scope="module")


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Check the one error body and give what it tells."""
    body = answer.json()
    assert body.keys() == {"detail", "error", "request_id"}
    told: dict[str, Any] = body["error"]
    assert told.keys() == {"code", "message", "status", "details"}
    assert (told["status"], told["message"]) == (answer.status_code, body["detail"])
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return told


# who comes in


def routes() -> list[tuple[str, str]]:
    paths = ["/pairing/things", "/v1/things", "/who", "/internal/export", "/internal/openapi.json", "/nowhere", "/"]
    paths += ["/metrics/", "/healthz/x", "//readyz"]
    return [(method, path) for path in paths for method in ("GET", "POST", "DELETE", "OPTIONS", "HEAD")]


@pytest.mark.parametrize(("method", "path"), routes())
async def test_nobody_gets_past_the_door_without_an_identity(door: Door, method: str, path: str) -> None:
    answer = await door.anonymous.request(method, path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_every_route_of_the_application_is_behind_the_door(door: Door) -> None:
    for route in door.running._built.described.routes:
        if route.path not in {"/healthz", "/readyz", "/metrics"}:
            assert (await door.anonymous.get(route.path)).status_code == 401, route.path


async def test_forged_identity_is_refused_and_the_reason_goes_to_the_log_only(
    door: Door, credentials: Installation
) -> None:
    pairing = Issuer("pairing", credentials.services["pairing"].private_key)
    forged = [
        "rubbish",
        pairing.issue(USER, audience="toy"),
        door.gateway.issue(USER, audience="pairing"),
        door.gateway.issue(USER, audience="toy")[:-4] + "AAAA",
    ]
    for token in forged:
        with capture_logs() as lines:
            answer = await door.anonymous.get("/who", headers={"x-shoal-identity": token})
        assert error_of(answer)["code"] == "unauthorized"
        assert [line["event"] for line in lines] == ["identity_refused"]
        assert lines[0]["reason"]
        assert lines[0]["reason"] not in answer.text


@pytest.mark.parametrize("header", ["authorization", "x-shoal-user", "x_shoal_identity", "cookie"])
async def test_other_headers_identify_nobody(door: Door, header: str) -> None:
    token = door.headers()["x-shoal-identity"]
    assert (await door.anonymous.get("/who", headers={header: f"Bearer {token}"})).status_code == 401


@pytest.mark.parametrize("path", ["/socket", "/nowhere"])
async def test_socket_without_an_identity_is_refused_at_the_handshake(door: Door, path: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(f"ws{door.url[4:]}{path}", proxy=None)
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "unauthorized"


async def test_socket_with_an_identity_is_let_in(door: Door) -> None:
    async with websockets.connect(f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 4403


async def test_principal_reaches_the_handler(door: Door) -> None:
    assert (await door.client.get("/who")).json() == {"who": "user:user_1"}
    assert (await door.client.get("/who", headers=door.headers(Principal()))).json() == {"who": "anonymous"}


@pytest.mark.parametrize(
    ("principal", "path", "status"),
    [
        (Principal(), "/user", 401),
        (Principal(via=Via.AGENT_KEY, agent_id="agent_1"), "/user", 401),
        (USER, "/user", 200),
        (USER, "/admin", 403),
        (Principal(via=Via.API_KEY, user_id="user_1", role=Role.ADMIN), "/admin", 200),
        (Principal(via=Via.API_KEY, user_id="user_1", role=Role.ADMIN), "/session", 403),
        (USER, "/session", 200),
        (USER, "/internal/export", 401),
        (USER, "/internal/openapi.json", 401),
    ],
)
async def test_guards(door: Door, principal: Principal, path: str, status: int) -> None:
    assert (await door.anonymous.get(path, headers=door.headers(principal))).status_code == status


async def test_services_may_make_the_calls_of_the_table_only(door: Door, credentials: Installation) -> None:
    async def status(caller: str, path: str) -> int:
        token = Issuer(caller, credentials.services[caller].private_key).issue_own(audience="toy")
        return (await door.anonymous.get(path, headers={"x-shoal-identity": token})).status_code

    assert await status("gateway", "/internal/openapi.json") == 200
    assert await status("pairing", "/internal/openapi.json") == 403
    assert await status("gateway", "/internal/export") == 403


# request ids and the log


@pytest.mark.parametrize("given", ["abc-123_X", "0" * 128])
async def test_request_id_of_the_caller_is_kept(door: Door, given: str) -> None:
    answer = await door.client.get("/who", headers={"x-request-id": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "a b", 'a"b', "x" * 129, "ä", "a\tb", "${jndi}", "---", "a.b"])
async def test_request_id_that_could_harm_a_log_is_replaced(door: Door, given: str) -> None:
    answer = await door.client.get("/who", headers={b"x-request-id": given.encode()})
    assert answer.headers["x-request-id"].startswith("req_")


async def test_each_request_has_one_canonical_line(door: Door) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await door.client.get("/pairing/raise/full", headers={"x-request-id": "r1"})
    (line,) = [line for line in lines if line["event"] == "http_request"]
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "http_request",
        "log_level": "info",
        "service": "toy",
        "request_id": "r1",
        "method": "GET",
        "route": "/pairing/raise/{what}",
        "path": "/pairing/raise/full",
        "status": 409,
        "principal": "user:user_1",
    }


async def test_caller_who_hangs_up_is_no_fault_of_ours(door: Door) -> None:
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(*door.running.address)
        identity = door.headers()["x-shoal-identity"]
        head = f"POST /pairing/things HTTP/1.1\r\nhost: x\r\nx-shoal-identity: {identity}\r\n"
        writer.write(f'{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{"name":'.encode())
        await writer.drain()
        writer.close()
        await until(lambda: any(line["event"] == "http_request" for line in lines))
    assert [(line["status"], line["log_level"]) for line in lines if "status" in line] == [(499, "info")]
    assert "error" not in {line["log_level"] for line in lines}


async def test_tickets_in_paths_are_in_no_line(door: Door) -> None:
    with capture_logs() as lines:
        await door.client.get("/things/~ticket-1/a/~ticket-2", headers={"x-request-id": "r1"})
        await door.client.get("/things/~ticket-3", headers={"x-shoal-identity": "forged"})
    assert [line["path"] for line in lines] == ["/things/~…/a/~…", "/things/~…"]
    assert "ticket-" not in str(lines)


async def test_lines_written_inside_a_request_name_it(door: Door) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await asyncio.gather(*(door.client.get("/who", headers={"x-request-id": f"r{n}"}) for n in range(5)))
    assert sorted(line["request_id"] for line in lines if line["event"] == "asked") == [f"r{n}" for n in range(5)]


async def test_socket_has_one_line_with_its_close_code(door: Door) -> None:
    with capture_logs() as lines:
        async with websockets.connect(
            f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None
        ) as socket:
            await socket.send("x")
            await socket.recv()
            await socket.wait_closed()
        await until(lambda: any(line["event"] == "socket_closed" for line in lines))
    (line,) = [line for line in lines if line["event"] == "socket_closed"]
    assert (line["status"], line["path"]) == (4403, "/socket")


async def test_quiet_log_still_tells_faults(credentials: Installation) -> None:
    from .toy import environment_of  # noqa: PLC0415

    environment = environment_of(credentials) | {"SHOAL_LOG_REQUESTS": "false"}
    async with open_door(toy_service(build), credentials, environment) as door:
        with capture_logs() as lines:
            await door.client.get("/who")
            async with websockets.connect(
                f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None
            ) as socket:
                await socket.send("x")
                await socket.wait_closed()
            assert not [line for line in lines if line["event"] in {"http_request", "socket_closed"}]
            await door.client.get("/pairing/raise/secret")
        assert [line["status"] for line in lines if line["event"] == "http_request"] == [500]


async def test_metrics_count_by_route_not_by_path(door: Door) -> None:
    for number in range(3):
        await door.client.get(f"/nowhere/{number}")
        await door.client.delete(f"/pairing/things/{number}")
    text = (await door.anonymous.get("/metrics")).text
    counts = [line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_count")]
    assert any('route="/pairing/things/{thing_id}"' in line and line.endswith(" 3.0") for line in counts)
    assert any('route="unmatched"' in line for line in counts)
    assert "/nowhere/" not in text


# bodies


@pytest.mark.parametrize("path", ["/pairing/things", "/v1/things"])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b"{}",
        b'{"name": 1}',
        b'{"name": "x", "count": -1}',
        b'{"name": "x", "count": 1.5}',
        b'{"name": "x", "count": 123456789012345678901234567890}',
        b'{"name": "' + b"x" * 21 + b'"}',
        b'{"name": "\xff\xfe"}',
        b'{"name": "a\x00b"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "x", "inner": {"a\\u0000": 1}}',
        b'{"name": "x", "inner": {"a": "\\\\\\u0000"}}',
        b'{"name": "x", "inner": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b"[" * 200_000,
        b'{"name": "x", "count": NaN}',
        b'{"name": "\\ud800"}',
        '{"name": "x"}'.encode("utf-16"),
    ],
)
async def test_body_of_another_shape_is_a_validation_error_of_the_family(door: Door, path: str, body: bytes) -> None:
    answer = await door.client.post(path, content=body, headers={"content-type": "application/json"})
    told = error_of(answer)
    if path.startswith("/v1"):
        assert (told["status"], told["code"]) == (400, "VALIDATION_ERROR")
    else:
        assert (told["status"], told["code"]) == (422, "validation_error")


async def test_field_that_does_not_hold_is_named(door: Door) -> None:
    told = error_of(await door.client.post("/pairing/things", json={"name": "x", "count": -1}))
    assert told["details"] == [{"field": "count", "message": "Expected `int` >= 0"}]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "\\\\u0000"}', "\\u0000"),
        (b'{"name": "\\\\\\\\u0000"}', "\\\\u0000"),
        ('{"name": "ä☠"}'.encode(), "ä☠"),
        (b'{"name": "\\u0001"}', "\x01"),
    ],
)
async def test_text_that_only_looks_like_nul_is_taken(door: Door, body: bytes, name: str) -> None:
    answer = await door.client.post("/pairing/things", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON", "application/json;charset=utf-8", "application/merge-patch+json"],
)
async def test_json_of_any_name_is_taken(door: Door, content_type: str) -> None:
    answer = await door.client.post("/pairing/things", content=b'{"name": "x"}', headers={"content-type": content_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]
)
async def test_body_that_is_not_json_is_415(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await door.client.post("/pairing/things", content=b'{"name": "x"}', headers=headers)
    assert error_of(answer)["code"] == "unsupported_media_type"
    assert answer.status_code == 415


async def test_body_where_none_is_needed_may_be_missing_but_not_anything_else(door: Door) -> None:
    assert (await door.client.delete("/pairing/things/1")).status_code == 200
    answer = await door.client.request("DELETE", "/pairing/things/1", content=b"x", headers={"content-type": "x/y"})
    assert answer.status_code == 415


async def test_handler_that_takes_other_media_types_gets_them_unread(door: Door) -> None:
    headers = {"content-type": "application/x-ndjson; charset=utf-8"}
    answer = await door.client.post("/lines", content=b'{"a": "\\u0000"}\n{', headers=headers)
    assert answer.json() == {"bytes": 17}
    assert (await door.client.post("/lines", content=b"x", headers={"content-type": "text/csv"})).status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_too_large_is_413(door: Door, chunked: bool) -> None:  # noqa: FBT001
    body = b'{"name": "' + b"x" * MOST_BODY_BYTES + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    answer = await door.client.post(
        "/pairing/things", content=pieces() if chunked else body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert error_of(answer)["code"] == "payload_too_large"


async def test_largest_body_is_taken(door: Door) -> None:
    body = json.dumps({"name": "x", "inner": {"a": ""}}).encode()
    body += b" " * (MOST_BODY_BYTES - len(body))
    answer = await door.client.post("/pairing/things", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201


# errors


@pytest.mark.parametrize(("path", "code"), [("/pairing", "no_room_left"), ("/v1", "NO_ROOM_LEFT")])
async def test_refusal_is_spelled_as_its_family_does(door: Door, path: str, code: str) -> None:
    told = error_of(await door.client.get(f"{path}/raise/full"))
    assert told == {"code": code, "message": "No room is left.", "status": 409, "details": []}


async def test_details_and_retry_after_are_told(door: Door) -> None:
    told = error_of(await door.client.get("/pairing/raise/details"))
    assert told["details"] == [{"field": "name", "message": "too long"}]
    answer = await door.client.get("/pairing/raise/later")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


@pytest.mark.parametrize("what", ["full", "details", "secret"])
async def test_problem_json_for_who_accepts_it(door: Door, what: str) -> None:
    answer = await door.client.get(f"/pairing/raise/{what}", headers={"accept": "application/problem+json"})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == answer.status_code
    assert problem.keys() >= {"type", "title", "status", "detail", "code", "request_id"}
    unauthorized = await door.anonymous.get("/who", headers={"accept": "application/problem+json"})
    assert unauthorized.headers["content-type"] == "application/problem+json"


async def test_fault_of_ours_tells_nothing_but_the_log_does(door: Door) -> None:
    with capture_logs() as lines:
        answer = await door.client.get("/pairing/raise/secret")
    assert error_of(answer)["code"] == "error"
    assert answer.status_code == 500
    assert "canary" not in answer.text
    assert "canary-password" in next(line["error"] for line in lines if line["event"] == "request_failed")


async def test_unknown_paths_and_methods_are_told_as_everything_is(door: Door) -> None:
    assert error_of(await door.client.get("/pairing/nowhere"))["code"] == "not_found"
    assert error_of(await door.client.get("/v1/nowhere"))["code"] == "NOT_FOUND"
    answer = await door.client.patch("/pairing/things")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")


async def test_socket_whose_handler_fails_is_closed_without_a_word(door: Door) -> None:
    with capture_logs() as lines:
        async with websockets.connect(
            f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None
        ) as socket:
            await socket.send("fail")
            await socket.wait_closed()
            assert socket.close_code in {1011, 4500}
            assert "canary" not in (socket.close_reason or "")
        await until(lambda: any(line["event"] == "socket_closed" for line in lines))


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/pairing/init", CLAWDNET),
        ("/telemetry/ingest", CLAWDNET),
        ("/v1/agents", AGENTDROP),
        ("/api/chat", CLAWFT),
        ("/api/auth/token", CLAWFT),
        ("/api/v1/users", CLAWORC),
        ("/api/health", CLAWFT),
        ("/internal/export", CLAWORC),
        ("/health", CLAWORC),
    ],
)
async def test_families_by_path(path: str, family: Any) -> None:
    assert family_of(path) == family


async def test_refusal_without_a_request_is_the_same_body() -> None:
    written = refusal(errors.UnavailableError(retry_after_s=0.2), family=AGENTDROP, request_id="r")
    assert (written.status, written.headers["retry-after"]) == (503, "1")
    assert json.loads(written.body)["error"]["code"] == "UNAVAILABLE"


# pages


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
        assert "KeyError" in answer.json()["checks"]["broken"]
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
