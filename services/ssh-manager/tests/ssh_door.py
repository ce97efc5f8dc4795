"""ssh-manager as its callers meet it, and instances as it meets them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import asyncssh
import httpx

from shoal.identity import Role
from shoal.testing.sshd import Sshd
from shoal.testing.suite import ServiceUnderTest, Suite, eventually, user
from shoal_events import (
    AssignmentChanged,
    Event,
    InstanceCreated,
    InstanceDeleted,
    InstanceRunning,
    InstanceSshKeyApplied,
    InstanceStopped,
    SshKeyCreated,
    SshKeyRotated,
)

ADMIN = user("acct_1", "user_admin", role=Role.ADMIN)
ALICE = user("acct_1", "user_alice")
STRANGER = user("acct_2", "user_stranger", role=Role.ADMIN)
INSTANCES = "/api/v1/instances"


class Door:
    """The service, and the clients of an account's admin, of a user without instances, and of another account."""

    def __init__(self, suite: Suite, settings: dict[str, str]) -> None:
        self.suite = suite
        self.settings = settings
        self.service: ServiceUnderTest
        self.admin: httpx.AsyncClient
        self.alice: httpx.AsyncClient
        self.stranger: httpx.AsyncClient
        self.nobody: httpx.AsyncClient

    async def start(self) -> None:
        self.service = await self.suite.start("ssh-manager", **self.settings)
        self.admin = self.service.client(ADMIN)
        self.alice = self.service.client(ALICE)
        self.stranger = self.service.client(STRANGER)
        self.nobody = self.service.client()

    async def restart(self) -> None:
        await self.suite.stop(self.service)
        await self.start()

    async def tell(self, event: Event) -> None:
        """Publish a fact of instance-orchestrator."""
        await self.suite.publish(event, event_id=str(uuid4()))

    async def assign(self, user_id: str, *instance_ids: int, version: int = 1) -> None:
        numbers = tuple(str(one) for one in instance_ids)
        await self.tell(AssignmentChanged(user_id=user_id, account_id="acct_1", instance_ids=numbers, version=version))

    async def fill_copy(self) -> None:
        await self.sql("insert into copy_state (name, completed_at) values ('instances', now()) on conflict do nothing")

    async def sql(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Look at the service's own tables, as nobody but a superuser can."""
        connection = await asyncpg.connect(self.suite.database_url)
        try:
            await connection.execute("set search_path to ssh_manager")
            return await connection.fetch(statement, *arguments)
        finally:
            await connection.close()

    async def script(self, *statements: str) -> None:
        """Change the service's own tables, in one session."""
        connection = await asyncpg.connect(self.suite.database_url)
        try:
            await connection.execute("; ".join(["set search_path to ssh_manager", *statements]))
        finally:
            await connection.close()

    async def entries(self, **query: Any) -> list[dict[str, Any]]:
        """Read the audit log, the newest first."""
        answer = await self.admin.get("/api/v1/ssh-audit-logs", params={"limit": 1000, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()["entries"]

    async def until_entry(self, kind: str, *, within_s: float = 10) -> dict[str, Any]:
        """Wait for an entry of the audit log; returns the newest of its kind."""
        found: list[dict[str, Any]] = []

        async def holds() -> bool:
            found[:] = await self.entries(event_type=kind)
            return bool(found)

        await eventually(holds, within_s=within_s)
        return found[0]


class Place:
    """An instance: what instance-orchestrator tells of it, and the SSH server that it is."""

    def __init__(self, door: Door, sshd: Sshd, *, number: int = 1, name: str = "bot-alpha") -> None:
        self.door = door
        self.sshd = sshd
        self.id = number
        self.name = name
        self.version = 1

    @property
    def url(self) -> str:
        return f"{INSTANCES}/{self.id}"

    async def appear(self, *, is_admitting: bool = True) -> None:
        """Be created, be given the key, and run."""
        await self.door.tell(
            InstanceCreated(
                instance_id=str(self.id),
                account_id="acct_1",
                name=self.name,
                display_name=self.name.title(),
                version=1,
            )
        )
        if is_admitting:
            made = await self.key()
            self.sshd.admit(made.public_key)
            await self.apply(made.fingerprint, made.version)
        await self.run()

    async def until_checked(self) -> None:
        """Wait for the first check of its connection, which comes long before the first interval is over."""

        async def is_checked() -> bool:
            return bool((await self.status())["health"]["last_health_check"])

        await eventually(is_checked, self.status)

    async def key(self) -> SshKeyCreated:
        found: list[SshKeyCreated] = []

        async def holds() -> bool:
            found[:] = [one for one in await self.door.suite.events(SshKeyCreated) if one.instance_id == str(self.id)]
            return bool(found)

        await eventually(holds)
        return found[0]

    async def rotated_key(self) -> SshKeyRotated:
        return (await self.door.suite.events(SshKeyRotated))[-1]

    async def apply(self, fingerprint: str, version: int) -> None:
        await self.door.tell(
            InstanceSshKeyApplied(
                instance_id=str(self.id),
                account_id="acct_1",
                fingerprint=fingerprint,
                key_version=version,
                applied_at=datetime.now(UTC),
            )
        )

    async def run(self, **changed: Any) -> None:
        """Tell that it runs, and how it is reached."""
        self.version += 1
        told = {
            "ssh_host": self.sshd.host,
            "ssh_port": self.sshd.port,
            "ssh_user": self.sshd.user,
            "host_public_key": self.sshd.host_public_key,
        } | changed
        await self.door.tell(
            InstanceRunning(
                instance_id=str(self.id),
                account_id="acct_1",
                name=self.name,
                display_name=self.name.title(),
                version=self.version,
                **told,
            )
        )

    async def stop(self, reason: str = "asked") -> None:
        self.version += 1
        await self.door.tell(
            InstanceStopped(instance_id=str(self.id), account_id="acct_1", reason=reason, version=self.version)
        )

    async def delete(self) -> None:
        self.version += 1
        await self.door.tell(
            InstanceDeleted(instance_id=str(self.id), account_id="acct_1", name=self.name, version=self.version)
        )

    async def status(self) -> dict[str, Any]:
        answer = await self.door.admin.get(f"{self.url}/ssh-status")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until_state(self, state: str, *, within_s: float = 10) -> dict[str, Any]:
        """Wait until the connection has a state; returns its status."""
        seen: dict[str, Any] = {}

        async def holds() -> bool:
            answer = await self.door.admin.get(f"{self.url}/ssh-status")
            seen.update(answer.json())
            return answer.status_code == 200 and seen["connection_state"] == state

        await eventually(holds, lambda: seen, within_s=within_s)
        return seen

    async def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Read what happened, the newest first."""
        answer = await self.door.admin.get(f"{self.url}/ssh-events", params={"limit": 100})
        assert answer.status_code == 200, answer.text
        return [event for event in answer.json()["events"] if kind in {None, event["type"]}]

    async def until_event(self, kind: str, *, within_s: float = 10) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def holds() -> bool:
            found[:] = await self.events(kind)
            return bool(found)

        await eventually(holds, within_s=within_s)
        return found[0]

    async def can_sign_in(self, key: asyncssh.SSHKey) -> bool:
        """Try a key as anybody could."""
        try:
            async with await asyncssh.connect(
                self.sshd.host,
                self.sshd.port,
                username=self.sshd.user,
                client_keys=[key],
                known_hosts=([asyncssh.import_public_key(self.sshd.host_public_key)], [], []),
                config=None,
                agent_path=None,
            ):
                return True
        except asyncssh.PermissionDenied:
            return False


Open = Callable[..., Awaitable[Door]]


def moves(status: dict) -> list[tuple[str, str]]:
    """Changes of state, the oldest first."""
    return [(moved["from"], moved["to"]) for moved in reversed(status["recent_events"])]


def refused(answer: httpx.Response, status: int, code: str | None = None, detail: str | None = None) -> None:
    body = answer.json()
    assert (answer.status_code, body["error"]["status"]) == (status, status), body
    assert body["detail"] == body["error"]["message"]
    if code is not None:
        assert body["error"]["code"] == code
    if detail is not None:
        assert body["detail"] == detail
