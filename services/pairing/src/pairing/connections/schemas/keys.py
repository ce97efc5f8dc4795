"""Keys of agents."""

from datetime import datetime
from typing import Any

from msgspec import Struct

from pairing.connections.domain.agents import Agent, AgentKey, IssuedKey
from pairing.connections.schemas.agents import Label


class CreateKey(Struct, frozen=True):
    """Body of `POST /v1/agents/{id}/keys`."""

    name: Label = "default"


class KeyView(Struct, frozen=True, kw_only=True):
    """A key of an agent, without its secret."""

    id: str
    name: str
    prefix: str
    """How the secret begins."""
    scope: str
    agent_id: str
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def from_domain(cls, agent: Agent, key: AgentKey) -> "KeyView":
        """Show a key."""
        return cls(**_shown_key(agent, key))


class KeyCreatedView(KeyView, frozen=True, kw_only=True):
    """Answer of `POST /v1/agents/{id}/keys`; the secret is shown this once."""

    api_key: str

    @classmethod
    def from_issued(cls, agent: Agent, issued: IssuedKey) -> "KeyCreatedView":
        """Show a new key."""
        return cls(**_shown_key(agent, issued.key), api_key=issued.secret)


class KeysView(Struct, frozen=True):
    """Answer of `GET /v1/agents/{id}/keys`, oldest first, without revoked ones."""

    keys: list[KeyView]


class KeyRevokedView(Struct, frozen=True):
    """Answer of `DELETE /v1/agents/{id}/keys/{key_id}`."""

    id: str
    status: str


def _shown_key(agent: Agent, key: AgentKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scope": "agent",
        "agent_id": agent.agent_id,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
    }
