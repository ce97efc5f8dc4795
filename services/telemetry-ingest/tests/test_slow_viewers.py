"""A viewer that does not keep up sees the newest of everything, and costs nobody anything."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from shoal.testing.suite import user
from telemetry_ingest.domain.closings import IDLE
from telemetry_ingest.domain.frames import Ack
from telemetry_ingest.instruments import Instruments
from telemetry_ingest.usecases.outgoing import MAX_IN_ORDER, MAX_URGENT, Outgoing, text_message

ROUNDS = 450


async def test_stalled_viewer_sees_the_newest_and_slows_nobody(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_MESSAGES_PER_SECOND="100000")
    agent = await around.pair()
    stalled = await around.connect(user(), max_queue=1)
    stalled.connection.transport.pause_reading()
    brisk, wire = await around.viewer(), await around.agent(agent)
    skills = {f"skill-{number:03d}-{'x' * 60}": {"calls_1h": number} for number in range(400)}
    frame = {"type": "skills", "agent_id": "agent_1", "timestamp": datetime.now(UTC).isoformat()}
    for number in range(ROUNDS):
        await wire.say(frame | {"data": skills | {"n": {"calls_1h": number}}})
        assert (await brisk.hear("skills", 2))["data"]["n"]["calls_1h"] == number
    stalled.connection.transport.resume_reading()
    seen: list[int] = []
    while not seen or seen[-1] != ROUNDS - 1:
        seen.append((await stalled.hear("skills"))["data"]["n"]["calls_1h"])
    assert seen == sorted(seen)
    assert len(seen) < ROUNDS


class Pipe:
    """A client that reads when it is told to."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.open = asyncio.Event()

    async def send(self, message: Any) -> None:
        await self.open.wait()
        self.got.append(message.get("text") or message)


async def test_slow_viewer_gets_newest_gauges_and_last_urgent_frames_then_the_close() -> None:
    pipe = Pipe()
    outgoing = Outgoing(pipe.send, Instruments(CollectorRegistry()))
    task = asyncio.create_task(outgoing.run())
    for number in range(MAX_IN_ORDER):
        outgoing.show("agent_1", "metrics", text_message(b"in order %d" % number))
    for number in range(MAX_URGENT + 10):
        outgoing.show("agent_1", "metrics", text_message(b"metrics %d" % number))
        outgoing.show("agent_1", "error", text_message(b"error %d" % number))
    outgoing.show("agent_2", "metrics", text_message(b"other"))
    outgoing.answer(Ack(7))
    pipe.open.set()
    while not pipe.got or pipe.got[-1] != "other":
        await asyncio.sleep(0)
    assert pipe.got[:2] == ['{"type":"ack","seq":7}', "in order 0"]
    assert pipe.got[MAX_IN_ORDER:][1:3] == ["error 10", "error 11"]
    assert pipe.got[-2:] == [f"metrics {MAX_URGENT + 9}", "other"]
    assert len(pipe.got) == 1 + MAX_IN_ORDER + MAX_URGENT + 2
    outgoing.show("agent_1", "error", text_message(b"too late"))
    outgoing.end(IDLE)
    await task
    assert pipe.got[-1] == {"type": "websocket.close", "code": 1001, "reason": IDLE.reason}
