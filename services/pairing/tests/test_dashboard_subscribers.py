"""What pairing does when something happens elsewhere."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msgspec import structs

from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import AccountDeleted, AgentOffline, AgentOnline, InstanceDeleted, PairingDeleted

ALICE = user("acct_1", "user_alice")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


async def confirmed(pairing: ServiceUnderTest, agent_id: str = "agent_1") -> str:
    token = (await pairing.client(ALICE).post("/pairing/init", json={})).json()["token"]
    answer = await pairing.client().post("/pairing/confirm", json={"token": token, "agent_id": agent_id})
    return answer.json()["pairing_id"]


async def statuses(pairing: ServiceUnderTest) -> dict[str, str]:
    listed = (await pairing.client(ALICE).get("/pairing")).json()["pairings"]
    return {item["id"]: item["status"] for item in listed}


def online(pairing_id: str | None, epoch: str, agent_id: str = "agent_1") -> AgentOnline:
    return AgentOnline(agent_id=agent_id, account_id="acct_1", pairing_id=pairing_id, epoch=epoch, at=NOW)


def offline(pairing_id: str | None, epoch: str, at: datetime = NOW) -> AgentOffline:
    return AgentOffline(
        agent_id="agent_1", account_id="acct_1", pairing_id=pairing_id, epoch=epoch, at=at, reason="closed"
    )


async def until_status(pairing: ServiceUnderTest, pairing_id: str, status: str) -> None:
    async def holds() -> bool:
        return (await statuses(pairing))[pairing_id] == status

    await eventually(holds)


async def test_presence_makes_connected_and_disconnected(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = await confirmed(pairing)
    await suite.publish(online(pairing_id, "e1"), event_id=str(uuid4()))
    await until_status(pairing, pairing_id, "connected")
    seen = NOW + timedelta(days=365)
    await suite.publish(offline(pairing_id, "e1", at=seen), event_id=str(uuid4()))
    await until_status(pairing, pairing_id, "disconnected")
    shown = (await pairing.client(ALICE).get(f"/pairing/{pairing_id}")).json()
    assert datetime.fromisoformat(shown["last_seen"]) == seen


async def test_an_end_applies_to_its_own_connection_only(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = await confirmed(pairing)
    for epoch in ("e1", "e2"):
        await suite.publish(online(pairing_id, epoch), event_id=str(uuid4()))
    await suite.publish(offline(pairing_id, "e1"), event_id=str(uuid4()))
    await until_status(pairing, pairing_id, "connected")
    await suite.publish(offline(pairing_id, "e2"), event_id=str(uuid4()))
    await until_status(pairing, pairing_id, "disconnected")


async def test_a_late_online_does_not_bring_a_connection_back(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = await confirmed(pairing)
    other = await confirmed(pairing, "agent_2")
    await suite.publish(offline(pairing_id, "e1"), event_id=str(uuid4()))
    await suite.publish(online(pairing_id, "e1"), event_id=str(uuid4()))
    await suite.publish(online(other, "marker", "agent_2"), event_id=str(uuid4()))
    await until_status(pairing, other, "connected")
    assert (await statuses(pairing))[pairing_id] == "disconnected"


async def test_facts_of_a_connection_are_taken_by_their_version(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = await confirmed(pairing)
    other = await confirmed(pairing, "agent_2")
    for told in (
        structs.replace(online(pairing_id, "e1"), version=3),
        structs.replace(offline(pairing_id, "e1"), version=2),
        online(other, "marker", "agent_2"),
    ):
        await suite.publish(told, event_id=str(uuid4()))
    await until_status(pairing, other, "connected")
    assert (await statuses(pairing))[pairing_id] == "connected"
    await suite.publish(structs.replace(offline(pairing_id, "e1"), version=4), event_id=str(uuid4()))
    await until_status(pairing, pairing_id, "disconnected")


async def test_a_connection_under_another_pairing_of_the_agent_does_not_count(
    pairing: ServiceUnderTest, suite: Suite
) -> None:
    first, second = await confirmed(pairing), await confirmed(pairing)
    await suite.publish(online(second, "e1"), event_id=str(uuid4()))
    await until_status(pairing, second, "connected")
    assert (await statuses(pairing))[first] == "disconnected"


async def test_a_deleted_account_ends_its_pairings(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id = await confirmed(pairing)
    await suite.publish(AccountDeleted(account_id="acct_1", version=2), event_id=str(uuid4()))
    (event,) = await suite.events(PairingDeleted)
    assert (event.pairing_id, event.reason) == (pairing_id, "account_deleted")
    assert await statuses(pairing) == {}


async def test_a_deleted_instance_ends_the_pairing_of_its_agent(pairing: ServiceUnderTest, suite: Suite) -> None:
    pairing_id, other = await confirmed(pairing), await confirmed(pairing, "agent_2")
    gone = InstanceDeleted(instance_id="1", account_id="acct_1", name="bot-alpha", pairing_id=pairing_id, version=3)
    foreign = InstanceDeleted(instance_id="2", account_id="acct_2", name="bot-beta", pairing_id=other, version=3)
    await suite.publish(foreign, event_id=str(uuid4()))
    await suite.publish(gone, event_id=str(uuid4()))
    (event,) = await suite.events(PairingDeleted)
    assert event.pairing_id == pairing_id
    assert list(await statuses(pairing)) == [other]
