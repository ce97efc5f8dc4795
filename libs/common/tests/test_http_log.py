"""What the log and the metrics tell of a request."""

import asyncio

import pytest
import structlog
import websockets
from structlog.testing import capture_logs

from shoal.installation import Installation

from .things import build
from .toy import Door, open_door, toy_service, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
