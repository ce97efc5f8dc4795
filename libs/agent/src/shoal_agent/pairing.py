"""What an agent knows of its pairing."""

import re

from msgspec import Struct

from shoal_agent.errors import InvalidSettingError

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What an agent id and a pairing id look like."""


def check_agent_id(agent_id: str) -> None:
    """Refuse what cannot be an agent's id.

    Raises:
        InvalidSettingError: It cannot; says what can.
    """
    if not ID.fullmatch(agent_id):
        raise InvalidSettingError("agent id", "use 1 to 64 letters, digits, `_` and `-`")


class Pairing(Struct, frozen=True, kw_only=True):
    """A confirmed pairing between a dashboard and this agent. Holds a secret; its repr does not show it."""

    gateway_url: str
    pairing_id: str
    agent_id: str
    handle: str | None
    websocket_url: str
    telemetry_token: str
    created_at: str

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Pairing({self.pairing_id!r}, agent_id={self.agent_id!r}, gateway_url={self.gateway_url!r})"
