"""The keys that seal this service's secrets."""

import base64
import binascii
import os
import secrets
from pathlib import Path

from shoal.config import ConfigError
from shoal.crypto import Envelope
from ssh_manager.config import Config

FILE = "ssh-manager.key"
VARIABLE = "SSH_MANAGER_ENCRYPTION_KEY"
LOCAL = "local"
_BYTES = 32


def open_vault(config: Config) -> Envelope:
    """Make the envelope that seals and opens private keys.

    Raises:
        ConfigError: The keys are not written as they should be, or are missing and cannot be kept.
    """
    if config.encryption_key is not None:
        return _envelope_of(config.encryption_key.reveal())
    if config.backend != LOCAL:
        raise ConfigError([f"{VARIABLE} is not set: <id>:<32 bytes in base64>"])
    return _envelope_of(_kept_key(config.state))


def _envelope_of(text: str) -> Envelope:
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != _BYTES or not key_id:
            raise ConfigError([f"{VARIABLE}: write <id>:<32 bytes in base64>, …"])
    return Envelope(keys, current=next(iter(keys)))


def _kept_key(folder: Path) -> str:
    """Read the key that is kept in a folder, making it at the first time; mode 0600."""
    file = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(f"k1:{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}")
        except FileExistsError:
            pass
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError([f"{VARIABLE} is not set, and {error}"]) from error
