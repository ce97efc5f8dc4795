"""What is shown of connections: all of them, and what happened to one."""

from ssh_door import Place, refused

from shoal.testing.suite import eventually

DASH = "\N{EN DASH}"
LABELS = ["< 1h", f"1{DASH}6h", f"6{DASH}24h", f"1{DASH}7d", "> 7d"]


async def test_the_overview_counts_every_connection_once(place: Place) -> None:
    away = Place(place.door, place.sshd, number=2, name="bot-beta")
    await away.appear()
    await away.until_state("connected")
    await away.stop()
    await away.until_state("disconnected")
    lost = Place(place.door, place.sshd, number=3, name="bot-gamma")
    await lost.appear()
    await lost.run(ssh_port=1)
    await lost.until_state("reconnecting")
    body = (await place.door.admin.get("/api/v1/ssh-status")).json()
    assert [one["instance_id"] for one in body["instances"]] == [1, 2, 3]
    assert [one["instance_status"] for one in body["instances"]] == ["running", "stopped", "running"]
    assert [one["health"] is None for one in body["instances"]][:2] == [False, True]
    counts = {name: body[name] for name in ("connected", "reconnecting", "failed", "disconnected")}
    assert counts == {"connected": 1, "reconnecting": 1, "failed": 0, "disconnected": 1}
    assert body["total_count"] == sum(counts.values()) == 3
    measured = (await place.door.nobody.get("/metrics")).text
    assert 'shoal_ssh_connections{state="connected"} 1.0' in measured
    assert 'shoal_ssh_connections{state="reconnecting"} 1.0' in measured
    metrics = (await place.door.admin.get("/api/v1/ssh-metrics")).json()
    assert [bucket["label"] for bucket in metrics["uptime_buckets"]] == LABELS
    assert [bucket["count"] for bucket in metrics["uptime_buckets"]] == [1, 0, 0, 0, 0]


async def test_others_see_what_is_assigned_to_them_only(place: Place) -> None:
    other = Place(place.door, place.sshd, number=2, name="bot-beta")
    await other.appear()
    await other.until_state("connected")
    assert (await place.door.alice.get("/api/v1/ssh-status")).json()["total_count"] == 0
    refused(await place.door.alice.get(f"{place.url}/ssh-status"), 403, "forbidden", "Access denied")
    await place.door.assign("user_alice", 2)

    async def is_assigned() -> bool:
        return (await place.door.alice.get(f"{other.url}/ssh-status")).status_code == 200

    await eventually(is_assigned)
    body = (await place.door.alice.get("/api/v1/ssh-status")).json()
    assert [one["instance_id"] for one in body["instances"]] == [2]
    assert (await place.door.stranger.get("/api/v1/ssh-status")).json()["instances"] == []
    assert len((await place.door.stranger.get("/api/v1/ssh-metrics")).json()["uptime_buckets"]) == 5


async def test_events_are_listed_newest_first_and_a_hundred_at_most(place: Place) -> None:
    await place.until_event("connection")
    await place.door.sql(
        """
        insert into link_event (instance_id, instance_name, type, details, at)
        select 1, 'bot-alpha', 'health_check', 'number ' || n, now() + n * interval '1 second'
          from generate_series(1, 150) as n
        """
    )

    async def listed(**query: object) -> list[str]:
        answer = await place.door.admin.get(f"{place.url}/ssh-events", params=query)
        return [event["details"] for event in answer.json()["events"]]

    assert (await listed())[:2] == ["number 150", "number 149"]
    assert [len(await listed(**query)) for query in ({}, {"limit": 7}, {"limit": 1000}, {"limit": "x"})] == [
        *(50, 7, 100, 50)
    ]
