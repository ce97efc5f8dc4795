"""Every refusal has the one shape, in the spelling of its family."""

import json
from typing import Any

import pytest
import websockets
from structlog.testing import capture_logs

from shoal import errors
from shoal.http.errors import refusal
from shoal.http.families import AGENTDROP, CLAWDNET, CLAWFT, CLAWORC, family_of
from shoal.identity import Principal, Via

from .things import USER, error_of
from .toy import Door, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    assert "/docs" in error_of(await door.client.get("/v1/nowhere"))["message"]
    answer = await door.client.patch("/pairing/things")
    assert (answer.status_code, error_of(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert error_of(answer)["message"] == "This path answers GET, HEAD, OPTIONS, POST alone."


async def test_refusal_says_who_may(door: Door) -> None:
    told = error_of(await door.client.get("/admin", headers=door.headers(USER)))
    assert (told["code"], told["message"]) == ("forbidden", "Admins of the account may do this; ask one of them.")
    key = Principal(via=Via.API_KEY, account_id="acct_1", user_id="user_1")
    told = error_of(await door.client.get("/session", headers=door.headers(key)))
    assert told["code"] == "session_required"
    assert "sign in" in told["message"]


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


@pytest.mark.parametrize("accept", ["", "application/problem+json"])
async def test_refusal_that_hands_on_a_message_of_types_tells_those_of_json(accept: str) -> None:
    error = errors.ValidationError("Expected `str`", details=[errors.FieldProblem("epoch", "Expected `int | null`")])
    body = json.loads(refusal(error, family=CLAWDNET, request_id="r", accept=accept).body)
    assert body["detail"] == "Expected `string`"
    details = body["errors"] if accept else body["error"]["details"]
    assert details == [{"field": "epoch", "message": "Expected `integer | null`"}]


async def test_refusal_without_a_request_is_the_same_body() -> None:
    written = refusal(errors.UnavailableError(retry_after_s=0.2), family=AGENTDROP, request_id="r")
    assert (written.status, written.headers["retry-after"]) == (503, "1")
    assert json.loads(written.body)["error"]["code"] == "UNAVAILABLE"
