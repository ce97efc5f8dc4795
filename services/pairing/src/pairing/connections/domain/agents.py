"""What a registered agent is, and what it proves itself with."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from shoal.errors import FieldProblem, ValidationError
from shoal.identity import Principal, Via

KEY_PREFIX = "ada_"
CONNECT_TOKEN_PREFIX = "agt_"  # noqa: S105 - how tokens begin, not one
CONNECT_TOKEN_ID = "ctok"  # noqa: S105 - how their ids begin
SHOWN_OF_KEY = 8
MAX_METADATA_BYTES = 16 * 1024
RESERVED = frozenset({"me", "resolve", "register", "connect", ".", ".."})
"""Names that the paths below `/v1/agents` need for themselves."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class AgentStatus(StrEnum):
    """Whether an agent has handed in a public key."""

    PENDING = "pending"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


class AgentType(StrEnum):
    """What an agent is made with."""

    CUSTOM = "custom"
    LANGCHAIN = "langchain"
    CREWAI = "crewai"
    AUTOGEN = "autogen"
    MASTRA = "mastra"
    N8N = "n8n"


class PublicKeys(Struct, frozen=True):
    """What others encrypt for an agent with, and check its signatures by; base64 of 32 bytes each."""

    public_key: str
    public_key_algorithm: str
    signing_public_key: str | None
    signing_key_algorithm: str | None


class NewAgent(Struct, frozen=True, kw_only=True):
    """An agent as its account describes it."""

    agent_id: str
    name: str
    description: str | None
    webhook_url: str | None
    agent_type: AgentType
    metadata: dict[str, Any] | None
    is_available: bool
    keys: PublicKeys | None

    def __post_init__(self) -> None:
        if self.agent_id in RESERVED or as_uuid(self.agent_id):
            raise _refused("agent_id", "is a name that cannot be given")
        check_metadata(self.metadata)


class Agent(Struct, frozen=True, kw_only=True):
    """A registered agent. Its `id` is a UUID; `agent_id` is the slug by which its account calls it."""

    id: UUID
    account_id: str
    agent_id: str
    name: str
    description: str | None
    webhook_url: str | None
    agent_type: AgentType
    metadata: dict[str, Any] | None
    is_available: bool
    """Whether connected accounts may propose a pairing with it."""
    status: AgentStatus
    public_key: str | None
    public_key_algorithm: str | None
    key_version: int
    signing_public_key: str | None
    signing_key_algorithm: str | None
    version: int
    created_at: datetime
    last_seen_at: datetime | None
    deleted_at: datetime | None

    @property
    def is_connected(self) -> bool:
        """Whether files can be encrypted for it now."""
        return self.status is AgentStatus.CONNECTED and self.deleted_at is None

    def changed(self, changes: dict[str, Any]) -> "Agent":
        """Give the agent as described otherwise.

        Raises:
            ValidationError: The metadata is too large.
        """
        check_metadata(changes.get("metadata"))
        return msgspec.structs.replace(self, **changes)


class ConnectToken(Struct, frozen=True):
    """The one copy of a token with which an agent hands in its first key."""

    token: str
    expires_at: datetime


class RegisteredAgent(Struct, frozen=True):
    """An agent, with a token when it has yet to connect."""

    agent: Agent
    inbox_url: str
    token: ConnectToken | None = None


class AgentKey(Struct, frozen=True, kw_only=True):
    """A key by which an agent speaks for itself, and for nobody else."""

    id: str
    agent_uuid: UUID
    account_id: str
    name: str
    prefix: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class IssuedKey(Struct, frozen=True):
    """A new key with the one copy of its secret."""

    key: AgentKey
    secret: str


def inbox_url(public_url: str, agent_uuid: UUID) -> str:
    """Tell where an agent would be sent files."""
    return f"{public_url.rstrip('/')}/v1/agents/{agent_uuid}/inbox"


def as_uuid(text: str) -> UUID | None:
    """Read a UUID in its canonical form."""
    return UUID(text) if _UUID.fullmatch(text) else None


def has_connect_token(principal: Principal) -> bool:
    """Tell whether somebody came with a connect token, which is good for connecting and for nothing else."""
    return principal.via is Via.AGENT_KEY and principal.credential_id.startswith(f"{CONNECT_TOKEN_ID}_")


def check_metadata(metadata: dict[str, Any] | None) -> None:
    """Refuse metadata that is too large to keep.

    Raises:
        ValidationError: It is larger than 16 KiB as JSON.
    """
    if metadata is not None and len(msgspec.json.encode(metadata)) > MAX_METADATA_BYTES:
        raise _refused("metadata", f"is larger than {MAX_METADATA_BYTES} bytes")


def _refused(field: str, message: str) -> ValidationError:
    return ValidationError(f"{field} {message}.", details=[FieldProblem(field, message)])
