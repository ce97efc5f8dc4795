"""The key that seals this service's secrets, and the proof that it is the right one."""

import base64
import binascii
import os
import secrets
from pathlib import Path

from shoal.config import ConfigError
from shoal.crypto import Envelope

FILE = "instance-orchestrator.key"
_BYTES = 32


def envelope_of(text: str) -> Envelope:
    """Read keys written as `<id>:<32 bytes in base64>`, parted by commas, the current one first.

    Raises:
        ConfigError: They are not written so.
    """
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != _BYTES or not key_id:
            raise ConfigError(["INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY: write <id>:<32 bytes in base64>, …"])
    return Envelope(keys, current=next(iter(keys)))


def kept_key(folder: Path) -> str:
    """Read the key that is kept in a folder, making it at the first time; mode 0600.

    Raises:
        ConfigError: It cannot be read or made.
    """
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
        raise ConfigError([f"INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY is not set, and {error}"]) from error
