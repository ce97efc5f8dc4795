"""Two accounts of this installation come to trust each other: with the published client, and plain HTTP beside it."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from agentdrop import AgentDrop, AgentDropAmbiguousRecipientError, AgentDropError
from stack import Stack
from stack.running import PASSWORD

from shoal.testing.suite import eventually

SHOAL = Path(sys.executable).with_name("shoal")


class Owner:
    """An account: its admin signed in, its key, its programs."""

    def __init__(self, stack: Stack, name: str, folder: Path) -> None:
        self.email = f"{name}@localhost"
        self.session = stack.client()
        self.curl = stack.client()
        self._stack, self._name, self._folder = stack, name, folder

    async def open(self) -> "Owner":
        """Make the account, sign in and make a key."""
        self.session = (await self._stack.open_account(self._name)).client
        await self._make_key()
        return self

    async def open_as_operators_do(self) -> "Owner":
        """The same by `shoal account add`."""
        process = await asyncio.create_subprocess_exec(
            *(SHOAL, "account", "add", self._name, "--admin", self._name),
            env=os.environ | self._stack.suite.environment | {"SHOAL_ADMIN_PASSWORD": PASSWORD},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        credentials = {"username": self._name, "password": PASSWORD}
        (await self.session.post("/api/v1/auth/login", json=credentials)).raise_for_status()
        await self._make_key()
        return self

    async def _make_key(self) -> None:
        key = (await self.session.post("/v1/api-keys", json={"name": "programs"})).json()["api_key"]
        self.curl.headers["authorization"] = f"Bearer {key}"

    def program(self, key: str | None = None, *, slug: str | None = None) -> AgentDrop:
        """Make the published client, with the account's key or an agent's own."""
        key = key or self.curl.headers["authorization"].removeprefix("Bearer ")
        folder = self._folder / uuid4().hex
        return AgentDrop(key, agent_id=slug, api_base=self._stack.url, config_dir=str(folder), shield=False)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask with the account's key."""
        answer = await self.curl.request(method, f"/v1{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def connect(self, other: "Owner") -> str:
        """Connect with another account, which accepts once the invite has arrived."""
        invited = await self.ask("POST", "/connections", {"email": other.email})

        async def has_arrived() -> bool:
            return bool((await other.ask("GET", "/connections"))["pending_incoming"])

        await eventually(has_arrived)
        await other.ask("POST", f"/connections/{invited['id']}/accept")
        return str(invited["id"])


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


async def test_the_published_client_registers_lists_and_disconnects(stack: Stack, tmp_path: Path) -> None:
    owner = await Owner(stack, f"owner-{uuid4().hex[:8]}", tmp_path).open()
    program = owner.program()
    told = await call(program.register, "harbour.pilot", name="Pilot", metadata={"berth": 4})
    assert (told["connection_status"], told["key_version"]) == ("connected", 1)
    assert program.agent_uuid == told["id"]
    (listed,) = await call(program.list_agents)
    assert (listed["agent_id"], listed["name"], listed["metadata"]) == ("harbour.pilot", "Pilot", {"berth": 4})
    profile = await call(program.startup)
    assert (profile["agent"]["id"], profile["account"]["email"]) == (told["id"], owner.email)
    assert await call(program.list_connections) == {
        "connections": [],
        "pending_incoming": [],
        "pending_outgoing": [],
        "pending_pairings_count": 0,
    }
    assert (await call(program.disconnect))["status"] == "disconnected"


async def test_the_published_client_connects_with_a_token(stack: Stack, tmp_path: Path) -> None:
    owner = await Owner(stack, f"owner-{uuid4().hex[:8]}", tmp_path).open()
    registered = await owner.ask("POST", "/agents/register", {"agent_id": "sol"})
    program = owner.program()
    assert (await call(program.connect, registered["connection_token"]))["status"] == "connected"
    assert program.agent_uuid == registered["id"]
    with pytest.raises(AgentDropError) as refused:
        await call(owner.program().connect, registered["connection_token"])
    assert (refused.value.status, refused.value.code) == (401, "UNAUTHORIZED")


async def test_the_published_client_reads_which_field_does_not_hold(stack: Stack, tmp_path: Path) -> None:
    owner = await Owner(stack, f"owner-{uuid4().hex[:8]}", tmp_path).open()
    with pytest.raises(AgentDropError) as refused:
        await call(owner.program().register, "has space")
    assert (refused.value.status, refused.value.code) == (400, "VALIDATION_ERROR")
    assert [detail["field"] for detail in refused.value.details] == ["agent_id"]


async def test_the_published_client_manages_keys_of_agents(stack: Stack, tmp_path: Path) -> None:
    owner = await Owner(stack, f"owner-{uuid4().hex[:8]}", tmp_path).open()
    account = owner.program()
    await call(account.register, "sol")
    made = await call(account.create_agent_key, "sol", "laptop")
    assert (made["scope"], made["agent_id"], made["name"]) == ("agent", "sol", "laptop")
    agent = owner.program(made["api_key"])
    assert (await call(agent.startup))["agent"]["agent_id"] == "sol"
    assert [key["id"] for key in await call(account.list_agent_keys, account.agent_uuid)] == [made["id"]]
    with pytest.raises(AgentDropError) as refused:
        await call(agent.list_agent_keys, "sol")
    assert (refused.value.status, refused.value.code) == (403, "SCOPE_MISMATCH")
    await call(account.revoke_agent_key, "sol", made["id"])
    with pytest.raises(AgentDropError) as refused:
        await call(agent.startup)
    assert (refused.value.status, refused.value.code) == (401, "KEY_REVOKED")


async def test_two_accounts_connect_pair_change_confirm_again_and_revoke(stack: Stack, tmp_path: Path) -> None:
    mark = uuid4().hex[:8]
    alice = await Owner(stack, f"alice-{mark}", tmp_path).open_as_operators_do()
    bob = await Owner(stack, f"bob-{mark}", tmp_path).open_as_operators_do()
    pilot, keeper = alice.program(), bob.program()
    await call(pilot.register, "pilot")
    await call(keeper.register, "keeper")
    await bob.ask("PATCH", "/agents/keeper", {"available_for_connections": True})
    connection = await alice.connect(bob)
    (offered,) = (await alice.ask("GET", f"/connections/{connection}/agents"))["agents"]
    body = {"my_agent_id": pilot.agent_uuid, "their_agent_id": offered["id"], "permission": "send_only"}
    pairing = await alice.ask("POST", f"/connections/{connection}/pairings", body)
    assert await may_send(alice, pilot, keeper) == (False, False)
    await bob.ask("POST", f"/pairings/{pairing['id']}/confirm")
    assert await may_send(alice, pilot, keeper) == (True, False)
    assert await call(pilot._resolve_agent_uuid, "keeper") == keeper.agent_uuid
    assert (await call(pilot.startup))["connections"]["paired_agents"] == ["keeper"]

    await bob.ask("PATCH", f"/pairings/{pairing['id']}", {"permission": "both"})
    assert await may_send(alice, pilot, keeper) == (False, False)
    assert (await bob.curl.post(f"/v1/pairings/{pairing['id']}/confirm")).status_code == httpx.codes.FORBIDDEN
    await alice.ask("POST", f"/pairings/{pairing['id']}/confirm")
    assert await may_send(alice, pilot, keeper) == (True, True)

    refused = await alice.curl.delete(f"/v1/pairings/{pairing['id']}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "SESSION_REQUIRED")
    revoked = await alice.session.delete(f"/v1/pairings/{pairing['id']}")
    assert revoked.json() == {"id": pairing["id"], "status": "revoked"}
    assert await may_send(alice, pilot, keeper) == (False, False)
    assert await call(pilot._resolve_agent_uuid, "keeper") is None
    assert (await bob.ask("DELETE", f"/connections/{connection}"))["status"] == "revoked"
    await eventually(lambda: is_all_published(stack))


async def test_the_published_client_reads_the_candidates_of_an_ambiguous_name(stack: Stack, tmp_path: Path) -> None:
    alice, bob = await two(stack, tmp_path)
    own, theirs = alice.program(), bob.program()
    await call(own.register, "sol")
    await call(theirs.register, "sol")
    await bob.ask("PATCH", "/agents/sol", {"available_for_connections": True})
    connection = await alice.connect(bob)
    body = {"my_agent_id": own.agent_uuid, "their_agent_id": theirs.agent_uuid}
    pairing = await alice.ask("POST", f"/connections/{connection}/pairings", body)
    await bob.ask("POST", f"/pairings/{pairing['id']}/confirm")
    with pytest.raises(AgentDropAmbiguousRecipientError) as refused:
        await call(own._request, "GET", "/v1/agents/resolve?agent_id=sol")
    assert len(refused.value.candidates) == 2
    found = await call(own._request, "GET", f"/v1/agents/resolve?agent_id=sol&account={bob.email}")
    assert found["id"] == theirs.agent_uuid


async def test_an_invite_waits_for_an_account_that_is_made_later(stack: Stack, tmp_path: Path) -> None:
    alice = await Owner(stack, f"alice-{uuid4().hex[:8]}", tmp_path).open()
    later = Owner(stack, f"later-{uuid4().hex[:8]}", tmp_path)
    await alice.ask("POST", "/connections", {"email": later.email})
    await later.open()

    async def has_arrived() -> bool:
        return bool((await call(later.program().list_connections))["pending_incoming"])

    await eventually(has_arrived)


async def two(stack: Stack, folder: Path) -> tuple[Owner, Owner]:
    """Make two accounts."""
    mark = uuid4().hex[:8]
    return await Owner(stack, f"alice-{mark}", folder).open(), await Owner(stack, f"bob-{mark}", folder).open()


async def may_send(owner: Owner, mine: AgentDrop, theirs: AgentDrop) -> tuple[bool, bool]:
    told = await owner.ask("GET", f"/agents/{mine.agent_uuid}/can-send?to={theirs.agent_uuid}")
    return told["can_send"], told["can_receive"]


async def is_all_published(stack: Stack) -> bool:
    """Tell whether NATS took every fact of this subject from pairing."""
    (row,) = await stack.query("select count(*) from pairing.outbox where published_at is null")
    return bool(row["count"] == 0)


async def call(act: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call the client, which waits for its answers in the thread that it is called in."""
    return await asyncio.to_thread(act, *arguments, **named)
