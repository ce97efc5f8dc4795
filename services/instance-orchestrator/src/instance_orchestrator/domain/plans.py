"""Plans: all that a backend must know to make an instance real, and what it then saw."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from instance_orchestrator.domain.instances import Endpoint, Phase, Ports, Resources


class InstanceRef(Struct, frozen=True):
    """Which instance; a name can be used again, an id cannot."""

    id: int
    name: str


class HostKey(Struct, frozen=True):
    """The key by which an instance's SSH server proves itself, in OpenSSH's formats."""

    private: str
    public: str

    def __repr__(self) -> str:
        return f"HostKey({self.public})"


class AuthorizedKey(Struct, frozen=True):
    """The public key by which ssh-manager signs in."""

    line: str
    fingerprint: str
    version: int


class Seat(Struct, frozen=True):
    """The place on the dashboard that an instance's agent takes."""

    agent_id: str
    handle: str
    gateway_url: str
    token: str = ""
    """Redeems the pairing; empty once it was redeemed, or while it cannot be had."""

    def __repr__(self) -> str:
        return f"Seat({self.agent_id})"


class Plan(Struct, frozen=True, kw_only=True):
    """One instance as it should be."""

    instance: InstanceRef
    account_id: str
    generation: int
    is_running: bool
    restarts: int
    ports: Ports
    resources: Resources
    image: str
    resolution: str
    config: bytes
    environment: dict[str, str]
    host_key: HostKey
    authorized: AuthorizedKey | None
    seat: Seat
    source: InstanceRef | None = None
    """The instance that it is a clone of: what that keeps it begins with, where the backend can copy it."""

    def __repr__(self) -> str:
        return f"Plan({self.instance.name}, generation {self.generation})"

    @property
    def config_hash(self) -> str:
        """Changes with the config."""
        return _digest(self.config)

    @property
    def keys_hash(self) -> str:
        """Changes with the keys that the instance is given; tells nothing about them."""
        return _digest(msgspec.json.encode([self.instance.id, self.environment], order="deterministic"))

    @property
    def run_hash(self) -> str:
        """Changes with everything that only a start can bring into effect; SSH keys and pairing are not among it."""
        return _digest(
            msgspec.json.encode(
                [
                    *(self.config_hash, self.keys_hash, self.restarts, self.ports, self.image, self.resolution),
                    *(self.resources, self.seat.gateway_url, self.host_key.public),
                ]
            )
        )


class Observed(Struct, frozen=True):
    """What a backend has of an instance now."""

    phase: Phase
    endpoint: Endpoint | None = None
    problem: str = ""


class Offer(Struct, frozen=True):
    """A pairing that pairing holds open for an instance's agent."""

    pairing_id: str
    status: str
    token: str | None = None
    expires_at: datetime | None = None


def effective_keys(account: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Tell which variables an instance is given: the account's, and in their place its own."""
    return dict(sorted({**account, **own}.items()))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
