"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import segno
from msgspec import Meta, Struct

from pairing.dashboard.domain import (
    MAX_INFO_BYTES,
    ConfirmedPairing,
    HeldPairing,
    HistoryEntry,
    OpenedPairing,
    Pairing,
    handle_of,
)
from shoal.ids import SubjectToken

Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]
Credential = Annotated[str, Meta(min_length=1, max_length=256)]


class OpenPairing(Struct, frozen=True):
    """Body of `POST /pairing/init`."""

    name: Name = "New agent"


class PairingOpenedView(Struct, frozen=True):
    """Answer of `POST /pairing/init`; the token is shown this once."""

    pairing_id: str
    token: str
    qr_code: str
    """The token as a QR code: a PNG in a data URI."""
    expires_at: datetime

    @classmethod
    def from_domain(cls, opened: OpenedPairing) -> "PairingOpenedView":
        """Show a new pairing."""
        qr_code = segno.make(opened.token, error="m").png_data_uri(scale=4)
        return cls(opened.pairing.id, opened.token, qr_code, opened.pairing.expires_at)


class HoldPairing(Struct, frozen=True):
    """Body of `POST /internal/pairings`."""

    pairing_id: SubjectToken
    account_id: SubjectToken
    user_id: SubjectToken
    name: Name


class PairingHeldView(Struct, frozen=True):
    """Answer of `POST /internal/pairings`; the token is shown this once, and null once an agent has redeemed it."""

    pairing_id: str
    status: str
    """`pending` or `active`."""
    token: str | None
    expires_at: datetime

    @classmethod
    def from_domain(cls, held: HeldPairing) -> "PairingHeldView":
        """Show a pairing to the service that holds it."""
        return cls(held.pairing.id, held.pairing.status, held.token, held.pairing.expires_at)


class ConfirmPairing(Struct, frozen=True):
    """Body of `POST /pairing/confirm`."""

    token: Credential
    agent_id: SubjectToken
    instance_info: dict[str, Any] | None = None
    handle: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")] | None = None
    """How people call the agent; by default its id without `agent_`."""

    def __post_init__(self) -> None:
        if self.instance_info is not None and len(msgspec.json.encode(self.instance_info)) > MAX_INFO_BYTES:
            raise ValueError(f"instance_info is larger than {MAX_INFO_BYTES} bytes")


class AgentView(Struct, frozen=True):
    """An agent as pairings name it."""

    id: str
    handle: str


class PairingConfirmedView(Struct, frozen=True):
    """Answer of `POST /pairing/confirm`; the telemetry token is shown this once."""

    pairing_id: str
    status: str
    agent: AgentView
    websocket_url: str
    telemetry_token: str
    created_at: datetime

    @classmethod
    def from_domain(cls, confirmed: ConfirmedPairing) -> "PairingConfirmedView":
        """Show a confirmed pairing to its agent."""
        pairing = confirmed.pairing
        agent = AgentView(pairing.agent_id or "", pairing.handle or "")
        return cls(
            pairing.id,
            pairing.status,
            agent,
            confirmed.websocket_url,
            confirmed.telemetry_token,
            pairing.created_at,
        )


class PairingView(Struct, frozen=True, kw_only=True):
    """One pairing of the list."""

    id: str
    name: str
    agent: AgentView | None
    status: str
    """`pending`, `connected` or `disconnected`."""
    instance_info: dict[str, Any] | None
    last_seen: datetime | None
    created_at: datetime
    confirmed_at: datetime | None
    expires_at: datetime | None
    """Until when the token can be redeemed; null once it was."""

    @classmethod
    def from_domain(cls, pairing: Pairing) -> "PairingView":
        """Show a pairing to its account."""
        agent_id = pairing.agent_id
        return cls(
            id=pairing.id,
            name=pairing.name,
            agent=AgentView(agent_id, pairing.handle or handle_of(agent_id)) if agent_id else None,
            status=pairing.shown_status,
            instance_info=pairing.instance_info,
            last_seen=pairing.last_seen,
            created_at=pairing.created_at,
            confirmed_at=pairing.confirmed_at,
            expires_at=pairing.expires_at if pairing.shown_status == "pending" else None,
        )


class PairingsView(Struct, frozen=True):
    """Answer of `GET /pairing`."""

    pairings: list[PairingView]
    total: int

    @classmethod
    def from_domain(cls, pairings: list[Pairing]) -> "PairingsView":
        """Show an account's pairings."""
        return cls([PairingView.from_domain(pairing) for pairing in pairings], len(pairings))


class RenamePairing(Struct, frozen=True):
    """Body of `PATCH /pairing/{id}`."""

    name: Name


class TelemetryTokenView(Struct, frozen=True):
    """Answer of `POST /pairing/{id}/telemetry-token`; shown this once, and the old one is dead."""

    pairing_id: str
    telemetry_token: str


class PairingDeletedView(Struct, frozen=True):
    """Answer of `DELETE /pairing/{id}`."""

    deleted: bool
    id: str


class HistoryView(Struct, frozen=True):
    """Answer of `GET /pairing/{id}/history`, oldest first."""

    history: list[HistoryEntry]
