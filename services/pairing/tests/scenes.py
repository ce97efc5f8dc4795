"""Two accounts that are connected, and how pairing refuses."""

from typing import Any

import httpx


def refused(answer: httpx.Response, status: int, code: str) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["code"], body["error"]["status"]) == (status, code, status), body
    assert body["detail"] == body["error"]["message"]
    assert body["request_id"]


class Scene:
    """Two connected accounts, an agent each."""

    def __init__(self, alice: Any, bob: Any, *, connection: str, mine: str, theirs: str) -> None:
        self.alice, self.bob = alice, bob
        self.connection, self.mine, self.theirs = connection, mine, theirs

    async def propose(self, **changes: Any) -> httpx.Response:
        body = {"my_agent_id": self.mine, "their_agent_id": self.theirs} | changes
        return await self.alice.key.post(f"/v1/connections/{self.connection}/pairings", json=body)

    async def proposed(self, permission: str = "both") -> str:
        answer = await self.propose(permission=permission)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def paired(self, permission: str = "both") -> str:
        pairing_id = await self.proposed(permission)
        await self.bob.ask("POST", f"/pairings/{pairing_id}/confirm")
        return pairing_id

    async def seen_by_both(self) -> tuple[tuple[bool, bool], tuple[bool, bool]]:
        return await self.alice.can_send(self.mine, self.theirs), await self.bob.can_send(self.theirs, self.mine)


async def connected(world: Any) -> Scene:
    """Connect two new accounts."""
    alice, bob = await world.meet("alice", "bob")
    return Scene(
        alice,
        bob,
        connection=await alice.connect(bob),
        mine=await alice.register("mine", available=False),
        theirs=await bob.register("theirs"),
    )
