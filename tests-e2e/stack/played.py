"""Instances that a test plays: what instance-orchestrator would tell of them, and an SSH server that can be held."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncssh

from shoal.crypto import Envelope
from shoal.testing.sshd import Sshd
from shoal.testing.suite import eventually
from shoal_events import Event, InstanceCreated, InstanceDeleted, InstanceRunning, InstanceSshKeyApplied
from stack.running import Stack

USER = "shoal"
FOREIGN = (
    b"# somebody else's\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAn4mx7DN5bTjE7fSdkQ0Y7q4DyZjYVOqQ8pOQ5yVd3p  her own\t\n"
)


class Gate:
    """Holds the server at one point, for as long as the test wants."""

    def __init__(self) -> None:
        self._point = ""
        self._left = 0
        self._opened = asyncio.Event()
        self.reached = asyncio.Event()

    def close(self, point: str, *, at: int = 1) -> None:
        """Hold whoever comes to a point for the n-th time."""
        self._point, self._left = point, at
        self._opened.clear()
        self.reached.clear()

    def open(self) -> None:
        """Hold nobody."""
        self._point = ""
        self._opened.set()

    async def pass_through(self, point: str) -> None:
        """Come to a point."""
        if point != self._point:
            return
        self._left -= 1
        if self._left == 0:
            self.reached.set()
            await self._opened.wait()


class PlayedInstance:
    """One instance of the first account, with a folder of its own."""

    def __init__(self, stack: Stack, folder: Path, number: int) -> None:
        self.stack = stack
        self.id = number
        self.name = f"bot-played-{number}"
        self.gate = Gate()
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self.asked_to_sign_in = 0
        self.folder = folder
        self.port = 0
        self.user = USER
        self._version = 1
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        (folder / ".ssh").mkdir(parents=True)
        self.authorized_keys = folder / ".ssh" / "authorized_keys"
        self.authorized_keys.write_bytes(FOREIGN)

    def behind(self, sshd: Sshd) -> None:
        """Be served by OpenSSH from now on, at the same host key."""
        sshd.change_host_key(self.host_key)
        self.port, self.user, self.authorized_keys = sshd.port, sshd.user, sshd.authorized_keys

    def twin(self, number: int) -> "PlayedInstance":
        """Make another instance that the same server serves."""
        twin = PlayedInstance(self.stack, self.folder / str(number), number)
        twin.host_key, twin.port, twin.authorized_keys = self.host_key, self.port, self.authorized_keys
        return twin

    @property
    def url(self) -> str:
        """Where its resources are."""
        return f"/api/v1/instances/{self.id}"

    async def listen(self, host_key: asyncssh.SSHKey | None = None) -> None:
        """Serve SSH; again at the same port."""
        self._acceptor = await asyncssh.listen(
            *("127.0.0.1", self.port),
            server_factory=lambda: _Server(self),
            server_host_keys=[host_key or self.host_key],
            process_factory=self._run,
            sftp_factory=lambda channel: _Files(channel, self),
            encoding="utf-8",
            config=None,
        )
        self.port = self._acceptor.get_port()

    def cut(self) -> None:
        """Lose every connection."""
        for connection in list(self.connections):
            connection.abort()

    async def close(self) -> None:
        """Serve no longer, and lose every connection."""
        if self._acceptor is not None:
            self._acceptor.close()
            self.cut()
            await self._acceptor.wait_closed()

    async def appear(self) -> None:
        """Be created, take the key, and run."""
        account = self.account_id = (await self.stack.query("select account_id from gateway.person limit 1"))[0][0]
        await self._tell(
            InstanceCreated(
                instance_id=str(self.id), account_id=account, name=self.name, display_name=self.name, version=1
            )
        )
        await eventually(self._has_key, within_s=15)
        (key,) = await self.stored()
        with self.authorized_keys.open("a") as file:
            file.write(key["public_key"] + "\n")
        await self.apply()
        await self.run()

    async def run(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Tell that it runs, and how it is reached."""
        self._version += 1
        await self._tell(
            InstanceRunning(
                instance_id=str(self.id),
                account_id=self.account_id,
                name=self.name,
                display_name=self.name,
                ssh_host=host,
                ssh_port=port or self.port,
                ssh_user=self.user,
                host_public_key=self.host_key.export_public_key().decode().strip(),
                version=self._version,
            )
        )

    async def apply(self) -> None:
        """Tell that it keeps its newest key over restarts."""
        key = (await self.stored())[0]
        await self._tell(
            InstanceSshKeyApplied(
                instance_id=str(self.id),
                account_id=self.account_id,
                fingerprint=key["fingerprint"],
                key_version=key["version"],
                applied_at=datetime.now(UTC),
            )
        )

    async def vanish(self) -> None:
        """Be deleted."""
        self._version += 1
        await self._tell(
            InstanceDeleted(instance_id=str(self.id), account_id=self.account_id, name=self.name, version=self._version)
        )

    async def stored(self) -> list[Any]:
        """Read its keys as ssh-manager stores them, the newest first."""
        return await self.stack.query(
            """
            select version, role, public_key, fingerprint, sealed
              from ssh_manager.ssh_key
             where instance_id = $1
             order by version desc
            """,
            self.id,
        )

    async def signing_keys(self) -> list[int]:
        """Tell which versions of the stored keys sign in, by trying them."""
        key_id, _, encoded = (self.stack.suite.state / "ssh-manager.key").read_text().partition(":")
        envelope = Envelope({key_id: base64.b64decode(encoded)}, current=key_id)
        found = []
        for row in await self.stored():
            place = f"ssh_manager/ssh_key/{self.id}/{row['version']}/sealed"
            key = asyncssh.import_private_key(envelope.open(row["sealed"], place=place))
            if await self.lets_in(key):
                found.append(row["version"])
        return found

    async def lets_in(self, key: asyncssh.SSHKey) -> bool:
        """Try a key."""
        try:
            async with asyncssh.connect(
                *("127.0.0.1", self.port),
                username=self.user,
                client_keys=[key],
                known_hosts=None,
                config=None,
                agent_path=None,
            ):
                return True
        except asyncssh.PermissionDenied:
            return False

    async def until_state(self, state: str, *, within_s: float = 20) -> float:
        """Wait until its connection has a state; returns for how many seconds."""
        loop = asyncio.get_running_loop()
        started, seen = loop.time(), []

        async def holds() -> bool:
            answer = await self.stack.admin.client.get(f"{self.url}/ssh-status")
            seen[:] = [answer.text]
            return answer.is_success and answer.json()["connection_state"] == state

        await eventually(holds, lambda: seen, within_s=within_s)
        return loop.time() - started

    async def _has_key(self) -> bool:
        return bool(await self.stored())

    async def _tell(self, event: Event) -> None:
        headers = {"ce-id": str(uuid4()), "ce-type": event.event_type, "ce-source": event.source}
        rest = {"ce-time": "2026-01-01T00:00:00Z", "ce-specversion": "1.0", "Nats-Msg-Id": headers["ce-id"]}
        async with self.stack.nats() as nats:
            await nats.jetstream().publish(event.subject, event.to_json(), headers=headers | rest)

    async def _run(self, process: asyncssh.SSHServerProcess[str]) -> None:
        await self.gate.pass_through("command")
        process.stdout.write("ping\n")
        process.exit(0)


class _Server(asyncssh.SSHServer):
    def __init__(self, instance: PlayedInstance) -> None:
        self._instance = instance

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._instance.connections.add(conn)

    def connection_lost(self, _: Exception | None) -> None:
        self._instance.connections.discard(self._connection)

    def begin_auth(self, _: str) -> bool:
        self._instance.asked_to_sign_in += 1
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, _: str, key: asyncssh.SSHKey) -> bool:
        is_known = base64.b64encode(key.public_data) in self._instance.authorized_keys.read_bytes()
        if is_known:
            await self._instance.gate.pass_through("sign in")
        return is_known


class _Files(asyncssh.SFTPServer):
    def __init__(self, channel: Any, instance: PlayedInstance) -> None:
        super().__init__(channel, chroot=str(instance.folder).encode())
        self._gate = instance.gate

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        await self._gate.pass_through("write" if pflags & asyncssh.FXF_WRITE else "read")
        return super().open(path, pflags, attrs)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._gate.pass_through("move")
        super().posix_rename(oldpath, newpath)
        await self._gate.pass_through("moved")


@contextlib.asynccontextmanager
async def played(stack: Stack, folder: Path, number: int) -> AsyncIterator[PlayedInstance]:
    """Play an instance while the block runs; it is connected when it begins, and deleted when it ends."""
    instance = PlayedInstance(stack, folder / str(number), number)
    await instance.listen()
    try:
        await instance.appear()
        await instance.until_state("connected")
        yield instance
    finally:
        instance.gate.open()
        with contextlib.suppress(Exception):
            await instance.vanish()
        await instance.close()


def fingerprints(content: bytes) -> int:
    """Count our keys in a file of authorized keys."""
    return content.count(b" shoal-")
