"""What agents send: taken, stored once, acknowledged after that; or refused with a word."""

import asyncio
from datetime import UTC, datetime

from shoal.testing.suite import eventually, user
from shoal_events import SampleError, SampleMetrics, SampleSkill


async def test_metrics_are_stored_as_the_contract_has_them_before_the_pong(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    before = datetime.now(UTC)
    await wire.say(agent.metrics())
    assert (await wire.ping())["timestamp"].endswith("Z")
    [(account_id, agent_id, epoch, sample)] = await world.samples()
    assert (account_id, agent_id, sample.seq) == ("acct_1", "agent_1", 1)
    assert sample.metrics == SampleMetrics(
        messages_1h=142, messages_24h=2847, active_sessions=3, avg_response_ms=850,
        memory_mb=256, cpu_percent=12, uptime_s=86400,
    )  # fmt: skip
    assert before <= sample.received_at <= datetime.now(UTC)
    assert epoch.startswith("life_")


async def test_every_type_of_frame_is_stored(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    at = {"agent_id": "agent_1", "timestamp": "2999-01-01T00:00:00Z"} | {"timestamp": datetime.now(UTC).isoformat()}
    skills = {
        "image-generation": {"calls_1h": 45, "revenue_1h": "0.90", "avg_latency_ms": 2100},
        "aliases": {"calls": 45, "revenue": 0.9},
    }
    more = {
        "messages_total": 9,
        "errors_total": 1,
        "revenue_total": 12,
        "tokens_total": 51_200,
        "errors_1h": 1,
        "revenue_1h": 1e-7,
        "response_ms": [1, 2.5],
    }
    await wire.say(
        {"type": "skills", "data": skills, **at},
        {"type": "status", "status": "online", **at},
        {
            "type": "error",
            "data": {"error_type": "skill_failure", "skill": "image-generation", "message": "Model timeout"},
            **at,
        },
        {"type": "metrics", "data": more, **at},
    )
    await wire.ping()
    told = [sample for *_, sample in await world.samples()]
    assert [sample.seq for sample in told] == [1, 2, 3, 4]
    assert told[0].skills == {
        "image-generation": SampleSkill(calls_1h=45, revenue_1h="0.90", avg_latency_ms=2100),
        "aliases": SampleSkill(calls_1h=45, revenue_1h="0.9"),
    }
    assert told[1].status == "online"
    assert told[2].error == SampleError(error_type="skill_failure", skill="image-generation", message="Model timeout")
    assert told[3].metrics == SampleMetrics(
        messages_total=9, errors_total=1, revenue_total="12", tokens_total=51_200,
        errors_1h=1, revenue_1h="0.0000001", response_ms=(1, 2.5),
    )  # fmt: skip


async def test_error_messages_are_cut_and_unknown_fields_fall_away(world) -> None:
    agent = await world.pair()
    wire, viewer = await world.agent(agent), await world.viewer()
    secret = {"error_type": "x", "message": "m" * 5000, "prompt": "what somebody wrote"}
    await wire.say(
        {
            "type": "error",
            "agent_id": "agent_1",
            "timestamp": datetime.now(UTC).isoformat(),
            "data": secret,
            "note": "n",
        }
    )
    await wire.ping()
    shown = await viewer.hear("error")
    assert shown["data"] == {"error_type": "x", "message": "m" * 1023 + "…"}
    assert "note" not in shown
    [batch] = await world.batches()
    assert b"what somebody wrote" not in batch.to_json()


async def test_numbered_frames_keep_their_epoch_and_are_acknowledged_once_stored(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent, epoch="boot_1")
    await wire.say(*(agent.metrics(seq=number) for number in range(1, 6)))
    acknowledged = 0
    while acknowledged < 5:
        newest = (await wire.hear("ack"))["seq"]
        assert newest > acknowledged
        acknowledged = newest
        stored = [(epoch, sample.seq) for _, _, epoch, sample in await world.samples()]
        assert stored[:acknowledged] == [("boot_1", number) for number in range(1, acknowledged + 1)]
    again = await world.agent(agent, epoch="boot_1")
    await again.say(agent.metrics(seq=5), agent.metrics(seq=6), agent.metrics())
    assert (await again.hear("ack"))["seq"] in {5, 6}
    await again.ping()
    assert [sample.seq for _, _, epoch, sample in await world.samples() if epoch == "boot_1"] == [1, 2, 3, 4, 5, 5, 6]


async def test_batch_takes_and_refuses_each_item_on_its_own(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    items = [
        agent.metrics(seq=1),
        {"type": "nonsense", "seq": 2},
        agent.metrics(seq=3, timestamp="yesterday"),
        7,
        agent.metrics(seq=4),
    ]
    await wire.say({"type": "batch", "items": items})
    refused = [await wire.hear("protocol_error") for _ in range(3)]
    assert [(frame["code"], frame["ref"]) for frame in refused] == [
        ("unknown_type", {"seq": 2, "index": 1}),
        ("invalid_frame", {"seq": 3, "index": 2}),
        ("invalid_frame", {"index": 3}),
    ]
    while (await wire.hear("ack"))["seq"] < 4:
        pass
    assert [sample.seq for *_, sample in await world.samples()] == [1, 4]


async def test_refused_frames_are_acknowledged_in_their_turn(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    await wire.say({"type": "metrics", "seq": 1})
    assert (await wire.hear())["ref"] == {"seq": 1}
    assert await wire.hear() == {"type": "ack", "seq": 1}


async def test_agent_that_names_another_is_closed(world) -> None:
    agent, other = await world.pair("agent_1"), await world.pair("agent_2")
    wire = await world.agent(agent)
    await wire.say(other.metrics(seq=3))
    refused = await wire.hear()
    assert (refused["code"], refused["ref"]) == ("agent_not_yours", {"seq": 3})
    assert await wire.closed() == 4403
    assert await world.samples() == []


async def test_user_speaks_for_agents_of_the_account_and_of_no_other(world) -> None:
    mine, foreign = await world.pair("agent_1"), await world.pair("agent_9", account_id="acct_2")
    await world.known(mine, foreign)
    wire = await world.viewer()
    await wire.say(mine.metrics())
    await wire.ping()
    fresh = await world.pair("agent_2")  # paired a moment ago
    await wire.say(fresh.metrics())
    await wire.ping()
    await wire.say({"type": "batch", "items": [foreign.metrics(seq=1)]})
    assert (await wire.hear("protocol_error"))["ref"] == {"seq": 1, "index": 0}
    assert await wire.closed() == 4403
    assert sorted(agent_id for _, agent_id, _, _ in await world.samples()) == ["agent_1", "agent_2"]


async def test_sender_that_is_too_fast_is_told_once_and_slowed_down(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await wire.say(*(agent.metrics() for _ in range(250)), {"type": "ping"})
    heard = [await wire.hear() for _ in range(2)]
    assert [(frame["type"], frame.get("code")) for frame in heard] == [
        ("protocol_error", "rate_limited"),
        ("pong", None),
    ]
    assert 1.3 < loop.time() - began < 4
    assert len(await world.samples()) == 250


async def test_batch_counts_its_items_against_the_rate(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await wire.say({"type": "batch", "items": [agent.metrics() for _ in range(250)]}, {"type": "ping"})
    await wire.hear("pong")
    assert 1.3 < loop.time() - began < 4


async def test_example_client_of_the_contract_works(world) -> None:
    """The JavaScript of the contract, line by line: auth on open, then whatever comes, and pings."""
    agent = await world.pair()
    await world.known(agent)
    ws = await world.connect(user())
    assert (await ws.hear())["type"] == "auth_success"  # the handshake's bearer was known
    await ws.say('{ "type": "auth", "token": "' + agent.token + '" }')
    assert (await ws.hear())["agents"] == ["agent_1"]
    wire = await world.agent(agent)
    at = datetime.now(UTC).isoformat()
    await wire.say(agent.metrics(), {"type": "status", "agent_id": "agent_1", "status": "busy", "timestamp": at})
    await wire.say(
        {
            "type": "error",
            "agent_id": "agent_1",
            "timestamp": at,
            "data": {"error_type": "skill_failure", "message": "m"},
        }
    )
    assert (await ws.hear())["data"]["messages_1h"] == 142
    assert (await ws.hear())["status"] == "busy"
    assert (await ws.hear())["data"]["error_type"] == "skill_failure"
    assert (await ws.ping())["timestamp"]


async def test_counters_tell_what_was_stored_and_refused(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    await wire.say(agent.metrics(), {"type": "nonsense"})
    await wire.ping()
    client = world.ingest.client()

    async def counted() -> bool:
        text = (await client.get("/metrics")).text
        wanted = ('frames_total{outcome="stored",type="metrics"} 1.0', 'frames_total{outcome="refused",type="any"} 1.0')
        return all(f"shoal_telemetry_{line}" in text for line in (*wanted, 'sockets{kind="agent"} 1.0'))

    await eventually(counted)
