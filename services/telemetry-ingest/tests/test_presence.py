"""Who is connected: told in time, whoever dies, and about one connection only."""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from shoal.identity import Issuer, Principal, Via
from shoal.testing.suite import eventually, free_port, user
from shoal_events import AgentOffline, AgentOnline

SO_ATTACH_FILTER = 26


async def test_online_and_offline_are_told_once_with_the_same_epoch(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    [online] = await world.suite.events(AgentOnline)
    assert (online.agent_id, online.account_id, online.pairing_id) == ("agent_1", "acct_1", agent.pairing_id)
    await wire.connection.close()
    [offline] = await world.suite.events(AgentOffline)
    assert online.version < offline.version
    assert (offline.agent_id, offline.epoch, offline.reason) == ("agent_1", online.epoch, "closed")
    assert offline.at > online.at


async def test_connection_that_breaks_without_a_close_frame_is_lost(world) -> None:
    wire = await world.agent(await world.pair())
    await world.suite.events(AgentOnline)
    wire.connection.transport.abort()
    [offline] = await world.suite.events(AgentOffline)
    assert offline.reason == "lost"


async def test_agent_heard_over_a_users_socket_is_online_once_it_speaks(world) -> None:
    agent = await world.pair()
    await world.known(agent)
    wire = await world.viewer()
    await wire.say(agent.metrics(), agent.metrics())
    await wire.ping()
    [online] = await world.suite.events(AgentOnline)
    assert (online.agent_id, online.pairing_id) == ("agent_1", None)
    await wire.connection.close()
    assert [fact.epoch for fact in await world.suite.events(AgentOffline)] == [online.epoch]


async def test_takeover_ends_the_older_presence_and_not_the_newer(world) -> None:
    agent, other = await world.pair(), await world.start()
    for number, place in enumerate((world.ingest, world.ingest, other), start=1):
        await world.agent(agent, at=place)
        online = await world.suite.events(AgentOnline, count=number)
    offline = await world.suite.events(AgentOffline, count=2)
    assert [fact.epoch for fact in offline] == [fact.epoch for fact in online[:2]]
    await asyncio.sleep(0.2)
    assert len(await world.suite.events(AgentOffline)) == 2


async def test_export_tells_presences_as_facts_page_by_page(world) -> None:
    here, gone = await world.pair("agent_here"), await world.pair("agent_gone")
    await world.agent(here)
    await (await world.agent(gone)).connection.close()
    await world.suite.events(AgentOffline)
    asks = world.ingest.client(Principal(via=Via.SERVICE, service="pairing"))
    token = Issuer("pairing", world.suite.installation.services["pairing"].private_key).issue_own(
        audience="telemetry-ingest"
    )
    asks.headers["x-shoal-identity"] = token
    told, after = [], ""
    while after is not None:
        page = (await asks.get("/internal/export", params={"after": after, "limit": 1})).json()
        told += page["items"]
        after = page["next"]
    assert [(item["type"], item["fact"]["agent_id"]) for item in told] == [
        ("agent.offline.v1", "agent_gone"),
        ("agent.online.v1", "agent_here"),
    ]
    assert told[0]["fact"]["reason"] == "closed"
    assert (await world.ingest.client(user()).get("/internal/export")).status_code == 401


async def test_presence_waits_for_the_database_and_is_told_after(world) -> None:
    agent, brief = await world.pair("agent_1"), await world.pair("agent_2")
    await world.known(agent, brief)
    await world.rows("alter table telemetry_ingest.presence rename to away")
    try:
        await world.agent(agent)
        await (await world.agent(brief)).connection.close()
        await asyncio.sleep(0.3)
    finally:
        await world.rows("alter table telemetry_ingest.away rename to presence")
    online = await world.suite.events(AgentOnline, count=2)
    assert {fact.agent_id for fact in online} == {"agent_1", "agent_2"}
    [offline] = await world.suite.events(AgentOffline)
    assert offline.agent_id == "agent_2"


@pytest.mark.fault
async def test_peers_tell_of_the_agents_of_a_process_that_was_killed(around) -> None:
    around.ingest = await around.start()
    agent = await around.pair()
    await around.known(agent)
    port = free_port()
    environment = around.suite.environment() | {"TELEMETRY_INGEST_PORT": str(port), "PATH": os.environ["PATH"]}
    doomed = await asyncio.create_subprocess_exec(sys.executable, "-m", "telemetry_ingest", env=environment)
    try:
        wire = await _connected(around, agent, port)
        [online] = await around.suite.events(AgentOnline, within_s=5)
        await asyncio.sleep(0.5)
        doomed.send_signal(signal.SIGKILL)
        began = asyncio.get_running_loop().time()
        [offline] = await around.suite.events(AgentOffline, within_s=12)
        assert (offline.epoch, offline.reason) == (online.epoch, "process_lost")
        assert asyncio.get_running_loop().time() - began < 10
        assert await wire.closed() in {0, 1006}
    finally:
        with contextlib.suppress(ProcessLookupError):
            doomed.kill()
        await doomed.wait()


@pytest.mark.fault
async def test_process_that_was_paused_announces_its_agents_again(around) -> None:
    settings = {"TELEMETRY_INGEST_BEAT": "200ms", "TELEMETRY_INGEST_SILENT_FOR": "600ms"}
    around.ingest = await around.start(**settings)
    agent = await around.pair()
    await around.known(agent)
    port = free_port()
    environment = around.suite.environment() | settings
    environment |= {"TELEMETRY_INGEST_PORT": str(port), "PATH": os.environ["PATH"]}
    paused = await asyncio.create_subprocess_exec(sys.executable, "-m", "telemetry_ingest", env=environment)
    try:
        wire = await _connected(around, agent, port)
        await around.suite.events(AgentOnline, within_s=5)
        await asyncio.sleep(0.5)
        paused.send_signal(signal.SIGSTOP)
        [offline] = await around.suite.events(AgentOffline, within_s=10)
        assert offline.reason == "process_lost"
        paused.send_signal(signal.SIGCONT)
        first, second = await around.suite.events(AgentOnline, count=2, within_s=10)
        assert first.epoch == offline.epoch != second.epoch
        await wire.ping()
    finally:
        paused.kill()
        await paused.wait()


@pytest.mark.fault
async def test_half_open_connection_is_noticed(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_HALF_OPEN_AFTER="2s")
    agent = await around.pair()
    wire = await around.agent(agent)
    await around.suite.events(AgentOnline)
    _turn_deaf(wire.connection.transport.get_extra_info("socket"))
    [offline] = await around.suite.events(AgentOffline, within_s=8)
    assert offline.reason == "lost"
    wire.connection.transport.abort()


async def _connected(around, agent, port: int):
    """Connect an agent to a process that is starting."""

    async def is_ready() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
        except OSError:
            return False
        return True

    await eventually(is_ready, within_s=10)

    class Place:
        url = f"http://127.0.0.1:{port}"
        token = around.ingest.token

    wires = []

    async def signed_in() -> bool:
        wires[:] = [await around.connect(at=Place)]
        await wires[0].say({"type": "auth", "token": agent.token})
        try:
            return (await wires[0].hear())["type"] == "auth_success"
        except ConnectionClosed:
            return False

    await eventually(signed_in, within_s=10)
    return wires[0]


def _turn_deaf(connection: Any) -> None:
    """Let a socket drop whatever arrives, so that its kernel acknowledges nothing: a packet filter of `return 0`."""
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    program = struct.pack("HL", 1, ctypes.addressof(drop_all))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
