"""A credential that ended holds no socket for longer than five seconds, and opens none."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shoal.identity import Principal, Via
from shoal.ids import fingerprint
from shoal.testing.suite import user
from shoal_events import (
    AccountDeleted,
    ApiKeyRevoked,
    Event,
    LoginEnded,
    PairingConfirmed,
    PairingDeleted,
    PairingTokenReissued,
    UserDeleted,
)


async def test_deleted_pairing_cuts_its_agent_off_and_lets_it_in_no_more(world) -> None:
    agent = await world.pair()
    wires = [await world.agent(agent), await world.connect(_as_agent(await world.pair("agent_2")))]
    deleted = await world.pairing.client(user()).delete(f"/pairing/{agent.pairing_id}")
    assert deleted.status_code == 200
    assert await wires[0].closed() == 4409
    await wires[1].ping()
    again = await world.connect()
    assert (await again.sign_in(agent.token))["code"] == "invalid_token"
    assert await again.closed() == 4401
    vouched_for = await world.connect(_as_agent(agent))  # the gateway has not heard yet
    assert await vouched_for.closed() == 4401


async def test_reissued_token_cuts_the_old_ones_socket_and_not_the_new_ones(world) -> None:
    agent = await world.pair()
    old = await world.agent(agent)
    answer = await world.pairing.client(user()).post(f"/pairing/{agent.pairing_id}/telemetry-token")
    fresh = agent._replace(token=answer.json()["telemetry_token"])
    new = await world.connect()
    assert (await new.sign_in(fresh.token))["type"] == "auth_success"
    assert await old.closed() in {4409, 4410}
    row = "select token_hash = $2 from telemetry_ingest.pairing where id = $1"
    await world.until_rows(row, True, agent.pairing_id, fingerprint(fresh.token))
    await new.ping()
    assert (await (await world.connect()).sign_in(agent.token))["code"] == "invalid_token"


async def test_socket_that_the_gateway_signed_in_before_a_reissue_is_cut(world) -> None:
    agent = await world.pair()
    wire = await world.connect(_as_agent(agent))
    await wire.hear("auth_success")
    await world.pairing.client(user()).post(f"/pairing/{agent.pairing_id}/telemetry-token")
    assert await wire.closed() == 4409


LOGIN = {"login_id": "login_1", "account_id": "acct_1", "user_id": "user_1", "reason": "logout"}
REVOCATIONS: list[tuple[type[Event], dict[str, Any]]] = [
    (LoginEnded, LOGIN),
    (ApiKeyRevoked, {"key_id": "login_1", "account_id": "acct_1", "user_id": "user_1"}),
    (UserDeleted, {"user_id": "user_1", "account_id": "acct_1", "version": 7}),
    (AccountDeleted, {"account_id": "acct_1", "version": 7}),
]


@pytest.mark.parametrize(("kind", "fact"), REVOCATIONS)
async def test_users_sockets_end_with_what_opened_them(world, kind, fact) -> None:
    other = await world.start()
    theirs = [await world.viewer(at=place) for place in (world.ingest, other)]
    bystander = await world.viewer(_somebody("acct_2" if kind is AccountDeleted else "acct_1"))
    await world.suite.publish(kind(**fact), event_id=str(uuid4()))
    assert [await wire.closed() for wire in theirs] == [4401, 4401]
    await bystander.ping()
    late = await world.connect(user())  # vouched for by a gateway that has not heard yet
    assert (await late.hear())["code"] == "invalid_token"
    assert await late.closed() == 4401


async def test_deleted_account_ends_the_sockets_of_its_agents(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    await world.suite.publish(AccountDeleted(account_id="acct_1", version=2), event_id=str(uuid4()))
    assert await wire.closed() == 4409


async def test_late_confirmation_of_a_deleted_pairing_admits_nobody(world) -> None:
    token = "telem_late"
    confirmed = PairingConfirmed(
        pairing_id="pair_x", account_id="acct_1", user_id="user_1", agent_id="agent_x", version=2,
        telemetry_token_sha256=fingerprint(token).hex(), confirmed_at=datetime.now(UTC),
    )  # fmt: skip
    ended = PairingDeleted(pairing_id="pair_x", account_id="acct_1", agent_id="agent_x", reason="deleted", version=3)
    reissued = PairingTokenReissued(
        pairing_id="pair_x", account_id="acct_1", agent_id="agent_x", version=2,
        telemetry_token_sha256=fingerprint(token).hex(),
    )  # fmt: skip
    for event in (confirmed, ended, confirmed, reissued):
        await world.suite.publish(event, event_id=str(uuid4()))
    handled = "select count(*) from telemetry_ingest.inbox"
    await world.until_rows(handled, 4)
    assert [
        tuple(row) for row in await world.rows("select ended_at is null, version from telemetry_ingest.pairing")
    ] == [(False, 3)]
    wire = await world.connect()
    assert (await wire.sign_in(token))["code"] == "invalid_token"
    assert await wire.closed() == 4401


async def test_deletion_that_arrives_before_the_confirmation_wins(world) -> None:
    ended = PairingDeleted(pairing_id="pair_x", account_id="acct_1", agent_id="agent_x", reason="deleted", version=3)
    confirmed = PairingConfirmed(
        pairing_id="pair_x", account_id="acct_1", user_id="user_1", agent_id="agent_x", version=2,
        telemetry_token_sha256=fingerprint("telem_early").hex(), confirmed_at=datetime.now(UTC),
    )  # fmt: skip
    for event in (ended, confirmed):
        await world.suite.publish(event, event_id=str(uuid4()))
    await world.until_rows("select count(*) from telemetry_ingest.inbox", 2)
    assert (await (await world.connect()).sign_in("telem_early"))["code"] == "invalid_token"


async def test_sockets_are_looked_at_again_without_any_fact(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_REVALIDATE_EVERY="300ms")
    agent, other = await around.pair("agent_1"), await around.pair("agent_2")
    await around.known(agent, other)
    wires = [await around.agent(agent), await around.agent(other)]
    await around.rows("update telemetry_ingest.pairing set ended_at = now() where id = $1", agent.pairing_id)
    assert await wires[0].closed() == 4409
    await around.rows("update telemetry_ingest.pairing set token_hash = 'x' where id = $1", other.pairing_id)
    assert await wires[1].closed() == 1013


async def test_users_credential_is_asked_for_again_and_stands_while_its_owner_is_away(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_REVALIDATE_EVERY="300ms")
    gateway = await around.suite.start("gateway")
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        first = {"username": "admin", "password": "correct horse battery"}
        assert (await client.post("/api/v1/auth/setup", json=first)).status_code == 201
        key = (await client.post("/api/v1/api-keys", json={"name": "program"})).json()
        wire = await around.connect()
        assert (await wire.sign_in(key["api_key"]))["type"] == "auth_success"
        await around.rows("update gateway.api_key set revoked_at = now()")
        assert await wire.closed() == 4401


async def test_revocations_are_heard_after_nats_was_away(world) -> None:
    agent = await world.pair()
    wire = await world.agent(agent)
    await world.nats.stop()
    await world.pairing.client(user()).delete(f"/pairing/{agent.pairing_id}")
    await world.nats.start()
    assert await wire.closed(12) == 4409


def _as_agent(paired: Any) -> Principal:
    """Name an agent as the gateway does when it knows the telemetry token."""
    return Principal(
        via=Via.TELEMETRY_TOKEN, account_id=paired.account_id, user_id="user_1", agent_id=paired.agent_id,
        pairing_id=paired.pairing_id, credential_id=paired.pairing_id, source="127.0.0.1",
    )  # fmt: skip


def _somebody(account_id: str) -> Principal:
    """Name a user who signed in by another login."""
    return Principal(
        via=Via.SESSION, account_id=account_id, user_id="user_9", credential_id="login_9", source="127.0.0.1"
    )
