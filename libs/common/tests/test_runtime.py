"""Services start and stop in order, drain before they end, and say who failed."""

import asyncio
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable

import httpx
import psutil
import pytest
import pytest_asyncio
import websockets
from litestar import Controller, WebSocket, get, websocket
from litestar.response import Stream
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from shoal.config import ConfigError, ServiceConfig
from shoal.http.app import create_app
from shoal.http.health import ANSWER_S
from shoal.http.server import bind, make_server, until_listening
from shoal.installation import Installation
from shoal.resources import Resources
from shoal.runtime import RunningService, ServiceFailedError, running
from shoal.service import Built, Service
from shoal.testing.servers import TestDatabases
from shoal_embedded.nats import EmbeddedNats
from shoal_embedded.postgres import EmbeddedPostgres

from .conftest import Freezer
from .toy import STEPS, TOY, Door, environment_of, open_door, toy_service, until


class Part:
    """A component that notes what it lives through."""

    def __init__(self, name: str, story: list[str], *, failures: int = 0, returns: bool = False) -> None:
        self.name = name
        self.story = story
        self.failures = failures
        self.returns = returns

    async def run(self) -> None:
        self.story.append(f"{self.name} runs")
        if self.failures:
            self.failures -= 1
            raise KeyError(self.name)
        if self.returns:
            return
        try:
            await asyncio.Event().wait()
        finally:
            self.story.append(f"{self.name} ends")

    def problem(self) -> str | None:
        return None


class WorkController(Controller):
    @get("/slow")
    async def slow(self) -> dict[str, str]:
        await asyncio.sleep(0.5)
        return {"slow": "done"}

    @get("/endless")
    async def endless(self) -> None:
        await asyncio.sleep(60)

    @get("/begun")
    async def begun(self) -> Stream:
        async def parts() -> AsyncIterator[bytes]:
            yield b"begun"
            await asyncio.sleep(60)

        return Stream(parts())

    @websocket("/socket")
    async def socket(self, socket: WebSocket) -> None:  # type: ignore[type-arg]
        await socket.accept()
        while True:
            await socket.receive_text()


def service_with(*parts: Part) -> Service:
    def build(resources: Resources[ServiceConfig]) -> Built:
        app = create_app(resources, controllers=[WorkController], dependencies={})
        return Built(app=app, described=app.inside, components=parts)

    return toy_service(build)


@pytest_asyncio.fixture
async def environment(credentials: Installation, admin_url: str, nats_at_hand: EmbeddedNats) -> dict[str, str]:
    return environment_of(credentials, database_url=admin_url, nats_url=nats_at_hand.url)


@pytest_asyncio.fixture
async def empty_url(databases: TestDatabases) -> AsyncIterator[str]:
    url = await databases.make([])
    yield url
    await databases.drop(url)


def is_ready(door: Door) -> Callable[[], bool]:
    return lambda: door.running.resources.health.readiness().ready


async def test_components_start_in_order_and_all_end(credentials: Installation, environment: dict[str, str]) -> None:
    story: list[str] = []
    service = service_with(*(Part(name, story) for name in "abc"))
    async with open_door(service, credentials, environment) as door:
        await until(is_ready(door))
        await until(lambda: len(story) == 3)
        assert story == ["a runs", "b runs", "c runs"]
        assert (await door.anonymous.get("/readyz")).json()["checks"] == {
            "nats": "ok", "schema": "ok", "database": "ok", "a": "ok", "b": "ok", "c": "ok",
        }  # fmt: skip
    assert sorted(story[3:]) == ["a ends", "b ends", "c ends"]


async def test_component_that_fails_or_returns_is_started_again(
    credentials: Installation, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story: list[str] = []
    service = service_with(Part("fails", story, failures=2), Part("returns", story, returns=True))
    with capture_logs() as lines:
        async with open_door(service, credentials, environment):
            await until(lambda: story.count("fails runs") == 3 and story.count("returns runs") >= 2)
    assert [line["component"] for line in lines if line["event"] == "component_failed"] == ["fails", "fails"]


async def test_service_is_alive_but_waits_for_its_schema(
    credentials: Installation, empty_url: str, nats_at_hand: EmbeddedNats
) -> None:
    story: list[str] = []
    environment = environment_of(credentials, database_url=empty_url, nats_url=nats_at_hand.url)
    async with open_door(service_with(Part("a", story)), credentials, environment) as door:
        assert (await door.anonymous.get("/healthz")).status_code == 200
        await until(lambda: "needs 0101: run `shoal migrate`" in str(door.running.resources.health.readiness()))
        assert story == []
        await TOY.schema.migrate(empty_url, working_url=environment["TOY_DATABASE_URL"])
        await until(is_ready(door))
        await until(lambda: story == ["a runs"])


async def test_service_starts_before_its_servers(
    credentials: Installation, environment: dict[str, str], nats_at_hand: EmbeddedNats
) -> None:
    await nats_at_hand.stop()
    async with open_door(service_with(), credentials, environment) as door:
        assert (await door.anonymous.get("/readyz")).status_code == 503
        await nats_at_hand.start()
        await until(is_ready(door))


async def said_by(door: Door, part: str) -> str:
    """Ask for readiness; returns what it says of one part, and that a probe never waits for long."""
    started = time.monotonic()
    answer = await door.anonymous.get("/readyz")
    assert time.monotonic() - started < ANSWER_S + 0.8
    assert (await door.anonymous.get("/healthz")).status_code == 200
    assert answer.json()["ready"] is (answer.status_code == 200)
    return str(answer.json()["checks"][part])


@pytest.mark.fault
async def test_readiness_falls_while_the_message_system_is_away_or_still(
    credentials: Installation, environment: dict[str, str], nats_at_hand: EmbeddedNats
) -> None:
    async with open_door(service_with(), credentials, environment) as door:
        await until(is_ready(door))

        async def says(word: str) -> bool:
            return word in await said_by(door, "nats")

        server = psutil.Process(nats_at_hand.pid)
        server.suspend()
        await until(lambda: says("answer"))
        server.resume()
        await until(lambda: says("ok"))
        await nats_at_hand.stop()
        await until(lambda: says("not connected"))
        await nats_at_hand.start()
        await until(lambda: says("ok"))


@pytest.mark.fault
@pytest.mark.asyncio(loop_scope="module")
async def test_readiness_falls_while_the_database_is_away_or_still(
    credentials: Installation, own_postgres: EmbeddedPostgres, freezer: Freezer
) -> None:
    environment = environment_of(credentials, database_url=own_postgres.url)
    await TOY.schema.migrate(own_postgres.url, working_url=environment["TOY_DATABASE_URL"])
    async with open_door(service_with(), credentials, environment) as door:

        async def says(word: str) -> bool:
            return word in await said_by(door, "database")

        await until(lambda: says("ok"))
        freezer.freeze()
        await until(lambda: says("answer"))
        freezer.thaw()
        await until(lambda: says("ok"), within_s=8)
        await own_postgres.stop()
        await until(lambda: says("does not answer"))
        await own_postgres.start()
        await until(lambda: says("ok"))


async def test_readiness_falls_first_and_requests_under_way_are_finished(
    credentials: Installation, environment: dict[str, str]
) -> None:
    settings = environment | {"SHOAL_DRAIN_DELAY": "300ms", "SHOAL_DRAIN_TIMEOUT": "5s"}
    one = RunningService(service_with(), settings)
    await one.start()
    door = Door(one, credentials)
    await until(is_ready(door))
    stopping = asyncio.create_task(one.stop())
    await asyncio.sleep(0.05)
    readiness = await door.anonymous.get("/readyz")
    assert (readiness.status_code, readiness.json()["checks"]["draining"]) == (503, "shutting down")
    slow = asyncio.create_task(door.client.get("/slow"))
    await asyncio.sleep(0.3)
    assert (await slow).json() == {"slow": "done"}
    await stopping
    with pytest.raises(httpx.ConnectError):
        await door.anonymous.get("/healthz")
    await door.client.aclose()
    await door.anonymous.aclose()


async def test_stop_does_not_wait_for_ever_for_requests_and_sockets(
    credentials: Installation, environment: dict[str, str]
) -> None:
    one = RunningService(service_with(), environment | {"SHOAL_DRAIN_TIMEOUT": "1s"})
    await one.start()
    door = Door(one, credentials)
    endless = asyncio.create_task(door.client.get("/endless"))
    idle = await websockets.connect(f"ws{door.url[4:]}/socket", additional_headers=door.headers(), proxy=None)
    await asyncio.sleep(0.1)
    started = time.monotonic()
    await one.stop()
    assert time.monotonic() - started < 4
    await idle.wait_closed()
    assert idle.close_code in {1001, 1012}
    await asyncio.gather(endless, return_exceptions=True)
    await door.client.aclose()
    await door.anonymous.aclose()


@pytest.mark.parametrize("delay", ["0s", "60s"])
async def test_stop_under_way_can_be_hurried(
    credentials: Installation, environment: dict[str, str], delay: str
) -> None:
    settings = environment | {"SHOAL_DRAIN_DELAY": delay, "SHOAL_DRAIN_TIMEOUT": "60s"}
    one = RunningService(service_with(), settings)
    await one.start()
    door = Door(one, credentials)
    async with door.client, door.anonymous:
        endless = asyncio.create_task(door.client.get("/endless"))
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(one.stop())
        await asyncio.sleep(0.3)
        assert not stopping.done()
        one.hurry()
        await asyncio.wait_for(stopping, 3)
        assert (await endless).json()["error"]["code"] == "shutting_down"


async def test_request_that_outstays_the_stop_is_told_so(
    credentials: Installation, environment: dict[str, str]
) -> None:
    one = RunningService(service_with(), environment | {"SHOAL_DRAIN_TIMEOUT": "1s"})
    await one.start()
    door = Door(one, credentials)
    async with door.client, door.anonymous:
        endless = asyncio.create_task(door.client.get("/endless", headers={"x-request-id": "r1"}))
        begun = asyncio.create_task(door.client.get("/begun"))
        await asyncio.sleep(0.1)
        with capture_logs(processors=[merge_contextvars]) as lines:
            await one.stop()
            answer = await endless
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
    assert answer.headers.get_list("x-request-id") == ["r1"]
    told = "The service is restarting; try again."
    assert answer.json() == {
        "detail": told,
        "error": {"code": "shutting_down", "message": told, "status": 503, "details": []},
        "request_id": "r1",
    }
    with pytest.raises(httpx.RemoteProtocolError):  # an answer that had begun is broken off
        await begun
    accounted = {line["path"]: line["status"] for line in lines if line["event"] == "http_request"}
    assert accounted == {"/endless": 503, "/begun": 200}


async def test_part_that_keeps_a_cancellation_to_itself_is_ended_all_the_same(
    credentials: Installation, environment: dict[str, str]
) -> None:
    class Stubborn(Part):
        async def run(self) -> None:
            self.story.append("runs")
            for _ in range(2):
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.story.append("ignores")
            self.story.append("ends")

    story: list[str] = []
    async with open_door(service_with(Stubborn("stubborn", story)), credentials, environment):
        await until(lambda: story == ["runs"])
    assert story == ["runs", "ignores", "ignores", "ends"]


async def test_port_that_is_taken_is_named(credentials: Installation, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
            async with running([service_with()], environment | {"TOY_PORT": str(port)}):
                pass


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid", "not a host"])
def test_address_that_is_not_ours_is_named(host: str) -> None:
    with pytest.raises(RuntimeError, match="cannot listen on"):
        bind(host, 0)


def test_address_of_either_kind_can_be_had() -> None:
    for host in ("127.0.0.1", "localhost", "0.0.0.0"):
        bind(host, 0).close()


def test_accepted_sockets_notice_within_a_minute_that_nobody_is_there() -> None:
    with bind("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            told = [
                accepted.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            ]
    idle_s, interval_s, probes, unanswered_ms = told
    assert 0 < idle_s + interval_s * probes <= 60
    assert 0 < unanswered_ms <= 60_000


async def test_server_that_ends_before_it_began_is_told() -> None:
    server = make_server(lambda *_: None, host="127.0.0.1", port=0, drain_timeout_s=1)  # type: ignore[arg-type]

    async def fail() -> None:
        raise KeyError

    with pytest.raises(RuntimeError, match="no server came up"):
        await until_listening(server, asyncio.create_task(fail()))
    waiting = asyncio.create_task(asyncio.sleep(5))
    with pytest.raises(RuntimeError, match="no server came up"):
        await until_listening(server, waiting, deadline_s=0.05)
    waiting.cancel()


async def test_configuration_that_does_not_hold_starts_nothing(environment: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        async with running([service_with()], environment | {"TOY_PORT": "none"}):
            pass


async def test_part_that_ends_ends_the_service_by_name(credentials: Installation, environment: dict[str, str]) -> None:
    async with open_door(service_with(Part("a", [])), credentials, environment) as door:
        await until(is_ready(door))
        failing = asyncio.create_task(door.running.until_failure())
        await asyncio.sleep(0.05)
        assert not failing.done()
        await door.running.resources.bus.client.close()
        with pytest.raises(ServiceFailedError, match=r"toy: nats ended: .*gave up"):
            await asyncio.wait_for(failing, 3)


PROGRAM = """
import asyncio, sys, json, os
from pathlib import Path
from shoal.config import ServiceConfig
from shoal.http.app import create_app
from shoal.runtime import run
from shoal.service import Built, Service

def build(resources):
    app = create_app(resources, controllers=[], dependencies={})
    return Built(app=app, described=app.inside)

service = Service(name="toy", port=0, config=ServiceConfig, migrations=Path(sys.argv[1]), build=build)
asyncio.run(run([service], os.environ))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_the_process_in_order(environment: dict[str, str], number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, str(STEPS)),
        env=environment | {"PATH": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )

    async def ready() -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(f"http://127.0.0.1:{environment['TOY_PORT']}/readyz")).status_code == 200
            except httpx.HTTPError:
                return False

    await until(ready, within_s=20)
    process.send_signal(number)
    output, _ = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0, output.decode()
    assert b"service_stopped" in output
    assert b"Traceback" not in output
