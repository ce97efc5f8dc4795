"""An agent's presence: one life of its socket, in one process."""

from datetime import datetime

from msgspec import Struct

from telemetry_ingest.domain.closings import Gone


class Presence(Struct, frozen=True, kw_only=True):
    """An agent that can be heard.

    Args:
        epoch: Names this presence; its end carries the same value, and no other presence ever does.
        pairing_id: The pairing whose token opened the socket; None when a user's credential did.
        socket_id: The socket, within its process.
    """

    account_id: str
    agent_id: str
    epoch: str
    pairing_id: str | None
    socket_id: str


class EndedPresence(Struct, frozen=True, kw_only=True):
    """A presence that is over."""

    account_id: str
    agent_id: str
    epoch: str
    pairing_id: str | None
    socket_id: str
    ended_at: datetime
    gone: Gone
    superseded: bool = False


class PresenceRow(Struct, frozen=True, kw_only=True):
    """A presence as others copy it; `gone` says how it ended."""

    account_id: str
    agent_id: str
    epoch: str
    pairing_id: str | None
    began_at: datetime
    ended_at: datetime | None
    gone: Gone | None

    @property
    def cursor(self) -> str:
        """Its place in an export, which is in the order of account, agent and epoch."""
        return f"{self.account_id}/{self.agent_id}/{self.epoch}"
