"""What settings say that needs reading first."""

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agent_runtime.config import Config
from shoal.config import ConfigError
from shoal.crypto import Envelope
from shoal.outgoing import Outgoing
from shoal.vault import envelope_of

KEY_VARIABLE = "AGENT_RUNTIME_ENCRYPTION_KEY"


def outgoing(config: Config) -> Outgoing:
    """Tell what may be reached.

    Raises:
        ConfigError: `SHOAL_OUTGOING_ALLOWED` does not hold.
    """
    everywhere = ", 0.0.0.0/0, ::/0" if config.allow_private_addresses else ""
    try:
        return Outgoing(config.outgoing_allowed + everywhere)
    except ValueError as error:
        raise ConfigError([f"SHOAL_OUTGOING_ALLOWED: {error}"]) from error


def envelope(config: Config) -> Envelope:
    """Make what seals secrets; a key that is given nowhere is made and kept in the state folder.

    Raises:
        ConfigError: The keys that are given do not hold.
    """
    return envelope_of(config.encryption_key, variable=KEY_VARIABLE, kept_in=config.state / "agent-runtime.key")


def registry_key(config: Config) -> Ed25519PublicKey | None:
    """Read the key by which packages of the registry are signed; None where there is none.

    Raises:
        ConfigError: It is no Ed25519 public key.
    """
    if not config.skills_registry_key:
        return None
    try:
        key = load_pem_public_key(config.skills_registry_key.encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(["AGENT_RUNTIME_SKILLS_REGISTRY_KEY must hold an Ed25519 public key as PEM"])
    return key


def gateway_port(config: Config) -> int:
    """Tell where the gateway listens."""
    parts = urlsplit(config.public_url)
    return parts.port or (443 if parts.scheme == "https" else 80)
