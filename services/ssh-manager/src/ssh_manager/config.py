"""What this service is told, in the order of the chart's values."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from shoal.config import Secret, ServiceConfig, shared


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of ssh-manager."""

    encryption_key: Secret | None = None
    """Keys that seal private keys, the current one first: `<id>:<32 bytes in base64>`, several separated by commas.
    Without it a key is made and kept in the state folder, which only local instances allow."""
    backend: Annotated[str, shared("SHOAL_INSTANCE_BACKEND")] = "local"
    """Where instances run: `local` or `kubernetes`."""
    state: Annotated[Path, shared("SHOAL_STATE")] = Path(".shoal")
    """The installation's folder: where the key is kept if none is given."""
    lease_ttl: timedelta = timedelta(seconds=5)
    """How long after the death of the process that holds the connections another one takes over."""
    connect_timeout: timedelta = timedelta(seconds=5)
    """How long an instance may take to accept a connection, and as long again to sign us in."""
    max_pause: timedelta = timedelta(seconds=4)
    """The longest pause between two attempts to connect."""
    give_up_after: timedelta = timedelta(0)
    """How long an instance that should run may be away before its connection counts as failed; 0: for ever."""
    keepalive_interval: timedelta = timedelta(seconds=10)
    """How often a silent peer is asked for a sign of life; after three without one the connection is lost."""
    health_interval: timedelta = timedelta(seconds=30)
    """How often a command proves that a connection works."""
    health_timeout: timedelta = timedelta(seconds=10)
    """How long that command may take."""
    rotation_days: Annotated[int, Meta(ge=0)] = 90
    """The age in days at which a key is replaced; 0: never by itself."""
    rotation_interval: timedelta = timedelta(hours=1)
    """How often it is looked for keys of that age."""
    rotation_patience: timedelta = timedelta(seconds=10)
    """How long a request to replace a key waits for a connection that is being made: one that was lost is back within
    five seconds once the instance answers, and nobody should have to ask twice for that."""
    audit_retention_days: Annotated[int, Meta(ge=1)] = 90
    """How many days the audit log is kept."""
    history_days: Annotated[int, Meta(ge=1)] = 30
    """How many days the history of connections is kept."""
    tunnel_interval: timedelta = timedelta(seconds=10)
    """How often it is tried to get through each tunnel to its other end."""
    ticket_ttl: timedelta = timedelta(minutes=10)
    """How long the ticket to an instance's pages lasts after its last use."""
    terminal_idle: timedelta = timedelta(minutes=30)
    """How long a terminal may be unused before it is closed."""
    terminal_age: timedelta = timedelta(hours=12)
    """How long a terminal may be open at all."""
