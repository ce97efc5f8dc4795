"""The orchestrator as its callers meet it: an account with an admin and two users, and another account."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from shoal.identity import Issuer, Role
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import UserCreated

ADMIN = user("acct_1", "user_admin", role=Role.ADMIN)
ALICE = user("acct_1", "user_alice")
BOB = user("acct_1", "user_bob")
STRANGER = user("acct_2", "user_stranger", role=Role.ADMIN)
INSTANCES = "/api/v1/instances"


class Door:
    """The orchestrator, as its callers meet it."""

    def __init__(self, suite: Suite, service: ServiceUnderTest, settings: dict[str, str]) -> None:
        self.suite = suite
        self.service = service
        self.settings = settings
        self.admin = service.client(ADMIN)
        self.alice = service.client(ALICE)
        self.bob = service.client(BOB)
        self.stranger = service.client(STRANGER)
        self.nobody = service.client()

    async def create(self, display_name: str = "Bot Alpha", **fields: Any) -> dict[str, Any]:
        """Create an instance; returns the answer."""
        answer = await self.admin.post(INSTANCES, json={"display_name": display_name, **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def show(self, instance_id: int) -> dict[str, Any]:
        answer = await self.admin.get(f"{INSTANCES}/{instance_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until_status(self, instance_id: int, status: str, *, within_s: float = 20) -> dict[str, Any]:
        """Wait until an instance has a status; returns it."""
        seen: dict[str, Any] = {}

        async def holds() -> bool:
            seen.update(await self.show(instance_id))
            return seen["status"] == status

        await eventually(holds, lambda: seen, within_s=within_s)
        return seen

    async def assign(self, user_id: str, *instance_ids: int) -> None:
        """Tell of a user, and assign instances."""
        body = {"instance_ids": list(instance_ids)}

        async def is_taken() -> bool:
            answer = await self.admin.put(f"/api/v1/users/{user_id}/instances", json=body)
            return answer.status_code == 200

        await eventually(is_taken)

    async def tell_user(self, user_id: str, account_id: str = "acct_1") -> None:
        told = UserCreated(
            user_id=user_id, account_id=account_id, username=user_id, email=f"{user_id}@x", role="user", version=1
        )
        await self.suite.publish(told, event_id=str(uuid4()))

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look at the service's own tables."""
        connection = await asyncpg.connect(self.suite.database_url)
        try:
            await connection.execute("set search_path to instance_orchestrator")
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    def as_service(self, name: str) -> httpx.AsyncClient:
        issuer = Issuer(name, self.suite.installation.services[name].private_key)
        client = self.service.client()
        client.headers["x-shoal-identity"] = issuer.issue_own(audience="instance-orchestrator")
        return client


Open = Callable[..., Awaitable[Door]]


def refused(answer: httpx.Response, status: int, code: str | None = None, detail: str | None = None) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["status"]) == (status, status), body
    assert body["detail"] == body["error"]["message"]
    if code is not None:
        assert body["error"]["code"] == code
    if detail is not None:
        assert body["detail"] == detail
