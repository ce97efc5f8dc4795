"""What breaks around the door: nothing that was acknowledged is lost, and nobody is told what is not so."""

import asyncio
import os
import signal
import sys

import pytest
from websockets.exceptions import WebSocketException

from shoal.testing.suite import eventually, free_port
from shoal_events import AgentOffline

pytestmark = pytest.mark.fault


async def test_no_pong_while_nats_is_away_and_all_is_stored_soon_after_it_is_back(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent, epoch="boot")
    await wire.say(agent.metrics(seq=1))
    await wire.ping()
    await world.nats.stop()
    await wire.say(*(agent.metrics(seq=number) for number in range(2, 60)), {"type": "ping"})
    with pytest.raises(TimeoutError):
        await wire.hear("pong", 1.5)
    await world.nats.start()
    began = asyncio.get_running_loop().time()
    await wire.hear("pong", 10)
    assert asyncio.get_running_loop().time() - began < 5
    assert {sample.seq for *_, sample in await world.samples()} == set(range(1, 60))


async def test_frozen_nats_delays_the_pong_and_loses_and_doubles_nothing(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent, epoch="boot")
    os.kill(world.nats.pid, signal.SIGSTOP)
    try:
        await wire.say(*(agent.metrics(seq=number) for number in range(1, 80)), {"type": "ping"})
        with pytest.raises(TimeoutError):
            await wire.hear("pong", 4)  # longer than one publish waits: it is sent again, under the same id
    finally:
        os.kill(world.nats.pid, signal.SIGCONT)
    await wire.hear("pong", 5)
    assert sorted(sample.seq for *_, sample in await world.samples()) == list(range(1, 80))


async def test_full_stream_pauses_reading_in_bounded_memory_and_goes_on_when_there_is_room(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_MESSAGES_PER_SECOND="1000000")
    agent = await around.pair()
    jetstream = (await around.suite.bus()).jetstream()
    stream = (await jetstream.stream_info("TELEMETRY")).config
    await jetstream.update_stream(stream.evolve(max_bytes=1024 * 1024))
    wire = await around.agent(agent, epoch="boot")
    skills = {f"skill-{number}-{'x' * 100}": {"calls_1h": number} for number in range(400)}
    frame = agent.metrics(type="skills", data=skills)
    total, heard = 600, set()

    async def send() -> None:
        for number in range(1, total + 1):
            await wire.say(frame | {"seq": number})

    async def listen() -> None:
        while total not in heard:
            heard.add((await wire.hear("ack", 30))["seq"])

    sending, listening = asyncio.create_task(send()), asyncio.create_task(listen())
    paused = 'shoal_telemetry_paused_readers{reason="room"} 1.0'
    client = around.ingest.client()

    async def is_paused() -> bool:
        return paused in (await client.get("/metrics")).text

    await eventually(is_paused, within_s=10)
    stored = {sample.seq for *_, sample in await around.samples()}
    assert heard <= stored
    assert not sending.done()
    assert around.ingest.running.resources.health.readiness().ready
    await jetstream.update_stream(stream.evolve(max_bytes=256 * 1024 * 1024))
    await asyncio.wait_for(asyncio.gather(sending, listening), 20)
    assert {sample.seq for *_, sample in await around.samples()} == set(range(1, total + 1))


async def test_what_the_stream_will_never_take_closes_the_sockets_it_came_from(world) -> None:
    agent, other = await world.pair("agent_1"), await world.pair("agent_2")
    bystander = await world.agent(other)
    jetstream = (await world.suite.bus()).jetstream()
    stream = (await jetstream.stream_info("TELEMETRY")).config
    await jetstream.update_stream(stream.evolve(max_msg_size=600))
    wire = await world.agent(agent)
    await wire.say(agent.metrics(data={"response_ms": [1.5] * 500}), {"type": "ping"})
    assert await wire.closed() == 1013
    await bystander.ping()


async def test_drain_stores_what_was_read_says_so_and_closes_with_1001(world) -> None:
    agent, viewer = await world.pair(), await world.viewer()
    wire = await world.agent(agent, epoch="boot")
    await wire.say(*(agent.metrics(seq=number) for number in range(1, 30)))
    await wire.hear("ack")
    stopping = asyncio.create_task(world.suite.stop(world.ingest))
    acknowledged = 0
    while acknowledged < 29:
        acknowledged = (await wire.hear("ack"))["seq"]
    assert (await wire.closed(), await viewer.closed()) == (1001, 1001)
    await stopping
    assert {sample.seq for *_, sample in await world.samples()} == set(range(1, 30))


async def test_silent_socket_closes_and_one_that_pings_stays(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_IDLE_TIMEOUT="1s")
    silent, lively = await around.agent(await around.pair("agent_1")), await around.agent(await around.pair("agent_2"))
    for _ in range(8):
        await asyncio.sleep(0.25)
        await lively.ping()
    assert await silent.closed() == 1001
    [offline] = await around.suite.events(AgentOffline)
    assert (offline.agent_id, offline.reason) == ("agent_1", "lost")
    await lively.ping()


async def test_kill_loses_nothing_before_the_last_pong_and_resending_doubles_nothing(around) -> None:
    agent = await around.pair()
    port, stored, number = free_port(), 0, 0
    environment = around.suite.environment() | {"TELEMETRY_INGEST_PORT": str(port), "PATH": os.environ["PATH"]}

    class Place:
        url = f"http://127.0.0.1:{port}"

        @staticmethod
        def token(principal) -> str:
            return around.suite.gateway.issue(principal, audience="telemetry-ingest")

    for _ in range(3):
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "telemetry_ingest", env=environment)
        try:
            wire = await _signed_in(around, agent, Place)
            for _ in range(5):
                await wire.say(*(agent.metrics(seq=number + offset) for offset in range(1, 11)))
                number += 10
                await wire.ping()
                stored = number
            await wire.say(*(agent.metrics(seq=number + offset) for offset in range(1, 11)))
        finally:
            process.kill()
            await process.wait()
        number = stored  # an agent sends again what no pong followed
    seen = [sample.seq for *_, sample in await around.samples()]
    assert set(range(1, stored + 1)) <= set(seen)


async def _signed_in(around, agent, place):
    """Connect an agent to a process that is starting."""
    wires = []

    async def is_in() -> bool:
        try:
            wires[:] = [await around.connect(at=place)]
            return (await wires[0].sign_in(agent.token, epoch="boot"))["type"] == "auth_success"
        except (OSError, WebSocketException):
            return False

    await eventually(is_in, within_s=15)
    return wires[0]
