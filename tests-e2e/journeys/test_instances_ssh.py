"""An instance from its creation to its last trace, with HTTP alone, through the gateway."""

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from stack import Stack, running
from stack.running import PASSWORD
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shoal.testing.suite import eventually

INSTANCES = "/api/v1/instances"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A suite whose instances have an address of their own on loopback, so that their ports are nobody else's."""
    address = f"127.{random.randint(2, 250)}.{random.randint(0, 250)}.{random.randint(1, 250)}"
    settings = {"SHOAL_NODE_ADDRESS": address, "INSTANCE_ORCHESTRATOR_SAMPLE_INTERVAL": "500ms"}
    async with running(tmp_path_factory.mktemp("instances"), **settings) as started:
        await started.until_ready()
        yield started


async def until(client: httpx.AsyncClient, path: str, holds: Any, *, within_s: float = 30) -> Any:
    """Ask until an answer is as it should be; returns it."""
    seen: list[Any] = []

    async def is_so() -> bool:
        answer = await client.get(path)
        seen[:] = [answer.json() if answer.content else answer.status_code]
        return bool(answer.is_success and holds(seen[0]))

    await eventually(is_so, lambda: seen, within_s=within_s)
    return seen[0]


async def open_instance(stack: Stack, name: str) -> dict[str, Any]:
    """Create an instance; returns it once it runs, is connected, and has both tunnels."""
    client = stack.admin.client
    made = await client.post(INSTANCES, json={"display_name": name})
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "creating"
    url = f"{INSTANCES}/{made.json()['id']}"
    shown = await until(client, url, lambda one: one["status"] == "running")
    await until(client, f"{url}/ssh-status", lambda one: one["connection_state"] == "connected")
    await until(
        client, f"{url}/tunnels", lambda one: [tunnel["status"] for tunnel in one["tunnels"]] == ["active", "active"]
    )
    return dict(shown)


async def test_an_instance_from_its_creation_to_its_last_trace(machine: Stack) -> None:
    client = machine.admin.client
    bot = await open_instance(machine, "Bot Alpha")
    url = f"{INSTANCES}/{bot['id']}"
    assert bot["name"] == "bot-alpha"

    # its telemetry, in the fleet
    metrics = f"/telemetry/metrics/{bot['agent_id']}?period=1h&metrics=memory"
    await until(client, metrics, lambda one: one["data"]["memory"])
    pairings = (await client.get("/pairing")).json()["pairings"]
    (pairing,) = [one for one in pairings if one["agent"]["id"] == bot["agent_id"]]
    assert pairing["status"] == "connected"

    # its log and its config
    log = (await client.get(f"{url}/logs", params={"follow": "false"})).text
    assert "data: " in log
    assert "Starting instance bot-alpha" in log
    config = '{ "key": "new", "api_key": "${ANTHROPIC_API_KEY}" }'
    changed = await client.put(f"{url}/config", json={"config": config})
    assert changed.json() == {"config": config, "restarted": True}
    assert (await client.get(f"{url}/config")).json() == {"config": config}
    await until(client, url, lambda one: one["status"] == "running")
    await until(client, f"{url}/ssh-status", lambda one: one["connection_state"] == "connected")

    # its pages, through the gateway; whoever has the address needs nothing else
    assert bot["vnc_chrome_url"].startswith(machine.url)
    screen = await client.get(bot["vnc_chrome_url"].removeprefix(machine.url), follow_redirects=True)
    assert "bot-alpha" in screen.text
    assert screen.headers["content-security-policy"].startswith("sandbox ")
    control = await client.get(bot["control_url"], follow_redirects=True)
    assert control.json()["instance"] == "bot-alpha"
    assert "set-cookie" not in control.headers
    stranger = machine.client()
    assert (await stranger.get(screen.url.raw_path.decode())).status_code == 200
    assert (await stranger.get(bot["control_url"])).status_code == 401

    # its key
    before = (await client.get(f"{url}/ssh-fingerprint")).json()["fingerprint"]
    rotated = (await client.post(f"{url}/rotate-ssh-key")).json()
    assert rotated["success"], rotated
    assert rotated["fingerprint"] != before
    await until(client, f"{url}/ssh-status", lambda one: one["connection_state"] == "connected")
    assert (await client.post(f"{url}/ssh-test")).json()["success"]

    # who did what
    entries = await until(
        client,
        f"/api/v1/ssh-audit-logs?instance_id={bot['id']}&limit=1000",
        lambda one: (
            {"connection", "key_rotation", "tunnel_status"} <= {entry["event_type"] for entry in one["entries"]}
        ),
    )
    assert "admin" in {entry["username"] for entry in entries["entries"] if entry["event_type"] == "key_rotation"}

    # its end
    assert (await client.delete(url)).status_code == 204
    assert (await client.get(url)).status_code == 404
    assert (await client.get(INSTANCES)).json() == []
    await eventually(lambda: has_status(client, f"{url}/tunnels", 404))
    await eventually(lambda: has_status(stranger, screen.url.raw_path.decode(), 401))
    await eventually(lambda: leaves_nothing(machine, bot), within_s=30)
    pairings = (await client.get("/pairing")).json()["pairings"]
    assert bot["agent_id"] not in str(pairings)


async def has_status(client: httpx.AsyncClient, path: str, status: int) -> bool:
    return (await client.get(path)).status_code == status


async def leaves_nothing(stack: Stack, bot: dict[str, Any]) -> bool:
    """Whether neither a folder, nor a process, nor a port, nor a key of an instance is left."""
    folders = list((stack.suite.state / "instances").glob(f"{bot['id']}-*"))
    taken = await stack.query("select 1 from instance_orchestrator.port_pair where instance_id = $1", bot["id"])
    keys = await stack.query("select 1 from ssh_manager.ssh_key where instance_id = $1", bot["id"])
    connected = (await stack.admin.client.get("/api/v1/ssh-status")).json()["total_count"]
    return not folders and not taken and not keys and not connected


async def test_a_hostile_page_of_an_instance_can_do_nothing_with_the_api(machine: Stack) -> None:
    """A page in a sandbox has the origin `null` and its browser sends no cookie; here it sends them all the same."""
    bot = await open_instance(machine, "Bot Hostile")
    client = machine.admin.client
    ticketed = (await client.get(bot["control_url"])).headers["location"]
    ticket = ticketed.split("~")[1].strip("/")
    page = {"origin": "null", "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    hostile = machine.client(**page)
    for method in ("GET", "POST"):
        answer = await hostile.request(method, "/api/v1/users")
        assert answer.status_code in {401, 403}
        assert "access-control-allow-origin" not in answer.headers
        cookies = {"cookie": f"shoal_session={client.cookies['shoal_session']}"}
        answer = await machine.client(**page, **cookies).request(method, "/api/v1/users")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "cross_site")
    for path in ("/api/v1/users", INSTANCES, f"{INSTANCES}/{bot['id']}", "/api/v1/api-keys"):
        for bearer in (ticket, f"~{ticket}"):
            answer = await hostile.get(path, headers={"authorization": f"Bearer {bearer}"})
            assert answer.status_code == 401
    sockets = machine.url.replace("http", "ws")
    for path in (f"{INSTANCES}/{bot['id']}/terminal", f"{INSTANCES}/{bot['id']}/desktop/log", "/telemetry"):
        with pytest.raises((InvalidStatus, ConnectionClosed)):
            async with connect(
                sockets + path,
                origin="null",
                additional_headers=cookies,
                proxy=None,  # type: ignore[arg-type]
            ) as socket:
                await asyncio.wait_for(socket.recv(), 15)

    # its own it may ask, and its own socket it may open
    answer = await hostile.get(ticketed + "health")
    assert (answer.json(), answer.headers["access-control-allow-origin"]) == ({"status": "ok"}, "*")
    own = ticketed.replace("/control/", "/desktop/") + "log"
    async with connect(sockets + own, origin="null", proxy=None) as socket:  # type: ignore[arg-type]
        assert "Starting instance bot-hostile" in str(await socket.recv())
        assert (await client.delete(f"{INSTANCES}/{bot['id']}")).status_code == 204
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.recv()
    assert ticket not in "".join(log.read_text() for log in machine.suite.logs.glob("*.log"))


async def test_a_terminal_of_an_instance_through_the_gateway(machine: Stack) -> None:
    bot = await open_instance(machine, "Bot Terminal")
    cookies = {"cookie": f"shoal_session={machine.admin.client.cookies['shoal_session']}"}
    url = machine.url.replace("http", "ws") + f"{INSTANCES}/{bot['id']}/terminal?cols=100&rows=30"
    async with connect(url, origin=machine.url, additional_headers=cookies, proxy=None) as socket:  # type: ignore[arg-type]
        assert json.loads(await socket.recv())["type"] == "session"
        await socket.send(b"stty size; echo a''b\n")
        shown = b""
        async with asyncio.timeout(15):
            while not re.search(rb"30 100\s+ab", shown):
                part = await socket.recv()
                shown += part if isinstance(part, bytes) else b""
    listed = (await machine.admin.client.get(f"{INSTANCES}/{bot['id']}/terminal/sessions")).json()["sessions"]
    assert [one["instance_id"] for one in listed] == [bot["id"]]
    (await machine.admin.client.delete(f"{INSTANCES}/{bot['id']}")).raise_for_status()


async def test_a_ticket_is_spent_within_five_seconds_of_signing_out(machine: Stack) -> None:
    bot = await open_instance(machine, "Bot Ticket")
    client = machine.client()
    signing_in = {"username": "admin", "password": PASSWORD}
    (await client.post("/api/v1/auth/login", json=signing_in)).raise_for_status()
    location = (await client.get(bot["control_url"])).headers["location"]
    nobody = machine.client()
    assert (await nobody.get(location)).status_code == 200
    sockets = machine.url.replace("http", "ws")
    own = location.replace("/control/", "/desktop/") + "log"
    async with connect(sockets + own, origin="null", proxy=None) as socket:  # type: ignore[arg-type]
        await socket.recv()
        (await client.post("/api/v1/auth/logout")).raise_for_status()
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await socket.recv()
    assert socket.close_code == 4401
    await eventually(lambda: has_status(nobody, location, 401))
    (await machine.admin.client.delete(f"{INSTANCES}/{bot['id']}")).raise_for_status()
