"""What the subjects of this service may ask of each other; the factory says who answers."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

import asyncssh
from msgspec import Struct

from shoal.identity import Principal


class Status(StrEnum):
    """What instance-orchestrator last told of an instance."""

    CREATING = "creating"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class Instance(Struct, frozen=True, kw_only=True):
    """An instance as instance-orchestrator tells of it."""

    id: int
    account_id: str
    name: str
    display_name: str
    status: Status
    ssh_host: str
    ssh_port: int
    ssh_user: str
    host_public_key: str
    """The only host key that its SSH server may show, as a line of OpenSSH."""
    version: int

    @property
    def is_running(self) -> bool:
        """Whether it can be connected to."""
        return self.status is Status.RUNNING

    @property
    def is_coming(self) -> bool:
        """Whether it can be connected to, or will be in a moment."""
        return self.status in {Status.CREATING, Status.RUNNING, Status.RESTARTING}


class EventType(StrEnum):
    """What happens to connections, in the contract's words."""

    CONNECTION = "connection"
    DISCONNECTION = "disconnection"
    RECONNECTING = "reconnecting"
    HEALTH_CHECK = "health_check"
    KEY_ROTATION = "key_rotation"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    IP_RESTRICTED = "ip_restricted"


class AuditType(StrEnum):
    """What the audit log tells of, in the contract's words."""

    CONNECTION = "connection"
    CONNECTION_FAILED = "connection_failed"
    DISCONNECTION = "disconnection"
    RECONNECTION = "reconnection"
    KEY_ROTATION = "key_rotation"
    FINGERPRINT_MISMATCH = "fingerprint_mismatch"
    IP_RESTRICTED = "ip_restricted"
    HEALTH_CHECK = "health_check"
    TUNNEL_STATUS = "tunnel_status"
    # beside the contract's
    TERMINAL_SESSION_START = "terminal_session_start"
    TERMINAL_SESSION_END = "terminal_session_end"
    ALLOWED_IPS_CHANGED = "allowed_ips_changed"


class Actor(Struct, frozen=True):
    """Who does something that the audit log shows."""

    username: str
    source: str
    """The address of whoever asks: the right-most one that no trusted proxy named."""

    @classmethod
    def of(cls, principal: Principal) -> "Actor":
        """The user who asks."""
        return cls(principal.username, principal.source)


SYSTEM: Final = Actor("system", "")
"""Acts without being asked."""


@runtime_checkable
class Access(Protocol):
    """Who may use which instance."""

    async def instance(self, principal: Principal, instance_id: str) -> Instance:
        """Read an instance that the caller may use: an admin every one of the account, others those assigned to them.

        Raises:
            InvalidInstanceIdError: The id is no id.
            InstanceNotFoundError: The account has no such instance.
            InstanceForbiddenError: It is not assigned to the caller.
        """
        ...

    async def instances(self, principal: Principal) -> list[Instance]:
        """List the instances that the caller may use, by id."""
        ...


class Fleet(Protocol):
    """Every instance, whoever it belongs to."""

    async def running(self) -> list[Instance]:
        """List the instances that can be connected to."""
        ...

    async def find(self, instance_id: int) -> Instance | None:
        """Read one that is not deleted."""
        ...


class Identity(Struct, frozen=True):
    """A key pair that signs in to an instance."""

    version: int
    public_key: str
    fingerprint: str
    private_key: asyncssh.SSHKey

    def __repr__(self) -> str:
        return f"Identity({self.fingerprint})"


class KeyRing(Protocol):
    """The private keys by which this service signs in."""

    async def identities(self, instance: Instance, *, by: Actor = SYSTEM) -> list[Identity]:
        """Read the keys that may sign in to an instance, the likeliest first: while one is replaced there are two.

        Raises:
            NoSshKeyError: There is none.
            KeyTamperedError: The current one's halves or its fingerprint do not belong together; that is an event and
                an audit entry too.
            AuditUnavailableError: It could not be written down.
        """
        ...


OnConnected = Callable[[Instance, asyncssh.SSHClientConnection], Awaitable[None]]
OnLost = Callable[[int], Awaitable[None]]


class Links(Protocol):
    """The connections: one to each running instance."""

    def connection(self, instance_id: int) -> asyncssh.SSHClientConnection:
        """Give the connection to an instance; it may end at any moment and is nobody's to close.

        Raises:
            NotConnectedError: There is none now.
        """
        ...

    async def until_connected(self, instance_id: int, *, within: timedelta) -> None:
        """Wait for a connection that is being made.

        Raises:
            NotConnectedError: There is none in that time, or none is being made.
        """
        ...

    def on_connected(self, callback: OnConnected) -> None:
        """Ask to be told of every new connection, before anybody is answered that it stands."""
        ...

    def on_lost(self, callback: OnLost) -> None:
        """Ask to be told when a connection has ended, for whatever reason."""
        ...

    async def reconnect(self, instance_id: int) -> None:
        """Replace an instance's connection.

        Raises:
            NotConnectedError: That cannot be done; says why.
        """
        ...

    def retry(self, instance_id: int) -> None:
        """Ask for the next attempt to connect now rather than after the pause."""
        ...


class TunnelService(StrEnum):
    """What a tunnel leads to."""

    VNC = "vnc"
    GATEWAY = "gateway"


class TunnelState(Struct, frozen=True, kw_only=True):
    """One tunnel as it is now."""

    service: TunnelService
    local_port: int
    remote_port: int
    is_open: bool
    created_at: datetime
    last_check: datetime | None = None
    last_successful_check: datetime | None = None
    last_error: str = ""
    bytes_transferred: int = 0

    @property
    def is_healthy(self) -> bool:
        """Whether it is open and the last look went through to the other end."""
        return self.is_open and not self.last_error


class Tunnels(Protocol):
    """The tunnels of every instance."""

    def states(self, instance_id: int) -> Sequence[TunnelState]:
        """List an instance's tunnels."""
        ...

    async def check(self, instance_id: int) -> Sequence[TunnelState]:
        """Look through an instance's tunnels to the other end now; lists them."""
        ...


class Audit(Protocol):
    """The audit log."""

    async def intent(self, kind: AuditType, instance: Instance, *, by: Actor, details: str) -> int:
        """Write down, before it is done, what somebody asks for; returns the entry's id.

        Raises:
            AuditUnavailableError: It cannot be written; then nothing may be done.
        """
        ...

    async def outcome(
        self, intent: int, kind: AuditType, instance: Instance, *, by: Actor, details: str, duration_ms: int = 0
    ) -> None:
        """Write down, before it is answered, what came of it; the log shows this entry in the place of the intent.

        Raises:
            AuditUnavailableError: It cannot be written; the answer must say so.
        """
        ...

    async def record(
        self, kind: AuditType, instance: Instance, *, by: Actor, details: str, duration_ms: int = 0
    ) -> None:
        """Write down something that needs no intent, such as a refusal.

        Raises:
            AuditUnavailableError: It cannot be written; the answer must say so.
        """
        ...

    def note(self, kind: AuditType, instance: Instance, *, details: str, duration_ms: int = 0) -> None:
        """Write down what happened by itself, as soon as that can be done."""
        ...


class AllowedAddresses(Protocol):
    """From where callers may reach an instance."""

    async def check(self, principal: Principal, instance: Instance) -> None:
        """Check the caller's address; a refusal is an event and an audit entry too.

        Raises:
            AddressRestrictedError: It is not among those allowed.
            AuditUnavailableError: The refusal cannot be written down.
        """
        ...


class Events(Protocol):
    """The history of connections."""

    def record(self, instance: Instance, kind: EventType, details: str) -> None:
        """Take down what happened, to be stored as soon as that can be done."""
        ...
