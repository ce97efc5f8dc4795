"""What viewers see: every frame of their agents, as it comes, wherever the agent is connected."""

from datetime import UTC, datetime

import msgspec
import pytest

from shoal.testing.suite import eventually, user
from shoal_events import PairingDeleted

pytestmark = pytest.mark.asyncio(loop_scope="module")


def status(agent, text: str) -> dict:
    return {"type": "status", "agent_id": agent.agent_id, "status": text, "timestamp": datetime.now(UTC).isoformat()}


def viewer_of(agent, number: int = 1):
    return user(agent.account_id, f"user_{agent.account_id}_{number}")


async def test_viewer_sees_every_frame_of_the_account_and_none_of_another(shared) -> None:
    agent, foreign = await shared.fresh_agent(), await shared.fresh_agent()
    viewer = await shared.viewer(viewer_of(agent))
    wire, other = await shared.agent(agent), await shared.agent(foreign)
    await other.say(foreign.metrics())
    await other.ping()
    for number in range(50):
        await wire.say(status(agent, f"s{number}"))
    assert [(await viewer.hear())["status"] for _ in range(50)] == [f"s{number}" for number in range(50)]


async def test_frames_reach_viewers_of_every_replica_and_core_nats(shared) -> None:
    agent, heard = await shared.fresh_agent(), []
    other = await shared.start()
    viewers = [await shared.viewer(viewer_of(agent), at=place) for place in (shared.ingest, other)]
    bus = await shared.suite.bus()

    async def note(message) -> None:
        heard.append((message.subject, msgspec.json.decode(message.data)))

    await bus.subscribe(f"shoal.live.{agent.account_id}.>", cb=note)
    await bus.flush()
    wire = await shared.agent(agent)
    frame = agent.metrics()
    await wire.say(frame)
    shown = [await viewer.hear() for viewer in viewers]
    assert shown[0]["data"] == shown[1]["data"] == frame["data"]
    assert set(shown[0]) == {"type", "agent_id", "timestamp", "data"}
    await eventually(lambda: heard)
    assert heard == [(f"shoal.live.{agent.account_id}.{agent.agent_id}.metrics", shown[0])]
    await shared.suite.stop(other)


async def test_unsubscribe_narrows_and_subscribe_widens(shared) -> None:
    one = await shared.fresh_agent()
    two = await shared.pair("agent_two", account_id=one.account_id)
    await shared.known(one, two)
    viewer, wire, other = await shared.viewer(viewer_of(one)), await shared.agent(one), await shared.agent(two)
    await viewer.say({"type": "unsubscribe", "agent_id": one.agent_id})
    await viewer.ping()
    await wire.say(status(one, "unseen"))
    await wire.ping()
    await other.say(status(two, "seen"))
    assert (await viewer.hear())["status"] == "seen"
    await viewer.say({"type": "subscribe", "agent_id": one.agent_id})
    await viewer.ping()
    await wire.say(status(one, "seen again"))
    assert (await viewer.hear())["status"] == "seen again"


async def test_subscription_to_somebody_elses_agent_is_refused(shared) -> None:
    mine, foreign = await shared.fresh_agent(), await shared.fresh_agent()
    viewer = await shared.viewer(viewer_of(mine))
    for kind in ("subscribe", "unsubscribe"):
        await viewer.say({"type": kind, "agent_id": foreign.agent_id})
        refused = await viewer.hear()
        assert (refused["type"], refused["code"]) == ("protocol_error", "agent_not_found")
    await viewer.ping()


async def test_agent_sees_its_own_frames_once_it_subscribes(shared) -> None:
    agent = await shared.fresh_agent()
    other = await shared.pair("agent_next_door", account_id=agent.account_id)
    wire, next_door = await shared.agent(agent), await shared.agent(other)
    await wire.say({"type": "subscribe", "agent_id": agent.agent_id})
    await wire.ping()
    await next_door.say(status(other, "private"))
    await next_door.ping()
    await wire.say(status(agent, "me"))
    assert (await wire.hear())["status"] == "me"


async def test_agent_paired_later_is_seen_and_may_be_named(shared) -> None:
    first = await shared.fresh_agent()
    viewer = await shared.viewer(viewer_of(first))
    later = await shared.pair("agent_later", account_id=first.account_id)
    await shared.known(later)
    wire = await shared.agent(later)
    await wire.say(status(later, "here"))
    assert (await viewer.hear())["status"] == "here"

    async def may_subscribe() -> bool:
        await viewer.say({"type": "subscribe", "agent_id": later.agent_id}, {"type": "ping"})
        return (await viewer.hear())["type"] == "pong"

    await eventually(may_subscribe)


async def test_agent_of_an_ended_pairing_is_no_longer_ones_own(shared) -> None:
    agent = await shared.fresh_agent()
    await shared.known(agent)
    viewer = await shared.viewer(viewer_of(agent))
    ended = PairingDeleted(
        pairing_id=agent.pairing_id, account_id=agent.account_id, agent_id=agent.agent_id, reason="deleted", version=9
    )
    await shared.suite.publish(ended, event_id="11111111-1111-4111-8111-111111111111")

    async def is_refused() -> bool:
        await viewer.say({"type": "subscribe", "agent_id": agent.agent_id}, {"type": "ping"})
        return (await viewer.hear())["type"] == "protocol_error"

    await eventually(is_refused)
