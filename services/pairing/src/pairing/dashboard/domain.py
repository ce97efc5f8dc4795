"""What a pairing is."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

TOKEN_PREFIX = "clawdnet_pair_"  # noqa: S105 - how tokens begin, not one
TELEMETRY_TOKEN_PREFIX = "telem_"  # noqa: S105 - how tokens begin, not one
MAX_INFO_BYTES = 4096


class Status(StrEnum):
    """Where a pairing stands."""

    PENDING = "pending"
    ACTIVE = "active"
    DELETED = "deleted"


class EndReason(StrEnum):
    """Why a pairing ended."""

    DELETED = "deleted"
    EXPIRED = "expired"
    ACCOUNT_DELETED = "account_deleted"


class Pairing(Struct, frozen=True, kw_only=True):
    """An agent's place on an account's dashboard."""

    id: str
    account_id: str
    user_id: str
    name: str
    status: Status
    expires_at: datetime
    agent_id: str | None
    handle: str | None
    instance_info: dict[str, Any] | None
    telemetry_token_hash: bytes | None
    version: int
    created_at: datetime
    confirmed_at: datetime | None
    last_seen: datetime | None
    is_online: bool = False

    @property
    def shown_status(self) -> str:
        """The status that the contract shows: pending, connected or disconnected."""
        if self.status is Status.PENDING:
            return "pending"
        return "connected" if self.is_online else "disconnected"


class OpenedPairing(Struct, frozen=True):
    """A new pairing with the one copy of its token."""

    pairing: Pairing
    token: str


class HeldPairing(Struct, frozen=True):
    """A pairing under an id that another service chose; the token is there while an agent may redeem it."""

    pairing: Pairing
    token: str | None


class ConfirmedPairing(Struct, frozen=True):
    """A confirmed pairing with the one copy of its telemetry token."""

    pairing: Pairing
    telemetry_token: str
    websocket_url: str


class PresenceKey(Struct, frozen=True, kw_only=True):
    """Which life of which agent's connection."""

    account_id: str
    agent_id: str
    epoch: str


class Presence(Struct, frozen=True, kw_only=True):
    """One life of an agent's connection, as telemetry-ingest tells of it."""

    account_id: str
    agent_id: str
    epoch: str
    pairing_id: str | None
    is_online: bool
    at: datetime
    version: int


class HistoryEntry(Struct, frozen=True):
    """Something that was done to a pairing."""

    action: str
    actor: str
    source: str
    at: datetime


def handle_of(agent_id: str) -> str:
    """Make an agent's handle where it gives none: its id without the prefix."""
    return agent_id.removeprefix("agent_")


def websocket_url(public_url: str) -> str:
    """Tell where agents stream to, from the address that the gateway is reached at."""
    return f"ws{public_url.removeprefix('http').rstrip('/')}/telemetry"
