"""The keys that seal this service's secrets."""

from shoal.crypto import Envelope
from shoal.vault import envelope_of
from ssh_manager.config import Config

VARIABLE = "SSH_MANAGER_ENCRYPTION_KEY"
LOCAL = "local"


def open_vault(config: Config) -> Envelope:
    """Make the envelope that seals and opens private keys.

    Raises:
        ConfigError: The keys are not written as they should be, or are missing and cannot be kept.
    """
    kept_in = config.state / "ssh-manager.key" if config.backend == LOCAL else None
    return envelope_of(config.encryption_key, variable=VARIABLE, kept_in=kept_in)
