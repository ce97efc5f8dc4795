"""Who there is: accounts and users, as far as they matter here."""

from msgspec import Struct

from pairing.connections.domain.agents import Agent
from pairing.connections.domain.plans import Limits


class Person(Struct, frozen=True, kw_only=True):
    """A user as the gateway tells of them."""

    id: str
    account_id: str
    username: str
    email: str
    role: str
    version: int


class AccountCard(Struct, frozen=True, kw_only=True):
    """An account as others see it: its name, and the address of its first admin."""

    id: str
    name: str
    email: str | None
    plan: str


class OwnedAgent(Struct, frozen=True):
    """An agent and whose it is."""

    agent: Agent
    owner: AccountCard


class Profile(Struct, frozen=True, kw_only=True):
    """An agent's place in the world; without agent when an account asks for itself."""

    agent: Agent | None
    plan: str
    email: str | None
    limits: Limits
    active: int
    pending_incoming: int
    pending_outgoing: int
    paired_agents: list[str]
    """The agent_ids of those whom the agent (or any of the account's) is actively paired with."""


def masked(email: str) -> str:
    """Show as much of an address as helps to recognise it."""
    local, _, domain = email.partition("@")
    return f"{local[:1]}***@{domain}"
