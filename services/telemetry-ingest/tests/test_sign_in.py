"""Who may hold a socket, and how they say so."""

import httpx
import pytest

from shoal.identity import Principal, Via
from shoal.testing.suite import ServiceUnderTest, user

PASSWORD = "correct horse battery"


async def test_telemetry_token_in_first_frame_signs_agent_in(world) -> None:
    agent = await world.pair()
    wire = await world.connect()
    welcome = await wire.sign_in(agent.token, epoch="boot_1", client="shoal-agent/0.1.0")
    assert welcome.pop("server_time").endswith("Z")
    assert welcome == {
        "type": "auth_success",
        "user_id": "user_1",
        "agents": ["agent_1"],
        "account_id": "acct_1",
        "limits": {"messages_per_second": 100, "max_frame_bytes": 65536, "idle_s": 300},
    }


async def test_telemetry_token_that_copy_does_not_know_yet_is_asked_of_pairing(world) -> None:
    agent = await world.pair()
    await world.known(agent)
    await world.rows("delete from telemetry_ingest.pairing")
    wire = await world.connect()
    assert (await wire.sign_in(agent.token))["agents"] == ["agent_1"]


async def test_api_key_and_session_in_first_frame_sign_user_in(world) -> None:
    gateway = await world.suite.start("gateway")
    key, session, user_id, account_id = await _first_user(gateway)
    await world.known(
        await world.pair("agent_b", account_id=account_id), await world.pair("agent_a", account_id=account_id)
    )
    for token in (key, session):
        wire = await world.connect()
        welcome = await wire.sign_in(token)
        assert (welcome["type"], welcome["user_id"], welcome["account_id"]) == ("auth_success", user_id, account_id)
        assert welcome["agents"] == ["agent_a", "agent_b"]


async def test_web_chats_token_is_refused(world) -> None:
    gateway = await world.suite.start("gateway")
    _, session, _, _ = await _first_user(gateway)
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        answer = await client.post("/api/auth/token", headers={"authorization": f"Bearer {session}"})
    wire = await world.connect()
    assert (await wire.sign_in(answer.json()["token"]))["code"] == "invalid_token"


async def test_handshake_identity_needs_no_frame_and_a_later_auth_frame_is_answered_again(world) -> None:
    agent = await world.pair()
    await world.known(agent)
    wire = await world.viewer(user())
    again = await wire.sign_in(agent.token)
    assert (again["type"], again["user_id"], again["agents"]) == ("auth_success", "user_1", ["agent_1"])


async def test_later_auth_frame_of_another_account_closes(world) -> None:
    agent = await world.pair(account_id="acct_2")
    wire = await world.viewer(user())
    assert (await wire.sign_in(agent.token))["code"] == "already_authenticated"
    assert await wire.closed() == 4401


@pytest.mark.parametrize("token", ["telem_wrong", "telem_", "", "x" * 300, "🐟"])
async def test_wrong_token_is_refused(world, token: str) -> None:
    await world.suite.start("gateway")
    wire = await world.connect()
    refused = await wire.sign_in(token)
    assert (refused["type"], refused["code"]) == ("auth_error", "invalid_token")
    assert await wire.closed() == 4401


async def test_unreachable_owner_is_never_called_an_invalid_token(world) -> None:
    wire = await world.connect()
    await wire.say({"type": "auth", "token": "cn_somebody"})  # the gateway is not there
    assert await wire.closed() == 1013
    await world.suite.stop(world.pairing)
    wire = await world.connect()
    await wire.say({"type": "auth", "token": "telem_somebody"})
    assert await wire.closed() == 1013


async def test_frames_before_auth_are_refused_and_do_not_close(world) -> None:
    agent = await world.pair()
    wire = await world.connect()
    await wire.say(agent.metrics(seq=3), {"type": "ping"}, {"type": "nonsense"})
    assert await wire.hear() == {
        "type": "protocol_error",
        "code": "not_authenticated",
        "message": "Send an auth frame first.",
        "ref": {"seq": 3},
    }
    assert (await wire.hear())["code"] == "not_authenticated"
    assert (await wire.hear())["code"] == "unknown_type"
    assert (await wire.sign_in(agent.token))["type"] == "auth_success"
    await wire.ping()
    assert await world.samples() == []


async def test_socket_that_does_not_say_who_it_is_closes(around) -> None:
    around.ingest = await around.start(TELEMETRY_INGEST_AUTH_TIMEOUT="200ms")
    wire = await around.connect()
    assert await wire.closed(2) == 4408


async def test_no_identity_header_no_socket(world) -> None:
    url = world.ingest.url + "/telemetry"
    upgrade = {
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(url, headers=upgrade)).status_code == 401
        assert (await client.get(url, headers=upgrade | {"x-shoal-identity": "forged"})).status_code == 401
    plain = await world.ingest.client(user()).get("/telemetry")
    assert (plain.status_code, plain.json()["error"]["code"]) == (426, "upgrade_required")


async def test_agent_key_opens_no_telemetry_socket(world) -> None:
    wire = await world.connect(
        Principal(via=Via.AGENT_KEY, account_id="acct_1", agent_id="agent_1", source="127.0.0.1")
    )
    assert (await wire.hear())["code"] == "auth_required"
    assert await wire.closed() == 4401


async def test_sixth_socket_of_a_user_is_refused_over_all_replicas(world) -> None:
    other = await world.start()
    wires = [await world.viewer(at=place) for place in (world.ingest, other, world.ingest, other, other)]
    assert await (await world.connect(user())).closed() == 4429
    assert await (await world.connect(user(), at=other)).closed() == 4429
    await world.viewer(user(user_id="user_2"))
    await wires[1].connection.close()
    await world.until_rows("select count(*) from telemetry_ingest.socket_slot where user_id = 'user_1'", 4)
    await world.viewer()


async def test_users_sockets_do_not_count_against_agents(world) -> None:
    agents = [await world.pair(f"agent_{number}") for number in range(6)]
    for agent in agents:
        await world.agent(agent)


async def test_newer_socket_of_a_telemetry_token_takes_over(world) -> None:
    agent = await world.pair()
    older = await world.agent(agent)
    newer = await world.agent(agent)
    assert await older.closed() == 4410
    other = await world.start()
    newest = await world.agent(agent, at=other)
    assert await newer.closed() == 4410
    await newest.ping()


async def test_database_away_keeps_sockets_and_refuses_nobody_as_invalid(world) -> None:
    agent, late = await world.pair("agent_1"), await world.pair("agent_2")
    await world.known(agent, late)
    wire = await world.agent(agent)
    await world.rows("alter role telemetry_ingest connection limit 0")
    await world.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'telemetry_ingest' and datname = current_database()"
    )
    try:
        await wire.say(agent.metrics())
        await wire.ping()
        refused = await world.connect()
        await refused.say({"type": "auth", "token": late.token})
        assert await refused.closed(8) == 1013
        assert await (await world.connect(user())).closed(8) == 1013
    finally:
        await world.rows("alter role telemetry_ingest connection limit -1")
    await wire.ping()


async def _first_user(gateway: ServiceUnderTest) -> tuple[str, str, str, str]:
    """Set Shoal up; returns an API key, a session's token, and whose they are."""
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False) as client:
        answer = await client.post("/api/v1/auth/setup", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        me = (await client.get("/api/v1/auth/me")).json()
        key = (await client.post("/api/v1/api-keys", json={"name": "dashboard"})).json()["api_key"]
        return key, client.cookies["shoal_session"], me["id"], me["account"]["id"]
