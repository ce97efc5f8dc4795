"""The keys that seal a service's secrets: as an operator writes them, or kept beside the installation's other files."""

import base64
import binascii
import os
import secrets
from pathlib import Path

from shoal.config import ConfigError, Secret
from shoal.crypto import Envelope

_BYTES = 32


def envelope_of(given: Secret | None, *, variable: str, kept_in: Path) -> Envelope:
    """Make a service's envelope.

    Args:
        given: Keys written as `<id>:<32 bytes in base64>`, parted by commas, the current one first.
        variable: What the setting is called, for errors.
        kept_in: The file whose key is used where none is given; it is made at the first time, mode 0600.

    Raises:
        ConfigError: The keys are not written so, or the file can be neither read nor made.
    """
    text = kept_key(kept_in, variable=variable) if given is None else given.reveal()
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != _BYTES or not key_id:
            raise ConfigError([f"{variable}: write <id>:<32 bytes in base64>, several parted by commas"])
    return Envelope(keys, current=next(iter(keys)))


def kept_key(file: Path, *, variable: str) -> str:
    """Read the key that is kept in a file, making it at the first time.

    Raises:
        ConfigError: It cannot be read or made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(f"k1:{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}")
        except FileExistsError:
            pass
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError([f"{variable} is not set, and {error}"]) from error
